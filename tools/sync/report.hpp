#pragma once

#include <string>

#include "tools/cli/context.hpp"
#include "tools/sync/options.hpp"

namespace culm::tools {

/// Says what a live sync tells.
[[nodiscard]] Outcome<void> say(Context& context, const SyncOptions& options,
                                const node::SyncEvent& event);

/// Prints what came of a sync, and says whether it was a success, as `judge`.
[[nodiscard]] Outcome<void> conclude(Context& context, const SyncOptions& options,
                                     const node::SyncReport& report);

/// What keeps a sync from being a success. Exit 6: no peer can be reached, or what one should bring
/// did not come, or one does not serve or take a log; 4: one sent what does not verify; 5: the
/// store fails; 7: a fork.
[[nodiscard]] Outcome<void> judge(const SyncOptions& options, const node::SyncReport& report);

/// Why a peer was given up, or is called again; `text`: what it said at that.
[[nodiscard]] Failure why_lost(const Error& error, const std::string& text, bool has_answered);
/// What to say of a peer that declined a want or an offer, behind its name.
[[nodiscard]] std::string why_denied(replication::DenyReason reason, bool is_offer);

}  // namespace culm::tools
