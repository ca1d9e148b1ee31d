#include "culm/replication/node/fetch.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"

namespace culm::node {
namespace {

using replication::WantId;
using replication::WantRequest;

bool can_be_cut(const WantRequest& want) {
  return want.interest.newest == 0 && want.budget_bytes == 0;
}

bool takes_any_size(const WantRequest& want) {
  return want.payload_size_min == 0 && want.payload_size_max == limits::kPayloadSizeBytesMax;
}

/// What `said`, the lowest ranges of a set, had no room to speak of.
RangeSet find_unsaid(const RangeSet& said, SeqNum head) {
  const bool is_all = said.ranges().size() < limits::kRangesPerMessageMax || said.max() >= head;
  return is_all ? RangeSet() : RangeSet{{said.max() + 1, head}};
}

/// How long until a session that had no room for another want is asked again.
constexpr Duration kTryAgainAfter = std::chrono::seconds(1);

}  // namespace

Fetch::Fetch(FetchRequest request)
    : request_(std::move(request)),
      planner_({.newest_first = request_.want.order == replication::Order::kNewestFirst,
                .one_at_a_time = !can_be_cut(request_.want)}),
      waited_for_(request_.from.begin(), request_.from.end()) {
  // One budget, from all peers and however often it is asked for.
  request_.want.budget_spent = std::make_shared<std::uint64_t>(0);
}

void Fetch::session_began(SessionId session, DialId dial) { sources_[session].dial = dial; }

void Fetch::session_ended(SessionId session) {
  if (sources_.contains(session)) drop(session);
}

void Fetch::drop(SessionId session) {
  const auto source = sources_.find(session);
  if (source == sources_.end()) return;
  for (const auto& [want, segment] : source->second.segments) {
    to_cancel_.emplace_back(session, want);
  }
  if (planner_.believes(session)) {
    lost_ |= source->second.held;
    lost_payloads_ |= source->second.payloads;
  }
  sources_.erase(source);
  planner_.remove(session);
  is_stale_ = true;
}

void Fetch::peer_has(SessionId session, const replication::PeerHas& has) {
  const auto found = sources_.find(session);
  if (found == sources_.end()) return;
  Source& source = found->second;
  source.held = has.held;
  source.payloads = has.payloads;
  const bool can_guess = can_be_cut(request_.want);
  source.unsaid = can_guess ? find_unsaid(has.held, has.head) : RangeSet();
  source.unsaid_payloads = can_guess ? find_unsaid(has.payloads, has.head) : RangeSet();
  const SeqNum said = has.held.empty() ? 0 : has.held.max();
  const SeqNum head = source.unsaid.empty() ? said : has.head;
  if (!source.has_answered) source.head = head;
  // Asked again, it can send what hangs on what others have brought.
  if (source.is_asking) source.head = std::max(source.head, head);
  // A window of the newest moves with the peer's head.
  if (request_.want.interest.newest == 0 && source.head != kSeqnumMax) {
    for (RangeSet* const set :
         {&source.held, &source.payloads, &source.unsaid, &source.unsaid_payloads}) {
      set->erase(SeqRange{source.head + 1, kSeqnumMax});
    }
  }
  is_stale_ = true;
}

bool Fetch::quoted(SessionId session, const replication::Quoted& quoted) {
  const auto source = sources_.find(session);
  if (source == sources_.end() || source->second.quote != quoted.want) return false;
  const auto& quote = quoted.quote;
  if (quote.entries != 0) planner_.set_entry_bytes(quote.wire_bytes / quote.entries);
  if (quote.entries == 0) quoted_payload_bytes_ = quote.payload_bytes;
  return true;
}

void Fetch::want_ended(SessionId session, WantId want, replication::DoneReason reason) {
  const auto source = sources_.find(session);
  if (source == sources_.end()) return;
  const bool is_damaged = reason == replication::DoneReason::kDamaged;
  if (want == source->second.quote) {
    source->second.is_asking = false;
    source->second.has_answered = is_served_ = true;
    source->second.is_damaged = is_damaged;
    return;
  }
  // A segment says nothing of what is outside of it.
  source->second.is_damaged = source->second.is_damaged || is_damaged;
  auto segment = source->second.segments.extract(want);
  if (!segment) return;
  is_budget_used_ = is_budget_used_ || reason == replication::DoneReason::kBudget;
  source->second.answered |= segment.mapped();
  answered_.push_back({session, std::move(segment.mapped())});
  is_stale_ = true;
}

void Fetch::denied(SessionId session, const replication::Denied& denied) {
  const auto source = sources_.find(session);
  if (source == sources_.end()) return;
  if (denied.error) error_ = denied.error;
  const bool is_here = denied.reason == replication::DenyReason::kCapped ||
                       denied.reason == replication::DenyReason::kUnanchored;
  // A fork was found under way: the peer may hold what is valid below it.
  if (is_here && denied.want != source->second.quote) {
    return want_ended(session, denied.want, replication::DoneReason::kComplete);
  }
  // It may have room for less.
  const auto segment = source->second.segments.find(denied.want);
  if (denied.reason == replication::DenyReason::kBusy && !denied.error &&
      segment != source->second.segments.end() && planner_.ask_less(session, segment->second)) {
    source->second.segments.erase(segment);
    return;
  }
  denied_ = denied.reason;
  declined_[source->second.dial] = denied.reason;
  source->second.segments.erase(denied.want);
  waited_for_.erase(source->second.dial);
  drop(session);
}

void Fetch::received(const replication::Work& work) {
  std::uint64_t bytes = 0;
  if (const auto* const unit = std::get_if<replication::UnitWork>(&work.content)) {
    bytes = unit->elided.size();
  } else if (const auto* const part = std::get_if<replication::PayloadWork>(&work.content)) {
    bytes = part->bytes.size();
  }
  planner_.received(work.id.session, bytes);
}

void Fetch::stored(const replication::WorkReport& report, Instant now) {
  static const store::IngestReport nothing;
  const store::IngestReport& done = report.outcome ? *report.outcome : nothing;
  const RangeSet& gained = request_.want.payloads ? done.payloads_added : done.added;
  has_gained_ = has_gained_ || !done.added.empty() || !done.payloads_added.empty();
  planner_.stored(report.id.session, done.added | done.payloads_added, gained, report.stored_bytes,
                  now);
}

bool Fetch::owns(SessionId session, WantId want) const {
  const auto source = sources_.find(session);
  return source != sources_.end() && want != 0 &&
         (source->second.quote == want || source->second.segments.contains(want));
}

Result<std::optional<FetchOutcome>> Fetch::advance(const store::Store& store, Sessions& sessions,
                                                   Instant now) {
  for (auto& [session, source] : sources_) {
    if (source.try_again && now >= *source.try_again) set_room(session, source, std::nullopt);
  }
  ask_for_quotes(sessions, now);
  do {  // each time another peer is dropped
    for (const auto& [session, want] : std::exchange(to_cancel_, {})) {
      sessions.cancel(session, want);
    }
    if (is_stale_) CULM_CHECK(look(store, now));
    cancel_late(sessions, now);
    ask_for_segments(sessions, now);
  } while (is_stale_);
  if (error_) return fail(*error_);
  const auto ended = outcome(now);
  if (ended != FetchOutcome::kComplete || !asks_again(now)) return ended;
  ask_for_quotes(sessions, now);
  return std::nullopt;
}

void Fetch::ask_for_quotes(Sessions& sessions, Instant now) {
  WantRequest quote = request_.want;
  quote.quote_only = true;
  if (quote.interest.ranges.ranges().size() > limits::kRangesPerMessageMax) {
    quote.interest = everything();  // what it holds is what matters
  }
  std::vector<SessionId> lost;
  for (auto& [session, source] : sources_) {
    if (source.quote != 0 || source.try_again) continue;
    const auto asked = sessions.want(session, quote);
    if (asked) {
      source.quote = *asked;
      source.is_asking = true;
    } else if (asked.error().code == Errc::kBusy) {
      set_room(session, source, now + kTryAgainAfter);
    } else {
      lost.push_back(session);
    }
  }
  for (const SessionId session : lost) drop(session);
}

Result<void> Fetch::look(const store::Store& store, Instant now) {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_log(log()));
  const WantRequest& want = request_.want;
  static const RangeSet none;
  const RangeSet& here = state ? state->held : none;
  const RangeSet cut_off = state && want.entries ? find_cut_off(*state) : none;
  RangeSet unproven;
  // Of what is here only the payload is missing.
  RangeSet said = (lost_ - here) | (lost_payloads_ & here);
  SeqNum head = lost_.empty() ? 0 : lost_.max();
  bool has_guesses = false;
  for (const auto& [session, source] : sources_) {
    const RangeSet held = (source.held - here) | (source.payloads & here);
    const RangeSet can_prove = source.held & cut_off;
    const RangeSet can_bring = (held | can_prove) - (can_prove & source.answered);
    const RangeSet unsaid = (source.unsaid - here) | (source.unsaid_payloads & here);
    planner_.peer_holds(session, can_bring, now, unsaid - can_bring);
    if (!planner_.believes(session)) continue;
    const RangeSet guesses = planner_.guesses(session);
    said |= can_bring | guesses;
    unproven |= can_prove - source.answered;
    if (!source.held.empty()) head = std::max(head, source.held.max());
    if (!guesses.empty()) head = std::max(head, guesses.max());
    has_guesses = has_guesses || !guesses.empty();
  }
  head_ = head;
  RangeSet wanted = resolve(want.interest, head) & said;
  if (state) {
    // Also what proves others: nobody wants that for itself.
    CULM_TRY(store::Lost lost, transaction.find_lost(*state));
    if (!can_be_cut(want)) lost.entries &= closure(resolve(want.interest, head), head);
    if (want.entries) wanted |= lost.entries & said;
    proofs_ = lost.entries - resolve(want.interest, head) - state->interest.payloads_wanted(head);
    if (state->cap != 0) wanted.erase(SeqRange{state->cap, kSeqnumMax});
    if (!want.entries) wanted &= here;
    CULM_TRY(const RangeSet done, settled(transaction, *state, wanted));
    wanted -= done - unproven;
  }
  if (quoted_payload_bytes_ != 0 && !wanted.empty()) {
    planner_.set_entry_bytes(std::exchange(quoted_payload_bytes_, 0) / wanted.count());
  }
  planner_.set_missing(std::move(wanted));
  // What was guessed wrong is not missing.
  is_stale_ = has_guesses && !answered_.empty();
  for (const auto& segment : std::exchange(answered_, {})) {
    planner_.ended(segment.peer, segment.entries, now);
  }
  return {};
}

/// Entries whose proof was lost, which comes with them. Each peer is asked for it once. Only damage
/// makes them: where there are none at first there are none later.
RangeSet Fetch::find_cut_off(const store::LogState& log) {
  if (!may_be_cut_off_) return {};
  const RangeSet served = log.served();
  RangeSet cut_off = served - anchored(served);
  may_be_cut_off_ = !cut_off.empty();
  return cut_off;
}

Result<RangeSet> Fetch::settled(const store::ReadTransaction& transaction,
                                const store::LogState& log, const RangeSet& wanted) {
  const WantRequest& want = request_.want;
  if (!want.payloads) return log.held;
  RangeSet done = log.held & (log.payloads | (log.deleted - want.undelete) | want.bare);
  if (takes_any_size(want)) return done;
  const RangeSet bare = ((wanted & log.held) - done) - measured_;
  CULM_CHECK(
      transaction.visit_entries(log, bare, [&](const store::StoredEntry& stored) -> Result<bool> {
        const std::uint64_t size = stored.entry.payload_size();
        const bool is_wanted = size >= want.payload_size_min && size <= want.payload_size_max;
        if (!is_wanted) unwanted_.insert(stored.entry.seqnum());
        return true;
      }));
  measured_ |= bare;
  return done | (unwanted_ & log.held);
}

void Fetch::set_room(SessionId session, Source& source, std::optional<Instant> try_again) {
  source.try_again = try_again;
  planner_.set_busy(session, try_again.has_value());
}

void Fetch::cancel_late(Sessions& sessions, Instant now) {
  for (const auto& segment : planner_.take_cancelled(now)) {
    is_stale_ = true;
    Source& source = sources_.at(segment.peer);
    passed_over_.insert(source.dial);
    auto& segments = source.segments;
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
    const auto source = sources_.find(segment.peer);
    if (source == sources_.end()) continue;
    WantRequest want = request_.want;
    if (can_be_cut(want)) want.interest = {segment.entries, 0};
    want.bare |= proofs_ & segment.entries;
    const auto asked = sessions.want(segment.peer, want);
    if (asked) {
      source->second.segments.emplace(*asked, std::move(segment.entries));
    } else if (asked.error().code == Errc::kBusy) {
      planner_.give_back(segment.peer, segment.entries);
      set_room(segment.peer, source->second, now + kTryAgainAfter);
    } else {
      drop(segment.peer);
    }
  }
}

}  // namespace culm::node
