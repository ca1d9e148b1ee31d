#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/core/random.hpp"
#include "culm/core/sealing.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/policy.hpp"
#include "culm/replication/stats.hpp"
#include "culm/store/store.hpp"

namespace boost::asio {
class io_context;
}

/// Replication over TCP: the only part of culm that knows Boost.Asio, and the embedder's
/// `io_context`.
namespace culm::transport {

using node::Endpoint;
using node::parse_endpoint;
using node::to_string;

/// Numbers the sessions of a node, from 1, in both directions.
using SessionId = std::uint64_t;
/// Numbers the calls of `Node::dial`, from 1.
using DialId = std::uint64_t;

/// Numbers the calls of `Node::observe`, from 1.
using ObserverId = std::uint64_t;

/// Which session something is about. A value.
struct SessionRef {
  SessionId id = 0;  ///< 0: no connection came about
  DialId dial = 0;   ///< 0: the peer has called
  Endpoint remote;
  std::optional<sealing::PeerKey> peer;  ///< once established
};

/// Takes every event of a session but `WorkReceived`, in order; the last is `Ended`. A dial that
/// finds no peer is told by `Ended` with kAddress, kNetwork or kTimeout for a session 0; with
/// kPeerClosed where the node was stopped before.
using SessionHandler = std::function<void(const SessionRef&, const replication::Event&)>;

struct NodeOptions {
  /// Who this node is to its peers; has nothing to do with authors.
  sealing::KeyPair identity;
  /// Nodes of different networks never talk.
  std::array<std::uint8_t, 32> network_id{};
  /// The secret of a closed network.
  std::optional<sealing::Key> psk{};
  /// What this node calls itself; at most limits::kTextBytesMax bytes of UTF-8.
  std::string agent = "culm";
  /// Peers that may be connected to `listen` at a time, in all and from one address.
  std::uint32_t connections_max = limits::kConnectionsNode;
  std::uint32_t connections_per_address_max = limits::kConnectionsPerAddress;
  /// Check every signature before commit.
  bool full_verification = false;
};

struct DialOptions {
  /// Talk to nobody else.
  std::optional<sealing::PeerKey> expected_peer{};
  /// Connect again, after a while, whenever there is no connection.
  bool reconnect = false;
  /// Asked for on each connection, widened by all that the store's interest in the log names by
  /// then. Unless it is for a quote only, a want is added to that interest as soon as the peer says
  /// that it holds something of the log, before any of it is stored.
  std::vector<replication::WantRequest> wants{};
  /// Offered on each connection; those that the store does not know then are left out.
  std::vector<LogKey> offers{};
};

/// What all sessions of a node see.
struct NodeObserver {
  /// As the handler of a session, for all of them.
  SessionHandler session{};
  /// What became of something that a session has received.
  std::function<void(const replication::WorkReport&)> committed{};
  /// A commit of this node has changed the log, or `Node::log_changed` was called.
  std::function<void(const LogKey&)> log_changed{};
};

struct SessionStatus {
  SessionRef session;
  std::string agent;  ///< what the peer calls itself, once established
  replication::SessionStats stats;
};

/// Counted from the start of the node.
struct NodeStats {
  std::uint64_t accepted = 0;          ///< connections from peers
  std::uint64_t refused = 0;           ///< connections from peers that were one too many
  std::uint64_t dialed = 0;            ///< connections to peers
  std::uint64_t established = 0;       ///< of both, those with a complete handshake
  std::uint64_t commits = 0;           ///< of what sessions have received
  std::uint64_t works = 0;             ///< units, payload parts and evidence in them
  replication::SessionStats sessions;  ///< sums over all sessions, ended ones included
};

/// A peer among peers: a store, an identity, and sessions over TCP.
///
/// Lives on the caller's `io_context`, which one thread runs. All calls are made in that thread,
/// and all handlers are called there, never from within the call that they were given to. A thread
/// of the node's own writes to the store; nobody else may write to it as long as the node lives,
/// but through `update` and `run`.
class Node {
 public:
  /// All but `options` must outlive the node. `verifier` is used from two threads at a time.
  Node(boost::asio::io_context& io, store::Store& store, replication::Policy& policy,
       SignatureVerifier& verifier, Random& random, NodeOptions options);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Closes all connections without a word, and waits until what was received is committed. Not to
  /// be called from within a handler of this node.
  ~Node();

  /// Accepts peers at `endpoint`, whose port may be 0 for any that is free. A host name is looked
  /// up, which may block. Returns what was bound. Fails with kAddress, kNetwork.
  [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);

  /// Connects to a peer, now or, if so asked, whenever that is possible. `handler` may be empty.
  DialId dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler);
  /// Ends a dial and its session. Nothing happens if it has ended.
  void end_dial(DialId dial);

  /// As the session's own. Fails with kPeerClosed when there is no such session, or as the session.
  /// The store's interest is the caller's business.
  [[nodiscard]] Result<replication::WantId> want(SessionId session,
                                                 const replication::WantRequest& request);
  void cancel(SessionId session, replication::WantId want);
  [[nodiscard]] Result<void> offer(SessionId session, const LogKey& log);
  /// Says bye with `code`, if any. Nothing happens if the session has ended.
  void close_session(SessionId session, std::optional<Errc> code = std::nullopt);

  /// Runs `body` in a write transaction in the node's thread, in order with what sessions receive,
  /// and tells peers of the logs that it has changed. `handler` takes the outcome and may be empty.
  /// Fails with kStoreReadOnly once the node is stopped.
  void update(store::Store::Body body, std::function<void(Result<void>)> handler);
  /// The same for what takes more than one transaction, or checks first: `task` runs in the node's
  /// thread that writes and may call `Store::update` any number of times.
  void run(std::function<Result<void>(store::Store&)> task,
           std::function<void(Result<void>)> handler);
  /// Tells peers of a log that was changed by somebody else.
  void log_changed(const LogKey& log);

  /// Adds an observer, to be called behind those that are there.
  ObserverId observe(NodeObserver observer);
  /// Takes it away; allowed from within its handlers.
  void end_observe(ObserverId observer);

  /// Sessions that have not ended, by id.
  [[nodiscard]] std::vector<SessionStatus> sessions() const;
  [[nodiscard]] NodeStats stats() const;

  /// Accepts and dials no more, says bye to all, and calls `handler` when all connections are
  /// closed and all that was received is committed: after limits::kStopTimeoutMs and the commit at
  /// most. From then on the node has no work in the `io_context`. Precondition: called once.
  void stop(std::function<void()> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace culm::transport
