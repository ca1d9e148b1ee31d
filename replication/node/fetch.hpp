#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "culm/replication/event.hpp"
#include "culm/replication/node/dial_plan.hpp"
#include "culm/replication/node/fetch_planner.hpp"

namespace culm::node {

/// Numbers the fetches of a node, from 1.
using FetchId = std::uint64_t;

/// What is wanted of one log from several peers together, once.
struct FetchRequest {
  replication::WantRequest want;  ///< neither live nor for a quote only
  std::vector<DialId> from;       ///< at least one
};

enum class FetchOutcome {
  kComplete,  ///< all that was wanted and that any of the peers holds is here
  kBudget,    ///< the budget was used up
  kNobody,    ///< nobody brought the rest
};

/// One log, fetched from several peers. Each is asked for a quote first, which tells what it holds;
/// then the planner says who is asked for which segment. A segment is a want of its own: it stands
/// on what is stored and on what it brings along, never on what another peer still owes. A want
/// with "newest" or with a budget cannot be cut, and is asked of one peer at a time.
///
/// It ends at the heads that the peers had when they answered. It waits for the answers of all, but
/// no longer than FetchPlanner::kLateAfter once all that the others hold is here.
class Fetch {
 public:
  /// What a fetch does to the sessions.
  class Sessions {
   public:
    virtual ~Sessions() = default;
    [[nodiscard]] virtual Result<replication::WantId> want(
        SessionId session, const replication::WantRequest& request) = 0;
    virtual void cancel(SessionId session, replication::WantId want) = 0;
  };

  explicit Fetch(FetchRequest request);

  [[nodiscard]] const LogKey& log() const { return request_.want.log; }
  [[nodiscard]] const FetchRequest& request() const { return request_; }
  [[nodiscard]] bool is_source(DialId dial) const { return waited_for_.contains(dial); }

  // What happens to it; then call `advance`.
  void session_began(SessionId session, DialId dial);
  void session_ended(SessionId session);
  /// Nothing more comes of a dial.
  void dial_over(DialId dial) { waited_for_.erase(dial); }
  void peer_has(SessionId session, const replication::PeerHas& has);
  /// Whether it was for this fetch.
  bool quoted(SessionId session, const replication::Quoted& quoted);
  void want_ended(SessionId session, replication::WantId want, replication::DoneReason reason);
  /// A want was declined, or this side could not take what came for it.
  void denied(SessionId session, const replication::Denied& denied);
  void received(const replication::Work& work);
  void stored(const replication::WorkReport& report, Instant now);
  /// Whether a want is one of this fetch's.
  [[nodiscard]] bool owns(SessionId session, replication::WantId want) const;

  /// Asks and cancels what is due. The outcome, once it has ended; then forget it. Fails as the
  /// store.
  [[nodiscard]] Result<std::optional<FetchOutcome>> advance(const store::Store& store,
                                                            Sessions& sessions, Instant now);
  /// Cancels all that is under way.
  void cancel(Sessions& sessions);

  /// Wanted, held by some peer that is believed, and not here.
  [[nodiscard]] const RangeSet& missing() const { return planner_.missing(); }
  /// Whether each peer that has answered has lost some of what is wanted, and did not come from
  /// others, by damage.
  [[nodiscard]] bool is_damaged() const;
  /// Those that have lost some of it.
  [[nodiscard]] std::set<DialId> damaged() const;
  /// Whether some peer has said what it holds.
  [[nodiscard]] bool is_served() const { return is_served_; }
  /// The highest that a peer that is believed holds, as it says; where `is_damaged`, also what it
  /// has taken back since.
  [[nodiscard]] SeqNum head() const;
  /// Why the last peer that declined did.
  [[nodiscard]] std::optional<replication::DenyReason> denied() const { return denied_; }
  [[nodiscard]] const std::map<DialId, replication::DenyReason>& declined() const {
    return declined_;
  }
  /// Peers that it no longer waits for, since this was called last: late ones, those whose share
  /// another has brought and, once it has ended, those that have not answered.
  [[nodiscard]] std::set<DialId> take_passed_over() { return std::exchange(passed_over_, {}); }
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  struct Source {
    DialId dial = 0;
    replication::WantId quote = 0;  ///< 0: not asked yet
    bool is_asking = false;         ///< the quote
    bool has_answered = false;
    bool is_damaged = false;             ///< it has lost some of what is wanted and not here
    RangeSet held;                       ///< as it says, up to its head when it answered
    RangeSet payloads;                   ///< likewise
    RangeSet unsaid;                     ///< that it had no room to speak of
    RangeSet unsaid_payloads;            ///< likewise
    SeqNum head = 0;                     ///< when it answered, whatever it has taken back since
    std::optional<Instant> try_again{};  ///< it had no room for another want
    std::map<replication::WantId, RangeSet> segments;
    RangeSet answered;  ///< of those
  };

  void ask_for_quotes(Sessions& sessions, Instant now);
  void ask_for_segments(Sessions& sessions, Instant now);
  void cancel_late(Sessions& sessions, Instant now);
  /// Learns from the store what is missing, and ends the segments that were answered.
  [[nodiscard]] Result<void> look(const store::Store& store, Instant now);
  [[nodiscard]] RangeSet find_cut_off(const store::LogState& log);
  /// Entries of `log` of which nothing more is wanted.
  [[nodiscard]] Result<RangeSet> settled(const store::ReadTransaction& transaction,
                                         const store::LogState& log, const RangeSet& wanted);
  [[nodiscard]] std::optional<FetchOutcome> outcome(Instant now);
  [[nodiscard]] bool asks_again(Instant now);
  void drop(SessionId session);
  void set_room(SessionId session, Source& source, std::optional<Instant> try_again);

  FetchRequest request_;
  FetchPlanner planner_;
  std::map<SessionId, Source> sources_;
  std::set<DialId> waited_for_;  ///< dials that may yet bring something
  std::set<DialId> passed_over_;
  std::vector<FetchPlanner::Segment> answered_;
  std::vector<std::pair<SessionId, replication::WantId>> to_cancel_;
  RangeSet lost_;           ///< what peers that are gone said they hold
  RangeSet lost_payloads_;  ///< likewise
  RangeSet measured_;       ///< entries here whose payload sizes are known
  RangeSet unwanted_;       ///< those among them whose payloads are not wanted
  std::uint64_t quoted_payload_bytes_ = 0;
  RangeSet proofs_;  ///< lost entries that only prove what is wanted: nobody wants their payloads
  SeqNum head_ = 0;  ///< the highest that those who are believed hold, as they say now
  std::optional<replication::DenyReason> denied_;
  std::map<DialId, replication::DenyReason> declined_;
  std::optional<Error> error_;  ///< of this side's store
  bool is_stale_ = true;        ///< what is missing must be looked up
  bool may_be_cut_off_ = true;
  bool is_budget_used_ = false;
  bool is_served_ = false;
  std::size_t times_asked_again_ = 0;
  bool has_gained_ = false;  ///< since it asked again, if it did
  std::optional<Instant> complete_since_;
};

}  // namespace culm::node
