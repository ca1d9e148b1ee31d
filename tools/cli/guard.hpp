#pragma once

#include <string_view>

#include "tools/cli/context.hpp"

namespace culm::tools {

/// What to do about a store that `culm repair` cannot mend.
inline constexpr std::string_view kStoreIsLost =
    "restore a backup; or move the store away and take the logs again from peers (`culm sync "
    "HOST:PORT AUTHOR`) into another one: key files and marks stay as they are, peer.key goes into "
    "the other";

/// What to do about a store that is damaged.
[[nodiscard]] std::string_view step_of_damage(const Context& context);

/// LMDB trusts what it maps: a damaged page can end the process that reads it. After this the verb
/// goes on in a child process. The parent stays here: it ends as the child does, and fails with
/// kStoreDamaged when the child was killed by what it read: by a fault in a mapped file of the
/// store, in LMDB, or by an assertion of LMDB; then it may be called again. Other faults are ours.
/// Called before the store is opened and before any thread is started. Fails with kStoreIo when
/// there is no process to be had.
[[nodiscard]] Outcome<void> guard_reading(const Context& context);

/// For a process that writes, which nothing can take the place of: where LMDB cannot go on with the
/// store or is ended by it, or the store's file was cut, or the disk has no room for a page of it,
/// it says which of these and which store, and what can still be done, and ends with exit 5. A
/// fault elsewhere ends it as faults do. Called before the store is opened.
void guard_writing(const Context& context);

/// After `guard_writing`, for a process with a log: what it says then has the form of that log, as
/// an object where `json`.
void end_with_log_line(const Context& context, bool json);

}  // namespace culm::tools
