#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culm/replication/host/append_gate.hpp"

#include "tools/cli/context.hpp"
#include "tools/relay/host.hpp"

/// What is said where peers hold other entries of one's own log than are here, and where they
/// could not be asked.
namespace culm::tools {

/// A log of one's own. `tail`: its last entry here; `key`: the key file, "" where it is not known.
struct OwnLog {
  const store::Store& store;
  LogKey log;
  SeqNum tail = 0;
  std::string key;
};

/// The way on that keeps them.
[[nodiscard]] Failure explain_branch(const OwnLog& own, const host::OtherBranch& other);

/// What to do where a peer that this store has synced with is not at its address any more, but
/// another one.
[[nodiscard]] std::string way_on(const node::Endpoint& replaced, const LogKey& log);

/// What asks them no more.
[[nodiscard]] std::string forget_command(const std::vector<node::Endpoint>& peers);

/// What is said where a peer shows that the log is forked: before an append, and, where the tail
/// lies behind that, before a sync, with the way that keeps what would be dropped.
[[nodiscard]] Failure explain_shown_fork(const OwnLog& own, const host::ShownFork& fork);

/// `peers`: of the sync that it keeps from connecting; none where a node withholds it.
[[nodiscard]] Failure explain_unasked(const store::Store& store, const host::UnaskedLog& unasked,
                                      const std::vector<node::Endpoint>& peers = {});

/// Hears what keeps the syncs of a host from connecting, says it once where they wait, and makes it
/// the failure of one that it has kept from moving anything. All must outlive it.
class OwnBranches {
 public:
  OwnBranches(const Context& context, Host& host, const node::SyncRequest& request);

  [[nodiscard]] Outcome<void> judge(const node::SyncReport& report) const;

 private:
  const Context& context_;
  Host& host_;
  std::vector<node::Endpoint> peers_{};
  host::OwnLogGuard::Outcome found_;
};

/// The same before a sync by the node that runs on the store, which may have the marks of another
/// user. It may also reach peers that this process does not: what became of those is returned, for
/// where no peer of the sync answers.
[[nodiscard]] Outcome<std::optional<Failure>> check_unasked(const Context& context,
                                                            const store::Store& store,
                                                            const node::SyncRequest& request,
                                                            const ReplicaOptions& options = {});
/// Of a sync that named no log, one's own that no peer serves, and of which this store has all that
/// its author mark tells of: nothing of them was to come.
[[nodiscard]] std::vector<LogKey> find_unserved_own(const Context& context,
                                                    const store::Store& store,
                                                    const node::SyncRequest& request,
                                                    const node::SyncReport& report);

/// After it: see `host::bind_confirmed`.
void bind_confirmed(const Context& context, const store::Store& store,
                    const node::SyncReport& report);

}  // namespace culm::tools
