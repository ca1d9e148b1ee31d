#pragma once

#include "culm/store/author_mark.hpp"
#include "culm/store/store.hpp"

namespace culm::store {

/// Whether a log is here as its mark says that it was published. Fails with kAuthorMarkBehind where
/// the entry is not held, kAuthorMarkFork where it is another one, kAuthorMarkFormat where the mark
/// is overtaken and the log does not reach beyond it, and as the store.
[[nodiscard]] Result<void> check_published(const ReadTransaction& transaction,
                                           const LogOutline& known, const Published& published);

/// Whether the entry here is the one that a peer showed another in place of:
/// `Published::branch_at`. Fails as the store.
[[nodiscard]] Result<bool> holds_branch(const ReadTransaction& transaction, const LogOutline& known,
                                        const Published& published);

}  // namespace culm::store
