// What a want is answered with, and what the responder does about damage that it meets.
#include <algorithm>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/quote.hpp"
#include "culm/replication/detail/responder.hpp"
#include "culm/store/row_damage.hpp"

namespace culm::replication {
namespace {

constexpr SeqRange kAll{1, kSeqnumMax};
constexpr std::uint64_t kDoubtfulRows = 4 * kSampleRows;

/// Rows of entries that the next step of a want, or a have for it, may read.
RangeSet rows_of_step(const ServedWant& served, const store::LogState& log) {
  const RangeSet ready = served.ready_payloads();
  RangeSet rows = lowest(ready, kSampleRows) | highest(ready, kSampleRows);
  if (ready.contains(served.want.resume_seqnum)) rows.insert(served.want.resume_seqnum);
  if (!served.entries.empty()) rows |= served.next_unit();
  return (rows | highest(served.shown(log), kSampleRows)) & log.held;
}

}  // namespace

bool Responder::is_turn_over() const noexcept {
  return plan_left_ == 0 || quote_rows_left_ < kSampleRows;
}

Result<void> Responder::look(const store::ReadTransaction& transaction,
                             const store::LogState& log) {
  if (damage_.is_looked_for(log.log)) return {};
  const RangeSet held = log.served();
  const std::uint64_t rows = std::min(held.count(), kSampleRows);
  if (rows == 0) return {};
  quote_rows_left_ -= std::min(quote_rows_left_, rows);
  RangeSet sample = rows == held.count() ? held : sample_of(held, rows);
  sample.insert(held.max());
  CULM_TRY(const auto found, store::find_row_damage(transaction, log, sample, kAll));
  // Where these are few each is read, as most of them may be sound.
  const RangeSet doubtful = found.unreadable & held;
  if (doubtful.count() <= kDoubtfulRows) sample |= doubtful;
  if (!found.empty()) CULM_CHECK(look_at(transaction, log, sample, kAll));
  damage_.looked(log.log);
  return {};
}

Result<void> Responder::look_at(const store::ReadTransaction& transaction,
                                const store::LogState& log, const RangeSet& sample,
                                const SeqRange& part) {
  CULM_TRY(const auto found, store::find_row_damage(transaction, log, sample, part));
  for (const SeqRange& range : found.rows.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) {
      damage_.drops(log.log, n);
      events_.push_back(Damaged{log.log, n});
    }
  }
  if (!found.unreadable.empty()) give_up(log.log, found.unreadable);
  return {};
}

Result<Responder::Answer> Responder::make_answer(ServedWant& served,
                                                 const store::ReadTransaction& transaction,
                                                 const store::LogState& log) {
  if (!served.planned) served.plan(log);
  // What is being dropped is told when it is to be sent.
  const RangeSet dropped = damage_.dropping(log.log) - served.entries - served.payloads;
  RangeSet damaged = served.shown(log) - dropped;
  CULM_TRY(const auto have, make_have(transaction, log, damaged, events_));
  if (have.head != 0) damaged.erase(SeqRange{1, have.head});
  for (; !damaged.empty(); damaged.erase(SeqRange{damaged.max(), damaged.max()})) {
    static_cast<void>(served.pass_over(damaged.max()));
  }
  if (!served.planned) served.plan(log);
  auto quote = make_quote(served, have, transaction, log, quote_rows_left_);
  while (!quote && passes_over(served, quote.error())) {
    served.plan(log);
    quote = make_quote(served, have, transaction, log, quote_rows_left_);
  }
  if (!quote) return fail(quote.error());
  CULM_CHECK(heed_budget(served, have, transaction, log, *quote));
  return Answer{have, *quote};
}

/// What the failed step, or have, was about is looked at row by row, so that the want goes on
/// without what cannot be read of it.
bool Responder::narrow(ServedWant& served) {
  const LogKey& log = served.want.log;
  const RangeSet before = damage_.unreadable(log);
  if (before.contains(RangeSet{kAll})) return false;
  const auto transaction = store_.read();
  if (!transaction) return false;
  const auto state = transaction->find_log(log);
  if (state && *state) {
    // Not between them: there all may be sound.
    const RangeSet rows = rows_of_step(served, **state);
    for (const SeqRange& range : rows.ranges()) {
      static_cast<void>(look_at(*transaction, **state, RangeSet{range}, range));
    }
  }
  const SeqNum under_way = served.chunked.empty() ? 0 : served.chunked.back().seqnum;
  if (damage_.unreadable(log) == before) {
    const bool is_of_one = under_way != 0 && !before.contains(under_way);
    give_up(log, {is_of_one ? SeqRange{under_way, under_way} : kAll});
  }
  served.unreadable = damage_.unreadable(log);
  served.planned = false;
  served.is_short = true;
  return true;
}

void Responder::give_up(const LogKey& log, const RangeSet& seqnums) {
  damage_.found_unreadable(log, seqnums);
  events_.push_back(Damaged{log, 0});
}

}  // namespace culm::replication
