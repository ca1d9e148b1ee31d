#pragma once

#include <map>
#include <optional>
#include <string>

#include "culm/replication/node/sync_event.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

/// Hears of one sync, and keeps in the store with whom something moved, or who holds some of its
/// logs, unless it is known, and once there is something in the store. A quote is none. Both must
/// outlive it.
class PeerMemory {
 public:
  PeerMemory(transport::Node& node, const store::Store& store, bool is_quote)
      : node_(&node), store_(&store), is_quote_(is_quote) {}

  void hear(const node::SyncEvent& event);

 private:
  using Key = std::optional<sealing::PeerKey>;

  void remember(const node::Endpoint& endpoint, const Key& key, bool has_moved);

  transport::Node* node_;
  const store::Store* store_;
  bool is_quote_;
  std::map<std::string, Key> connected_;  ///< who answered at an address
};

}  // namespace culm::host
