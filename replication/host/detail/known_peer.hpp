#pragma once

#include "culm/replication/node/sync_event.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

/// Keeps in the store with whom something moved in a sync, or who holds some of its logs, unless it
/// is known, and once there is something in the store. A quote is none.
void remember_peers(transport::Node& node, const store::Store& store, bool is_quote,
                    const node::SyncEvent& event);

}  // namespace culm::host
