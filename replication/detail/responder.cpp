#include "culm/replication/detail/responder.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/buffer.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/quote.hpp"
#include "culm/replication/detail/scope.hpp"
#include "culm/store/row_damage.hpp"

namespace culm::replication {
namespace {

/// In ranges.
std::uint64_t planning_cost(const ServedWant& served) {
  return 4 + served.want.interest.ranges.ranges().size();
}

bool is_over(const ServedWant& served) { return served.phase == ServedWant::Phase::kOver; }

}  // namespace

Responder::Responder(const store::Store& store, CreditPool& pool, SignatureVerifier& verifier,
                     KnownDamage& damage, Outbox& outbox, std::deque<Event>& events,
                     SessionStats& stats)
    : store_(store),
      pool_(pool),
      verifier_(verifier),
      damage_(damage),
      outbox_(outbox),
      events_(events),
      stats_(stats) {}

Responder::~Responder() {
  served_.clear();
  recount();
}

void Responder::begin_turn(bool is_full) {
  plan_left_ = is_full ? limits::kPlannedRangesMax : limits::kPlannedRangesMax / 4;
  is_turn_full_ = is_full;
}

bool Responder::may_plan(const ServedWant& served) {
  const std::uint64_t cost = planning_cost(served);
  const bool is_first = std::exchange(is_turn_full_, false);
  if (cost > plan_left_ && !is_first) return false;
  plan_left_ -= std::min(plan_left_, cost);
  return true;
}

bool Responder::has_room(std::uint64_t ranges) const {
  const std::uint64_t all = ranges_ + ranges;
  return all <= limits::kServedRangesFree ||
         (all <= limits::kServedRangesPerSession && pool_.has_room_for_ranges(ranges));
}

bool Responder::may_grow() const {
  constexpr std::uint64_t kGrown = limits::kServedRangesPerSession / 8;
  return ranges_ <= limits::kServedRangesFree ||
         (ranges_ <= limits::kServedRangesPerSession + kGrown && pool_.has_room_for_growth());
}

void Responder::recount() {
  const auto charged = [](std::uint64_t ranges) {
    return ranges - std::min(ranges, limits::kServedRangesFree);
  };
  const std::uint64_t before = charged(ranges_);
  ranges_ = 0;
  for (const ServedWant& served : served_) {
    if (!is_over(served)) ranges_ += served.ranges();
  }
  pool_.charge_ranges(charged(ranges_));
  pool_.give_back_ranges(before);
}

Result<void> Responder::take_id(WantId want) {
  if (want <= last_id_) return fail(Errc::kProtocolState);
  last_id_ = want;
  return {};
}

Result<void> Responder::accept(Want want) {
  if (served_.size() >= limits::kWantsPerSessionMax) return fail(Errc::kBusy);

  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(want.log));
  const store::LogState& log = *state;
  CULM_CHECK(look(transaction, log));
  ServedWant served(std::move(want));
  served.unreadable = damage_.unreadable(log.log);
  // Known before or not: who pushes the log from here waits for what cannot come.
  if (damage_.has_bad_pages(log.log)) events_.push_back(Damaged{log.log, 0});
  served.plan(log);
  is_turn_full_ = false;
  plan_left_ -= std::min(plan_left_, planning_cost(served));
  if (!has_room(served.ranges()) && !served.want.quote_only) return fail(Errc::kBusy);
  auto answer = make_answer(served, transaction, log);
  while (!answer && store::is_of_pages(answer.error()) && narrow(served)) {
    answer = make_answer(served, transaction, log);
  }
  if (!answer) return fail(answer.error());
  outbox_.send(answer->have);
  outbox_.send(answer->quote);
  if (served.want.quote_only) {
    CULM_CHECK(complete(served, transaction, log));
  } else {
    served_.push_back(std::move(served));
    recount();
  }
  return {};
}

/// Who asks for no more than a quote is told what a small one lets come, as far as it is tried out:
/// much of it may stay unused where the next message is too large.
Result<void> Responder::heed_budget(const ServedWant& served, const Have& have,
                                    const store::ReadTransaction& transaction,
                                    const store::LogState& log, Quote& quote) {
  const std::uint64_t budget = served.want.budget_bytes;
  const std::uint64_t around = answer_bytes(have);
  if (budget == 0 || quote.wire_bytes - around < budget / 2) return {};
  if (served.want.quote_only && budget <= limits::kSessionCreditBytes) {
    CULM_TRY(const bool is_tried, try_out(served, around, log, quote));
    if (is_tried) return {};
  }
  if (quote.wire_bytes <= around + budget) return {};
  const auto fitted = fit_budget(served, around, transaction, log, quote_rows_left_, quote);
  if (fitted || !store::is_of_pages(fitted.error())) return fitted;
  // As if all were alike.
  const double part = static_cast<double>(budget) / static_cast<double>(quote.wire_bytes - around);
  for (auto* const sum : {&quote.entries, &quote.certificate_entries, &quote.payload_bytes}) {
    *sum = static_cast<std::uint64_t>(static_cast<double>(*sum) * part);
  }
  quote.wire_bytes = around + budget;
  quote.exact = false;
  return {};
}

Result<bool> Responder::try_out(const ServedWant& served, std::uint64_t around,
                                const store::LogState& log, Quote& quote) {
  constexpr std::uint64_t kRecordBytes = 20;
  constexpr std::uint64_t kRowBytes = 1024;
  CreditPool pool;
  Outbox outbox(pool);
  SessionStats stats;
  // Damage that it meets is real.
  Responder trial(store_, pool, verifier_, damage_, outbox, events_, stats);
  ServedWant& tried = trial.served_.emplace_back(served);
  std::uint64_t bytes = 0;
  bool goes_on = true;
  while (goes_on && !is_over(tried) && quote_steps_left_ != 0 && quote_rows_left_ != 0) {
    trial.credit_ = std::min(limits::kCreditBytesMin + tried.bytes, limits::kSessionCreditBytes);
    CULM_TRY(goes_on, trial.advance(tried));
    const std::uint64_t sent = outbox.plaintext().size();
    outbox.plaintext().clear();
    if (goes_on) bytes += sent + kRecordBytes;
    --quote_steps_left_;
    const std::uint64_t rows = std::exchange(trial.rows_read_, 0) + sent / kRowBytes;
    quote_rows_left_ -= std::min(quote_rows_left_, rows);
  }
  if (goes_on && !is_over(tried)) return false;
  const RangeSet sent = tried.known - served.known;
  quote.entries = (sent & resolve(served.want.interest, log.head())).count();
  quote.certificate_entries = sent.count() - quote.entries;
  quote.payload_bytes = stats.payload_bytes_sent;
  // One counts when all of it is there, with what was there before.
  const bool is_resumed = tried.want.resume_seqnum == 0;
  if (is_resumed) quote.payload_bytes += bytes_held(served, served.want.resume_seqnum);
  for (const ServedWant::Chunked& part : tried.chunked) {
    quote.payload_bytes -= std::min(quote.payload_bytes, part.offset);
  }
  quote.wire_bytes = around + bytes;
  quote.exact = quote.exact && tried.entries.empty() && tried.payloads.empty();
  return true;
}

void Responder::cancel(WantId want) {
  for (ServedWant& served : served_) {
    if (served.want.id == want) finish(served, DoneReason::kCancelled);
  }
  std::erase_if(served_, is_over);
  recount();
}

void Responder::drop(WantId want) {
  std::erase_if(served_, [&](const ServedWant& served) { return served.want.id == want; });
  recount();
}

void Responder::peer_holds(const LogKey& log, const RangeSet& entries, const RangeSet& payloads) {
  // What is shown is kept, and may break what is to be sent into as many ranges more.
  const std::uint64_t more = 2 * (entries.ranges().size() + payloads.ranges().size());
  for (ServedWant& served : served_) {
    // Beyond the budget it is not taken in, and some is sent in vain.
    if (served.want.log != log || !has_room(more)) continue;
    served.peer_holds(entries, payloads);
    recount();
  }
}

void Responder::log_changed(const LogKey& log) {
  for (ServedWant& served : served_) {
    if (served.want.log != log) continue;
    served.damaged = {};
    served.unreadable = damage_.unreadable(log);
    served.planned = false;
  }
}

void Responder::drop_finished(const LogKey& log, const RangeSet& seqnums) {
  for (ServedWant& served : served_) {
    if (served.want.log == log) served.drop_finished(seqnums);
  }
}

bool Responder::serves(const LogKey& log) const {
  return std::ranges::any_of(served_,
                             [&](const ServedWant& served) { return served.want.log == log; });
}

Result<void> Responder::pump() {
  quote_rows_left_ = limits::kPumpRowsMax;
  quote_steps_left_ = limits::kPumpStepsMax;
  std::size_t steps = 0;
  bool progressed = true;
  lacks_plan_ = false;
  while (progressed && steps < limits::kPumpStepsMax && !outbox_.full()) {
    progressed = false;
    for (ServedWant& served : served_) {
      CULM_TRY(const bool stepped, advance(served));
      if (stepped) ++steps;
      progressed = progressed || stepped;
    }
    std::erase_if(served_, is_over);
  }
  if (steps == 0) release(unit_);
  recount();
  has_more_ = (progressed || lacks_plan_) && !outbox_.full();
  return {};
}

Result<bool> Responder::advance(ServedWant& served) {
  auto stepped = take_step(served);
  if (stepped || !is_of_log(stepped.error().code)) return stepped;
  if (passes_over(served, stepped.error())) return true;
  if (store::is_of_pages(stepped.error()) && narrow(served)) return true;
  // What is wrong with one log here must not keep the others from being served.
  const Error& error = stepped.error();
  const bool is_damaged = error.code == Errc::kStoreDamaged;
  if (is_damaged) events_.push_back(Damaged{served.want.log, store::damaged_entry(error)});
  if (is_damaged && !served.want.live) {
    outbox_.send(nothing_of(served.want.log));
    finish(served, DoneReason::kDamaged);
  } else {
    deny(served, is_damaged ? DenyReason::kDamaged : DenyReason::kBusy);
  }
  return true;
}

Result<bool> Responder::take_step(ServedWant& served) {
  using Step = ServedWant::Step;
  if (is_over(served) || outbox_.full()) return false;
  std::optional<Step> step;
  if (served.planned) step = served.next_step(credit_);
  if (step == Step::kNothing) return false;
  if (!served.planned && !may_plan(served)) {
    lacks_plan_ = true;
    return false;
  }
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(served.want.log));
  const store::LogState& log = *state;
  if (!served.planned) {
    const std::uint64_t before = served.ranges();
    served.plan(log);
    recount();
    if (served.ranges() > before && !may_grow()) {
      deny(served, DenyReason::kBusy);
      return true;
    }
  }
  if (!step) step = served.next_step(credit_);
  const bool is_end = *step == Step::kReady || *step == Step::kComplete;
  if (is_end && served.is_short) {
    CULM_TRY(const auto have, make_have(transaction, log, served.shown(log), events_));
    outbox_.send(have);
    served.is_short = false;
  }
  switch (*step) {
    case Step::kNothing:
      return false;
    case Step::kReady:
      served.phase = ServedWant::Phase::kLive;
      outbox_.send(Ready{served.want.id});
      break;
    case Step::kComplete:
      CULM_CHECK(complete(served, transaction, log));
      break;
    case Step::kBudget:
      finish(served, DoneReason::kBudget);
      break;
    case Step::kPayload:
      CULM_CHECK(send_payload(served, transaction, log));
      break;
    case Step::kUnit:
      CULM_CHECK(send_unit(served, transaction, log));
      break;
  }
  return true;
}

bool Responder::passes_over(ServedWant& served, const Error& error) {
  const SeqNum damaged = store::damaged_entry(error);
  if (damaged == 0 || !served.pass_over(damaged)) return false;
  events_.push_back(Damaged{served.want.log, damaged});
  return true;
}

Result<void> Responder::complete(ServedWant& served, const store::ReadTransaction& transaction,
                                 const store::LogState& log) {
  const auto found = transaction.find_lost(log);
  if (!found && !is_of_log(found.error().code)) return fail(found.error());
  bool is_damaged = !found;
  if (found) {
    // What is perhaps lost may never have been here: it is not held, and no repair finds damage.
    store::Lost lost = found->sure();
    const RangeSet damaged = damage_.of(log.log);
    lost.entries |= log.served() & damaged;
    lost.payloads |= log.payloads & damaged;
    is_damaged = served.lacks(lost, log);
  }
  finish(served, is_damaged ? DoneReason::kDamaged : DoneReason::kComplete);
  return {};
}

void Responder::finish(ServedWant& served, DoneReason reason) {
  served.phase = ServedWant::Phase::kOver;
  outbox_.send(Done{served.want.id, reason});
}

void Responder::deny(ServedWant& served, DenyReason reason) {
  served.phase = ServedWant::Phase::kOver;
  outbox_.send(Deny{served.want.log, served.want.id, reason});
}

}  // namespace culm::replication
