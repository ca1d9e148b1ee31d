#include "culm/replication/detail/requester.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {
Requester::Requester(std::uint64_t session, const store::Store& store, Policy& policy,
                     CreditPool& pool, ArrivingPayloads& payloads, KnownDamage& damage,
                     Outbox& outbox, std::deque<Event>& events, SessionStats& stats)
    : session_(session),
      store_(store),
      policy_(policy),
      pool_(pool),
      payloads_(payloads),
      damage_(damage),
      credit_(pool),
      outbox_(outbox),
      events_(events),
      stats_(stats) {}

Result<WantId> Requester::want(const WantRequest& asked) { return ask(asked, {}); }

Result<WantId> Requester::take_offer(const LogKey& log, const store::LogInterest& interest) {
  rests_.erase(log);
  return ask_offered(log, interest, false);
}

Result<WantId> Requester::ask(const WantRequest& asked, const Again& again) {
  if (requests_.size() >= limits::kWantsPerSessionMax) return fail(Errc::kBusy);
  if (asked.interest.ranges.ranges().size() > limits::kRangesPerMessageMax) {
    return fail(Errc::kRangesTooMany);
  }
  const std::uint64_t deletions = store_.deletions();
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.find_log(asked.log));

  Request& request = requests_.emplace_back();
  request.asked = asked;
  request.deletions = deletions;
  auto& spent = request.asked.budget_spent;
  if (request.has_budget() && spent == nullptr) spent = std::make_shared<std::uint64_t>(0);
  // With nothing left it is for the peer to say whether anything is missing: no message fits.
  if (request.has_budget())
    request.budget_bytes = std::max<std::uint64_t>(request.budget_left(), 1);
  Want want;
  want.id = ++last_id_;
  want.log = asked.log;
  want.interest = asked.interest;
  want.entries = asked.entries;
  want.payloads = asked.payloads;
  want.live = asked.live;
  want.full = again.full;
  want.quote_only = asked.quote_only;
  want.order = asked.order;
  want.payload_size_min = asked.payload_size_min;
  want.payload_size_max = asked.payload_size_max;
  want.budget_bytes = request.budget_bytes;
  if (log && !asked.from_nothing) {
    RangeSet shown = log->shown();
    if (again.is_offered) shown -= damage_.of(asked.log);
    want.held = first_ranges(shown);
    request.payloads_held = want.payloads_held = first_ranges(log->payloads & shown);
    request.excepted = want.payloads_excepted = request.find_excepted(*log);
  }
  request.id = want.id;
  request.host_id = again.host_id != 0 ? again.host_id : want.id;
  request.full = want.full;
  request.alone = again.alone;
  request.is_offered = again.is_offered;
  request.is_woken = again.is_woken;
  request.claims = std::make_shared<PayloadClaims>(payloads_, asked.log, Claimer{session_, peer_});
  if (log && !asked.from_nothing && again.alone == 0) {
    request.resumed = find_resumed(transaction, *log, asked, {session_, peer_}, payloads_);
  }
  if (request.resumed) {
    want.resume_seqnum = request.resumed->stage.seqnum;
    want.resume_offset = request.resumed->offset;
    if (!asked.quote_only) request.claims->add(want.resume_seqnum);
  }
  outbox_.send(want);
  top_up();
  return last_id_;
}

void Requester::cancel(WantId want, std::uint64_t unread_bytes) {
  const auto found = std::ranges::find(requests_, want, &Request::host_id);
  if (found == requests_.end()) return;
  outbox_.send(Cancel{found->id});
  if (found->phase != Request::Phase::kDone) {
    spent_.want_ended(found->id, found->budget());
    spent_.set_begun(found->budget(), unread_bytes);
  }
  requests_.erase(found);
}

Result<void> Requester::ask_again(const LogKey& log) {
  std::vector<Request> again;
  for (Request& request : requests_) {
    if (request.asked.log != log) continue;
    request.is_robbed = true;
    if (request.asked.live) again.push_back(request);
  }
  CULM_CHECK(replace_all(std::move(again)));
  return wake(log, false);
}

void Requester::rest(const Request& request) {
  if (request.is_offered) rests_.insert(request.asked.log);
}

Result<void> Requester::wake(const LogKey& log, bool at_once) {
  if (!rests_.contains(log)) return {};
  const auto interest = policy_.accept_offer(*peer_, log);
  if (!interest) return {};  // it may be accepted later
  const auto asked = ask_offered(log, *interest, at_once);
  if (asked) rests_.erase(log);
  return asked ? Result<void>() : unless_of_log(fail(asked.error()));
}

Result<void> Requester::wake_below_cap(const LogKey& log, SeqNum peer_head, bool at_once) {
  if (!rests_.contains(log)) return {};
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  return state && peer_head < state->cap ? wake(log, at_once) : Result<void>();
}

bool Requester::wants(const LogKey& log) const {
  return std::ranges::any_of(requests_,
                             [&](const Request& request) { return request.asked.log == log; });
}

bool Requester::is_answered(const LogKey& log) const {
  return std::ranges::any_of(requests_, [&](const Request& request) {
    return request.asked.log == log && request.phase != Request::Phase::kAsked;
  });
}

bool Requester::settled(const LogKey& log) const {
  return !evidence_.contains(log) && std::ranges::none_of(requests_, [&](const Request& request) {
    return request.asked.log == log && request.works != 0;
  });
}

Request* Requester::find(WantId want) {
  const auto found = std::ranges::find(requests_, want, &Request::id);
  return found == requests_.end() ? nullptr : &*found;
}

Result<Request*> Requester::addressed(WantId want) {
  if (want == 0 || want > last_id_) return fail(Errc::kUnsolicited);
  return find(want);
}

/// Entries that the peer surely holds as they are here: backlinks lead to them from a head that is
/// the same. There may be others.
RangeSet Requester::find_agreed(const Have& have) const {
  const auto transaction = store_.read();
  const auto log = transaction ? transaction->find_log(have.log) : fail(transaction.error());
  if (have.head == 0 || !log || !*log || !(*log)->served().contains(have.head)) return {};
  const auto head = transaction->get_entry(**log, have.head);
  if (!head || head->entry.hash() != have.head_hash) return {};
  const RangeSet both = have.held & (*log)->served();
  const bool is_shown = !both.empty() && both.max() == have.head;
  return is_shown ? RangeSet{both.ranges().back()} : RangeSet();
}

Result<void> Requester::on_have(const Have& have) {
  const bool is_of_payloads = std::ranges::any_of(requests_, [&](const Request& request) {
    return request.asked.log == have.log && request.asked.payloads && !request.asked.quote_only;
  });
  const RangeSet agreed = is_of_payloads ? find_agreed(have) : RangeSet();
  for (Request& request : requests_) {
    if (request.asked.log != have.log) continue;
    request.on_have(have.head);
    request.agreed = agreed;
  }
  events_.push_back(PeerHas{have.log, have.head, have.held, have.payloads, {}});
  return wake_below_cap(have.log, have.head, false);
}

Result<void> Requester::on_quote(const Quote& quote) {
  CULM_TRY(Request* const request, addressed(quote.want));
  if (request == nullptr) return {};
  CULM_CHECK(request->on_quote());
  if (!request->full) events_.push_back(Quoted{request->host_id, request->asked.log, quote});
  return {};
}

void Requester::top_up() {
  credit_.set_limit(credit_limit());
  if (!credit_.is_open() && is_fetching()) grant(credit_.open());
}

/// What budgets leave no room for is not granted, whatever the peer thinks of them.
std::uint64_t Requester::credit_limit() const {
  std::uint64_t sum = 0;
  for (const Request& request : requests_) {
    if (request.asked.quote_only) continue;
    if (!request.has_budget()) return limits::kSessionCreditBytes;
    sum += std::min(request.budget_left(), limits::kSessionCreditBytes);
  }
  return std::clamp(sum, limits::kCreditBytesMin, limits::kSessionCreditBytes);
}

bool Requester::is_fetching() const {
  return std::ranges::any_of(requests_,
                             [](const Request& request) { return !request.asked.quote_only; });
}

bool Requester::must_wait() {
  if (is_waiting_) return true;
  if (!pool_.is_short() || !is_fetching()) return false;
  is_waiting_ = true;
  pool_.wait(session_);
  return true;
}

void Requester::submit(Request& request, std::variant<UnitWork, PayloadWork, EvidenceWork> content,
                       std::uint64_t credit, const RangeSet& payloads) {
  const auto* const payload = std::get_if<PayloadWork>(&content);
  const SeqNum seqnum = payload != nullptr ? payload->seqnum : 0;
  const bool is_resumed = payload != nullptr && payload->resumes.has_value();
  pending_.emplace(++last_work_, Pending{request.id, credit, true, seqnum, is_resumed});
  credit_.submitted(credit);
  ++request.works;
  Work work{{session_, last_work_}, request.asked.log, std::move(content), credit, request.token};
  work.peer = peer_;
  work.undeletes = request.asked.undelete & payloads;
  work.bare = request.asked.bare & payloads;
  events_.push_back(WorkReceived{std::move(work)});
}

Result<std::optional<Requester::Arrival>> Requester::on_entries(const Entries& entries,
                                                                std::size_t message_bytes) {
  const std::uint64_t counted = counted_bytes(message_bytes);
  CULM_CHECK(credit_.spend(counted));
  CULM_TRY(Request* const request, addressed(entries.want));
  if (request == nullptr || request->is_over()) {
    pass_over(entries.want, counted);
    return std::nullopt;
  }
  CULM_TRY(auto contents, read_elided(entries.unit));
  if (!request->is_solicited(contents)) {
    return fail(error_for(Errc::kUnsolicited, contents.seqnums.min()));
  }
  request->head = std::max(request->head, contents.seqnums.max());
  CULM_TRY(const bool is_new, request->take(contents, counted));
  spent_.add(request->budget(), counted);
  if (is_new) ++stats_.pieces_new;
  stats_.entries_received += contents.seqnums.count();
  stats_.payload_bytes_received += contents.payload_bytes;
  submit(*request, UnitWork{Bytes(entries.unit.begin(), entries.unit.end())}, counted,
         contents.payloads);
  return Arrival{request->asked.log, std::move(contents)};
}

bool Requester::is_entry_here(const Request& request, SeqNum seqnum) const {
  if (request.is_robbed || request.brought.contains(seqnum)) return true;
  const auto transaction = store_.read();
  const auto log =
      transaction ? transaction->find_log(request.asked.log) : fail(transaction.error());
  return !log || (*log && (*log)->held.contains(seqnum));
}

Result<void> Requester::on_payload(const Payload& payload, std::size_t message_bytes) {
  const std::uint64_t counted = counted_bytes(message_bytes);
  CULM_CHECK(credit_.spend(counted));
  CULM_TRY(Request* const request, addressed(payload.want));
  if (request == nullptr || request->is_over()) {
    pass_over(payload.want, counted);
    return {};
  }
  if (!request->is_solicited(payload)) return fail(error_for(Errc::kUnsolicited, payload.seqnum));
  CULM_TRY(const bool is_new,
           request->take(payload, is_entry_here(*request, payload.seqnum), counted));
  spent_.add(request->budget(), counted);
  if (request->is_bare(payload.seqnum)) {
    grant(credit_.passed_over(counted));
    return {};
  }
  if (is_new) ++stats_.pieces_new;
  stats_.payload_bytes_received += payload.bytes.size();
  PayloadWork work{payload.seqnum, payload.offset, payload.last,
                   Bytes(payload.bytes.begin(), payload.bytes.end())};
  work.is_alone = request->alone == payload.seqnum;
  const bool is_resumed = request->resumed && request->resumed->stage.seqnum == payload.seqnum;
  if (is_resumed && payload.offset == 0) {
    request->resumed.reset();  // all of it is the peer's own
  } else if (is_resumed) {
    work.resumes = request->resumed->stage;
  }
  payload.last ? request->claims->remove(payload.seqnum) : request->claims->add(payload.seqnum);
  submit(*request, std::move(work), counted, {{payload.seqnum, payload.seqnum}});
  return {};
}

Result<void> Requester::on_ready(const Ready& ready) {
  CULM_TRY(Request* const request, addressed(ready.want));
  if (request == nullptr) return {};
  const bool had_all = request->phase == Request::Phase::kCaughtUp;
  CULM_CHECK(request->on_ready());
  const LogKey log = request->asked.log;
  settle(*request);
  if (had_all) return {};
  return unless_of_log(leave_out_deleted(log));
}

Result<void> Requester::on_done(const Done& done) {
  CULM_TRY(Request* const request, addressed(done.want));
  spent_.forget_late(done.want);
  if (request == nullptr) return {};
  if (request->phase == Request::Phase::kCancelled) return ask_instead(*request);
  CULM_CHECK(request->on_done(done.reason));
  settle(*request);
  return {};
}

void Requester::on_deny(const Deny& deny) {
  const Request* const request = find(deny.want);
  if (request == nullptr) return;
  events_.push_back(Denied{request->host_id, request->asked.log, deny.reason});
  drop(deny.want);
}

bool Requester::awaits_peer() const {
  if (is_waiting_) return false;
  const bool can_be_used = credit_.can_be_used();
  return std::ranges::any_of(
      requests_, [&](const Request& request) { return request.awaits_peer(can_be_used); });
}

}  // namespace culm::replication
