#pragma once

#include "culm/store/store.hpp"

namespace culm::replication {

/// Adds `by` to `interest`.
void widen(Interest& interest, const Interest& by);
void widen(store::LogInterest& interest, const store::LogInterest& by);

/// Adds `more` to what the store keeps of the log. Writes nothing where it is kept already. Fails
/// as the store.
[[nodiscard]] Result<void> keep_interest(store::WriteTransaction& transaction, const LogKey& log,
                                         const store::LogInterest& more);

}  // namespace culm::replication
