#pragma once

#include <cstdint>
#include <deque>
#include <list>

#include "culm/core/signing.hpp"
#include "culm/replication/credit_pool.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/served_want.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/known_damage.hpp"

namespace culm::replication {

/// Serves the peer's wants from the store, as far as its credit and the outbox allow: what comes
/// next of each is for `ServedWant` to say. Spec: replication.md#wants
class Responder {
 public:
  /// All must outlive the responder.
  Responder(const store::Store& store, CreditPool& pool, SignatureVerifier& verifier,
            KnownDamage& damage, Outbox& outbox, std::deque<Event>& events, SessionStats& stats);
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  ~Responder();

  /// To find out what a want of many ranges leads to takes long. A turn does so for one such want,
  /// or for many of few ranges; one that is not `full` for the latter alone.
  void begin_turn(bool is_full);
  /// Whether no further want should be accepted in this turn: there is always time left to `look`.
  [[nodiscard]] bool is_turn_over() const noexcept;
  /// Whether something that a log has gained will be sent in a later turn.
  [[nodiscard]] bool lacks_plan() const noexcept { return lacks_plan_; }

  /// Fails with kProtocolState when the id of a want is not larger than all before.
  [[nodiscard]] Result<void> take_id(WantId want);
  /// Takes a want that the policy allows. Fails as the store, or with kBusy when
  /// too many are open, or they are of too many ranges.
  [[nodiscard]] Result<void> accept(Want want);
  /// Reads some entries of all parts of the log, once while the process runs, before anybody is
  /// told that they are held: what is damaged of them is known then.
  [[nodiscard]] Result<void> look(const store::ReadTransaction& transaction,
                                  const store::LogState& log);
  /// The peer no longer wants it: says done.
  void cancel(WantId want);
  /// The peer has refused what it got: nothing more is said.
  void drop(WantId want);
  /// The peer has shown that it holds these: they need not be sent.
  void peer_holds(const LogKey& log, const RangeSet& entries, const RangeSet& payloads);
  void add_credit(std::uint64_t bytes) noexcept { credit_ += bytes; }

  /// The store has changed: live wants of `log` go on.
  void log_changed(const LogKey& log);
  /// The host has done what it could about entries that were found damaged.
  void drop_finished(const LogKey& log, const RangeSet& seqnums);
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
  [[nodiscard]] bool may_plan(const ServedWant& served);
  [[nodiscard]] bool has_room(std::uint64_t ranges) const;
  /// Whether wants may have grown as they have: a little more than new ones may take.
  [[nodiscard]] bool may_grow() const;
  /// Charges what the wants take by now.
  void recount();
  struct MadeUnit;
  [[nodiscard]] Result<MadeUnit> make_unit(const ServedWant& served, const RangeSet& planned,
                                           const store::ReadTransaction& transaction,
                                           const store::LogState& log);
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
  /// Makes the quote say what the budget of the want lets come.
  [[nodiscard]] Result<void> heed_budget(const ServedWant& served, const Have& have,
                                         const store::ReadTransaction& transaction,
                                         const store::LogState& log, Quote& quote);
  /// Lets the quote say what would be sent. False: to find that out takes too long now.
  [[nodiscard]] Result<bool> try_out(const ServedWant& served, std::uint64_t around,
                                     const store::LogState& log, Quote& quote);
  /// What a want is answered with, before anything is sent for it.
  struct Answer {
    Have have;
    Quote quote;
  };
  [[nodiscard]] Result<Answer> make_answer(ServedWant& served,
                                           const store::ReadTransaction& transaction,
                                           const store::LogState& log);
  /// See `store::find_row_damage`: what it finds is known then.
  [[nodiscard]] Result<void> look_at(const store::ReadTransaction& transaction,
                                     const store::LogState& log, const RangeSet& sample,
                                     const SeqRange& part);
  /// A page is damaged: lets the want go on without what is unreadable. False where nothing is
  /// left.
  [[nodiscard]] bool narrow(ServedWant& served);
  /// From now on they are unreadable.
  void give_up(const LogKey& log, const RangeSet& seqnums);
  /// Whether the want goes on without the damaged entry that `error` names.
  [[nodiscard]] bool passes_over(ServedWant& served, const Error& error);
  void spend(ServedWant& served, std::size_t bytes);
  /// All that can be sent was.
  [[nodiscard]] Result<void> complete(ServedWant& served, const store::ReadTransaction& transaction,
                                      const store::LogState& log);
  void finish(ServedWant& served, DoneReason reason);
  void deny(ServedWant& served, DenyReason reason);

  const store::Store& store_;
  CreditPool& pool_;
  SignatureVerifier& verifier_;
  KnownDamage& damage_;
  Outbox& outbox_;
  std::deque<Event>& events_;
  SessionStats& stats_;
  std::list<ServedWant> served_;
  WantId last_id_ = 0;
  std::uint64_t credit_ = 0;
  std::uint64_t quote_rows_left_ = limits::kPumpRowsMax;  ///< until the next `pump`
  std::uint64_t quote_steps_left_ = limits::kPumpStepsMax;
  std::uint64_t rows_read_ = 0;                          ///< to be sent or passed over
  std::uint64_t plan_left_ = limits::kPlannedRangesMax;  ///< ranges, until the next turn
  bool is_turn_full_ = true;                             ///< and unused
  std::uint64_t ranges_ = 0;                             ///< of all wants
  bool lacks_plan_ = false;
  bool has_more_ = false;
  Bytes unit_;
};

}  // namespace culm::replication
