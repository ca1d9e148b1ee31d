#include "culm/replication/node/sync_log.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"
#include "culm/replication/node/interests.hpp"

namespace culm::node {

void SyncLog::cut_to_said(RangeSet& set, const RangeSet& said) {
  if (said.ranges().size() < limits::kRangesPerMessageMax || said.max() == kSeqnumMax) return;
  set.erase({said.max() + 1, kSeqnumMax});
}

RangeSet SyncLog::find_provable(const RangeSet& served, const RangeSet& theirs) {
  return served & anchored(served | theirs);
}

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
    if (state) leave_out_payloads(want_, state->interest);
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

void SyncLog::not_dropped(const RangeSet& seqnums, const Error& error) {
  undropped_ |= seqnums;
  why_undropped_ = error;
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

bool SyncLog::has_enough(const Said& said, const store::LogState& log) const {
  RangeSet held = find_provable(log.served() - undropped_, said.held);
  if (held.empty()) return false;
  RangeSet payloads = log.payloads & held;
  const SeqNum head = held == log.served() ? log.head() : held.max();
  // Of very many ranges a have names the lowest: at the head, the rest was sent.
  cut_to_said(held, said.held);
  cut_to_said(payloads, said.payloads);
  return said.head >= head && said.held.contains(held) &&
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
                              find_provable(state->served() - undropped_, said.held).empty();
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

}  // namespace culm::node
