#include "culm/replication/detail/collector.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {

Collector::Collector(std::uint64_t session, const store::Store& store, CreditPool& pool,
                     Outbox& outbox, std::deque<Event>& events, SessionStats& stats)
    : session_(session),
      store_(store),
      credit_(pool),
      outbox_(outbox),
      events_(events),
      stats_(stats) {}

Result<WantId> Collector::want(const WantRequest& request) {
  if (fetches_.size() >= limits::kWantsPerSessionMax) return fail(Errc::kBusy);
  if (request.interest.ranges.ranges().size() > limits::kRangesPerMessageMax) {
    return fail(Errc::kRangesTooMany);
  }
  return ask(request);
}

Result<WantId> Collector::ask(const WantRequest& request, WantId again_for) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.find_log(request.log));

  Want want;
  want.id = ++last_id_;
  want.log = request.log;
  want.interest = request.interest;
  want.entries = request.entries;
  want.payloads = request.payloads;
  want.live = request.live;
  want.full = again_for != 0;
  want.quote_only = request.quote_only;
  want.order = request.order;
  want.payload_size_min = request.payload_size_min;
  want.payload_size_max = request.payload_size_max;
  want.budget_bytes = request.budget_bytes;
  if (log && !request.from_nothing) {
    want.held = first_ranges(log->held);
    want.payloads_held = first_ranges(log->payloads);
    want.payloads_excepted = first_ranges(log->deleted);
  }
  Fetch fetch;
  fetch.id = want.id;
  fetch.host_id = again_for != 0 ? again_for : want.id;
  fetch.request = request;
  fetch.full = want.full;
  fetches_.push_back(std::move(fetch));
  outbox_.send(want);
  static_cast<void>(top_up());
  return last_id_;
}

void Collector::cancel(WantId want) {
  const auto found = std::ranges::find(fetches_, want, &Fetch::host_id);
  if (found == fetches_.end()) return;
  outbox_.send(Cancel{found->id});
  fetches_.erase(found);
}

bool Collector::wants(const LogKey& log) const {
  return std::ranges::any_of(fetches_,
                             [&](const Fetch& fetch) { return fetch.request.log == log; });
}

bool Collector::settled(const LogKey& log) const {
  return std::ranges::none_of(
      fetches_, [&](const Fetch& fetch) { return fetch.request.log == log && fetch.works != 0; });
}

Collector::Fetch* Collector::find(WantId want) {
  const auto found = std::ranges::find(fetches_, want, &Fetch::id);
  return found == fetches_.end() ? nullptr : &*found;
}

Result<Collector::Fetch*> Collector::addressed(WantId want) {
  if (want == 0 || want > last_id_) return fail(Errc::kUnsolicited);
  return find(want);
}

void Collector::on_have(const Have& have) {
  for (Fetch& fetch : fetches_) {
    if (fetch.request.log != have.log) continue;
    if (!fetch.head_first) fetch.head_first = have.head;
    fetch.head = std::max(fetch.head, have.head);
  }
  events_.push_back(PeerHas{have.log, have.head, have.held, have.payloads, {}});
}

Result<void> Collector::on_quote(const Quote& quote) {
  CULM_TRY(Fetch* const fetch, addressed(quote.want));
  if (fetch != nullptr && std::exchange(fetch->quoted, true)) return fail(Errc::kProtocolState);
  if (fetch != nullptr && !fetch->full) {
    events_.push_back(Quoted{fetch->host_id, fetch->request.log, quote});
  }
  return {};
}

RangeSet Collector::wanted_up_to(const Fetch& fetch, SeqNum head) {
  const SeqNum head_first = fetch.head_first.value_or(0);
  RangeSet wanted = resolve(fetch.request.interest, head);
  // "Newest" is a window that moves: all its positions since the answer count.
  wanted |= resolve(fetch.request.interest, head_first);
  if (fetch.request.interest.newest != 0 && head_first < head) {
    wanted.insert(SeqRange{head_first + 1, head});
  }
  return wanted;
}

bool Collector::is_solicited(const Fetch& fetch, const ElidedContents& contents) {
  const WantRequest& request = fetch.request;
  if (!fetch.head_first || !request.entries || request.quote_only) return false;
  const SeqNum head = std::max(fetch.head, contents.seqnums.max());
  const RangeSet wanted = wanted_up_to(fetch, head);
  if (!closure(wanted, head).contains(contents.seqnums)) return false;
  return contents.payloads.empty() || (request.payloads && wanted.contains(contents.payloads) &&
                                       contents.payload_bytes_min >= request.payload_size_min &&
                                       contents.payload_bytes_max <= request.payload_size_max);
}

void Collector::grant(std::uint64_t bytes) {
  if (bytes != 0) outbox_.send(Credit{bytes});
}

bool Collector::top_up() {
  if (credit_.is_open()) return false;
  const bool fetching =
      std::ranges::any_of(fetches_, [](const Fetch& fetch) { return !fetch.request.quote_only; });
  if (!fetching) return false;
  grant(credit_.open());
  return !credit_.is_open();
}

void Collector::submit(Fetch& fetch, std::variant<UnitWork, PayloadWork, EvidenceWork> content,
                       std::uint64_t credit) {
  const auto* const payload = std::get_if<PayloadWork>(&content);
  const SeqNum seqnum = payload != nullptr ? payload->seqnum : 0;
  pending_.emplace(++last_work_, Pending{fetch.id, credit, true, seqnum});
  credit_.submitted(credit);
  ++fetch.works;
  events_.push_back(WorkReceived{
      Work{{session_, last_work_}, fetch.request.log, std::move(content), credit, fetch.token}});
}

Result<std::optional<Collector::Arrival>> Collector::on_entries(const Entries& entries,
                                                                std::size_t message_bytes) {
  const std::uint64_t counted = counted_bytes(message_bytes);
  CULM_CHECK(credit_.spend(counted));
  CULM_TRY(Fetch* const fetch, addressed(entries.want));
  if (fetch == nullptr || fetch->done) {
    grant(credit_.passed_over(counted));
    return std::nullopt;
  }
  CULM_TRY(auto contents, read_elided(entries.unit));
  if (!is_solicited(*fetch, contents)) {
    return fail(error_for(Errc::kUnsolicited, contents.seqnums.min()));
  }
  fetch->head = std::max(fetch->head, contents.seqnums.max());
  fetch->brought |= contents.seqnums;
  stats_.entries_received += contents.seqnums.count();
  stats_.payload_bytes_received += contents.payload_bytes;
  submit(*fetch, UnitWork{Bytes(entries.unit.begin(), entries.unit.end())}, counted);
  return Arrival{fetch->request.log, std::move(contents)};
}

Result<void> Collector::on_payload(const Payload& payload, std::size_t message_bytes) {
  const std::uint64_t counted = counted_bytes(message_bytes);
  CULM_CHECK(credit_.spend(counted));
  CULM_TRY(Fetch* const fetch, addressed(payload.want));
  if (fetch == nullptr || fetch->done) {
    grant(credit_.passed_over(counted));
    return {};
  }
  const WantRequest& request = fetch->request;
  const bool is_asked_for =
      fetch->head_first && request.payloads && !request.quote_only &&
      payload.offset + payload.bytes.size() <= request.payload_size_max &&
      wanted_up_to(*fetch, std::max(fetch->head, payload.seqnum)).contains(payload.seqnum);
  if (!is_asked_for) return fail(error_for(Errc::kUnsolicited, payload.seqnum));
  stats_.payload_bytes_received += payload.bytes.size();
  submit(*fetch,
         PayloadWork{payload.seqnum, payload.offset, payload.last,
                     Bytes(payload.bytes.begin(), payload.bytes.end())},
         counted);
  return {};
}

Result<void> Collector::on_ready(const Ready& ready) {
  CULM_TRY(Fetch* const fetch, addressed(ready.want));
  if (fetch == nullptr) return {};
  if (!fetch->request.live) return fail(Errc::kProtocolState);
  fetch->ready = true;
  settle(*fetch);
  return {};
}

Result<void> Collector::on_done(const Done& done) {
  CULM_TRY(Fetch* const fetch, addressed(done.want));
  if (fetch == nullptr) return {};
  if (fetch->done) return fail(Errc::kProtocolState);
  fetch->done = done.reason;
  settle(*fetch);
  return {};
}

void Collector::on_deny(const Deny& deny) {
  const Fetch* const fetch = find(deny.want);
  if (fetch == nullptr) return;
  events_.push_back(Denied{fetch->host_id, fetch->request.log, deny.reason});
  drop(deny.want);
}

bool Collector::awaits_peer() const {
  return std::ranges::any_of(fetches_, [&](const Fetch& fetch) {
    if (fetch.done || fetch.ready || fetch.works != 0) return false;
    return !fetch.head_first || fetch.request.quote_only || credit_.can_be_used();
  });
}

void Collector::hold_back(const LogKey& log) { ++held_back_[log]; }

void Collector::release(const LogKey& log) {
  const auto held = held_back_.find(log);
  if (--held->second != 0) return;
  held_back_.erase(held);
  for (auto next = fetches_.begin(); next != fetches_.end();) {
    Fetch& fetch = *next++;  // it may be dropped
    if (fetch.request.log == log) settle(fetch);
  }
}

void Collector::submit_evidence(const LogKey& log, Evidence evidence, bool blame) {
  hold_back(log);
  pending_.emplace(++last_work_, Pending{0, 0, blame, 0});
  events_.push_back(WorkReceived{
      Work{{session_, last_work_}, log, EvidenceWork{std::move(evidence)}, 0, token_}});
}

Result<void> Collector::work_finished(const WorkReport& report) {
  const auto found = pending_.find(report.id.work);
  if (found == pending_.end()) return {};
  const Pending pending = found->second;
  pending_.erase(found);
  if (pending.credit != 0) grant(credit_.work_done(pending.credit));

  if (pending.want == 0) release(report.log);
  Fetch* const fetch = find(pending.want);
  if (fetch != nullptr) --fetch->works;
  if (report.outcome) {
    if (fetch != nullptr) settle(*fetch);
    return {};
  }
  const Error& error = report.outcome.error();
  if (pending.want == 0) return evidence_failed(pending, error);
  // A want that ended meanwhile needs no answer: units behind a refused one fail for its sake.
  if (fetch == nullptr) return {};
  return pending.payload != 0 ? payload_failed(*fetch, pending.payload, error)
                              : unit_failed(pending.want, error);
}

Result<void> Collector::evidence_failed(const Pending& pending, const Error& error) const {
  const bool is_excused = fault(error.code) == Fault::kPeer && !pending.blame;
  if (is_excused || is_of_log(error.code)) return {};
  return fail(error);
}

Result<void> Collector::payload_failed(Fetch& fetch, SeqNum seqnum, const Error& error) {
  if (!is_of_log(error.code) && fault(error.code) != Fault::kPeer) return fail(error);
  switch (fault(error.code)) {
    case Fault::kNobody:
    case Fault::kAuthor:
      // The entry is not there when its unit was cut by a fork, or refused.
      settle(fetch);
      return {};
    case Fault::kPeer:
      // A peer on the other branch of a fork has another payload for an entry that was held before.
      if (fetch.brought.contains(seqnum)) return fail(error);
      refuse(fetch, DenyReason::kCapped);
      return {};
    default:
      return unit_failed(fetch.id, error);
  }
}

Result<void> Collector::unit_failed(WantId want, const Error& error) {
  const Fetch fetch = *find(want);
  if (full_may_help(error.code) && !fetch.full) {
    outbox_.send(Cancel{want});
    drop(want);
    const auto asked = ask(fetch.request, fetch.host_id);
    return asked ? Result<void>() : give_up(fetch, asked.error());
  }
  if (!is_of_log(error.code)) return fail(error);
  if (ends(error.code) < Scope::kLog) {
    settle(*find(want));
    return {};
  }
  if (fault(error.code) == Fault::kOwnStore) {
    outbox_.send(Cancel{want});
    drop(want);
    return give_up(fetch, error);
  }
  const bool is_unanchored = error.code == Errc::kUnitUnanchored;
  refuse(fetch, is_unanchored ? DenyReason::kUnanchored : DenyReason::kCapped);
  return {};
}

Result<void> Collector::give_up(const Fetch& fetch, const Error& error) {
  if (!is_of_log(error.code)) return fail(error);
  events_.push_back(Denied{fetch.host_id, fetch.request.log, DenyReason::kBusy, error});
  return {};
}

void Collector::distrust() {
  token_->is_distrusted = true;
  for (const Fetch& fetch : fetches_) fetch.token->is_distrusted = true;
}

void Collector::refuse(const Fetch& fetch, DenyReason reason) {
  outbox_.send(Deny{fetch.request.log, fetch.id, reason});
  events_.push_back(Denied{fetch.host_id, fetch.request.log, reason});
  drop(fetch.id);
}

void Collector::settle(Fetch& fetch) {
  if (fetch.works != 0 || held_back_.contains(fetch.request.log)) return;
  if (fetch.done) {
    events_.push_back(WantEnded{fetch.host_id, fetch.request.log, *fetch.done});
    drop(fetch.id);
  } else if (fetch.ready && !fetch.said_caught_up) {
    fetch.said_caught_up = true;
    events_.push_back(CaughtUp{fetch.host_id, fetch.request.log});
  }
}

void Collector::drop(WantId want) {
  std::erase_if(fetches_, [&](const Fetch& fetch) { return fetch.id == want; });
}

}  // namespace culm::replication
