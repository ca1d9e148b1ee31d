#pragma once

#include <functional>

#include "culm/replication/host/control_protocol.hpp"
#include "tools/sync/sync.hpp"

namespace culm::tools {

/// What is printed at the end of a sync, and whether it was a success.
[[nodiscard]] Outcome<void> conclude(Context& context, const SyncOptions& options,
                                     const store::Store& store, const std::vector<LogSync>& logs,
                                     const SyncTotals& totals, const Outcome<void>& synced);

/// A sync that a node does for another process. Calls `answer` once, at its end, with the text to
/// be printed as `output` and, if it failed, all of the failure. All of `place` must outlive it.
/// `may_push`: peers may read every log of the store.
void run_sync_job(const SyncPlace& place, const control::SyncRequest& request, bool may_push,
                  std::function<void(const control::Response&)> answer);

/// The failure in the answer. Precondition: `response.error`.
[[nodiscard]] Failure read_failure(const control::Response& response);

}  // namespace culm::tools
