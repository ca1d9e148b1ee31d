#pragma once

#include "culm/store/store.hpp"

namespace culm::replication {

/// Adds `by` to `interest`.
void widen(Interest& interest, const Interest& by);
void widen(store::LogInterest& interest, const store::LogInterest& by);

/// What is kept once `more` was asked for as well: the entries add up; whether payloads are wanted
/// is as it was said last.
[[nodiscard]] store::LogInterest grown(const store::LogInterest& kept,
                                       const store::LogInterest& more);

/// Keeps in the store what is `grown` by `more`. Writes nothing where it is kept already. Fails as
/// the store.
[[nodiscard]] Result<void> keep_interest(store::WriteTransaction& transaction, const LogKey& log,
                                         const store::LogInterest& more);

}  // namespace culm::replication
