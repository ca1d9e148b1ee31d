#include "culm/replication/detail/collector.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/detail/provider.hpp"

namespace culm::replication {
namespace {

/// What may come of an elided unit although its sender is honest: the receiver holds another entry
/// than the sender where a link was left out. Asked for in full, the cause shows.
bool deserves_full(Errc code) {
  return code == Errc::kElidedTarget || code == Errc::kEntrySignature ||
         code == Errc::kLinkMismatch;
}

bool is_peers_fault(Errc code) {
  switch (code) {
    case Errc::kVarU64Truncated:
    case Errc::kVarU64Noncanonical:
    case Errc::kHashFormat:
    case Errc::kEntryTruncated:
    case Errc::kEntryTrailing:
    case Errc::kEntryTag:
    case Errc::kEntryTooLong:
    case Errc::kSeqnumZero:
    case Errc::kEntrySignature:
    case Errc::kAuthorKey:
    case Errc::kEntryForeign:
    case Errc::kUnitOrder:
    case Errc::kUnitEmpty:
    case Errc::kPayloadHash:
    case Errc::kPayloadSize:
    case Errc::kElidedFormat:
    case Errc::kElidedTarget:
    case Errc::kEvidence:
    case Errc::kLimit:
    case Errc::kProtocolState:
      return true;
    default:
      return false;
  }
}

}  // namespace

Collector::Collector(std::uint64_t session, const store::Store& store, CreditPool& pool,
                     Outbox& outbox, std::deque<Event>& events, SessionStats& stats)
    : session_(session),
      store_(store),
      pool_(pool),
      outbox_(outbox),
      events_(events),
      stats_(stats) {}

Collector::~Collector() { pool_.give_back(window_); }

Result<WantId> Collector::want(const WantRequest& request) {
  if (fetches_.size() >= limits::kWantsPerSessionMax) return fail(Errc::kLimit);
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
    if (fetch.head_first == 0) fetch.head_first = have.head;
    fetch.head = std::max(fetch.head, have.head);
  }
  events_.push_back(PeerHas{have.log, have.head, have.held, have.payloads, {}});
}

Result<void> Collector::on_quote(const Quote& quote) {
  CULM_TRY(Fetch* const fetch, addressed(quote.want));
  if (fetch != nullptr && !fetch->full) {
    events_.push_back(Quoted{fetch->host_id, fetch->request.log, quote});
  }
  return {};
}

bool Collector::is_solicited(const Fetch& fetch, const RangeSet& seqnums) {
  const SeqNum head = std::max(fetch.head, seqnums.max());
  RangeSet wanted = resolve(fetch.request.interest, head);
  // "Newest" is a window that moves: all its positions since the answer count.
  wanted |= resolve(fetch.request.interest, fetch.head_first);
  if (fetch.request.interest.newest != 0 && fetch.head_first < head) {
    wanted.insert(SeqRange{fetch.head_first + 1, head});
  }
  return closure(wanted, head).contains(seqnums);
}

Result<void> Collector::spend(std::size_t message_bytes) {
  if (message_bytes > granted_) return fail(Errc::kFlow);
  granted_ -= message_bytes;
  return {};
}

void Collector::give_back(std::uint64_t bytes) {
  owed_ += bytes;
  if (owed_ < window_ / 4 && granted_ >= limits::kCreditBytesMin) return;
  outbox_.send(Credit{owed_});
  granted_ += std::exchange(owed_, 0);
}

bool Collector::top_up() {
  const bool fetching =
      std::ranges::any_of(fetches_, [](const Fetch& fetch) { return !fetch.request.quote_only; });
  if (!fetching || window_ >= limits::kSessionCreditBytes / 2) return false;
  // A crowd of sessions shares the pool: nobody takes more than an eighth of what is left.
  const std::uint64_t share =
      std::clamp(pool_.free() / 8, limits::kCreditBytesMin, limits::kSessionCreditBytes - window_);
  const std::uint64_t taken = pool_.take(share, limits::kCreditBytesMin);
  if (taken != 0) {
    window_ += taken;
    granted_ += taken;
    outbox_.send(Credit{taken});
  }
  return window_ == 0;
}

void Collector::submit(Fetch& fetch, std::variant<UnitWork, PayloadWork, EvidenceWork> content,
                       std::size_t credit) {
  pending_.emplace(++last_work_, Pending{fetch.id, credit, true});
  ++fetch.works;
  events_.push_back(
      WorkReceived{Work{{session_, last_work_}, fetch.request.log, std::move(content)}});
}

Result<void> Collector::on_entries(const Entries& entries, std::size_t message_bytes) {
  CULM_CHECK(spend(message_bytes));
  CULM_TRY(Fetch* const fetch, addressed(entries.want));
  if (fetch == nullptr || fetch->done) {
    give_back(message_bytes);
    return {};
  }
  if (fetch->head_first == 0 || !fetch->request.entries) return fail(Errc::kUnsolicited);
  CULM_TRY(const auto seqnums, elided_seqnums(entries.unit));
  if (!is_solicited(*fetch, seqnums)) return fail(error_for(Errc::kUnsolicited, seqnums.min()));
  fetch->head = std::max(fetch->head, seqnums.max());
  stats_.entries_received += seqnums.count();
  submit(*fetch, UnitWork{Bytes(entries.unit.begin(), entries.unit.end())}, message_bytes);
  return {};
}

Result<void> Collector::on_payload(const Payload& payload, std::size_t message_bytes) {
  CULM_CHECK(spend(message_bytes));
  CULM_TRY(Fetch* const fetch, addressed(payload.want));
  if (fetch == nullptr || fetch->done) {
    give_back(message_bytes);
    return {};
  }
  if (fetch->head_first == 0 || !fetch->request.payloads ||
      !is_solicited(*fetch, RangeSet{{payload.seqnum, payload.seqnum}})) {
    return fail(error_for(Errc::kUnsolicited, payload.seqnum));
  }
  stats_.payload_bytes_received += payload.bytes.size();
  submit(*fetch,
         PayloadWork{payload.seqnum, payload.offset, payload.last,
                     Bytes(payload.bytes.begin(), payload.bytes.end())},
         message_bytes);
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
  pending_.emplace(++last_work_, Pending{0, 0, blame});
  events_.push_back(
      WorkReceived{Work{{session_, last_work_}, log, EvidenceWork{std::move(evidence)}}});
}

Result<void> Collector::work_finished(const WorkReport& report) {
  const auto found = pending_.find(report.id.work);
  if (found == pending_.end()) return {};
  const Pending pending = found->second;
  pending_.erase(found);
  if (pending.credit != 0) give_back(pending.credit);

  if (pending.want == 0) release(report.log);
  Fetch* const fetch = find(pending.want);
  if (fetch != nullptr) --fetch->works;
  if (report.outcome) {
    if (fetch != nullptr) settle(*fetch);
    return {};
  }
  if (pending.want == 0) {
    return pending.blame ? Result<void>(fail(report.outcome.error())) : Result<void>();
  }
  // A want that ended meanwhile needs no answer: units behind a refused one fail for its sake.
  return fetch == nullptr ? Result<void>() : unit_failed(pending.want, report);
}

Result<void> Collector::unit_failed(WantId want, const WorkReport& report) {
  const Fetch fetch = *find(want);
  const Errc code = report.outcome.error().code;
  if (deserves_full(code) && !fetch.full) {
    outbox_.send(Cancel{want});
    CULM_CHECK(ask(fetch.request, fetch.host_id));
    drop(want);
    return {};
  }
  if (is_peers_fault(code)) return fail(report.outcome.error());
  const bool is_capped =
      code == Errc::kLogCapped || code == Errc::kLogEnded || code == Errc::kLinkMismatch;
  if (!is_capped && code != Errc::kUnitUnanchored) return fail(report.outcome.error());
  const DenyReason reason = is_capped ? DenyReason::kCapped : DenyReason::kUnanchored;
  outbox_.send(Deny{report.log, want, reason});
  events_.push_back(Denied{fetch.host_id, report.log, reason});
  drop(want);
  return {};
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
