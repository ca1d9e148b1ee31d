#pragma once

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
/// did not come, or one does not serve or take a log; 4: one sent what does not verify; 5: the
/// store fails; 7: a fork.
[[nodiscard]] Outcome<void> judge(const node::SyncRequest& request, const node::SyncReport& report);

/// Prints what came of a sync, and says whether it was a success, as `judge`.
[[nodiscard]] Outcome<void> conclude(Context& context, const node::SyncRequest& request,
                                     const node::SyncReport& report);

}  // namespace culm::tools
