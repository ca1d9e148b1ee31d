#include "culm/replication/host/detail/known_peer.hpp"

#include <algorithm>
#include <string>
#include <variant>

namespace culm::host {

static void remember(transport::Node& node, const store::Store& store,
                     const node::Endpoint& endpoint) {
  const std::string address = node::to_string(endpoint);
  if (address.size() > store::kKnownPeerBytesMax) return;
  const auto transaction = store.read();
  if (!transaction) return;
  // A store that nothing has come to may not be made yet: this does not make it.
  if (transaction->last_change().value_or(0) == 0) return;
  const auto known = transaction->known_peers();
  if (!known || std::ranges::find(*known, address) != known->end()) return;
  // It is for another day: a sync goes on without.
  node.update(
      [address](store::WriteTransaction& writing) { return writing.remember_peer(address); },
      [](const Result<void>& /*outcome*/) {});
}

void remember_peers(transport::Node& node, const store::Store& store, bool is_quote,
                    const node::SyncEvent& event) {
  if (is_quote) return;
  if (const auto* const connected = std::get_if<node::SyncConnected>(&event)) {
    remember(node, store, connected->endpoint);
  }
  if (const auto* const ended = std::get_if<node::SyncEnded>(&event)) {
    for (const node::PeerReport& peer : ended->report.peers) {
      if (peer.peer) remember(node, store, peer.endpoint);
    }
  }
}

}  // namespace culm::host
