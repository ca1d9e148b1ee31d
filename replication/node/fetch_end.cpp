// How a fetch ends, and what it tells then.
#include <algorithm>

#include "culm/replication/node/fetch.hpp"

namespace culm::node {
namespace {

/// Each time brings what hangs on what came before, so that few are enough.
constexpr std::size_t kAsksAgainMax = 8;

}  // namespace

bool Fetch::is_damaged() const {
  const auto is_sound = [](const auto& source) {
    return source.second.has_answered && !source.second.is_damaged;
  };
  const auto has_lost = [](const auto& source) { return source.second.is_damaged; };
  return std::ranges::any_of(sources_, has_lost) && std::ranges::none_of(sources_, is_sound);
}

std::set<DialId> Fetch::damaged() const {
  std::set<DialId> dials;
  for (const auto& [session, source] : sources_) {
    if (source.is_damaged) dials.insert(source.dial);
  }
  return dials;
}

SeqNum Fetch::head() const {
  SeqNum head = head_;
  if (!is_damaged()) return head;
  for (const auto& [session, source] : sources_) {
    if (source.is_damaged && planner_.believes(session)) head = std::max(head, source.head);
  }
  return head;
}

/// What one peer has lost, another may have brought since: each is asked once whether it still
/// lacks some of it, and again as long as that brings more. Its answer is waited for no longer than
/// that of a late peer.
bool Fetch::asks_again(Instant now) {
  if (request_.from.size() == 1 || !is_damaged()) return false;
  const bool is_due =
      times_asked_again_ == 0 || (has_gained_ && times_asked_again_ < kAsksAgainMax);
  if (is_due) {
    ++times_asked_again_;
    has_gained_ = false;
    complete_since_ = now;
    for (auto& [session, source] : sources_) {
      if (source.is_damaged) source.quote = 0;
    }
    return true;
  }
  const auto is_open = [](const auto& source) {
    return source.second.is_damaged && (source.second.quote == 0 || source.second.is_asking);
  };
  return now < *complete_since_ + FetchPlanner::kLateAfter &&
         std::ranges::any_of(sources_, is_open);
}

std::optional<FetchOutcome> Fetch::outcome(Instant now) {
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
  passed_over_.merge(unanswered);
  return is_here ? FetchOutcome::kComplete : FetchOutcome::kNobody;
}

void Fetch::cancel(Sessions& sessions) {
  for (auto& [session, source] : sources_) {
    if (source.is_asking) sessions.cancel(session, source.quote);
    for (const auto& [want, segment] : source.segments) sessions.cancel(session, want);
  }
  sources_.clear();
}

std::optional<Instant> Fetch::next_deadline() const {
  auto next = planner_.next_deadline();
  const auto take = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto& [session, source] : sources_) take(source.try_again);
  if (complete_since_) take(*complete_since_ + FetchPlanner::kLateAfter);
  return next;
}

}  // namespace culm::node
