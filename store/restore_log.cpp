#include <map>
#include <optional>
#include <utility>

#include "culm/store/detail/log_cache.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// The state of a log whose row is damaged, from the rows that it speaks of.
namespace culm::store {
namespace {

using detail::StageState;

/// Calls `visit` with each row of the log in `table`, and its place.
template <class Visit>
Result<void> visit_rows(const KvReadTransaction& kv, Table table, std::uint64_t number,
                        Visit visit) {
  CULM_TRY(const auto cursor, kv.cursor(table));
  CULM_TRY(auto row, cursor->seek(detail::entry_row_key(number, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.number != number) return {};
    visit(*row, place);
    CULM_TRY(row, cursor->next());
  }
  return {};
}

/// What the row of `logs` still says.
struct Record {
  bool is_lost_with_pages = false;  ///< so may be stages
  std::optional<detail::LogRow> row;

  /// A row that is damaged by itself took no entries with it.
  [[nodiscard]] bool may_lack_entries() const { return is_lost_with_pages || row; }
};

Result<Record> find_record(const KvReadTransaction& kv, const LogKey& log) {
  CULM_TRY(const auto value, kv.get(Table::kLogs, detail::log_row_key(log)));
  Record record;
  if (!value) return record;
  record.is_lost_with_pages = equal(*value, detail::kLostState);
  if (auto row = detail::open_log(log, *value)) record.row = *std::move(row);
  return record;
}

/// Returns the entries of which no row tells that damage did not take the payload. Those whose rows
/// are damaged count as held, and go as other damage does. A sound row is as it was written: where
/// it lacks a payload that would lie in it, that was gone before.
Result<RangeSet> collect_rows(const KvReadTransaction& kv, LogState& state, bool may_lack_stages) {
  RangeSet untold;
  std::map<SeqNum, std::uint64_t> large;  // sizes of payloads that lie in stages
  const auto take_entry = [&](const KvRow& row, const detail::RowPlace& place) {
    state.held.insert(place.seqnum);
    const auto sound = detail::open_entry_row(row);
    if (!sound) untold.insert(place.seqnum);
    const auto opened = sound ? sound : detail::decode_damaged_entry(row.value);
    if (!opened) return;
    if (opened->entry.is_end_of_log()) state.end_of_log = place.seqnum;
    if (!detail::is_inline(opened->entry)) {
      large.emplace(place.seqnum, opened->entry.payload_size());
      if (may_lack_stages) untold.insert(place.seqnum);
      return;
    }
    const bool is_empty = opened->entry.payload_size() == 0;
    if (is_empty && !detail::has_empty_payload(opened->entry)) return;
    if (opened->payload.size() != opened->entry.payload_size()) return;
    state.payloads.insert(place.seqnum);
    state.payload_bytes += opened->payload.size();
  };
  const auto take_stage = [&](const KvRow& row, const detail::RowPlace& place) {
    const auto opened = detail::open_stage(row);
    if (opened && opened->state != StageState::kPayload) return;
    const auto size_bytes = large.find(place.seqnum);
    if (size_bytes == large.end() || state.payloads.contains(place.seqnum)) return;
    state.payloads.insert(place.seqnum);
    state.payload_bytes += size_bytes->second;
  };
  const auto take_evidence = [&](const KvRow& /*row*/, const detail::RowPlace& place) {
    if (state.cap == 0) state.cap = place.seqnum;
  };
  CULM_CHECK(visit_rows(kv, Table::kEntries, state.number, take_entry));
  CULM_CHECK(visit_rows(kv, Table::kStages, state.number, take_stage));
  CULM_CHECK(visit_rows(kv, Table::kEvidence, state.number, take_evidence));
  return untold;
}

/// Entries that were wanted and here, or never were.
RangeSet find_absent(const LogState& state) {
  const LogInterest& interest = state.interest;
  const bool is_all = interest.entries.empty() && interest.payloads;  // nobody chose a part
  return resolve(is_all ? everything() : interest.entries, state.head()) - state.held;
}

}  // namespace

/// What was wanted, and what was deleted, is taken from the row of `logs` and from blocks where
/// these can be read. Else all is wanted, and a payload counts as deleted where a row tells that no
/// damage took it: neither must a deletion undo itself, nor damage pass for one.
Result<Restored> ReadTransaction::restored_log(const LogKey& log) const {
  Restored restored;
  LogState& state = restored.state;
  state.log = log;
  CULM_TRY(const Record record, find_record(*kv_, log));
  const auto& row = record.row;
  detail::LogPlaces& places = cache_->places();
  CULM_TRY(state.number, row ? Result<std::uint64_t>(row->state.number)
                             : places.find_number(*kv_, log, touched_ == nullptr));
  if (state.number == 0) return fail(Errc::kStoreDamaged);
  CULM_TRY(state.change, places.find_change(*kv_, log));
  CULM_TRY(const RangeSet untold, collect_rows(*kv_, state, record.is_lost_with_pages));
  if (state.held.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  state.interest.entries = everything();
  const auto read = [&](std::size_t set) -> Result<RangeSet> {
    return row ? detail::read_set(*kv_, *row, set) : fail(Errc::kStoreDamaged);
  };
  if (auto entries = read(detail::kInterestSet)) {
    state.interest = row->state.interest;
    state.interest.entries.ranges = *std::move(entries);
  }
  if (const auto known = read(detail::kDeletedSet)) {
    state.deleted = *known - state.payloads;
  } else {
    CULM_TRY(const RangeSet deleted,
             detail::read_sound_blocks(*kv_, state.number, detail::kDeletedSet));
    restored.lost.untold = state.held - untold - state.payloads - deleted;
    state.deleted = (deleted - state.payloads) | restored.lost.untold;
  }
  if (record.may_lack_entries()) restored.lost.entries = find_absent(state);
  restored.lost.payloads = state.held - state.payloads - state.deleted;
  restored.lost.untold |= restored.lost.entries | restored.lost.payloads;
  return restored;
}

Result<void> WriteTransaction::restore_log(const LogKey& log) {
  CULM_TRY(Restored restored, restored_log(log));
  detail::TouchedLog touched;
  touched.state = std::move(restored.state);
  CULM_CHECK(noted(remember_lost(touched.state, restored.lost)));
  touched.is_changed = true;
  is_deletion_ = true;
  touched_logs_.insert_or_assign(log, std::move(touched));
  return {};
}

}  // namespace culm::store
