#pragma once

#include <cstdint>

#include "culm/core/random.hpp"
#include "culm/store/detail/page_file.hpp"
#include "culm/store/detail/row_salvage.hpp"
#include "culm/store/kv.hpp"

namespace culm::store::detail {

/// Makes of the rows that were found a store: what is lost shows as damage that `drop_damaged`
/// mends. Returns of how many entries a state says that they are held or, where it is lost, a row
/// is there. Fails with kStoreDamaged where nothing can be made of them.
[[nodiscard]] Result<std::uint64_t> reconcile(KvWriteTransaction& kv, Random& random,
                                              LostStates lost, const PageFile& file);

}  // namespace culm::store::detail
