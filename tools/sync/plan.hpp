#pragma once

#include <vector>

#include "culm/store/store.hpp"

#include "culm/replication/host/json.hpp"
#include "tools/sync/sync.hpp"

namespace culm::tools {

/// Whether the options go together.
[[nodiscard]] Outcome<void> check(const SyncOptions& options);

/// The peers that are meant.
[[nodiscard]] Outcome<SyncTarget> parse_target(const SyncOptions& options);

/// What is to be done with each log.
[[nodiscard]] Outcome<std::vector<LogSync>> plan(const SyncOptions& options,
                                                 const store::Store& store);

/// The options as one process hands them to another, but for those of the network. Fails with exit
/// 4 when `json` is not of that form.
[[nodiscard]] Json to_json(const SyncOptions& options);
[[nodiscard]] Outcome<SyncOptions> parse_sync_options(const Json& json);

}  // namespace culm::tools
