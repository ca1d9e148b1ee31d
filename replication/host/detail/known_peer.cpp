#include "culm/replication/host/detail/known_peer.hpp"

#include <algorithm>
#include <string>
#include <variant>

namespace culm::host {
namespace {

/// Where nothing has moved, a peer only says that it holds something: it takes no other's place.
void remember(transport::Node& node, const store::Store& store, const node::Endpoint& endpoint,
              bool has_moved) {
  const std::string address = node::to_string(endpoint);
  if (address.size() > store::kKnownPeerBytesMax) return;
  const auto transaction = store.read();
  if (!transaction) return;
  // A store that nothing has come to may not be made yet: this does not make it.
  if (transaction->last_change().value_or(0) == 0) return;
  const auto known = transaction->known_peers();
  if (!known || std::ranges::find(*known, address) != known->end()) return;
  if (!has_moved && known->size() >= store::kKnownPeersMax) return;
  // It is for another day: a sync goes on without.
  node.update(
      [address](store::WriteTransaction& writing) { return writing.remember_peer(address); },
      [](const Result<void>& /*outcome*/) {});
}

bool has_moved(const replication::SessionStats& stats) {
  return stats.pieces_new + stats.entries_sent + stats.payload_bytes_sent != 0;
}

}  // namespace

void remember_peers(transport::Node& node, const store::Store& store, bool is_quote,
                    const node::SyncEvent& event) {
  if (is_quote) return;
  if (const auto* const caught_up = std::get_if<node::SyncCaughtUp>(&event)) {
    if (caught_up->head != 0) remember(node, store, caught_up->endpoint, false);
  }
  if (const auto* const pushed = std::get_if<node::SyncPushed>(&event)) {
    remember(node, store, pushed->endpoint, false);
  }
  const auto* const ended = std::get_if<node::SyncEnded>(&event);
  if (ended == nullptr) return;
  const node::SyncReport& report = ended->report;
  for (std::size_t i = 0; i < report.peers.size(); ++i) {
    const bool moved = has_moved(report.peers[i].stats);
    const bool holds = std::ranges::any_of(report.logs, [i](const node::LogReport& log) {
      return i < log.peer_heads.size() && log.peer_heads[i] != 0;
    });
    if (moved || holds) remember(node, store, report.peers[i].endpoint, moved);
  }
}

}  // namespace culm::host
