#include "culm/store/detail/row_salvage.hpp"

#include <utility>

#include "culm/core/bytes.hpp"
#include "culm/core/signing.hpp"
#include "culm/feed/verify.hpp"
#include "culm/store/detail/log_sets.hpp"
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

/// Whether the first says what came behind the second. Of entries it does not tell.
bool is_newer(Table table, const KvRow& row, ByteView than) {
  const KvRow other{row.key, than};
  if (table == Table::kStages) {
    const auto one = open_stage(row);
    const auto two = open_stage(other);
    return one && two && one->state > two->state;
  }
  if (!is_meta(table, row)) return false;
  const auto one = unseal(table, row.key, row.value);
  const auto two = unseal(table, row.key, than);
  const auto meta = one ? decode_meta(*one) : fail(one.error());
  const auto before = two ? decode_meta(*two) : fail(two.error());
  return meta && before && meta->last_change > before->last_change;
}

}  // namespace

Result<std::uint64_t> RowSalvage::run(PageFile& file) {
  CULM_TRY(txn_, kv_.begin_write());
  CULM_TRY(const auto damaged, file.read([&](const PageFile::Place& place, const KvRow& row) {
    if (place.may_be_bytes) return take_bytes(place, row);
    if (place.table) return take(*place.table, row);
    return place.may_be_old ? take_old(place, row) : take_lost(row);
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
    mark(table, row, Found::kLed);
    return put(table, row);
  }
  are_all_sound_ = false;
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
    mark(table, row, Found::kLost);
    return put(table, row);
  }
  return {};
}

/// Likewise. Of several that may be old the one counts that came last, as far as they tell, and of
/// states what they say of deletions.
Result<void> RowSalvage::take_old(const PageFile::Place& place, const KvRow& row) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = Table{static_cast<std::uint8_t>(i)};
    if (table == Table::kChanges || !is_sealed(table, row)) continue;
    // Of logs that trees lead to these are all there.
    const auto of = parse_row_place(row.key);
    const auto block = parse_set_place(row.key);
    const bool is_of_state = (table == Table::kEvidence && of && numbers_.contains(of->number)) ||
                             (table == Table::kSets && block && numbers_.contains(block->number));
    if (place.may_be_later && is_of_state) return {};
    if (table != Table::kLogs) return take_old_row(table, row);
    take_old_state(row);
    return {};
  }
  return {};
}

/// Whose bytes these are nobody knows either.
bool RowSalvage::is_signed(const KvRow& row) {
  const auto opened = open_entry_row(row);
  const auto place = parse_row_place(row.key);
  if (!opened || !place || place->stage != 0) return false;
  const EntryView& entry = opened->entry;
  const auto log = numbers_.find(place->number);
  if (entry.seqnum() != place->seqnum) return false;
  if (log != numbers_.end() && log->second != entry.log()) return false;
  if (!opened->payload.empty() && !check_payload(entry, opened->payload)) return false;
  return verifier_.verify(entry.log().author, entry.signed_bytes(), entry.signature()).has_value();
}

Result<void> RowSalvage::take_old_row(Table table, const KvRow& row) {
  if (table == Table::kMeta && !is_meta(table, row)) {
    // A number is forgotten for good; but what a tree leads to was not when it was written.
    const std::uint64_t forgotten = parse_forgotten_row_key(row.key);
    if (numbers_.contains(forgotten)) lost_.forgotten.insert(forgotten);
    if (forgotten == 0 || numbers_.contains(forgotten)) return {};
  }
  CULM_TRY(const auto known, txn_->get(table, row.key));
  const std::string key(as_text(row.key));
  const bool is_sound = known && is_sealed(table, {row.key, *known});
  const bool is_old = is_meta(table, row) ? lost_.has_meta : old_rows_.contains(key);
  if (is_sound && (!is_old || !is_better(table, row, *known))) return {};
  if (table == Table::kEntries && !is_signed(row)) return {};
  mark(table, row, Found::kOld);
  if (table == Table::kEntries || table == Table::kStages) old_rows_.insert(key);
  return put(table, row);
}

/// What was deleted must not come back; where there is a state it takes away what was.
bool RowSalvage::is_better(Table table, const KvRow& row, ByteView than) const {
  if (table != Table::kEntries) return is_newer(table, row, than);
  const auto place = parse_row_place(row.key);
  const auto one = open_entry_row(row);
  const auto two = open_entry_row({row.key, than});
  if (!place || !one || !two || one->payload.size() == two->payload.size()) return false;
  const bool has_more = one->payload.size() > two->payload.size();
  return has_more == numbers_.contains(place->number);
}

void RowSalvage::take_old_state(const KvRow& row) {
  const auto log = parse_log_row_key(row.key);
  auto opened = log ? open_log(*log, row.value) : fail(log.error());
  if (!opened) return;
  OldState& known = lost_.old_states[*log];
  const bool is_other = known.newest.state.number != opened->state.number;
  // Under a lower number it was forgotten.
  if (is_other && known.newest.state.number > opened->state.number) return;
  if (is_other) known.deleted = {};
  known.deleted |= opened->state.deleted;
  if (is_other || known.newest.state.change < opened->state.change) {
    known.newest = *std::move(opened);
  }
}

/// Whose bytes these are nobody knows: they may be of a payload, which has good checksums where
/// its author wants them. An entry of a log that is known is put as a damaged row, which counts
/// where it proves itself by a link or its signature; of one whose state is lost, where its
/// signature is good.
Result<void> RowSalvage::take_bytes(const PageFile::Place& from, const KvRow& row) {
  const auto opened = open_entry_row(row);
  const auto place = parse_row_place(row.key);
  if (!opened || !place || place->stage != 0) return {};
  if (opened->entry.seqnum() != place->seqnum) return {};
  CULM_TRY(const auto known, txn_->get(Table::kEntries, row.key));
  if (known && is_sealed(Table::kEntries, {row.key, *known})) return {};
  const LogKey log = opened->entry.log();
  CULM_TRY(const auto value, txn_->get(Table::kLogs, log_row_key(log)));
  const auto state = value ? open_log(log, *value) : fail(Errc::kLogUnknown);
  if (!state) return take_proven(from, *place, *opened, row);
  if (state->state.number != place->number || known) return {};
  if (from.may_be_later) return take_old_row(Table::kEntries, row);
  Bytes damaged(row.value.begin(), row.value.end());
  damaged.back() ^= 1U;
  return put(Table::kEntries, {row.key, damaged});
}

Result<void> RowSalvage::take_proven(const PageFile::Place& from, const RowPlace& place,
                                     const EntryRow& opened, const KvRow& row) {
  const LogKey log = opened.entry.log();
  CULM_TRY(const bool is_theirs, is_number_of(place.number, log, from.is_like_entries));
  if (!is_theirs) return {};
  const EntryView& entry = opened.entry;
  if (!verifier_.verify(log.author, entry.signed_bytes(), entry.signature())) return {};
  // Without others it may never have been here.
  const bool is_sure = !from.may_be_old && lost_.sure_numbers.contains(place.number);
  if (!is_sure) lost_.old_numbers.insert(place.number);
  if (opened.payload.empty() || check_payload(entry, opened.payload)) {
    return put(Table::kEntries, row);
  }
  Bytes value;
  encode_entry(value, entry.bytes(), {});
  seal(value, Table::kEntries, row.key);
  return put(Table::kEntries, {row.key, value});
}

/// By other rows; where there are none of that number it is taken for that of the log if it may.
Result<bool> RowSalvage::is_number_of(std::uint64_t number, const LogKey& log,
                                      bool is_taken_if_free) const {
  const auto known = numbers_.find(number);
  if (known != numbers_.end()) return known->second == log;
  const auto state = lost_.old_states.find(log);
  if (state != lost_.old_states.end()) return state->second.newest.state.number == number;
  CULM_TRY(const auto cursor, txn_->cursor(Table::kEntries));
  CULM_TRY(auto row, cursor->seek(entry_row_key(number, 0)));
  while (row) {
    CULM_TRY(const auto place, parse_row_place(row->key));
    if (place.number != number) break;
    if (const auto opened = open_entry_row(*row)) return opened->entry.log() == log;
    CULM_TRY(row, cursor->next());
  }
  return is_taken_if_free && number != 0;
}

void RowSalvage::mark(Table table, const KvRow& row, Found found) {
  const bool is_lost = found != Found::kLed;
  if (is_meta(table, row)) lost_.has_meta = is_lost;
  if (table == Table::kEntries) {
    const auto place = parse_row_place(row.key);
    auto& numbers = found == Found::kOld ? lost_.old_numbers : lost_.sure_numbers;
    if (place) numbers.insert(place->number);
  }
  const auto log = table == Table::kLogs ? parse_log_row_key(row.key) : fail(Errc::kLogUnknown);
  if (!log) return;
  if (is_lost) lost_.logs.insert(*log);
  if (!is_lost) lost_.logs.erase(*log);
  const auto opened = open_log(*log, row.value);
  if (opened) numbers_.insert_or_assign(opened->state.number, *log);
}

Result<void> RowSalvage::put(Table table, const KvRow& row) {
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
