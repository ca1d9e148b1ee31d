#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>

#include "culm/core/types.hpp"
#include "culm/store/detail/page_file.hpp"
#include "culm/store/kv.hpp"

namespace culm::store::detail {

/// What was taken from pages that nothing leads to: it may be older than the rest.
struct LostStates {
  bool has_meta = false;
  std::set<LogKey> logs;
};

/// Takes over what can be read of a damaged file, in steps.
class RowSalvage {
 public:
  explicit RowSalvage(Kv& kv) : kv_(kv) {}

  /// Returns how many pages are damaged.
  Result<std::uint64_t> run(PageFile& file);

  [[nodiscard]] const LostStates& lost() const { return lost_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  Result<void> take(Table table, const KvRow& row);
  Result<void> take_lost(const KvRow& row);
  Result<void> take_doubtful(const KvRow& row);
  void mark(Table table, const KvRow& row, bool is_lost);
  Result<void> put(Table table, const KvRow& row);

  Kv& kv_;
  std::unique_ptr<KvWriteTransaction> txn_;
  std::size_t step_bytes_ = 0;
  std::uint64_t entries_ = 0;
  LostStates lost_;
};

}  // namespace culm::store::detail
