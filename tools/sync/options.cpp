#include "tools/sync/options.hpp"

#include <algorithm>
#include <cmath>

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

constexpr double kTimeoutSecondsMax = 24 * 60 * 60;

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

/// Reads the options that say how much is wanted, of no log yet.
Outcome<replication::WantRequest> parse_want(const SyncOptions& options) {
  replication::WantRequest want;
  if (!options.range.empty()) {
    CULM_TOOLS_TRY(want.interest.ranges, parse_range_option(options.range));
  }
  if (!options.newest.empty()) {
    CULM_TOOLS_TRY(want.interest.newest, parse_number("--newest", options.newest));
    if (want.interest.newest == 0) return usage("--newest 0 asks for nothing");
  }
  if (!options.budget.empty()) {
    CULM_TOOLS_TRY(want.budget_bytes, parse_number("--budget", options.budget));
    if (want.budget_bytes == 0) return usage("--budget 0 lets nothing come");
  }
  if (!options.payload_max.empty()) {
    CULM_TOOLS_TRY(want.payload_size_max, parse_number("--payload-max", options.payload_max));
  }
  want.payloads = !options.entries_only;
  want.order =
      options.newest_first ? replication::Order::kNewestFirst : replication::Order::kAscending;
  return want;
}

/// Whether the options go together.
Outcome<void> check(const SyncOptions& options) {
  if (options.live && (options.once || options.quote || !options.budget.empty())) {
    return usage("--live does not go with --once, --quote or --budget");
  }
  if (options.quote && options.push) return usage("--quote does not go with --push");
  if (options.undelete && (options.quote || options.entries_only)) {
    return usage("--undelete does not go with --quote or --entries-only");
  }
  if (!(options.timeout_seconds > 0 && options.timeout_seconds <= kTimeoutSecondsMax)) {
    return usage("--timeout must be more than 0 seconds and at most a day");
  }
  const double deadline = options.deadline_seconds;
  if (!(deadline > 0) || (deadline > kTimeoutSecondsMax && !std::isinf(deadline))) {
    return usage("--deadline must be more than 0 seconds and at most a day");
  }
  return {};
}

Outcome<std::vector<node::SyncPeer>> parse_peers(const SyncOptions& options) {
  std::vector<node::SyncPeer> peers(1);
  CULM_TOOLS_TRY(peers[0].endpoint, parse_endpoint_option("HOST:PORT", options.address));
  if (!options.peer.empty()) {
    CULM_TOOLS_TRY(peers[0].expected, parse_peer_option(options.peer));
  }
  for (const std::string& address : options.also) {
    CULM_TOOLS_TRY(const node::Endpoint endpoint, parse_endpoint_option("--also", address));
    if (std::ranges::find(peers, endpoint, &node::SyncPeer::endpoint) != peers.end()) {
      return usage("--also " + address + ": a peer is named once");
    }
    peers.push_back({endpoint});
  }
  return peers;
}

}  // namespace

Outcome<node::SyncRequest> parse_request(const SyncOptions& options) {
  CULM_TOOLS_CHECK(check(options));
  node::SyncRequest request;
  request.live = options.live;
  request.push = options.push;
  request.quote_only = options.quote;
  request.undelete = options.undelete;
  request.idle_max = to_duration(options.timeout_seconds);
  if (!std::isinf(options.deadline_seconds)) {
    request.whole_max = to_duration(options.deadline_seconds);
  }
  CULM_TOOLS_TRY(request.peers, parse_peers(options));
  return request;
}

Outcome<void> add_logs(const SyncOptions& options, const store::Store& store,
                       node::SyncRequest& request) {
  CULM_TOOLS_TRY(auto want, parse_want(options));
  CULM_TOOLS_TRY(const auto transaction, store.read());
  std::vector<LogKey> keys;
  for (const std::string& text : options.logs) {
    CULM_TOOLS_TRY(const LogKey key, find_log_named(transaction, text));
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  if (options.logs.empty()) {
    CULM_TOOLS_TRY(keys, transaction.list_logs());
  }
  if (keys.empty()) return usage("the store knows no log yet: name one by its author's 64 digits");
  for (const LogKey& key : keys) {
    want.log = key;
    request.logs.push_back(want);
  }
  return {};
}

}  // namespace culm::tools
