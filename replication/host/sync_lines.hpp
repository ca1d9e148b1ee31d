#pragma once

#include <optional>
#include <vector>

#include "culm/replication/host/json.hpp"
#include "culm/replication/node/sync.hpp"

/// What a sync tells programs, an object for each line: while it goes on, and in the end.
///
///     replica.sync(request, [&](const node::SyncEvent& event) {
///       if (const auto line = control::event_line(event)) print(to_line(*line));
///       return true;
///     });
namespace culm::control {

/// What happened, of type "event" and named by "event": connected, disconnected, received,
/// caught_up, pushed, pushed_in_part, want_denied, offer_denied, defect. Nothing for SyncProgress
/// and SyncEnded.
[[nodiscard]] std::optional<Json> event_line(const node::SyncEvent& event);

/// What came of it: an object for each log, of type "synced" or "quote", and, unless it was a
/// quote, one of type "sync" for all with what came from which peer.
[[nodiscard]] std::vector<Json> report_lines(const node::SyncRequest& request,
                                             const node::SyncReport& report);

}  // namespace culm::control
