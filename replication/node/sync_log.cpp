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

}  // namespace

SyncLog::SyncLog(replication::WantRequest want, std::size_t peers)
    : want_(std::move(want)), peers_(peers) {
  report_.log = want_.log;
}

Result<void> SyncLog::begin(const store::ReadTransaction& transaction) {
  CULM_TRY(const auto state, transaction.find_log(key()));
  const bool is_kept = state && !state->interest.entries.empty();
  if (want_.interest.empty()) {
    want_.interest = is_kept ? state->interest.entries : everything();
    if (is_kept) want_.payloads = want_.payloads && state->interest.payloads;
  }
  payload_bytes_before_ = state ? state->payload_bytes : 0;
  is_new_ = !state || state->served().empty();
  return {};
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
  } else {
    report_.outcome = ended.missing.empty() ? LogOutcome::kComplete : LogOutcome::kIncomplete;
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

void SyncLog::denied(const replication::Denied& denied) {
  report_.denied = denied.reason;
  report_.error = denied.error;
}

void SyncLog::peer_has(std::size_t peer, const replication::PeerHas& has) {
  Said& said = peers_[peer];
  said.head = std::max(said.head, has.head);
  said.held = has.held;
  said.payloads = has.payloads;
  if (!has.payloads_excepted.empty()) said.refused = has.payloads_excepted;
  report_.peer_head = std::max(report_.peer_head, said.head);
}

void SyncLog::offer_denied(std::size_t peer, const Endpoint& endpoint,
                           replication::DenyReason reason) {
  report_.offer_denied = reason;
  report_.offer_denied_by = endpoint;
  peers_[peer].has_declined = true;
}

bool SyncLog::holds_all(const Said& said, const store::LogState& log) {
  RangeSet held = log.served();
  RangeSet payloads = log.payloads & held;
  // Of very many ranges a have names the lowest; the head vouches for the rest.
  cut_to_said(held, said.held);
  cut_to_said(payloads, said.payloads);
  return !held.empty() && said.head >= log.head() && said.held.contains(held) &&
         (said.payloads | said.refused).contains(payloads);
}

Result<std::optional<SeqNum>> SyncLog::look_pushed(const store::ReadTransaction& transaction,
                                                   std::size_t peer) {
  Said& said = peers_[peer];
  CULM_TRY(const auto state, transaction.find_log(key()));
  said.holds_all = state && holds_all(said, *state);
  if (!said.holds_all) return std::nullopt;
  const SeqNum before = std::exchange(said.holds_up_to, state->head());
  if (state->head() <= before) return std::nullopt;
  return state->head();
}

bool SyncLog::is_turn_over() const {
  const bool is_quoted = want_.quote_only && report_.quote;
  return (is_wanted_over_ || is_quoted) && is_whole_over_;
}

bool SyncLog::is_over(bool pushes) const {
  const bool has_gone =
      !pushes || is_new_ || has_failed() || std::ranges::all_of(peers_, [](const Said& said) {
        return said.holds_all || said.has_declined || said.is_lost;
      });
  return is_wanted_over_ && is_whole_over_ && has_gone;
}

bool SyncLog::is_push_lost() const {
  return !is_new_ && !has_failed() && std::ranges::any_of(peers_, [](const Said& said) {
    return said.is_lost && !said.holds_all && !said.has_declined;
  });
}

Result<LogReport> SyncLog::conclude(const store::ReadTransaction& transaction, bool pushes) const {
  LogReport report = report_;
  CULM_TRY(const auto state, transaction.find_log(key()));
  if (!state) return report;
  report.is_pushed = pushes && std::ranges::all_of(peers_, [&](const Said& said) {
                       return holds_all(said, *state);
                     });
  report.head = state->head();
  report.cap = state->cap;
  const SeqNum known = want_.live ? report.peer_head : known_head_;
  const SeqNum head = report.cap == 0 ? std::max(report.head, known) : report.head;
  // The store's interest may be about to grow by the want.
  const RangeSet wanted = resolve(widened(want_, state->interest).interest, head);
  report.entries = (added_ & wanted).count();
  report.certificate_entries = added_.count() - report.entries;
  report.payload_bytes =
      state->payload_bytes - std::min(state->payload_bytes, payload_bytes_before_);
  if (want_.entries) report.missing = wanted - state->held;
  const bool wants_every_payload = want_.payloads && want_.payload_size_min == 0 &&
                                   want_.payload_size_max == limits::kPayloadSizeBytesMax;
  const bool is_at_an_end =
      report.outcome == LogOutcome::kComplete || report.outcome == LogOutcome::kIncomplete;
  if (wants_every_payload && is_at_an_end && !want_.quote_only) {
    report.payloads_missing = (wanted & state->served()) - state->payloads - state->deleted;
  }
  return report;
}

}  // namespace culm::node
