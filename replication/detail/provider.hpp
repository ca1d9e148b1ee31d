#pragma once

#include <list>
#include <optional>

#include "culm/core/sealing.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/message.hpp"
#include "culm/replication/stats.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// The serving half of a session: answers the peer's wants from the store, as far as credit and the
/// outbox allow. Spec: replication.md#wants
class Provider {
 public:
  /// All must outlive the provider.
  Provider(const store::Store& store, SignatureVerifier& verifier, Outbox& outbox,
           SessionStats& stats);

  /// Takes a want that the policy allows. Fails with kProtocolState (id not ascending) or as the
  /// store; with kLimit when too many are open, which is answered with `deny` by the caller.
  [[nodiscard]] Result<void> accept(Want want);
  /// The peer no longer wants it: says done.
  void cancel(WantId want);
  /// The peer has refused what it got: nothing more is said.
  void drop(WantId want);
  void add_credit(std::uint64_t bytes) noexcept { credit_ += bytes; }

  /// The store has changed: live wants of `log` go on.
  void log_changed(const LogKey& log);
  /// Whether the peer wants anything of `log`.
  [[nodiscard]] bool serves(const LogKey& log) const;

  /// Sends what may be sent now.
  [[nodiscard]] Result<void> pump();

  /// Bytes of credit that the peer has granted and that are not used up.
  [[nodiscard]] std::uint64_t credit() const noexcept { return credit_; }

 private:
  struct Served {
    Want want;
    RangeSet known;     ///< entries the peer declared held or was sent
    RangeSet entries;   ///< to be sent
    RangeSet payloads;  ///< to be sent
    RangeSet settled;   ///< payloads declared held, excepted, sent or not wanted
    std::uint64_t bytes = 0;
    bool planned = false;
    bool said_ready = false;
    bool ended = false;
    struct Chunked {
      SeqNum seqnum = 0;
      std::uint64_t offset = 0;
    };
    std::optional<Chunked> chunked;  ///< the payload that is under way in parts
  };

  void plan(Served& served, const store::LogState& log) const;
  [[nodiscard]] Result<void> answer(Served& served, const store::ReadTransaction& transaction,
                                    const store::LogState& log);
  [[nodiscard]] Result<Quote> quote(const Served& served, const store::ReadTransaction& transaction,
                                    const store::LogState& log) const;
  /// Sends one countable message, or says ready or done. False: nothing to do.
  [[nodiscard]] Result<bool> step(Served& served);
  [[nodiscard]] RangeSet next_unit(const Served& served) const;
  [[nodiscard]] Result<void> send_unit(Served& served, const store::ReadTransaction& transaction,
                                       const store::LogState& log);
  [[nodiscard]] Result<void> send_chunk(Served& served, const store::ReadTransaction& transaction,
                                        const store::LogState& log);
  [[nodiscard]] Result<void> check_sink(const store::ReadTransaction& transaction,
                                        const store::LogState& log, SeqNum sink);
  [[nodiscard]] static bool takes_payload(const Want& want, const EntryView& entry);
  void spend(Served& served, std::size_t bytes);
  void finish(Served& served, DoneReason reason);

  const store::Store& store_;
  SignatureVerifier& verifier_;
  Outbox& outbox_;
  SessionStats& stats_;
  std::list<Served> served_;
  WantId last_id_ = 0;
  std::uint64_t credit_ = 0;
  Bytes unit_;
};

/// What the store holds of a log, as one message can say it.
[[nodiscard]] Result<Have> make_have(const store::ReadTransaction& transaction,
                                     const store::LogState& log);

/// At most the first `ranges_max` ranges of `set`: what a message can carry.
[[nodiscard]] RangeSet first_ranges(const RangeSet& set,
                                    std::size_t ranges_max = limits::kRangesPerMessageMax);

/// The lowest `count` members of `set`.
[[nodiscard]] RangeSet lowest(const RangeSet& set, std::uint64_t count);

/// The highest `count` members of `set`.
[[nodiscard]] RangeSet highest(const RangeSet& set, std::uint64_t count);

}  // namespace culm::replication
