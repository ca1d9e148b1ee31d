#pragma once

#include "culm/replication/node/sync_event.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

/// Keeps in the store whom a sync has reached, unless it is known or was only asked for a quote,
/// and once there is something in the store.
void remember_peers(transport::Node& node, const store::Store& store, bool is_quote,
                    const node::SyncEvent& event);

}  // namespace culm::host
