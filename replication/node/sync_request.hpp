#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/core/sealing.hpp"
#include "culm/core/time.hpp"
#include "culm/core/types.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/node/endpoint.hpp"

namespace culm::node {

/// In a live sync each log is wanted throughout, in sessions of which a relay, unless it was told
/// otherwise, takes so many from one address.
inline constexpr std::size_t kLiveLogsMax =
    std::size_t{limits::kSessionsPerAddress} * limits::kWantsPerSessionMax;

struct SyncPeer {
  Endpoint endpoint;
  std::optional<sealing::PeerKey> expected{};  ///< it is this peer, or given up
};

/// Logs that nobody has named, and that join a live sync once they are known here.
struct JoiningLogs {
  bool are_all = false;
  std::set<Author> authors{};       ///< or those of these
  replication::WantRequest want{};  ///< of each, whatever its log
};

/// What is to be moved between the store and some peers.
struct SyncRequest {
  std::vector<SyncPeer> peers;  ///< at least one, none twice
  /// One for each log, none twice. Where the interest is empty it is the one that the store keeps
  /// of the log, or everything where it keeps none. `live` and `quote_only` are said below.
  std::vector<replication::WantRequest> logs;
  /// Of these, the ones that nobody has named: once forgotten here they are not synced any more.
  std::set<LogKey> while_known{};
  JoiningLogs joining{};  ///< while live, besides these, and for as long as they are known
  /// Go on as the logs grow, and connect again, until `end_sync`. With more than kLiveLogsMax it
  /// fails with kBusy.
  bool live = false;
  bool push = false;        ///< offer the logs, and wait until the peers hold all that they take
  bool quote_only = false;  ///< ask what would move, and move evidence alone; neither of these two
  /// Take payloads again that were deleted here, of what is wanted. What does not come stays so.
  bool undelete = false;
  /// Give up when nothing new has moved for so long; not while live.
  Duration idle_max = std::chrono::seconds(30);
  /// End with what has come after so long, whatever moves; also while live.
  std::optional<Duration> whole_max{};
};

/// Wants of each log what `like` says, unless the request names it already.
void add_logs(SyncRequest& request, replication::WantRequest like, std::span<const LogKey> logs);

/// What a sync takes: at least one peer, no peer and no log twice, a quote alone, live no budget.
[[nodiscard]] bool is_sound(const SyncRequest& request);

}  // namespace culm::node
