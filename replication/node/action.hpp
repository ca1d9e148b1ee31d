#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "culm/replication/event.hpp"
#include "culm/replication/node/commit_queue.hpp"
#include "culm/replication/node/dial_plan.hpp"
#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/node/fetch.hpp"
#include "culm/replication/node/subscriptions.hpp"
#include "culm/replication/node/sync_event.hpp"

/// What a node wants done by its host, or tells the application through it.
namespace culm::node {

/// Which session something is about. A value.
struct SessionRef {
  SessionId id = 0;  ///< 0: no connection came about
  DialId dial = 0;   ///< 0: inbound
  Endpoint remote;
  std::optional<sealing::PeerKey> peer;  ///< once established
};

// For the sockets.

/// Look the endpoint up and connect; answer with `Node::connected` or `connect_failed`.
struct Connect {
  DialId dial = 0;
  Endpoint endpoint;
};
/// That connection is not wanted any more; no answer.
struct CancelConnect {
  DialId dial = 0;
};
/// Something may be ready to be written or read. Write `pending_output` and say `sent` until the
/// socket would block, then wait for it; read while `wants_input`. What is not said to be sent
/// stays as it is, and grows behind.
struct Transfer {
  SessionId session = 0;
};
/// Send no more, and read until the peer's end.
struct ShutDown {
  SessionId session = 0;
};
/// Close the socket: the node knows the session no longer. Before that try once to write the last
/// words, without waiting for room; they are valid for ever.
struct Close {
  SessionId session = 0;
  ByteView last_words{};
};

// For the thread that writes.

/// Do this, behind all that came before, and answer with `Node::finished`.
///
///   works   result.reports = committer.commit(works); neighbouring jobs may share one result
///   task    result.task = task.id; result.outcome = task.body(store)
///   both    result.changed = logs of `ReadTransaction::changes` since the job before
struct Perform {
  Job job;
};

// For the application.

/// An event of a session, any but `WorkReceived`, `LogNamed` and what is said of a fetch's wants;
/// the last is `Ended`. A dial that
/// finds no peer is told by `Ended` with kAddress, kNetwork or kTimeout for a session 0; with
/// kPeerClosed where the node was stopped before.
struct SessionEvent {
  SessionRef session;
  replication::Event event;
};
/// The dial has ended: no more attempts, no more events.
struct DialOver {
  DialId dial = 0;
};
/// A peer says what a fetch will move from it.
struct FetchQuoted {
  FetchId fetch = 0;
  SessionId session = 0;
  replication::Quote quote;
};
/// Nothing more is told of a fetch. Its peers are still connected.
struct FetchEnded {
  FetchId fetch = 0;
  LogKey log;
  FetchOutcome outcome{};
  bool is_served = false;                     ///< by some peer
  RangeSet missing;                           ///< wanted, held by some peer, and not here
  std::optional<Error> error = std::nullopt;  ///< of this side's store, for which it was given up
  std::optional<replication::DenyReason> denied = std::nullopt;  ///< by the last peer that did
  SeqNum head = 0;  ///< the highest that a peer that is believed said it holds: `Fetch::head`
  std::map<DialId, replication::DenyReason> declined{};  ///< by whom
  bool is_damaged = false;     ///< each peer that has answered has lost some of what lacks here
  std::set<DialId> damaged{};  ///< who has lost some of what was wanted
};
/// What a sync tells; the last is `SyncEnded`.
struct SyncTold {
  SyncId sync = 0;
  SyncEvent event;
};
/// What became of something that a session has received.
struct WorkCommitted {
  replication::WorkReport report;
};
/// A commit of this node has changed the log, or `Node::log_changed` was called.
struct LogChanged {
  LogKey log;
};
struct TaskFinished {
  TaskId task = 0;
  Result<void> outcome;
};
/// All connections are closed, all that was received is committed, and nothing more is asked of the
/// host.
struct Stopped {};

using Action = std::variant<Connect, CancelConnect, Transfer, ShutDown, Close, Perform,
                            SessionEvent, DialOver, FetchQuoted, FetchEnded, SyncTold,
                            WorkCommitted, LogChanged, TaskFinished, Stopped>;

}  // namespace culm::node
