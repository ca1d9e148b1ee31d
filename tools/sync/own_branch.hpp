#pragma once

#include <functional>

#include "culm/replication/host/append_gate.hpp"

#include "tools/cli/context.hpp"
#include "tools/relay/config.hpp"

/// What is said where entries of one's own log were appended while no peer could be asked, and
/// peers hold others in their place.
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

/// What is said where a peer shows that the log is forked: before an append, and, where the tail
/// lies behind that, before a sync, with the way that keeps what would be dropped.
[[nodiscard]] Failure explain_shown_fork(const OwnLog& own, const host::ShownFork& fork);

/// Before a sync exchanges anything: fails with exit 7 where it would fork such a log, and with
/// that of a lost peer where nobody can be asked; live it waits for one. `make_request` is called
/// only where there are such logs, with the store, and says what is to be synced.
[[nodiscard]] Outcome<void> check_unasked(
    const Context& context, const HostOptions& options,
    const std::function<Outcome<node::SyncRequest>(const store::Store&)>& make_request);
/// After it: see `host::bind_confirmed`.
[[nodiscard]] Outcome<void> bind_confirmed(const Context& context, const store::Store& store,
                                           const node::SyncReport& report);

}  // namespace culm::tools
