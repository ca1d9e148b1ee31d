#include "culm/replication/node/sync_request.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace culm::node {

void add_logs(SyncRequest& request, replication::WantRequest like, std::span<const LogKey> logs) {
  std::set<LogKey> named;
  for (const replication::WantRequest& want : request.logs) named.insert(want.log);
  for (const LogKey& log : logs) {
    like.log = log;
    if (named.insert(log).second) request.logs.push_back(like);
  }
}

bool is_sound(const SyncRequest& request) {
  std::set<std::pair<std::string, std::uint16_t>> peers;
  std::set<LogKey> logs;
  for (const SyncPeer& peer : request.peers) {
    if (!peers.emplace(peer.endpoint.host, peer.endpoint.port).second) return false;
  }
  for (const replication::WantRequest& want : request.logs) {
    if (!logs.insert(want.log).second) return false;
    if (request.live && want.budget_bytes != 0) return false;
  }
  const bool moves = request.live || request.push;
  return !peers.empty() && !(request.quote_only && moves);
}

}  // namespace culm::node
