#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// How a write transaction lets go of a whole log.
namespace culm::store {
namespace {

/// A stage of the log with this number.
Result<std::optional<Stage>> find_stage_of(const KvReadTransaction& kv, std::uint64_t number) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kStages));
  CULM_TRY(const auto row, cursor->seek(detail::entry_row_key(number, 0)));
  if (!row) return std::nullopt;
  CULM_TRY(const auto place, detail::parse_row_place(row->key));
  if (place.number != number) return std::nullopt;
  return Stage{place.number, place.seqnum, place.stage};
}

/// The lowest number of a forgotten log of which there may be rows; 0 for none.
Result<std::uint64_t> find_forgotten(const KvReadTransaction& kv) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kMeta));
  CULM_TRY(const auto row, cursor->seek(detail::forgotten_row_key(0)));
  return row ? detail::parse_forgotten_row_key(row->key) : 0;
}

}  // namespace

Result<bool> ReadTransaction::has_forgotten() const {
  CULM_TRY(const std::uint64_t number, find_forgotten(*kv_));
  return number != 0;
}

Result<void> WriteTransaction::forget(const LogKey& log) {
  CULM_TRY(detail::TouchedLog* const touched, touch_known(log));
  const std::uint64_t number = touched->state.number;
  const std::uint64_t change = touched->state.change;
  *touched = {};
  touched->state.log = log;
  ++meta_.forgotten;
  is_meta_changed_ = true;
  const auto erase = [&]() -> Result<void> {
    CULM_CHECK(kv_write_.erase(Table::kLogs, detail::log_row_key(log)));
    CULM_CHECK(kv_write_.erase(Table::kChanges, detail::change_row_key(change)));
    CULM_CHECK(kv_write_.erase(Table::kMeta, detail::lost_row_key(number)));
    detail::encode_forgotten(row_);
    return put_row(Table::kMeta, detail::forgotten_row_key(number));
  };
  return noted(erase());
}

Result<bool> WriteTransaction::erase_forgotten(std::size_t rows_max) {
  const auto erase = [&]() -> Result<bool> {
    for (std::size_t rows_left = rows_max;;) {
      CULM_TRY(const std::uint64_t number, find_forgotten(*kv_));
      if (number == 0) return true;
      // Stages before the entries whose parts they are: what they say is needed for longest.
      CULM_TRY(const bool are_stages_gone, erase_stages(number, rows_left));
      if (!are_stages_gone) return false;
      for (const Table table : {Table::kEntries, Table::kEvidence, Table::kSets}) {
        CULM_TRY(const bool is_gone, erase_rows(table, number, rows_left));
        if (!is_gone) return false;
      }
      if (rows_left == 0) return false;
      --rows_left;
      CULM_CHECK(kv_write_.erase(Table::kMeta, detail::forgotten_row_key(number)));
    }
  };
  return noted(erase());
}

Result<bool> WriteTransaction::erase_rows(Table table, std::uint64_t number,
                                          std::size_t& rows_left) {
  CULM_TRY(const auto cursor, kv_->cursor(table));
  const auto prefix = to_big_endian(number);
  CULM_TRY(auto row, cursor->seek(prefix));
  while (row && row->key.size() > prefix.size() && from_big_endian(row->key) == number) {
    if (rows_left == 0) return false;
    --rows_left;
    const Bytes key(row->key.begin(), row->key.end());
    CULM_CHECK(kv_write_.erase(table, key));
    CULM_TRY(row, cursor->next());
  }
  return true;
}

Result<bool> WriteTransaction::erase_stages(std::uint64_t number, std::size_t& rows_left) {
  for (;;) {
    CULM_TRY(const auto stage, find_stage_of(*kv_, number));
    if (!stage) return true;
    CULM_TRY(auto opened, find_row(*stage));
    if (!opened) return fail(Errc::kStoreDamaged);
    CULM_TRY(const bool is_gone, erase_stage(*opened, rows_left));
    if (!is_gone) return false;
  }
}

}  // namespace culm::store
