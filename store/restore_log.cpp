#include <utility>

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

Result<detail::EntryRow> open_entry_row(const KvRow& row) {
  CULM_TRY(const ByteView body, detail::unseal(Table::kEntries, row.key, row.value));
  return detail::decode_entry(body);
}

/// Whether the lowest entry of this number that can be read is of the log.
Result<bool> is_number_of(const KvReadTransaction& kv, std::uint64_t number, const LogKey& log) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kEntries));
  CULM_TRY(auto row, cursor->seek(detail::entry_row_key(number, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.number != number) return false;
    if (const auto opened = open_entry_row(*row)) return opened->entry.log() == log;
    CULM_TRY(row, cursor->next());
  }
  return false;
}

/// 0 where no entry of the log can be read. One that was forgotten may have left rows, under a
/// lower number.
Result<std::uint64_t> find_number(const KvReadTransaction& kv, const LogKey& log) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kEntries));
  // From row to row: how many logs there are the damaged store does not know for sure.
  CULM_TRY(auto row, cursor->seek_before(detail::entry_row_key(UINT64_MAX, UINT64_MAX)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    CULM_TRY(const auto forgotten, kv.get(Table::kMeta, detail::forgotten_row_key(place.number)));
    CULM_TRY(const bool is_of_log, is_number_of(kv, place.number, log));
    if (!forgotten && is_of_log) return place.number;
    CULM_TRY(row, cursor->seek_before(detail::entry_row_key(place.number, 0)));
  }
  return 0;
}

/// 0 where none names the log.
Result<std::uint64_t> find_change(const KvReadTransaction& kv, const LogKey& log) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kChanges));
  CULM_TRY(auto row, cursor->seek(detail::change_row_key(0)));
  while (row) {
    const auto body = detail::unseal(Table::kChanges, row->key, row->value);
    const auto changed = body ? detail::decode_change(*body) : fail(body.error());
    if (changed && *changed == log) return from_big_endian(row->key);
    CULM_TRY(row, cursor->next());
  }
  return 0;
}

/// Returns the entries whose rows are damaged: they count as held, and go as other damage does.
Result<RangeSet> collect_rows(const KvReadTransaction& kv, LogState& state) {
  RangeSet damaged;
  const auto take_entry = [&](const KvRow& row, const detail::RowPlace& place) {
    state.held.insert(place.seqnum);
    const auto opened = open_entry_row(row);
    if (!opened) damaged.insert(place.seqnum);
    if (!opened) return;
    if (opened->entry.is_end_of_log()) state.end_of_log = place.seqnum;
    if (!detail::is_inline(opened->entry)) return;
    const bool is_empty = opened->entry.payload_size() == 0;
    if (is_empty && !detail::has_empty_payload(opened->entry)) return;
    if (opened->payload.size() != opened->entry.payload_size()) return;
    state.payloads.insert(place.seqnum);
    state.payload_bytes += opened->payload.size();
  };
  const auto take_stage = [&](const KvRow& row, const detail::RowPlace& place) {
    const auto opened = detail::open_stage(row);
    if (!opened || opened->state != StageState::kPayload) return;
    if (!state.held.contains(place.seqnum) || state.payloads.contains(place.seqnum)) return;
    state.payloads.insert(place.seqnum);
    state.payload_bytes += opened->size_bytes;
  };
  const auto take_evidence = [&](const KvRow& /*row*/, const detail::RowPlace& place) {
    if (state.cap == 0) state.cap = place.seqnum;
  };
  CULM_CHECK(visit_rows(kv, Table::kEntries, state.number, take_entry));
  CULM_CHECK(visit_rows(kv, Table::kStages, state.number, take_stage));
  CULM_CHECK(visit_rows(kv, Table::kEvidence, state.number, take_evidence));
  return damaged;
}

}  // namespace

/// What was wanted and what was deleted the rows do not say, nor whether entries were lost with the
/// state: so all is wanted. A deletion must not undo itself: the payloads that are not here count
/// as deleted, but for those of damaged entries.
Result<LogState> ReadTransaction::restored_log(const LogKey& log) const {
  LogState state;
  state.log = log;
  CULM_TRY(state.number, find_number(*kv_, log));
  if (state.number == 0) return fail(Errc::kStoreDamaged);
  CULM_TRY(state.change, find_change(*kv_, log));
  CULM_TRY(const RangeSet damaged, collect_rows(*kv_, state));
  if (state.held.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  state.interest.entries = everything();
  state.deleted = state.held - state.payloads - damaged;
  return state;
}

Result<void> WriteTransaction::restore_log(const LogKey& log) {
  detail::TouchedLog touched;
  CULM_TRY(touched.state, restored_log(log));
  touched.is_changed = true;
  touched_logs_.insert_or_assign(log, std::move(touched));
  return {};
}

}  // namespace culm::store
