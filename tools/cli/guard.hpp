#pragma once

#include <string_view>

#include "tools/cli/context.hpp"

namespace culm::tools {

/// What to do about a store that cannot be read at all.
inline constexpr std::string_view kStoreIsLost =
    "restore a backup, or take its logs again from peers, into another store (culm sync)";

/// LMDB trusts what it maps: a damaged page can end the process that reads it. After this the verb
/// goes on in a child process. The parent stays here: it ends as the child does, and fails with
/// kStoreDamaged when the child was killed by what it read. Called before the store is opened and
/// before any thread is started. Fails with kStoreIo when there is no process to be had.
[[nodiscard]] Outcome<void> guard_reading(const Context& context);

/// For a process that writes, which nothing can take the place of: where LMDB cannot go on with the
/// store, or the store's file was cut, or the disk has no room for a page of it, it says which of
/// these and which store, and ends with exit 5. Called before the store is opened.
void guard_writing(const Context& context);

}  // namespace culm::tools
