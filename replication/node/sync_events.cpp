// What a sync does about what happens.
#include <algorithm>
#include <array>

#include "culm/replication/node/fetch_planner.hpp"
#include "culm/replication/node/silence.hpp"
#include "culm/replication/node/sync.hpp"

namespace culm::node {
namespace {

/// Whether calling again cannot help: the peer did what no honest peer does, is of another network,
/// not the one that was meant or this side itself, or this side cannot go on. What is full may get
/// room, and a proxy a relay behind it.
bool is_final(Errc code) {
  constexpr std::array kHeals{Errc::kStoreFull, Errc::kStoreBusy, Errc::kBusy};
  constexpr std::array kStays{Errc::kPeerNetwork, Errc::kPeerUnexpected, Errc::kPeerSelf};
  if (std::ranges::find(kHeals, code) != kHeals.end()) return false;
  return fault(code) == Fault::kPeer || fault(code) == Fault::kOwnStore ||
         std::ranges::find(kStays, code) != kStays.end();
}

}  // namespace

void Sync::on(const SessionEvent& event) {
  const auto found = calls_.find(event.session.dial);
  if (found == calls_.end()) return;
  Call& call = found->second;
  if (is_ending_) {
    if (const auto* const ended = std::get_if<replication::Ended>(&event.event)) {
      reports_[call.peer].stats += ended->stats;
    }
    return;
  }
  // What a peer says it holds is no progress.
  if (!std::holds_alternative<replication::PeerHas>(event.event)) active_at_ = now_;
  if (event.session.peer && !std::holds_alternative<replication::Ended>(event.event)) {
    call.session = event.session.id;
  }
  std::visit([&](const auto& one) { on(call, one); }, event.event);
}

void Sync::on(Call& call, const replication::Established& established) {
  call.last_reason.reset();
  PeerReport& report = reports_[call.peer];
  report.peer = established.peer;
  report.error.reset();
  events_.emplace_back(SyncConnected{report.endpoint, established.peer});
  for (std::size_t i = 0; i < call.group->begun; ++i) {
    Log& log = *call.group->logs[i];
    if (!log.is_over) ask_and_offer(call, log);
  }
}

void Sync::on(Call& call, const replication::PeerHas& has) {
  Log* const log = find(has.log);
  if (log == nullptr || log->group != call.group) return;
  log->state.peer_has(call.peer, has);
  if (log->source == call.dial) {
    const SeqNum before = std::exchange(log->source_head, has.head);
    if (has.head < before) ask_lower(*log);
  } else if (has.head != 0) {
    take_news(*log, call);
  }
  look_pushed(*log, call.peer);
}

void Sync::look_pushed(Log& log, std::size_t peer) {
  if (!request_.push || is_ending_) return;
  const auto transaction = store_.read();
  if (!transaction) return fail_with(transaction.error());
  auto pushed = log.state.look_pushed(*transaction, peer, reports_[peer].endpoint);
  if (!pushed && !log.state.takes(pushed.error())) return fail_with(pushed.error());
  if (pushed && *pushed) {
    active_at_ = now_;
    events_.emplace_back(**std::move(pushed));
  }
  settle(log);
}

void Sync::on(Call& call, const replication::Quoted& quoted) {
  const auto asked = call.asked.find(quoted.want);
  if (asked == call.asked.end()) {
    Log* const log = find(quoted.log);
    const bool is_own = log != nullptr && log->source == call.dial && log->want == quoted.want;
    if (!is_own) return;
    log->state.granted(call.peer);
    return log->state.quoted(quoted.quote);
  }
  Log& log = *asked->second.log;
  switch (asked->second.question) {
    case Question::kWhole:
      return log.state.whole_quoted(quoted.quote);
    case Question::kQuote:
      return log.state.quoted(quoted.quote);
    case Question::kHead:
      if (quoted.quote.entries + quoted.quote.payload_bytes == 0) return;
      // Another took the place meanwhile: once that has no more, this one is asked again.
      if (log.source != asked->second.source) {
        log.asked_after.erase(call.dial);
        return;
      }
      leave_source(log);
      if (!set_source(log, call)) choose_source(log);
  }
}

void Sync::on(Call& call, const replication::CaughtUp& caught_up) {
  Log* const log = find(caught_up.log);
  if (log == nullptr || log->source != call.dial || log->want != caught_up.want) return;
  tell_received(*log);
  const auto transaction = store_.read();
  if (!transaction) return fail_with(transaction.error());
  auto told = log->state.look_caught_up(*transaction, call.peer, endpoint_of(call));
  if (told) {
    events_.emplace_back(*std::move(told));
  } else if (!log->state.takes(told.error())) {
    return fail_with(told.error());
  }
  log->is_caught_up = true;
  ask_after(*log);
}

void Sync::on(Call& call, const replication::WantEnded& ended) {
  if (const auto asked = call.asked.extract(ended.want)) {
    const bool is_damaged = ended.reason == replication::DoneReason::kDamaged;
    const Asked& of = asked.mapped();
    if (of.question == Question::kQuote) of.log->state.quote_ended(is_damaged);
    return answered(call, of);
  }
  Log* const log = find(ended.log);
  if (log == nullptr || log->source != call.dial || log->want != ended.want) return;
  source_declined(*log);
}

void Sync::on(Call& call, const replication::Denied& denied) {
  const auto asked = call.asked.extract(denied.want);
  Log* const log = find(denied.log);
  if (log == nullptr || log->group != call.group) return;
  if (denied.want == 0) {
    log->state.offer_denied(call.peer, denied.reason);
    events_.emplace_back(SyncDenied{endpoint_of(call), denied.log, denied.reason, true, {}});
    return settle(*log);
  }
  log->state.declined(call.peer, denied.reason);
  if (asked) {
    if (asked.mapped().question == Question::kQuote) log->state.denied(call.peer, denied);
    return answered(call, asked.mapped());
  }
  if (log->source != call.dial || log->want != denied.want) return;
  log->state.denied(call.peer, denied);
  events_.emplace_back(
      SyncDenied{endpoint_of(call), denied.log, denied.reason, false, denied.error});
  source_declined(*log);
}

void Sync::on(Call& call, const replication::Damaged& damaged) {
  Log* const log = find(damaged.log);
  if (damaged.seqnum != 0 || log == nullptr || log->group != call.group) return;
  // The peer is not to blame for what it does not get.
  log->state.failed(Error{Errc::kStoreDamaged});
  settle(*log);
}

void Sync::on(Call& call, const replication::Ended& ended) {
  reports_[call.peer].stats += ended.stats;
  call.session = 0;
  if (call.group->is_closing || call.is_given_up) return;
  const Error error = ended.error.value_or(Error{Errc::kPeerClosed});
  const bool is_given_up = !request_.live || is_final(error.code);
  reports_[call.peer].error = error;
  reports_[call.peer].text = ended.text;
  if (request_.live && std::exchange(call.last_reason, error) != error) {
    events_.emplace_back(SyncDisconnected{endpoint_of(call), error, ended.text, is_given_up});
  }
  if (is_given_up) {
    give_up(call, is_final(error.code) || (!request_.live && is_silence(error.code)));
  }
  for (const auto& [want, asked] : std::exchange(call.asked, {})) answered(call, asked);
  for (Log* const log : call.group->logs) {
    if (log->source != call.dial) continue;
    log->source = 0;
    choose_source(*log);
  }
}

void Sync::give_up(Call& call, bool for_good) {
  call.is_given_up = true;
  if (for_good) given_up_.insert(call.peer);
  const bool is_anybody_left = std::ranges::any_of(
      call.group->dials, [this](DialId dial) { return !calls_.at(dial).is_given_up; });
  if (!is_anybody_left) return end(SyncOutcome::kNoPeer, now_);
  if (request_.live) peers_.end_dial(call.dial);
  for (std::size_t i = 0; i < call.group->begun; ++i) {
    Log& log = *call.group->logs[i];
    log.state.peer_lost(call.peer);
    answered(call, {&log, Question::kQuote});
    if (call.peer == 0) answered(call, {&log, Question::kWhole});
  }
}

void Sync::pass_over_mute() {
  const auto has_answered = [](const auto& row) {
    return row.second.session != 0 && !row.second.group->is_closing;
  };
  if (std::ranges::none_of(calls_, has_answered)) return;
  for (auto& [dial, call] : calls_) {
    const bool is_mute = call.session == 0 && !call.is_given_up && !reports_[call.peer].peer;
    if (!is_mute || call.group->is_closing) continue;
    give_up(call, true);
    peers_.end_dial(dial);
  }
}

void Sync::on(const DialOver& over) {
  const auto call = calls_.find(over.dial);
  if (call == calls_.end()) return;
  Group& group = *call->second.group;
  calls_.erase(call);
  group.dials.erase(over.dial);
  if (is_ending_ || !group.dials.empty()) return;
  if (!group.is_closing) return end(SyncOutcome::kNoPeer, now_);
  if (groups_begun_ == groups_.size()) return finish();
  start_group();
}

void Sync::on(const FetchQuoted& quoted) {
  const auto log = by_fetch_.find(quoted.fetch);
  if (log == by_fetch_.end()) return;
  active_at_ = now_;
  log->second->state.quoted(quoted.quote);
}

void Sync::on(const FetchEnded& ended) {
  const auto found = by_fetch_.extract(ended.fetch);
  if (!found) return;
  Log& log = *found.mapped();
  active_at_ = now_;
  log.state.fetched(ended);
  for (const auto& [dial, reason] : ended.declined) {
    const auto call = calls_.find(dial);
    if (call == calls_.end()) continue;
    log.state.declined(call->second.peer, reason);
    if (reason == replication::DenyReason::kDamaged) log.damaged.insert(call->second.peer);
  }
  for (const DialId dial : ended.damaged) {
    const auto call = calls_.find(dial);
    if (call != calls_.end()) log.damaged.insert(call->second.peer);
  }
  // Of several, the first may be the one that was passed over.
  if (has_several()) log.state.end_whole();
  // What a peer held may not be all any more, now that more has come.
  for (std::size_t peer = 0; peer < request_.peers.size(); ++peer) look_pushed(log, peer);
  settle(log);
}

void Sync::on(const PassedOver& passed_over) {
  const auto log = by_fetch_.find(passed_over.fetch);
  const auto call = calls_.find(passed_over.dial);
  if (log == by_fetch_.end() || call == calls_.end()) return;
  log->second->passed_over[call->second.peer] = now_;
}

std::vector<Endpoint> Sync::find_silent(const Log& log) const {
  // One whose link is slow is passed over while its bytes trickle in.
  constexpr Duration kSilentMin = FetchPlanner::kLateAfter / 2;
  std::vector<Endpoint> silent;
  for (std::size_t peer = 0; peer < reports_.size(); ++peer) {
    const auto passed_over = log.passed_over.find(peer);
    const Instant heard = reports_[peer].stats.heard;
    const bool has_ceased = passed_over != log.passed_over.end() && heard <= passed_over->second &&
                            heard + kSilentMin <= *began_ + report_.took;
    if (has_ceased || !log.state.has_answered(peer)) silent.push_back(reports_[peer].endpoint);
  }
  return silent;
}

void Sync::on(const Stored& stored) {
  Log* const log = find(stored.log);
  if (log == nullptr) return;
  log->state.committed(stored.done);
  if (!stored.done.added.empty() || !stored.done.payloads_added.empty()) {
    active_at_ = log->active_at = now_;
    log->asked_after.clear();
  }
  log->unsaid += stored.done.added.count();
  if (log->unsaid != 0) unsaid_.insert(log);
}

void Sync::look_forked(Log& log) {
  const auto transaction = store_.read();
  if (!transaction) return fail_with(transaction.error());
  const auto forked = log.state.look_forked(*transaction);
  if (!forked && !log.state.takes(forked.error())) return fail_with(forked.error());
  if (!forked || !*forked) return;
  events_.emplace_back(**forked);
  ask_lower(log);
}

void Sync::on(const Changed& changed) {
  Log* const log = find(changed.log);
  if (log == nullptr) return join(changed.log);
  for (const DialId dial : std::exchange(log->unoffered, {})) {
    const auto call = calls_.find(dial);
    if (call != calls_.end() && call->second.session != 0 && !is_ending_) {
      offer(call->second, *log);
    }
  }
  look_forked(*log);
  // Where it has less now, by a fork or damage, a peer may have said already that it holds it all.
  for (std::size_t peer = 0; peer < request_.peers.size(); ++peer) look_pushed(*log, peer);
}

void Sync::on(const Undropped& undropped) {
  Log* const log = find(undropped.log);
  if (log == nullptr) return;
  if (undropped.error) {
    log->state.not_dropped(undropped.seqnums, *undropped.error);
  } else {
    log->state.were_dropped(undropped.seqnums);
  }
  for (std::size_t peer = 0; peer < request_.peers.size(); ++peer) look_pushed(*log, peer);
}

}  // namespace culm::node
