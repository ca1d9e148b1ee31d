#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "culm/replication/detail/credit_window.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/request.hpp"
#include "culm/replication/detail/spent_budgets.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/known_damage.hpp"
#include "culm/replication/policy.hpp"
#include "culm/replication/stats.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Asks the peer, grants it credit, hands what arrives to the committer and keeps account of it:
/// what may arrive is for `Request` to say. Spec: replication.md#wants, replication.md#credit
class Requester {
 public:
  /// All must outlive the requester.
  Requester(std::uint64_t session, const store::Store& store, Policy& policy, CreditPool& pool,
            ArrivingPayloads& payloads, KnownDamage& damage, Outbox& outbox,
            std::deque<Event>& events, SessionStats& stats);
  Requester(const Requester&) = delete;
  Requester& operator=(const Requester&) = delete;

  /// Before that is known, the parts of all are alike.
  void set_peer(const sealing::PeerKey& peer) { peer_ = peer; }

  /// Fails with kBusy, kRangesTooMany, or as the store.
  [[nodiscard]] Result<WantId> want(const WantRequest& asked);
  /// For a log that the peer has offered and the policy accepts. Fails with kBusy, or as the store;
  /// ranges that are too many are a limit of this side. Where that want ends for
  /// a reason of this side it rests, and is asked again, if the policy still accepts it: below a
  /// cap, once the peer knows it, and after a loss here.
  [[nodiscard]] Result<WantId> take_offer(const LogKey& log, const store::LogInterest& interest);
  /// `unread_bytes` have come of messages that have only begun.
  void cancel(WantId want, std::uint64_t unread_bytes);
  /// Asks once more what is wanted live of `log`, under the ids by which the host knows it.
  [[nodiscard]] Result<void> ask_again(const LogKey& log);
  /// The same where payloads were deleted here that the peer still sends, or waits to hear of.
  [[nodiscard]] Result<void> leave_out_deleted(const LogKey& log);
  /// Wants that the peer was sent, over the life of the session.
  [[nodiscard]] std::uint64_t wants_sent() const noexcept { return last_id_; }
  /// Whether anything of `log` is wanted from the peer.
  [[nodiscard]] bool wants(const LogKey& log) const;
  [[nodiscard]] bool has_wants() const noexcept { return !requests_.empty(); }
  /// Whether the peer has said of some want of `log` what it holds.
  [[nodiscard]] bool is_answered(const LogKey& log) const;
  /// Whether nothing of `log` that was received waits for the committer.
  [[nodiscard]] bool settled(const LogKey& log) const;

  [[nodiscard]] Result<void> on_have(const Have& have);
  [[nodiscard]] Result<void> on_quote(const Quote& quote);
  /// What a unit brought, and of which log.
  struct Arrival {
    LogKey log;
    ElidedContents contents;
  };
  /// `message_bytes` is what the message counts against credit. Nothing when the want has ended.
  [[nodiscard]] Result<std::optional<Arrival>> on_entries(const Entries& entries,
                                                          std::size_t message_bytes);
  [[nodiscard]] Result<void> on_payload(const Payload& payload, std::size_t message_bytes);
  [[nodiscard]] Result<void> on_ready(const Ready& ready);
  [[nodiscard]] Result<void> on_done(const Done& done);
  /// A want is declined; it may have ended already.
  void on_deny(const Deny& deny);
  /// Whether the peer owes an answer, or the rest of what it announced, and may send it.
  [[nodiscard]] bool awaits_peer() const;

  /// Keeps the wants of `log` from ending or catching up until `release` was called as often: a
  /// comparison is under way that may yet find the log forked.
  void hold_back(const LogKey& log);
  void release(const LogKey& log);

  /// Evidence against the author of `log`, to be recorded. `blame`: the peer vouched for it. One
  /// piece of a log is with the committer at a time; of those that come meanwhile the last waits.
  void submit_evidence(const LogKey& log, Evidence evidence, bool blame);
  /// Whether evidence that this side put together of what the peer says has proven nothing: then
  /// the peer can have that done for ever, and it is not done again.
  [[nodiscard]] bool was_in_vain(const LogKey& log) const { return in_vain_.contains(log); }

  /// Takes the committer's answer. Fails with what the peer is to blame for, or with the failure of
  /// this side's store.
  [[nodiscard]] Result<void> work_finished(const WorkReport& report);

  /// Grants the credit to begin with.
  void top_up();
  /// Whether what comes is to stay where it is, as there is no room for it: then it waits in line.
  [[nodiscard]] bool must_wait();
  [[nodiscard]] bool is_waiting() const { return is_waiting_; }
  void credit_freed() { is_waiting_ = false; }
  [[nodiscard]] std::uint64_t credit_taken() const { return credit_.taken(); }

  /// The session has ended with so many bytes of messages that have only begun to come; the first
  /// call counts.
  void ended(std::uint64_t unread_bytes);
  /// The peer is at fault: what it sent and waits for the committer is not looked at.
  void distrust();

 private:
  struct Pending {
    WantId want = 0;  ///< 0: evidence
    std::uint64_t credit = 0;
    bool blame = true;
    SeqNum payload = 0;       ///< whose part it is; 0: no payload
    bool is_resumed = false;  ///< it goes on with parts that were here
  };

  [[nodiscard]] Request* find(WantId want);
  [[nodiscard]] RangeSet find_agreed(const Have& have) const;
  /// The request that a message is for: null when it has ended meanwhile. Fails with kUnsolicited.
  [[nodiscard]] Result<Request*> addressed(WantId want);
  struct Again {
    WantId host_id = 0;  ///< 0: it is the first time
    bool full = false;
    SeqNum alone = 0;  ///< what is here of this payload is not gone on with
    bool is_offered = false;
    bool is_woken = false;
  };
  [[nodiscard]] Result<WantId> ask(const WantRequest& asked, const Again& again);
  [[nodiscard]] Result<WantId> ask_offered(const LogKey& log, const store::LogInterest& interest,
                                           bool is_woken);
  [[nodiscard]] bool is_fetching() const;
  [[nodiscard]] std::uint64_t credit_limit() const;
  [[nodiscard]] bool is_entry_here(const Request& request, SeqNum seqnum) const;
  void grant(std::uint64_t bytes) {
    if (bytes != 0) outbox_.send(Credit{bytes});
  }
  /// `payloads`: those that it brings.
  void submit(Request& request, std::variant<UnitWork, PayloadWork, EvidenceWork> content,
              std::uint64_t credit, const RangeSet& payloads);
  // What follows from a failed work: nothing, the end of its want, or a failure that ends the
  // session.
  [[nodiscard]] Result<void> unit_failed(WantId want, const Error& error);
  [[nodiscard]] Result<void> payload_failed(Request& request, const Pending& pending,
                                            const Error& error);
  [[nodiscard]] Result<void> evidence_failed(const Pending& pending, const LogKey& log,
                                             const Error& error);
  /// Tells the host of a want that is over because of this side's store. Fails with `error` where
  /// that ends more than the want.
  [[nodiscard]] Result<void> give_up(const Request& request, const Error& error);
  /// Ends a want at the peer and asks once more; with a budget, when what was under way has come
  /// and counts.
  [[nodiscard]] Result<void> replace(Request request, bool full, SeqNum alone);
  [[nodiscard]] Result<void> replace_all(std::vector<Request> again);
  [[nodiscard]] Result<void> ask_instead(Request request);
  /// It came for a want that is over.
  void pass_over(WantId want, std::uint64_t counted);
  /// Ends a want here and at the peer.
  [[nodiscard]] Result<void> refuse(const Request& request, DenyReason reason);
  void rest(const Request& request);
  /// Asks once more what rests of `log`.
  [[nodiscard]] Result<void> wake(const LogKey& log, bool at_once);
  /// The same where the peer, with this head, brings nothing from the cap on.
  [[nodiscard]] Result<void> wake_below_cap(const LogKey& log, SeqNum peer_head, bool at_once);
  void send_evidence(const LogKey& log, Evidence evidence, bool blame);
  /// One piece is done: the next of the log, if any.
  void evidence_done(const LogKey& log);
  void settle(Request& request);
  void drop(WantId want);

  std::uint64_t session_;
  const store::Store& store_;
  Policy& policy_;
  CreditPool& pool_;
  ArrivingPayloads& payloads_;
  KnownDamage& damage_;
  CreditWindow credit_;
  Outbox& outbox_;
  std::deque<Event>& events_;
  SessionStats& stats_;
  std::optional<sealing::PeerKey> peer_;
  std::list<Request> requests_;
  SpentBudgets spent_;
  std::set<LogKey> rests_;  ///< of offers that were taken, what is not asked for now
  std::map<std::uint64_t, Pending> pending_;
  std::map<LogKey, std::size_t> held_back_;
  struct Waiting {
    Evidence evidence;
    bool blame = false;
  };
  /// Logs of which a piece of evidence is with the committer, and the one that waits for it.
  std::map<LogKey, std::optional<Waiting>> evidence_;
  std::set<LogKey> in_vain_;
  std::shared_ptr<SessionToken> token_ = std::make_shared<SessionToken>();  ///< for evidence
  bool is_waiting_ = false;
  WantId last_id_ = 0;
  std::uint64_t last_work_ = 0;
};

}  // namespace culm::replication
