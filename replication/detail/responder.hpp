#pragma once

#include <cstdint>
#include <deque>
#include <list>

#include "culm/core/signing.hpp"
#include "culm/replication/credit_pool.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/served_want.hpp"
#include "culm/replication/event.hpp"

namespace culm::replication {

/// Serves the peer's wants from the store, as far as its credit and the outbox allow: what comes
/// next of each is for `ServedWant` to say. Spec: replication.md#wants
class Responder {
 public:
  /// All must outlive the responder.
  Responder(const store::Store& store, SignatureVerifier& verifier, Outbox& outbox,
            std::deque<Event>& events, SessionStats& stats);

  /// Fails with kProtocolState when the id of a want is not larger than all before.
  [[nodiscard]] Result<void> take_id(WantId want);
  /// Takes a want that the policy allows. Fails as the store, or with kBusy when too many are open.
  [[nodiscard]] Result<void> accept(Want want);
  /// The peer no longer wants it: says done.
  void cancel(WantId want);
  /// The peer has refused what it got: nothing more is said.
  void drop(WantId want);
  /// The peer has shown that it holds these: they need not be sent.
  void peer_holds(const LogKey& log, const RangeSet& entries, const RangeSet& payloads);
  void add_credit(std::uint64_t bytes) noexcept { credit_ += bytes; }

  /// The store has changed: live wants of `log` go on.
  void log_changed(const LogKey& log);
  /// Whether the peer wants anything of `log`.
  [[nodiscard]] bool serves(const LogKey& log) const;
  [[nodiscard]] bool has_wants() const noexcept { return !served_.empty(); }

  /// Sends what may be sent now, and no more than is fair to other sessions.
  [[nodiscard]] Result<void> pump();
  /// Whether the last `pump` stopped although it could have gone on.
  [[nodiscard]] bool has_more() const noexcept { return has_more_; }

  /// Bytes of credit that the peer has granted and that are not used up.
  [[nodiscard]] std::uint64_t credit() const noexcept { return credit_; }

 private:
  /// Takes one step of a want. False: there was nothing to do.
  [[nodiscard]] Result<bool> advance(ServedWant& served);
  [[nodiscard]] Result<bool> take_step(ServedWant& served);
  [[nodiscard]] Result<void> send_unit(ServedWant& served,
                                       const store::ReadTransaction& transaction,
                                       const store::LogState& log);
  [[nodiscard]] Result<void> send_payload(ServedWant& served,
                                          const store::ReadTransaction& transaction,
                                          const store::LogState& log);
  [[nodiscard]] Result<void> send_chunk(ServedWant& served,
                                        const store::ReadTransaction& transaction,
                                        const store::LogState& log);
  /// Whether each entry of `sent` that nothing links to at the peer is signed well.
  [[nodiscard]] Result<bool> has_good_sinks(const RangeSet& sent, const RangeSet& known,
                                            const store::ReadTransaction& transaction,
                                            const store::LogState& log);
  /// Whether the want goes on without the damaged entry that `error` names.
  [[nodiscard]] bool passes_over(ServedWant& served, const Error& error);
  void spend(ServedWant& served, std::size_t bytes);
  void finish(ServedWant& served, DoneReason reason);
  void deny(ServedWant& served, DenyReason reason);

  const store::Store& store_;
  SignatureVerifier& verifier_;
  Outbox& outbox_;
  std::deque<Event>& events_;
  SessionStats& stats_;
  std::list<ServedWant> served_;
  WantId last_id_ = 0;
  std::uint64_t credit_ = 0;
  std::uint64_t quote_rows_left_ = limits::kPumpRowsMax;  ///< until the next `pump`
  bool has_more_ = false;
  Bytes unit_;
};

}  // namespace culm::replication
