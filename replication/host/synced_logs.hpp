#pragma once

#include <algorithm>
#include <set>
#include <variant>

#include "culm/replication/node/sync.hpp"
#include "culm/replication/policy.hpp"

namespace culm::host {

/// Serves those logs, and only those, that are being synced: the peer has heard of them anyway.
class SyncedLogs final : public replication::Policy {
 public:
  /// `request` must outlive it, and may get its logs later.
  explicit SyncedLogs(const node::SyncRequest& request) : request_(request) {}

  [[nodiscard]] bool may_read(const sealing::PeerKey& /*peer*/, const LogKey& log) override {
    const auto& logs = request_.logs;
    return joined_.contains(log) ||
           std::ranges::find(logs, log, &replication::WantRequest::log) != logs.end();
  }
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& /*peer*/,
                                                               const LogKey& /*log*/) override {
    return std::nullopt;
  }

  /// What the sync tells.
  void hear(const node::SyncEvent& event) {
    const auto* const joined = std::get_if<node::SyncJoined>(&event);
    if (joined != nullptr && !joined->error) joined_.insert(joined->log);
  }

 private:
  const node::SyncRequest& request_;
  std::set<LogKey> joined_;
};

}  // namespace culm::host
