#pragma once

#include <string>
#include <vector>

#include "tools/sync/sync.hpp"

namespace culm::tools {

/// Prints what came of a sync: what moved, and beside it what the whole log would cost.
[[nodiscard]] Outcome<void> print_sync(Context& context, const SyncOptions& options,
                                       const store::Store& store, const std::vector<LogSync>& logs,
                                       const SyncTotals& totals);

/// What would move, of a sync that only asked.
[[nodiscard]] Outcome<void> print_quotes(Context& context, const std::vector<LogSync>& logs);

/// What keeps a sync that came to its end from being a success: a fork, with exit 7; a log that the
/// peer does not serve or does not take, with exit 6.
[[nodiscard]] Outcome<void> judge_sync(const SyncOptions& options, const store::Store& store,
                                       const std::vector<LogSync>& logs);

/// What to say of an offer that the peer declined.
[[nodiscard]] std::string why_offer_denied(replication::DenyReason reason);

}  // namespace culm::tools
