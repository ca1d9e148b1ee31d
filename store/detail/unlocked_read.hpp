#pragma once

#include <cerrno>
#include <string>

#include <lmdb.h>

#include "culm/core/result.hpp"
#include "culm/store/detail/store_directory.hpp"

/// Reading where the lock file cannot be written. No writer is kept away from the pages of such a
/// snapshot: they are used again once the second commit after it is there.
namespace culm::store::detail {

/// How LMDB opens the store to read.
[[nodiscard]] inline unsigned int flags_to_read(const std::string& directory) noexcept {
  return can_lock(directory) ? MDB_RDONLY : MDB_RDONLY | MDB_NOLOCK;
}

/// Whether what was just read is what was committed. Fails with kStoreLocked (EACCES).
[[nodiscard]] inline Result<void> unless_overwritten(MDB_txn* txn) {
  MDB_env* const env = mdb_txn_env(txn);
  unsigned int flags = 0;
  mdb_env_get_flags(env, &flags);
  if ((flags & MDB_NOLOCK) == 0 || (flags & MDB_RDONLY) == 0) return {};
  MDB_envinfo info{};
  mdb_env_info(env, &info);
  if (info.me_last_txnid < mdb_txn_id(txn) + 2) return {};
  return fail(error_system(Errc::kStoreLocked, EACCES));
}

}  // namespace culm::store::detail
