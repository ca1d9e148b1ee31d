#include "culm/replication/host/detail/known_peer.hpp"

#include <algorithm>
#include <string>
#include <variant>

namespace culm::host {
namespace {

bool has_moved(const replication::SessionStats& stats) {
  return stats.pieces_new + stats.entries_sent + stats.payload_bytes_sent != 0;
}

}  // namespace

/// Where nothing has moved, a peer only says that it holds something: it takes no other's place.
void PeerMemory::remember(const node::Endpoint& endpoint, const Key& key, bool has_moved) {
  const std::string address = node::to_string(endpoint);
  if (address.size() > store::kKnownPeerBytesMax) return;
  const auto transaction = store_->read();
  if (!transaction) return;
  // A store that nothing has come to may not be made yet: this does not make it.
  if (transaction->last_change().value_or(0) == 0) return;
  const auto known = transaction->known_peers();
  if (!known) return;
  const auto there = std::ranges::find(*known, address, &store::KnownPeer::address);
  const bool is_new = there == known->end();
  if (!is_new && (!key || there->is_of(*key))) return;
  const bool has_room = is_new ? known->size() < store::kKnownPeersMax : there->keys.empty();
  if (!has_moved && !has_room) return;
  // It is for another day: a sync goes on without.
  node_->update(
      [address, key](store::WriteTransaction& writing) {
        return writing.remember_peer(address, key);
      },
      [](const Result<void>& /*outcome*/) {});
}

void PeerMemory::hear(const node::SyncEvent& event) {
  if (is_quote_) return;
  if (const auto* const connected = std::get_if<node::SyncConnected>(&event)) {
    connected_[node::to_string(connected->endpoint)] = connected->peer;
  }
  if (const auto* const caught_up = std::get_if<node::SyncCaughtUp>(&event)) {
    const auto& key = connected_[node::to_string(caught_up->endpoint)];
    if (caught_up->head != 0) remember(caught_up->endpoint, key, false);
  }
  if (const auto* const pushed = std::get_if<node::SyncPushed>(&event)) {
    remember(pushed->endpoint, connected_[node::to_string(pushed->endpoint)], false);
  }
  const auto* const ended = std::get_if<node::SyncEnded>(&event);
  if (ended == nullptr) return;
  const node::SyncReport& report = ended->report;
  for (std::size_t i = 0; i < report.peers.size(); ++i) {
    const node::PeerReport& peer = report.peers[i];
    const bool moved = has_moved(peer.stats);
    const bool holds = std::ranges::any_of(report.logs, [i](const node::LogReport& log) {
      return i < log.peer_heads.size() && log.peer_heads[i] != 0;
    });
    if (moved || holds) remember(peer.endpoint, peer.peer, moved);
  }
}

}  // namespace culm::host
