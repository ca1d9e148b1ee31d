#pragma once

#include <limits>
#include <string>
#include <vector>

#include "culm/replication/node/sync.hpp"

#include "tools/relay/config.hpp"

namespace culm::tools {

/// The command line of `culm sync`.
struct SyncOptions {
  std::string address;
  std::vector<std::string> also;
  std::vector<std::string> logs;
  std::string range;
  std::string newest;
  bool entries_only = false;
  bool undelete = false;
  bool once = false;
  bool live = false;
  bool push = false;
  bool quote = false;
  bool newest_first = false;
  std::string budget;
  std::string payload_max;
  std::string peer;
  double timeout_seconds = 30;
  double deadline_seconds = std::numeric_limits<double>::infinity();
  HostOptions host_options;
};

/// What they ask for, of no log yet. Fails with exit 2.
[[nodiscard]] Outcome<node::SyncRequest> parse_request(const SyncOptions& options);
/// Adds the logs that they name, or all of the store.
[[nodiscard]] Outcome<void> add_logs(const SyncOptions& options, const store::Store& store,
                                     node::SyncRequest& request);

}  // namespace culm::tools
