// What a log of a sync came to.
#include <algorithm>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"
#include "culm/replication/node/interests.hpp"
#include "culm/replication/node/sync_log.hpp"

namespace culm::node {
namespace {

/// Of ranges that were named, what lies above the head. An open one ends there, unless it begins
/// beyond what comes next.
RangeSet beyond(RangeSet named, SeqNum head) {
  const bool is_open = named.contains(kSeqnumMax) && named.ranges().back().first - 1 <= head;
  if (is_open) return {};
  if (head != 0) named.erase({1, head});
  return named;
}

}  // namespace

Result<LogReport> SyncLog::conclude(const store::ReadTransaction& transaction,
                                    std::span<const PeerReport> pushed_to) const {
  LogReport report = report_;
  for (const Said& said : peers_) report.peer_heads.push_back(said.head);
  CULM_TRY(const auto found, transaction.find_log(key()));
  static const store::LogState nothing;
  const store::LogState& state = found ? *found : nothing;
  report.head = state.head();
  report.cap = state.cap;
  report.end_of_log = state.end_of_log;
  const SeqNum head = report.cap == 0 ? std::max(report.head, head_there()) : report.head;
  // The store's interest may be about to grow by the want.
  const Interest interest = widened(want_, state.interest).interest;
  const RangeSet wanted = resolve(interest, head);
  const RangeSet proved = pushed_to.empty() ? RangeSet() : with_head_paths(wanted);
  for (std::size_t peer = 0; peer < pushed_to.size(); ++peer) {
    const Said& said = peers_[peer];
    const RangeSet cut_off = state.served() - find_provable(state.served(), said.held) - said.held;
    report.cut_off |= cut_off;
    // What nobody can take, and nobody wants here, is owed to nobody.
    const RangeSet owed = state.served() - (cut_off - proved);
    Unconfirmed rest = unconfirmed(pushed_to[peer].endpoint, said, owed, state.payloads);
    if (rest.entries.empty() && rest.payloads.empty()) continue;
    report.unconfirmed.push_back(std::move(rest));
    if (!said.offer_denied) continue;
    report.offer_denied_by.push_back({pushed_to[peer].endpoint, *said.offer_denied});
  }
  const bool is_there = report.unconfirmed.empty() && report.cut_off.empty();
  report.is_pushed = is_there && !pushed_to.empty() && !state.served().empty();
  if (is_new_ && !want_.live) report.unconfirmed.clear();
  // Who did not know it before it was pushed there is asked no less than who did.
  const bool is_of_both = !report.unconfirmed.empty() || !report.cut_off.empty();
  const bool is_taken = report.is_pushed || (is_of_both && report.offer_denied_by.empty());
  using enum LogOutcome;
  if (report.outcome == kDenied && is_taken && !want_.live) report.outcome = kComplete;
  if (auto forked = find_forked(state, cap_before_)) {
    report.dropped = std::move(forked->dropped);
    report.payloads_dropped = std::move(forked->payloads_dropped);
  }
  report.entries = (added_ & wanted).count();
  report.certificate_entries = added_.count() - report.entries;
  CULM_CHECK(find_missing(transaction, state, wanted, head, report));
  if (want_.quote_only && report.error) find_lost_there(state, wanted, report);
  // Of a log that nobody spoke of the head is not known, nor where it was lost.
  const bool is_known = report.outcome != LogOutcome::kDenied && !has_failed();
  const bool is_lost_there = report.error == Error{Errc::kPeerStore};
  const SeqNum spoken_of = std::max(report.head, report.peer_head);
  if (!is_lost_there && (is_known || spoken_of != 0)) {
    report.beyond_head = beyond(is_known ? interest.ranges : named_, std::max(head, spoken_of));
  }
  const bool is_all = report.missing.empty() && report.payloads_missing.empty() &&
                      report.unconfirmed.empty() && !is_lost_there;
  if (want_.live && !has_failed()) {
    conclude_live(state, is_all, report);
  } else if (report.outcome == LogOutcome::kComplete &&
             (want_.quote_only ? is_lost_there : !is_all)) {
    report.outcome = LogOutcome::kPartial;
  }
  if (is_denied_for_damage(report)) report.error = Error{Errc::kPeerStore};
  const RangeSet undropped = undropped_ & state.served();
  if (why_undropped_ && !(pushed_to.empty() ? undropped & wanted : undropped).empty()) {
    report.outcome = LogOutcome::kFailed;
    report.error = why_undropped_;
  }
  // Who cannot serve what it said that it holds has not said what that is.
  if (is_lost_there || report.outcome == LogOutcome::kDenied) report.whole_quote.reset();
  return report;
}

void SyncLog::conclude_live(const store::LogState& log, bool is_all, LogReport& report) const {
  report.denied.reset();
  report.error.reset();
  const bool is_granted = wants_nothing_ || std::ranges::any_of(peers_, [](const Said& said) {
                            return said.has_granted;
                          });
  for (const Said& said : peers_) {
    if (is_granted || !said.denied) continue;
    report.denied = said.denied->reason;
    report.error = said.denied->error;
  }
  const RangeSet payloads = report.payloads_missing - report.payloads_left_out;
  const auto is_under_way = [&](const Said& said) {
    const bool may_come = !said.denied && !((said.held & report.missing).empty() &&
                                            (said.payloads & payloads).empty());
    const bool may_go = !report.unconfirmed.empty() && !said.offer_denied && !has_enough(said, log);
    return may_come || may_go;
  };
  // Of what began here nobody has more.
  const bool is_of_here =
      is_of_here_ && is_all && report.denied == replication::DenyReason::kNotServed;
  if (is_of_here) report.denied.reset();
  const bool lacks = !report.missing.empty() || !report.payloads_missing.empty();
  const bool is_spoken_of =
      is_granted || is_of_here || report.is_pushed || !report.unconfirmed.empty();
  if (is_all && is_spoken_of) {
    report.outcome = LogOutcome::kComplete;
  } else if (std::ranges::any_of(peers_, is_under_way)) {
    report.outcome = LogOutcome::kIncomplete;
  } else if (report.denied && !report.is_pushed && (lacks || !is_spoken_of)) {
    report.outcome = LogOutcome::kDenied;
  } else {
    report.outcome = is_spoken_of ? LogOutcome::kPartial : LogOutcome::kUnfinished;
  }
}

void SyncLog::find_lost_there(const store::LogState& log, const RangeSet& wanted,
                              LogReport& report) const {
  RangeSet held = log.held;
  RangeSet existing{{1, std::max<SeqNum>(head_there(), 1)}};
  for (const Said& said : peers_) {
    held |= said.held;
    cut_to_said(existing, said.held);
  }
  report.missing = ((wanted & existing) - held) | beyond(named_, head_there());
  if (!want_.payloads) return;
  report.payloads_missing =
      (wanted & existing & held) - log.payloads - log.deleted - want_.bare - payloads_there();
}

Result<void> SyncLog::find_missing(const store::ReadTransaction& transaction,
                                   const store::LogState& log, const RangeSet& wanted, SeqNum head,
                                   LogReport& report) const {
  if (want_.entries) {
    report.missing = (wanted - log.held) | beyond(named_, head);
  }
  using enum LogOutcome;
  const bool is_told = want_.live || report.outcome == kComplete || report.outcome == kIncomplete ||
                       report.outcome == kUnfinished;
  if (!want_.payloads || !is_told) return {};
  const RangeSet deleted = log.deleted - want_.undelete;
  const RangeSet asked = named_.empty() ? wanted - want_.bare : named_;
  report.deleted_here = deleted & asked & payloads_there();
  if (want_.quote_only) return {};
  report.payloads_missing = (wanted & log.served()) - log.payloads - deleted - want_.bare;
  if (want_.payload_size_min == 0 && want_.payload_size_max == limits::kPayloadSizeBytesMax) {
    return {};
  }
  const auto look = [&](const store::StoredEntry& stored) -> Result<bool> {
    const std::uint64_t size = stored.entry.payload_size();
    const bool is_asked_for = size >= want_.payload_size_min && size <= want_.payload_size_max;
    if (!is_asked_for) report.payloads_left_out.insert(stored.entry.seqnum());
    return true;
  };
  const auto damaged = transaction.visit_sound_entries(log, report.payloads_missing, look);
  return damaged ? Result<void>() : fail(damaged.error());
}

}  // namespace culm::node
