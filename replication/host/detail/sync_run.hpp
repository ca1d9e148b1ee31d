#pragma once

#include "culm/replication/host/replica.hpp"

namespace culm::host {

/// Runs a sync on a node of its own, in this thread, until it has ended. Precondition: the
/// store is locked for it.
[[nodiscard]] Result<node::SyncReport> run_sync(store::Store& store, const std::string& directory,
                                                const ReplicaOptions& options,
                                                const node::SyncRequest& request,
                                                const Replica::Told& told,
                                                const std::stop_token& stop);

}  // namespace culm::host
