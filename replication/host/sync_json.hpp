#pragma once

#include "culm/core/result.hpp"
#include "culm/replication/host/json.hpp"
#include "culm/replication/node/sync.hpp"

/// A sync as one process asks another for it, and what came of it, as this and programs read it.
/// All that parse fail with kFileFormat.
namespace culm::control {

[[nodiscard]] Json to_json(const node::SyncRequest& request);
/// Refuses as well what breaks a precondition of `node::Sync`.
[[nodiscard]] Result<node::SyncRequest> parse_sync_request(const Json& json);

[[nodiscard]] Json to_json(const node::SyncReport& report);
[[nodiscard]] Result<node::SyncReport> parse_sync_report(const Json& json);

[[nodiscard]] Json to_json(const node::LogReport& log);

}  // namespace culm::control
