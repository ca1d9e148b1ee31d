#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "culm/core/random.hpp"
#include "culm/core/signing.hpp"
#include "culm/replication/host/background_verifier.hpp"
#include "culm/replication/host/control_server.hpp"
#include "culm/replication/host/store_writer.hpp"
#include "culm/replication/host/verifier_pool.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

struct StoreNodeOptions {
  node::NodeOptions node;
  /// How much is checked before what comes in is stored.
  AcceptOptions accept{};
  /// Threads that check signatures of what comes in, the node's among them.
  std::size_t verify_threads = VerifierPool::count_cores();
};

/// A node on the store that this process writes to, with all the threads that it needs.
///
///   const auto lock = kv.lock_for_node();  // before the store is written to; kv is the store's
///   boost::asio::io_context io;
///   host::StoreNode host(io, *store, policy, {.node = {.identity = *open_peer_key(file)}});
///   host.node().listen(endpoint);
///   io.run();
///
/// Not thread-safe: used in the thread that runs `io`, as the node is. Destroy it when `io` runs no
/// more.
class StoreNode {
 public:
  /// All but `options` must outlive it.
  StoreNode(boost::asio::io_context& io, store::Store& store, replication::Policy& policy,
            StoreNodeOptions options);
  StoreNode(const StoreNode&) = delete;
  StoreNode& operator=(const StoreNode&) = delete;

  [[nodiscard]] transport::Node& node() noexcept { return node_; }

  /// Takes requests of other processes at a socket in `directory`, which is the store's: see
  /// `ControlServer::open`. Until `stop`.
  [[nodiscard]] Result<void> serve_requests(const std::string& directory, bool serves_every_log);
  /// Checks signatures that were not needed so far, until `stop`.
  void verify_in_background();

  /// Begins a sync. `told` hears what happens, and ends it by returning false; `ended` gets what
  /// came of it, last.
  node::SyncId sync(const node::SyncRequest& request,
                    std::function<bool(const node::SyncEvent&)> told,
                    std::function<void(const node::SyncReport&)> ended);

  /// Ends all connections, and calls `handler` once all that was received is committed: see
  /// `transport::Node::stop`. Precondition: called once.
  void stop(std::function<void()> handler);

 private:
  boost::asio::io_context& io_;
  store::Store& store_;
  SystemRandom random_;
  Ed25519Verifier verifier_;
  VerifierPool pool_;
  StoreWriter writer_;
  transport::Node node_;
  std::optional<BackgroundVerifier> background_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace culm::host
