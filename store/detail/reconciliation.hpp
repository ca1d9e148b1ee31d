#pragma once

#include <cstdint>
#include <set>

#include "culm/core/random.hpp"
#include "culm/store/detail/page_file.hpp"
#include "culm/store/detail/row_salvage.hpp"
#include "culm/store/kv.hpp"

namespace culm::store::detail {

struct Reconciled {
  std::uint64_t entries = 0;   ///< of which a row is there
  std::uint64_t named = 0;     ///< that a state says are held or, where it is lost, likewise
  std::set<LogKey> old_logs;   ///< with rows that may be older than the state, which is lost
  bool has_forgotten = false;  ///< some of these were forgotten
  bool are_all_logs = false;   ///< something is there of each that the file had
};

/// Makes of the rows that were found a store: what is lost shows as damage that `drop_damaged`
/// mends. Fails with kStoreDamaged where nothing can be made of them.
[[nodiscard]] Result<Reconciled> reconcile(KvWriteTransaction& kv, Random& random, LostRows lost,
                                           const PageFile& file);

}  // namespace culm::store::detail
