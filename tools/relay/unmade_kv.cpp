#include "tools/relay/unmade_kv.hpp"

#include <utility>

namespace culm::tools {

using store::Table;

Result<void> copy(store::Kv& from, store::Kv& into) {
  CULM_TRY(const auto reading, from.begin_read());
  CULM_TRY(const auto writing, into.begin_write());
  for (std::size_t number = 0; number < store::kTableCount; ++number) {
    const auto table = static_cast<Table>(number);
    CULM_TRY(const auto rows, reading->cursor(table));
    const Bytes first{0};
    CULM_TRY(auto row, rows->seek(first));
    while (row) {
      CULM_CHECK(writing->put(table, row->key, row->value));
      CULM_TRY(row, rows->next());
    }
  }
  return writing->commit();
}

Result<bool> is_empty(store::Kv& kv) {
  CULM_TRY(const auto reading, kv.begin_read());
  CULM_TRY(const auto rows, reading->cursor(Table::kMeta));
  CULM_TRY(const auto row, rows->seek(Bytes{0}));
  return !row.has_value();
}

store::Kv& UnmadeKv::now() {
  const std::lock_guard lock(mutex_);
  if (made_ != nullptr) return *made_;
  return memory_;
}

Result<std::unique_ptr<store::KvReadTransaction>> UnmadeKv::begin_read() {
  return now().begin_read();
}

Result<std::unique_ptr<store::KvWriteTransaction>> UnmadeKv::begin_write() {
  const bool is_new = memory_.image().size_bytes == 0;
  if (!is_new && &now() == &memory_) CULM_CHECK(make());
  return now().begin_write();
}

Result<void> UnmadeKv::grow() { return now().grow(); }
Result<void> UnmadeKv::compact() { return now().compact(); }

Result<store::KvClaim> UnmadeKv::claim() { return now().claim(); }
bool UnmadeKv::is_claimed(std::uint64_t number) { return now().is_claimed(number); }
bool UnmadeKv::release_reserve() { return now().release_reserve(); }
void UnmadeKv::keep_reserve() { now().keep_reserve(); }

/// Only the thread that writes comes here.
Result<void> UnmadeKv::make() {
  CULM_TRY(auto made, make_(memory_));
  const std::lock_guard lock(mutex_);
  made_ = std::move(made);
  return {};
}

}  // namespace culm::tools
