#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "culm/core/random.hpp"
#include "culm/core/time.hpp"
#include "culm/replication/arriving_payloads.hpp"
#include "culm/replication/credit_pool.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/known_damage.hpp"
#include "culm/replication/policy.hpp"
#include "culm/replication/secure_channel.hpp"
#include "culm/replication/stats.hpp"

namespace culm::replication {

/// One connection's state machine, without socket, clock, thread or randomness of its own. Not
/// thread-safe.
///
///   handshake --Established--> open --close()/bye/error--> ended
///
/// Drive it so: feed what the socket reads to `receive`, write `pending_output` to the socket and
/// say how much with `output_sent`, call `deadline_reached` at `next_deadline`, and after each of
/// these calls take all events. Reading of the store happens in these calls; what must be written
/// is handed out as `WorkReceived` and answered by `work_finished`.
/// Spec: replication.md#session
class Session {
 public:
  struct Options {
    SecureChannel::Options channel;
    std::uint64_t id = 0;  ///< for `WorkId`
    std::string agent = "culm";
    /// Of all sessions on the store.
    std::shared_ptr<KnownDamage> damage = std::make_shared<KnownDamage>();
  };

  /// All references must outlive the session.
  Session(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
          ArrivingPayloads& payloads, SignatureVerifier& verifier, Random& random, Instant now);
  ~Session();

  /// Takes bytes in any fragmentation. After a failure the session has ended: write what
  /// `pending_output` still holds and close the connection.
  [[nodiscard]] Result<void> receive(ByteView wire, Instant now);
  /// The connection ended. Fails with kFrameTruncated unless the peer had said bye; before the
  /// handshake was done as `SecureChannel::finish`.
  [[nodiscard]] Result<void> receive_end();

  /// Bytes to write; valid until the next non-const call.
  [[nodiscard]] ByteView pending_output() const;
  void output_sent(std::size_t bytes, Instant now);
  /// Whether the host should read from the socket; false while too much output waits, or what comes
  /// has no room in the pool.
  [[nodiscard]] bool wants_input() const;

  [[nodiscard]] std::optional<Instant> next_deadline() const;
  [[nodiscard]] Result<void> deadline_reached(Instant now);

  [[nodiscard]] std::optional<Event> next_event();

  /// Asks the peer. May be called before the session is established. Fails with kBusy when too
  /// many wants are open, kRangesTooMany when one message cannot carry the interest, kProtocolState
  /// when ended, or as the store.
  [[nodiscard]] Result<WantId> want(const WantRequest& request);
  void cancel(WantId want);
  /// Offers a log of the store. Fails with kLogUnknown when nothing of it is served, kBusy when the
  /// session has offered as many as it may, kProtocolState when ended, or as the store.
  [[nodiscard]] Result<void> offer(const LogKey& log);

  /// The host's answer to `WorkReceived`.
  void work_finished(const WorkReport& report);
  /// The store holds more of `log` than before, or less, or evidence against it: serve live wants,
  /// send receipts and evidence.
  void log_changed(const LogKey& log);
  /// Entries or payloads of `log` that were held are so no longer, for their damage: the peer,
  /// which was told that they are here, is asked again for what is wanted live.
  void entries_lost(const LogKey& log);
  /// The host's answer to `Damaged`, for any number of them, whether or not it could do something
  /// about it, and after `log_changed` where it did: wants that come upon the entry do not end
  /// before.
  void drop_finished(const LogKey& log, const RangeSet& seqnums);
  /// Whether changes of `log` are anything to this session.
  [[nodiscard]] bool cares_for(const LogKey& log) const;

  /// Whether a want of either side is open.
  [[nodiscard]] bool has_wants() const;

  /// There is room in the pool, which this session found short: see `CreditPool`.
  void credit_freed(Instant now);

  /// Since when the end of a message, or a turn for all that have come, is waited for, where what
  /// has come counts in limits::kNodeInputBytes; nothing while it waits for room to store it.
  [[nodiscard]] std::optional<Instant> behind_since() const;
  /// Gives back memory of input that holds nothing.
  void trim_input();

  /// Says bye; nothing else is sent after it.
  void close(std::optional<Errc> code = std::nullopt);
  [[nodiscard]] bool ended() const;

  [[nodiscard]] const SessionStats& stats() const;
  [[nodiscard]] bool established() const;
  /// As `SecureChannel::no_room`.
  [[nodiscard]] ByteView no_room() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culm::replication
