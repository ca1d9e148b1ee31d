#include "culm/replication/node/sync_log.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"
#include "culm/replication/node/interests.hpp"

namespace culm::node {
namespace {

/// Takes away what a have had no room to speak of.
void cut_to_said(RangeSet& set, const RangeSet& said) {
  if (said.ranges().size() < limits::kRangesPerMessageMax || said.max() == kSeqnumMax) return;
  set.erase({said.max() + 1, kSeqnumMax});
}

/// Of ranges that were named, what lies above the head. An open one ends there, unless it begins
/// beyond what comes next.
RangeSet beyond(RangeSet named, SeqNum head) {
  const bool is_open = named.contains(kSeqnumMax) && named.ranges().back().first - 1 <= head;
  if (is_open) return {};
  if (head != 0) named.erase({1, head});
  return named;
}

/// What somebody who holds `theirs` can take of what is served here: it leads to entry 1.
RangeSet find_provable(const RangeSet& served, const RangeSet& theirs) {
  return served & anchored(served | theirs);
}

}  // namespace

SyncLog::SyncLog(replication::WantRequest want, std::size_t peers)
    : want_(std::move(want)), named_(want_.interest.ranges), peers_(peers) {
  report_.log = want_.log;
}

Result<void> SyncLog::begin(const store::ReadTransaction& transaction, bool undeletes) {
  CULM_TRY(const auto state, transaction.find_log(key()));
  const bool is_kept = state && !state->interest.entries.empty();
  wants_nothing_ = want_.interest.empty() && state && state->interest.is_none();
  if (wants_nothing_) {
    report_.outcome = LogOutcome::kComplete;
    is_wanted_over_ = true;
  } else if (want_.interest.empty()) {
    want_.interest = is_kept ? state->interest.entries : everything();
    if (is_kept) want_.payloads = want_.payloads && state->interest.payloads;
  }
  if (undeletes && state) {
    want_.undelete = resolve(want_.interest, (*state).head()) & state->deleted;
    // Of a log without payloads these come, and no others.
    if (!want_.payloads && !want_.undelete.empty()) {
      want_.payloads = true;
      want_.bare = everything().ranges - want_.undelete;
    }
  }
  is_new_ = !state || state->served().empty();
  head_ = state ? state->head() : 0;
  cap_ = cap_before_ = state ? state->cap : 0;
  return {};
}

Interest SyncLog::interest_now() const {
  Interest interest = want_.interest;
  const SeqNum newest = std::exchange(interest.newest, 0);
  if (newest == 0) return interest;
  const SeqNum head = cap_ == 0 ? head_ : std::min(head_, cap_ - 1);
  interest.ranges.insert({head < newest ? 1 : head - newest + 1, kSeqnumMax});
  return interest;
}

void SyncLog::quoted(const replication::Quote& quote) {
  // Each peer says what it would bring; the one that has most comes closest.
  const bool is_more = !report_.quote || quote.wire_bytes > report_.quote->wire_bytes;
  if (is_more) report_.quote = quote;
}

void SyncLog::failed(const Error& error) {
  report_.outcome = LogOutcome::kFailed;
  report_.error = error;
  is_wanted_over_ = is_whole_over_ = true;
}

bool SyncLog::takes(const Error& error) {
  if (ends(error.code) >= Scope::kSession) return false;
  failed(error);
  return true;
}

void SyncLog::fetched(const FetchEnded& ended) {
  if (has_failed()) return;
  is_wanted_over_ = true;
  known_head_ = ended.head;
  report_.error = ended.error;
  if (ended.error) {
    report_.outcome = LogOutcome::kFailed;
  } else if (!ended.is_served) {
    report_.denied = ended.denied;
    if (ended.denied) report_.outcome = LogOutcome::kDenied;
  } else if (ended.outcome == FetchOutcome::kBudget) {
    report_.outcome = LogOutcome::kBudget;
  } else if (ended.denied && !ended.missing.empty()) {
    report_.denied = ended.denied;
    report_.outcome = LogOutcome::kDenied;
  } else {
    report_.outcome = ended.missing.empty() ? LogOutcome::kComplete : LogOutcome::kIncomplete;
    if (ended.is_damaged) report_.error = Error{Errc::kPeerStore};
  }
}

void SyncLog::end_quotes() {
  is_wanted_over_ = true;
  if (report_.quote) {
    report_.outcome = LogOutcome::kComplete;
  } else if (report_.denied) {
    report_.outcome = LogOutcome::kDenied;
  }
}

void SyncLog::denied(std::size_t peer, const replication::Denied& denied) {
  report_.denied = denied.reason;
  report_.error = denied.error;
  peers_[peer].denied = denied;
  peers_[peer].has_granted = false;
}

void SyncLog::granted(std::size_t peer) {
  peers_[peer].denied.reset();
  peers_[peer].has_granted = true;
}

void SyncLog::peer_has(std::size_t peer, const replication::PeerHas& has) {
  Said& said = peers_[peer];
  said.has_answered = true;
  said.head = std::max(said.head, has.head);
  said.held = has.held;
  said.payloads = has.payloads;
  if (!has.payloads_excepted.empty()) said.refused = has.payloads_excepted;
  report_.peer_head = std::max(report_.peer_head, said.head);
}

Result<std::optional<SyncForked>> SyncLog::look_forked(const store::ReadTransaction& transaction) {
  CULM_TRY(const auto state, transaction.find_log(key()));
  auto forked = state ? find_forked(*state, cap_) : std::nullopt;
  if (forked) cap_ = forked->at;
  return forked;
}

std::optional<SyncForked> SyncLog::find_forked(const store::LogState& log, SeqNum cap_before) {
  if (log.cap == 0 || (cap_before != 0 && log.cap >= cap_before)) return std::nullopt;
  const RangeSet dropped = find_dropped(log);
  return SyncForked{log.log, log.cap, dropped, dropped & log.payloads};
}

bool SyncLog::has_enough(const Said& said, const store::LogState& log) {
  RangeSet held = find_provable(log.served(), said.held);
  RangeSet payloads = log.payloads & held;
  const SeqNum head = held == log.served() ? log.head() : held.max();
  // Of very many ranges a have names the lowest: at the head, the rest was sent.
  cut_to_said(held, said.held);
  cut_to_said(payloads, said.payloads);
  return !held.empty() && said.head >= head && said.held.contains(held) &&
         (said.payloads | said.refused).contains(payloads);
}

Unconfirmed SyncLog::unconfirmed(const Endpoint& endpoint, const Said& said, const RangeSet& held,
                                 const RangeSet& payloads_held) {
  Unconfirmed rest{endpoint, held - said.held, (payloads_held & held) - said.payloads};
  RangeSet entries = rest.entries;
  RangeSet payloads = rest.payloads;
  cut_to_said(entries, said.held);
  cut_to_said(payloads, said.payloads);
  rest.is_unsaid = entries.empty() && payloads.empty();
  return rest;
}

Result<std::optional<SyncPushed>> SyncLog::look_pushed(const store::ReadTransaction& transaction,
                                                       std::size_t peer, const Endpoint& endpoint) {
  Said& said = peers_[peer];
  CULM_TRY(const auto state, transaction.find_log(key()));
  // There is nothing that a peer could take: the log is forked from its first entry on, or all of
  // it was cut off by damage.
  const bool serves_nothing = state && (state->cap != 0 || !state->served().empty()) &&
                              find_provable(state->served(), said.held).empty();
  said.has_enough = serves_nothing || (state && has_enough(said, *state));
  if (!said.has_enough || serves_nothing) return std::nullopt;
  // What was cut off by damage nobody can take: the receipt would speak of it.
  if (find_provable(state->served(), said.held) != state->served()) return std::nullopt;
  const SeqNum before = std::exchange(said.has_up_to, state->head());
  if (state->head() <= before) return std::nullopt;
  Unconfirmed rest = unconfirmed(endpoint, said, state->served(), state->payloads);
  return SyncPushed{endpoint, key(), state->head(), std::move(rest.entries),
                    std::move(rest.payloads)};
}

Result<SyncCaughtUp> SyncLog::look_caught_up(const store::ReadTransaction& transaction,
                                             std::size_t peer, const Endpoint& endpoint) const {
  CULM_TRY(const LogReport report, conclude(transaction, {}));
  SyncCaughtUp told{endpoint, key(), peers_[peer].head};
  if (told.head == 0) return told;
  const RangeSet existing{{1, told.head}};
  told.missing = report.missing & existing;
  told.payloads_missing = (report.payloads_missing - report.payloads_left_out) & existing;
  return told;
}

bool SyncLog::is_turn_over() const {
  const bool is_quoted = want_.quote_only && report_.quote;
  return (is_wanted_over_ || is_quoted) && is_whole_over_;
}

bool SyncLog::is_over(bool pushes) const {
  const bool has_gone =
      !pushes || is_new_ || has_failed() || std::ranges::all_of(peers_, [](const Said& said) {
        return said.has_enough || said.offer_denied || said.is_lost;
      });
  return is_wanted_over_ && is_whole_over_ && has_gone;
}

bool SyncLog::is_push_lost() const {
  return !is_new_ && !has_failed() && std::ranges::any_of(peers_, [](const Said& said) {
    return said.is_lost && !said.has_enough && !said.offer_denied;
  });
}

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
    report.offer_denied = said.offer_denied;
    report.offer_denied_by = pushed_to[peer].endpoint;
  }
  const bool is_there = report.unconfirmed.empty() && report.cut_off.empty();
  report.is_pushed = is_there && !pushed_to.empty() && !state.served().empty();
  if (is_new_ && !want_.live) report.unconfirmed.clear();
  // Who did not know it before it was pushed there is asked no less than who did.
  const bool is_of_both = !report.unconfirmed.empty() || !report.cut_off.empty();
  const bool is_taken = report.is_pushed || (is_of_both && !report.offer_denied);
  using enum LogOutcome;
  if (report.outcome == kDenied && is_taken && !want_.live) report.outcome = kComplete;
  if (auto forked = find_forked(state, cap_before_)) {
    report.dropped = std::move(forked->dropped);
    report.payloads_dropped = std::move(forked->payloads_dropped);
  }
  report.entries = (added_ & wanted).count();
  report.certificate_entries = added_.count() - report.entries;
  CULM_CHECK(find_missing(transaction, state, wanted, head, report));
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
  const bool lacks = !report.missing.empty() || !report.payloads_missing.empty();
  const bool is_spoken_of = is_granted || report.is_pushed || !report.unconfirmed.empty();
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

Result<void> SyncLog::find_missing(const store::ReadTransaction& transaction,
                                   const store::LogState& log, const RangeSet& wanted, SeqNum head,
                                   LogReport& report) const {
  if (want_.entries) {
    report.missing = (wanted - log.held) | beyond(named_, head);
  }
  const bool is_at_an_end = want_.live || report.outcome == LogOutcome::kComplete ||
                            report.outcome == LogOutcome::kIncomplete;
  if (!want_.payloads || !is_at_an_end) return {};
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
