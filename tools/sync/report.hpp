#pragma once

#include "culm/replication/node/sync.hpp"

#include "tools/cli/context.hpp"

/// What `culm sync` says. `request` is the one that was made.
namespace culm::tools {

/// Says what a live sync tells.
[[nodiscard]] Outcome<void> say(Context& context, const node::SyncRequest& request,
                                const node::SyncEvent& event);

/// Prints what came of a sync, and says whether it was a success, as `judge`.
[[nodiscard]] Outcome<void> conclude(Context& context, const node::SyncRequest& request,
                                     const node::SyncReport& report);

/// What keeps a sync from being a success. Exit 6: no peer can be reached, or what one should bring
/// did not come, or one does not serve or take a log; 4: one sent what does not verify; 5: the
/// store fails; 7: a fork.
[[nodiscard]] Outcome<void> judge(const node::SyncRequest& request, const node::SyncReport& report);

}  // namespace culm::tools
