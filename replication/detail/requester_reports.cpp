// What the requester hands to the committer besides units and parts, and what comes of all.
#include <algorithm>
#include <utility>
#include <vector>

#include "culm/replication/credit_pool.hpp"
#include "culm/replication/detail/requester.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {

void Requester::submit_evidence(const LogKey& log, Evidence evidence, bool blame) {
  const auto [row, is_first] = evidence_.try_emplace(log);
  if (!is_first) {
    row->second = Waiting{std::move(evidence), blame};
    return;
  }
  hold_back(log);
  send_evidence(log, std::move(evidence), blame);
}

void Requester::send_evidence(const LogKey& log, Evidence evidence, bool blame) {
  // No credit was granted for it: it takes room from what is.
  std::uint64_t bytes = 0;
  for (const Bytes& entry : evidence.entries) bytes += entry.size();
  const std::uint64_t counted = counted_bytes(bytes);
  pool_.charge(counted);
  pending_.emplace(++last_work_, Pending{0, counted, blame, 0});
  events_.push_back(WorkReceived{
      Work{{session_, last_work_}, log, EvidenceWork{std::move(evidence)}, counted, token_}});
}

void Requester::evidence_done(const LogKey& log) {
  const auto row = evidence_.find(log);
  if (auto next = std::exchange(row->second, std::nullopt)) {
    return send_evidence(log, std::move(next->evidence), next->blame);
  }
  evidence_.erase(row);
  release(log);
}

Result<void> Requester::work_finished(const WorkReport& report) {
  const auto found = pending_.find(report.id.work);
  if (found == pending_.end()) return {};
  const Pending pending = found->second;
  pending_.erase(found);
  if (pending.want == 0) {
    pool_.give_back(pending.credit);
    evidence_done(report.log);
  } else if (pending.credit != 0) {
    credit_.set_limit(credit_limit());
    grant(credit_.work_done(pending.credit));
  }
  Request* const request = find(pending.want);
  if (request != nullptr) --request->works;
  if (report.outcome) {
    if (request != nullptr) settle(*request);
    return {};
  }
  if (request != nullptr) spent_.give_back(request->budget(), pending.credit);
  const Error& error = report.outcome.error();
  // Also where the want has ended meanwhile: nobody else tells of it.
  if (error.code == Errc::kStoreDamaged) {
    events_.push_back(Damaged{report.log, store::damaged_entry(error)});
  }
  if (pending.want == 0) return evidence_failed(pending, report.log, error);
  // A want that ended meanwhile needs no answer: units behind a refused one fail for its sake.
  if (request == nullptr || request->phase == Request::Phase::kCancelled) return {};
  return pending.payload != 0 ? payload_failed(*request, pending, error)
                              : unit_failed(pending.want, error);
}

Result<void> Requester::evidence_failed(const Pending& pending, const LogKey& log,
                                        const Error& error) {
  const bool is_excused = fault(error.code) == Fault::kPeer && !pending.blame;
  if (is_excused) in_vain_.insert(log);
  if (is_excused || is_of_log(error.code)) return {};
  return fail(error);
}

Result<void> Requester::payload_failed(Request& request, const Pending& pending,
                                       const Error& error) {
  const SeqNum seqnum = pending.payload;
  if (!is_of_log(error.code) && fault(error.code) != Fault::kPeer) return fail(error);
  // A part of a wrong size is its sender's fault; of wrong bytes nobody knows whose they are.
  if (pending.is_resumed && error.code == Errc::kPayloadHash) {
    payloads_.mark_spoilt(request.asked.log, seqnum);
    const Request spoilt = request;
    return replace(spoilt, spoilt.full, seqnum);
  }
  switch (fault(error.code)) {
    case Fault::kNobody:
    case Fault::kAuthor:
      // The entry is not there when its unit was cut by a fork, or refused.
      settle(request);
      return {};
    case Fault::kPeer:
      // A peer on the other branch of a fork has another payload for an entry that was held before.
      if (request.brought.contains(seqnum)) return fail(error);
      if (request.agreed.contains(seqnum) && !pending.is_resumed) return fail(error);
      return refuse(request, DenyReason::kCapped);
    default:
      return unit_failed(request.id, error);
  }
}

Result<void> Requester::unit_failed(WantId want, const Error& error) {
  Request request = *find(want);
  request.claims.reset();
  if (full_may_help(error.code) && !request.full) {
    return replace(request, true, request.alone);
  }
  if (!is_of_log(error.code)) return fail(error);
  if (ends(error.code) < Scope::kLog) {
    settle(*find(want));
    return {};
  }
  if (fault(error.code) == Fault::kOwnStore) {
    outbox_.send(Cancel{want});
    drop(want);
    // Who has offered it would wait for the word that it is here.
    const bool is_awaited = request.is_offered && error.code == Errc::kStoreDamaged;
    if (is_awaited) outbox_.send(Deny{request.asked.log, 0, DenyReason::kDamaged});
    return give_up(request, error);
  }
  const bool is_unanchored = error.code == Errc::kUnitUnanchored;
  return refuse(request, is_unanchored ? DenyReason::kUnanchored : DenyReason::kCapped);
}

Result<void> Requester::give_up(const Request& request, const Error& error) {
  if (!is_of_log(error.code)) return fail(error);
  events_.push_back(Denied{request.host_id, request.asked.log, DenyReason::kBusy, error});
  rest(request);
  return {};
}

/// What this side's policy takes is nothing to blame the peer for.
Result<WantId> Requester::ask_offered(const LogKey& log, const store::LogInterest& interest,
                                      bool is_woken) {
  const auto asked =
      ask({.log = log, .interest = interest.entries, .payloads = interest.payloads, .live = true},
          {.is_offered = true, .is_woken = is_woken});
  const bool is_too_wide = !asked && asked.error().code == Errc::kRangesTooMany;
  return is_too_wide ? fail(Errc::kBusy) : asked;
}

Result<void> Requester::leave_out_deleted(const LogKey& log) {
  const std::uint64_t deletions = store_.deletions();  // before it is read: there may be more then
  const auto is_due = [&](const Request& request) {
    return request.asked.log == log && request.is_look_due(deletions);
  };
  if (std::ranges::none_of(requests_, is_due)) return {};
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (!state) return {};
  std::vector<Request> again;
  for (Request& request : requests_) {
    if (!is_due(request)) continue;
    request.deletions = deletions;
    if (request.is_to_except_more(*state)) again.push_back(request);
  }
  return replace_all(std::move(again));
}

Result<void> Requester::replace_all(std::vector<Request> again) {
  for (Request& request : again) {
    // Else what it claims could not be resumed.
    request.claims.reset();
    CULM_CHECK(replace(request, request.full, request.alone));
  }
  return {};
}

Result<void> Requester::replace(Request request, bool full, SeqNum alone) {
  request.claims.reset();
  request.full = full;
  request.alone = alone;
  outbox_.send(Cancel{request.id});
  if (!request.has_budget() || request.phase == Request::Phase::kDone) return ask_instead(request);
  request.phase = Request::Phase::kCancelled;
  *find(request.id) = std::move(request);
  return {};
}

Result<void> Requester::ask_instead(Request request) {
  drop(request.id);
  const auto asked = ask(request.asked, {.host_id = request.host_id,
                                         .full = request.full,
                                         .alone = request.alone,
                                         .is_offered = request.is_offered,
                                         .is_woken = request.is_woken});
  return asked ? Result<void>() : give_up(request, asked.error());
}

void Requester::pass_over(WantId want, std::uint64_t counted) {
  const Request* const request = find(want);
  spent_.add(request != nullptr ? request->budget() : spent_.find_late(want), counted);
  grant(credit_.passed_over(counted));
}

void Requester::ended(std::uint64_t unread_bytes) {
  const auto fetching = std::ranges::find_if(
      requests_, [](const Request& request) { return request.budget() != nullptr; });
  spent_.end(fetching != requests_.end() ? fetching->budget() : nullptr, unread_bytes);
}

void Requester::distrust() {
  spent_.give_back_all();
  token_->is_distrusted = true;
  for (const Request& request : requests_) request.token->is_distrusted = true;
}

Result<void> Requester::refuse(const Request& request, DenyReason reason) {
  const LogKey log = request.asked.log;
  const SeqNum peer_head = request.head_last;
  // What a peer says and what it sends may differ: then it is to say it once more.
  const bool may_wake = !request.is_woken;
  outbox_.send(Deny{log, request.id, reason});
  if (!request.is_over()) spent_.want_ended(request.id, request.budget());
  events_.push_back(Denied{request.host_id, log, reason});
  rest(request);
  drop(request.id);
  return may_wake ? unless_of_log(wake_below_cap(log, peer_head, true)) : Result<void>();
}

void Requester::hold_back(const LogKey& log) { ++held_back_[log]; }

void Requester::release(const LogKey& log) {
  const auto held = held_back_.find(log);
  if (--held->second != 0) return;
  held_back_.erase(held);
  for (auto next = requests_.begin(); next != requests_.end();) {
    Request& request = *next++;  // it may be dropped
    if (request.asked.log == log) settle(request);
  }
}

void Requester::settle(Request& request) {
  if (request.works != 0 || held_back_.contains(request.asked.log)) return;
  if (request.phase == Request::Phase::kDone) {
    events_.push_back(WantEnded{request.host_id, request.asked.log, request.done});
    drop(request.id);
  } else if (request.phase == Request::Phase::kReady) {
    request.phase = Request::Phase::kCaughtUp;
    events_.push_back(CaughtUp{request.host_id, request.asked.log});
  }
}

void Requester::drop(WantId want) {
  std::erase_if(requests_, [&](const Request& request) { return request.id == want; });
}

}  // namespace culm::replication
