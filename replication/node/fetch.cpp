#include "culm/replication/node/fetch.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

using replication::WantId;
using replication::WantRequest;

bool can_be_cut(const WantRequest& want) {
  return want.interest.newest == 0 && want.budget_bytes == 0;
}

/// Entries of which nothing more is wanted.
RangeSet settled(const WantRequest& want, const store::LogState& log) {
  const bool takes_any_size =
      want.payload_size_min == 0 && want.payload_size_max == limits::kPayloadSizeBytesMax;
  // Of payloads that are not wanted for their size nobody knows before they are there.
  if (!want.payloads || !takes_any_size) return log.held;
  return log.held & (log.payloads | log.deleted);
}

}  // namespace

Fetch::Fetch(FetchRequest request)
    : request_(std::move(request)),
      planner_({.newest_first = request_.want.order == replication::Order::kNewestFirst,
                .one_at_a_time = !can_be_cut(request_.want)}),
      waited_for_(request_.from.begin(), request_.from.end()) {}

void Fetch::session_began(SessionId session, DialId dial) { sources_[session].dial = dial; }

void Fetch::session_ended(SessionId session) {
  if (sources_.contains(session)) drop(session);
}

void Fetch::drop(SessionId session) {
  sources_.erase(session);
  planner_.remove(session);
  is_stale_ = true;
}

void Fetch::peer_has(SessionId session, const RangeSet& held, Instant now) {
  if (!sources_.contains(session)) return;
  planner_.peer_holds(session, held, now);
  const SeqNum highest = held.empty() ? 0 : held.max();
  if (highest <= head_) return;
  head_ = highest;
  is_stale_ = true;
}

bool Fetch::quoted(SessionId session, const replication::Quoted& quoted) {
  const auto source = sources_.find(session);
  if (source == sources_.end() || source->second.quote != quoted.want) return false;
  const auto& quote = quoted.quote;
  if (quote.entries != 0) planner_.set_entry_bytes(quote.wire_bytes / quote.entries);
  return true;
}

void Fetch::want_ended(SessionId session, WantId want, replication::DoneReason reason) {
  const auto source = sources_.find(session);
  if (source == sources_.end()) return;
  if (want == source->second.quote) {
    source->second.has_answered = is_served_ = true;
    return;
  }
  auto segment = source->second.segments.extract(want);
  if (!segment) return;
  is_budget_used_ = is_budget_used_ || reason == replication::DoneReason::kBudget;
  answered_.push_back({session, std::move(segment.mapped())});
  is_stale_ = true;
}

void Fetch::denied(SessionId session) {
  const auto source = sources_.find(session);
  if (source == sources_.end()) return;
  waited_for_.erase(source->second.dial);
  drop(session);
}

void Fetch::received(SessionId session, std::uint64_t bytes, Instant now) {
  planner_.received(session, bytes, now);
}

void Fetch::stored(SessionId session, const RangeSet& added, Instant now) {
  planner_.stored(session, 1, added, now);
}

bool Fetch::owns(SessionId session, WantId want) const {
  const auto source = sources_.find(session);
  return source != sources_.end() &&
         (source->second.quote == want || source->second.segments.contains(want));
}

Result<std::optional<FetchOutcome>> Fetch::advance(const store::Store& store, Sessions& sessions,
                                                   Instant now) {
  ask_for_quotes(sessions);
  if (is_stale_) CULM_CHECK(look(store, now));
  cancel_late(sessions, now);
  ask_for_segments(sessions, now);
  return outcome(now);
}

void Fetch::ask_for_quotes(Sessions& sessions) {
  WantRequest quote = request_.want;
  quote.quote_only = true;
  std::vector<SessionId> refused;
  for (auto& [session, source] : sources_) {
    if (source.quote != 0) continue;
    const auto asked = sessions.want(session, quote);
    if (asked) {
      source.quote = *asked;
    } else {
      refused.push_back(session);
    }
  }
  for (const SessionId session : refused) denied(session);
}

Result<void> Fetch::look(const store::Store& store, Instant now) {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_log(log()));
  const WantRequest& want = request_.want;
  RangeSet wanted = resolve(want.interest, head_);
  if (state) {
    if (!want.entries) wanted &= state->held;
    wanted -= settled(want, *state);
  }
  planner_.set_missing(std::move(wanted));
  for (const auto& segment : std::exchange(answered_, {})) {
    planner_.ended(segment.peer, segment.entries, now);
  }
  is_stale_ = false;
  return {};
}

void Fetch::cancel_late(Sessions& sessions, Instant now) {
  for (const auto& segment : planner_.take_cancelled(now)) {
    auto& segments = sources_.at(segment.peer).segments;
    const auto found = std::ranges::find(
        segments, segment.entries, [](const auto& row) -> const auto& { return row.second; });
    if (found == segments.end()) continue;
    const WantId want = found->first;
    segments.erase(found);
    sessions.cancel(segment.peer, want);
  }
}

void Fetch::ask_for_segments(Sessions& sessions, Instant now) {
  planner_.set_peers_expected(waited_for_.size());
  for (auto& segment : planner_.assign(now)) {
    if (!sources_.contains(segment.peer)) continue;
    WantRequest want = request_.want;
    if (can_be_cut(want)) want.interest = {segment.entries, 0};
    const auto asked = sessions.want(segment.peer, want);
    if (asked) {
      sources_.at(segment.peer).segments.emplace(*asked, std::move(segment.entries));
    } else {
      denied(segment.peer);
    }
  }
}

std::optional<FetchOutcome> Fetch::outcome(Instant now) {
  if (request_.until && now >= *request_.until) return FetchOutcome::kDeadline;
  if (is_budget_used_) return FetchOutcome::kBudget;
  if (is_stale_ || planner_.is_waiting()) {
    complete_since_.reset();
    return std::nullopt;
  }
  std::set<DialId> unanswered = waited_for_;
  for (const auto& [session, source] : sources_) {
    if (source.has_answered) unanswered.erase(source.dial);
  }
  const bool is_here = is_served_ && missing().empty();
  if (!is_here) complete_since_.reset();
  if (is_here && !complete_since_) complete_since_ = now;
  const bool waits =
      !unanswered.empty() && (!is_here || now < *complete_since_ + FetchPlanner::kLateAfter);
  if (waits || planner_.can_go_on()) return std::nullopt;
  return is_here ? FetchOutcome::kComplete : FetchOutcome::kNobody;
}

void Fetch::cancel(Sessions& sessions) {
  for (auto& [session, source] : sources_) {
    if (source.quote != 0 && !source.has_answered) sessions.cancel(session, source.quote);
    for (const auto& [want, segment] : source.segments) sessions.cancel(session, want);
  }
  sources_.clear();
}

std::optional<Instant> Fetch::next_deadline() const {
  auto next = planner_.next_deadline();
  const auto take = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  take(request_.until);
  if (complete_since_) take(*complete_since_ + FetchPlanner::kLateAfter);
  return next;
}

}  // namespace culm::node
