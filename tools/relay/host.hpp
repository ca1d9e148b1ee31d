#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "culm/replication/host/store_node.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/context.hpp"
#include "tools/relay/asio.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {

/// When a store is made that is missing.
enum class MakeStore { kNow, kWhenWritten };

/// A node on a store, which no other process writes to meanwhile, until a signal or `stop` ends it.
class Host {
 public:
  /// Locks the store for its node, or fails with exit 8, and the pid when another node runs there.
  /// Fails before it makes anything where it can. `policy` must outlive the host.
  [[nodiscard]] static Outcome<std::unique_ptr<Host>> open(const Context& context,
                                                           const HostOptions& options,
                                                           replication::Policy& policy,
                                                           MakeStore make);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] store::Store& store() noexcept { return *store_; }
  [[nodiscard]] transport::Node& node() noexcept { return node_->node(); }
  [[nodiscard]] asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] const sealing::PeerKey& peer() const noexcept { return peer_; }

  /// Where the key was made now.
  [[nodiscard]] std::optional<std::string> new_key() const {
    return key_->is_kept ? std::nullopt : std::optional(key_->path);
  }

  enum class StoreIs { kThere, kMissing, kMade };
  /// Whether the store was there; if not, whether it has been made by now.
  [[nodiscard]] StoreIs store_is() const noexcept { return store_is_; }
  /// Called while the host runs when a store that was missing is there: it, or another process
  /// meanwhile, has made it.
  void when_there(std::function<void()> told) { when_there_ = std::move(told); }

  /// See `host::OwnLogGuard`.
  void when_unasked(host::OwnLogGuard::Found found) { when_unasked_ = std::move(found); }

  /// Takes requests of other processes at the store's socket, and checks signatures that were not
  /// needed so far. `serves_every_log`: what the policy lets peers read is all of the store.
  [[nodiscard]] Outcome<void> serve_requests(bool serves_every_log);

  /// See `host::StoreNode::search_for_damage`.
  void search_for_damage() { node_->search_for_damage(); }

  /// Runs a sync until it has ended. `told` hears what happens, and ends it by returning false; so
  /// does the first signal.
  [[nodiscard]] node::SyncReport sync(const node::SyncRequest& request,
                                      std::function<bool(const node::SyncEvent&)> told);
  /// Works until `stop`. `interrupted` is called with the first signal to end; a second one ends
  /// the process at once. Where `hung_up` is given it is called at each SIGHUP, which else is a
  /// signal to end, unless the process was started to ignore it (nohup).
  void run(std::function<void(int)> interrupted, std::function<void()> hung_up = {});
  /// Ends all connections and lets `run` return once all that was received is committed.
  void stop();

 private:
  Host();
  Result<void> open_store(MakeStore make);
  /// In the thread that writes, or before there is one.
  [[nodiscard]] Result<std::unique_ptr<store::Kv>> open_kv(bool create);
  [[nodiscard]] Result<std::unique_ptr<store::Kv>> make_kv(store::Kv& memory);
  void wait_signal();
  void wait_minute();

  std::atomic<store::LmdbKv*> kv_ = nullptr;  // owned by the store; none where it is not made
  std::unique_ptr<store::Store> store_;
  std::optional<store::NodeLock> lock_;
  sealing::PeerKey peer_;
  std::optional<HostKey> key_;
  StoreIs store_is_ = StoreIs::kThere;
  std::function<void()> when_there_;
  host::OwnLogGuard::Found when_unasked_;
  asio::io_context io_;
  asio::signal_set signals_;
  asio::steady_timer minute_;
  std::string directory_;
  std::function<void(int)> interrupted_;
  std::function<void()> hung_up_;
  std::optional<host::StoreNode> node_;
  bool interrupted_once_ = false;
  bool stopping_ = false;
};

/// What is told of damage that a node has met in the store.
[[nodiscard]] std::string damage_text(const Context& context, const LogKey& log,
                                      const RangeSet& seqnums);

}  // namespace culm::tools
