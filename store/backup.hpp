#pragma once

#include <cstdint>
#include <string>

#include "culm/core/random.hpp"
#include "culm/store/lmdb_kv.hpp"
#include "culm/store/store.hpp"

namespace culm::store {

/// Removes what a process that was killed left of a backup in `directory`; that one as well, if
/// `is_new` and nothing else is there. Not while another makes a backup there.
void drop_unfinished_backup(const std::string& directory, bool is_new) noexcept;

/// Copies the store as it is at one moment to `directory`, beside readers and writers of any
/// process, and returns the bytes of the copy, which is durable then. The copy is a store with an
/// id of its own; free pages and a node's key do not come along. `directory` is made where it is
/// missing. It holds no store before the copy is whole, also where the process is killed. Blocks;
/// what is deleted meanwhile takes no less room in the file until it returns.
///
/// Fails with kFileExists where something else lies in `directory`, with kStoreLocked while another
/// process makes a copy there, with kFileIo where that cannot be written; as `Kv::begin_read`, or
/// with kStoreDamaged, where the store cannot be read. Spec: store.md#backup
[[nodiscard]] Result<std::uint64_t> back_up(LmdbKv& store, const std::string& directory,
                                            Random& random);
/// Whether `id` is that of a backup of the store with the id `of`.
[[nodiscard]] bool is_backup_of(const StoreId& id, const StoreId& of);
/// What a copy to `directory` that is under way has written so far; 0 where none is.
[[nodiscard]] std::uint64_t backed_up_bytes(const std::string& directory);

}  // namespace culm::store
