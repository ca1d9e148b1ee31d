#include "culm/store/detail/row_salvage.hpp"

#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

constexpr std::size_t kStepBytes = std::size_t{8} << 20U;

bool is_sealed(Table table, const KvRow& row) {
  return unseal(table, row.key, row.value).has_value();
}

bool is_meta(Table table, const KvRow& row) {
  return table == Table::kMeta && equal(row.key, meta_row_key());
}

/// 0 where it is no entry.
SeqNum seqnum_of_content(ByteView value) {
  const auto opened = decode_damaged_entry(value);
  return opened ? opened->entry.seqnum() : 0;
}

}  // namespace

Result<std::uint64_t> RowSalvage::run(PageFile& file) {
  CULM_TRY(txn_, kv_.begin_write());
  CULM_TRY(const auto damaged, file.read([&](const auto& place, const KvRow& row) {
    if (place.is_doubtful) return take_doubtful(row);
    return place.table ? take(*place.table, row) : take_lost(row);
  }));
  CULM_CHECK(txn_->commit());
  txn_.reset();
  return damaged;
}

/// Changes are made again. Damaged entries may still prove themselves. A damaged branch may lead
/// to a leaf of another table.
Result<void> RowSalvage::take(Table table, const KvRow& row) {
  if (is_sealed(table, row)) {
    if (table == Table::kChanges) return {};
    mark(table, row, false);
    return put(table, row);
  }
  const auto place = parse_row_place(row.key);
  const bool is_entry = table == Table::kEntries && place && place->stage == 0 &&
                        seqnum_of_content(row.value) == place->seqnum;
  if (!is_entry) return take_lost(row);
  CULM_TRY(const auto known, txn_->get(table, row.key));
  return known ? Result<void>() : put(table, row);
}

/// The checksum says of which table it is. It may be older than what a tree leads to, which it
/// does not replace.
Result<void> RowSalvage::take_lost(const KvRow& row) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = Table{static_cast<std::uint8_t>(i)};
    if (table == Table::kChanges || !is_sealed(table, row)) continue;
    if (table == Table::kMeta && !is_meta(table, row)) return {};
    CULM_TRY(const auto known, txn_->get(table, row.key));
    if (known && is_sealed(table, {row.key, *known})) return {};
    mark(table, row, true);
    return put(table, row);
  }
  return {};
}

/// Whose bytes these are nobody knows: they may be of a payload, which has good checksums where
/// its author wants them. An entry of a log that is known is put as a damaged row, which counts
/// where it proves itself by a link or its signature.
Result<void> RowSalvage::take_doubtful(const KvRow& row) {
  const auto body = unseal(Table::kEntries, row.key, row.value);
  const auto opened = body ? decode_entry(*body) : fail(body.error());
  const auto place = parse_row_place(row.key);
  if (!opened || !place || place->stage != 0) return {};
  const LogKey log = opened->entry.log();
  CULM_TRY(const auto value, txn_->get(Table::kLogs, log_row_key(log)));
  const auto state = value ? open_log(log, *value) : fail(Errc::kLogUnknown);
  if (!state || state->state.number != place->number) return {};
  CULM_TRY(const auto known, txn_->get(Table::kEntries, row.key));
  if (known) return {};
  Bytes damaged(row.value.begin(), row.value.end());
  damaged.back() ^= 1U;
  return put(Table::kEntries, {row.key, damaged});
}

void RowSalvage::mark(Table table, const KvRow& row, bool is_lost) {
  if (is_meta(table, row)) lost_.has_meta = is_lost;
  const auto log = table == Table::kLogs ? parse_log_row_key(row.key) : fail(Errc::kLogUnknown);
  if (log && is_lost) lost_.logs.insert(*log);
  if (log && !is_lost) lost_.logs.erase(*log);
}

Result<void> RowSalvage::put(Table table, const KvRow& row) {
  if (table == Table::kEntries) {
    CULM_TRY(const auto known, txn_->get(table, row.key));
    if (!known) ++entries_;
  }
  CULM_CHECK(txn_->put(table, row.key, row.value));
  step_bytes_ += row.key.size() + row.value.size();
  if (step_bytes_ < kStepBytes) return {};
  step_bytes_ = 0;
  CULM_CHECK(txn_->commit());
  txn_.reset();
  CULM_TRY(txn_, kv_.begin_write());
  return {};
}

}  // namespace culm::store::detail
