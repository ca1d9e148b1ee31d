#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "culm/replication/node/job_runner.hpp"
#include "culm/replication/node/node.hpp"

namespace boost::asio {
class io_context;
}

/// Replication over TCP: gives the node its sockets and its clock, on the embedder's `io_context`.
namespace culm::transport {

using node::DialId;
using node::DialOptions;
using node::Endpoint;
using node::NodeOptions;
using node::NodeStats;
using node::SessionId;
using node::SessionRef;
using node::SessionStatus;

/// Numbers the calls of `Node::observe`, from 1.
using ObserverId = std::uint64_t;

/// Takes the events of a session: see `node::SessionEvent`.
using SessionHandler = std::function<void(const SessionRef&, const replication::Event&)>;

/// Takes what a sync tells: see `node::SyncEvent`; the last is `SyncEnded`.
using SyncHandler = std::function<void(const node::SyncEvent&)>;

/// Handlers for what a node tells of all its sessions.
struct NodeObserver {
  /// As the handler of a session, for all of them.
  SessionHandler session{};
  /// What became of something that a session has received.
  std::function<void(const replication::WorkReport&)> committed{};
  /// A commit of this node has changed the log, or `Node::log_changed` was called.
  std::function<void(const LogKey&)> log_changed{};
};

/// Whether a sync may connect to a peer.
struct DialAnswer {
  std::optional<Error> error{};  ///< why not now; one that is live tries again
  bool ends_sync = false;        ///< it never may
};

/// A connection that a sync is about to make.
struct SyncDial {
  node::SyncId sync = 0;
  node::SyncRequest request{};
  Endpoint endpoint{};
};

/// Is asked about each before it is made, and calls `answer` once, at once or later.
using BeforeDial = std::function<void(SyncDial dial, std::function<void(DialAnswer)> answer)>;

/// Whether a node could listen at `endpoint` now. Fails as `Node::listen`.
[[nodiscard]] Result<void> can_listen(const Endpoint& endpoint);

/// A peer among peers: a store, an identity, and sessions over TCP.
///
/// Lives on the caller's `io_context`, which one thread runs. All calls are made in that thread,
/// and all handlers are called there, never from within the call that they were given to. The
/// `runner` writes to the store (`host::StoreWriter`); nobody else may write to it as long as the
/// node lives, but through `update` and `run`. Call `initialize_crypto` before.
class Node {
 public:
  /// All but `options` must outlive the node. `verifier` is used in the node's thread, and
  /// may be the runner's as well if it is thread-safe.
  Node(boost::asio::io_context& io, const store::Store& store, replication::Policy& policy,
       SignatureVerifier& verifier, Random& random, node::JobRunner& runner, NodeOptions options);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Closes all connections without a word, and gives the runner all that was received. Not to be
  /// called from within a handler of this node.
  ~Node();

  /// Accepts peers at `endpoint`, whose port may be 0 for any that is free. A host name is looked
  /// up, which may block. Returns what was bound. Fails with kAddress, kNetwork.
  [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);

  /// Connects to a peer, now or, if so asked, whenever that is possible. `handler` may be empty.
  DialId dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler);
  /// Ends a dial and its session. Nothing happens if it has ended.
  void end_dial(DialId dial);

  /// Moves logs between the store and some peers, once or as they grow: see `node::Sync`. `handler`
  /// may be empty.
  node::SyncId sync(node::SyncRequest request, SyncHandler handler);
  /// Ends it with what has come; it tells so. Nothing happens if it has ended.
  void end_sync(node::SyncId sync);
  /// From now on asks `ask` before a sync connects.
  void before_dials(BeforeDial ask);

  /// As the session's own. Fails with kPeerClosed when there is no such session, or as the session.
  /// The store's interest is the caller's business.
  [[nodiscard]] Result<replication::WantId> want(SessionId session,
                                                 const replication::WantRequest& request);
  void cancel(SessionId session, replication::WantId want);
  [[nodiscard]] Result<void> offer(SessionId session, const LogKey& log);
  /// Says bye with `code`, if any. Nothing happens if the session has ended.
  void close_session(SessionId session, std::optional<Errc> code = std::nullopt);

  /// Runs `body` in a write transaction in the thread that writes, in order with what sessions
  /// receive, and tells peers of the logs that it has changed. `handler` takes the outcome and may
  /// be empty. Fails with kStoreReadOnly once the node stops and its last connection is closed. A
  /// handler is not called any more once the node is destroyed.
  void update(store::Store::Body body, std::function<void(Result<void>)> handler);
  /// The same for what takes more than one transaction, or checks first: `task` may call
  /// `Store::update` any number of times.
  void run(node::StoreTask task, std::function<void(Result<void>)> handler);
  /// Tells peers of a log that was changed by somebody else.
  void log_changed(const LogKey& log);
  /// See `node::Node::damage_found`.
  void damage_found(const LogKey& log, const SeqRange& part, const store::RowDamage& damage);
  /// Tells syncs that a task has forgotten the log.
  void log_forgotten(const LogKey& log);

  /// Adds an observer, to be called behind those that are there.
  ObserverId observe(NodeObserver observer);
  /// Takes it away; allowed from within its handlers.
  void end_observe(ObserverId observer);

  /// Sessions that have not ended, by id.
  [[nodiscard]] std::vector<SessionStatus> sessions() const;
  [[nodiscard]] NodeStats stats() const;

  /// Accepts and dials no more, says bye to all, and calls `handler` when all connections are
  /// closed and all that was received is committed: after limits::kCloseTimeoutMs and the commit at
  /// most. From then on the node has no work in the `io_context`. Precondition: called once.
  void stop(std::function<void()> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace culm::transport
