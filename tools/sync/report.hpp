#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "culm/replication/node/sync.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/progress.hpp"

/// What `culm sync` says. `request` is the one that was made.
namespace culm::tools {

/// Where there are several peers, each is named.
[[nodiscard]] inline bool is_of_one(const node::SyncRequest& request) {
  return request.peers.size() == 1;
}

[[nodiscard]] inline std::string the_peer(const node::SyncRequest& request,
                                          const node::Endpoint& endpoint) {
  return is_of_one(request) ? "the peer" : "the peer at " + node::to_string(endpoint);
}

/// Whether any peer was reached.
[[nodiscard]] inline bool is_answered(const node::SyncReport& report) {
  return std::ranges::any_of(report.peers, [](const auto& peer) { return peer.peer.has_value(); });
}

/// Of a sync that ended by itself or was ended: what is kept of it.
[[nodiscard]] std::string what_came(const node::SyncRequest& request,
                                    const node::SyncReport& report);

/// What a peer does not confirm to hold.
[[nodiscard]] std::string human_unconfirmed(const RangeSet& entries, const RangeSet& payloads);

/// Says what a sync tells on its way: live a line for each event, else how much has moved.
class SyncTeller {
 public:
  /// Both must outlive it.
  SyncTeller(Context& context, const node::SyncRequest& request)
      : context_(context), request_(request) {}

  /// False, from then on, when nothing can be said any more.
  [[nodiscard]] bool tell(const node::SyncEvent& event);
  /// Why it could not be said.
  [[nodiscard]] const Outcome<void>& told() const { return told_; }

 private:
  Outcome<void> say(const node::SyncEvent& event);
  void show(const node::SyncProgress& now);

  Context& context_;
  const node::SyncRequest& request_;
  std::optional<Progress> line_;
  Outcome<void> told_;
};

/// What keeps a sync from being a success. Exit 6: no peer can be reached, or what one should bring
/// did not come, or one does not serve or take a log; 3: not all that is wanted is here, or not all
/// that is here at each peer, though all have done what they can; 4: one sent what does not verify;
/// 5: the store fails; 7: a fork.
[[nodiscard]] Outcome<void> judge(const node::SyncRequest& request, const node::SyncReport& report);

/// Prints what came of a sync, and says whether it was a success, as `judge`; `unserved`: logs that
/// no peer needs to serve for that.
[[nodiscard]] Outcome<void> conclude(Context& context, const node::SyncRequest& request,
                                     const node::SyncReport& report,
                                     const std::vector<LogKey>& unserved = {});

}  // namespace culm::tools
