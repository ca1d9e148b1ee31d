#include "culm/store/detail/log_places.hpp"

#include <algorithm>

#include "culm/core/bytes.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

/// Which log the lowest entry of this number that can be read is of; none where it was forgotten.
Result<std::optional<LogKey>> find_log_of(const KvReadTransaction& kv, std::uint64_t number) {
  CULM_TRY(const auto forgotten, kv.get(Table::kMeta, forgotten_row_key(number)));
  if (forgotten) return std::nullopt;
  CULM_TRY(const auto cursor, kv.cursor(Table::kEntries));
  CULM_TRY(auto row, cursor->seek(entry_row_key(number, 0)));
  while (row) {
    CULM_TRY(const auto place, parse_row_place(row->key));
    if (place.number != number) return std::nullopt;
    if (const auto opened = open_entry_row(*row)) return opened->entry.log();
    CULM_TRY(row, cursor->next());
  }
  return std::nullopt;
}

Result<LogKey> open_change(ByteView key, ByteView value) {
  CULM_TRY(const ByteView body, unseal(Table::kChanges, key, value));
  return decode_change(body);
}

}  // namespace

Result<std::uint64_t> LogPlaces::Places::of(const LogKey& log) const {
  const auto found = by_log.find(log);
  if (found != by_log.end()) return found->second;
  return damage ? Result<std::uint64_t>(fail(*damage)) : 0;
}

Result<std::uint64_t> LogPlaces::find_number(const KvReadTransaction& kv, const LogKey& log,
                                             bool is_committed) {
  const std::lock_guard lock(mutex_);
  const auto known = numbers_.by_log.find(log);
  if (known != numbers_.by_log.end()) {
    CULM_TRY(const auto still, find_log_of(kv, known->second));
    if (still == log) return known->second;
    numbers_ = {};
  }
  std::uint64_t last = numbers_.last_read;
  const auto read = read_numbers(kv, last);
  if (!read && read.error().code != Errc::kStoreDamaged) return fail(read.error());
  if (!read && !is_committed && !numbers_.by_log.contains(log)) return fail(read.error());
  // What is not committed may get these numbers for other logs yet.
  if (is_committed) {
    numbers_.last_read = last;
    if (!read) numbers_.damage = read.error();
  }
  return numbers_.of(log);
}

/// From the highest down, from row to row: how many logs there are the damaged store does not know
/// for sure. A log that was forgotten before may have left rows, under a lower number.
Result<void> LogPlaces::read_numbers(const KvReadTransaction& kv, std::uint64_t& last) {
  const std::uint64_t read_before = last;
  CULM_TRY(const auto cursor, kv.cursor(Table::kEntries));
  CULM_TRY(auto row, cursor->seek_before(entry_row_key(UINT64_MAX, UINT64_MAX)));
  while (row) {
    CULM_TRY(const auto place, parse_row_place(row->key));
    if (place.number <= read_before) return {};
    last = std::max(last, place.number);
    CULM_TRY(const auto log, find_log_of(kv, place.number));
    if (log) {
      std::uint64_t& number = numbers_.by_log[*log];
      number = std::max(number, place.number);
    }
    CULM_TRY(row, cursor->seek_before(entry_row_key(place.number, 0)));
  }
  return {};
}

Result<std::uint64_t> LogPlaces::find_change(const KvReadTransaction& kv, const LogKey& log) {
  const std::lock_guard lock(mutex_);
  const auto known = changes_.by_log.find(log);
  if (known != changes_.by_log.end()) {
    const auto key = change_row_key(known->second);
    CULM_TRY(const auto value, kv.get(Table::kChanges, key));
    const auto named = value ? open_change(key, *value) : fail(Errc::kStoreDamaged);
    if (named && *named == log) return known->second;
    changes_ = {};
  }
  const auto read = changes_.damage ? Result<void>() : read_changes(kv);
  if (!read && read.error().code != Errc::kStoreDamaged) return fail(read.error());
  if (!read) changes_.damage = read.error();
  return changes_.of(log);
}

Result<void> LogPlaces::read_changes(const KvReadTransaction& kv) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kChanges));
  CULM_TRY(auto row, cursor->seek(change_row_key(changes_.last_read + 1)));
  while (row) {
    // One of another table has another key.
    if (const auto log = open_change(row->key, row->value)) {
      changes_.last_read = from_big_endian(row->key);
      changes_.by_log.emplace(*log, changes_.last_read);
    }
    CULM_TRY(row, cursor->next());
  }
  return {};
}

}  // namespace culm::store::detail
