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
#include "culm/replication/host/damage_search.hpp"
#include "culm/replication/host/own_log_guard.hpp"
#include "culm/replication/host/store_writer.hpp"
#include "culm/replication/host/verifier_pool.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

struct StoreNodeOptions {
  node::NodeOptions node;
  /// How much is checked before what comes in is stored.
  AcceptOptions accept{};
  /// Threads that check signatures of what comes in, the node's among them.
  std::size_t verify_threads = VerifierPool::count_cores();
  /// Of the user whose node this is, in this store; nothing where none is written to it. See
  /// `OwnLogGuard`.
  std::optional<OwnLogs> own{};
  OwnLogGuard::Found found_unasked{};
};

/// A node on the store that this process writes to, with all the threads that it needs.
///
///   const auto lock = kv.lock_for_node();  // before the store is written to; kv is the store's
///   boost::asio::io_context io;
///   host::StoreNode host(io, *store, policy, {.node = {.identity = *open_peer_key(file)}});
///   host.node().listen(endpoint);
///   io.run();  // returns once `stop` is done, which a handler calls, such as one for a signal
///
/// The policy says who may read and who may bring what: `replication::ReadOnlyPolicy`, `OpenPolicy`
/// or one of your own. Not thread-safe but for `writer`: used in the thread that runs `io`, as the
/// node is. Destroy it when `io` runs no more.
class StoreNode {
 public:
  /// All but `options` must outlive it.
  StoreNode(boost::asio::io_context& io, store::Store& store, replication::Policy& policy,
            StoreNodeOptions options);
  StoreNode(const StoreNode&) = delete;
  StoreNode& operator=(const StoreNode&) = delete;

  [[nodiscard]] transport::Node& node() noexcept { return node_; }

  /// To write to the store beside what peers bring: durable when a call returns, and peers are
  /// told. From any thread but the one that writes; no call waits for `io`, so handlers may use it
  /// too. For one's own log, with a `store::Appender`, which is not thread-safe:
  ///
  ///   auto appender = store::Appender::open(*store, key, log_id, *mark,
  ///                                         commit_through(host.writer(), *store));
  [[nodiscard]] Writer& writer() noexcept { return direct_; }

  /// Takes requests of other processes at a socket in `directory`, which is the store's: see
  /// `ControlServer::open`. Until `stop`.
  [[nodiscard]] Result<void> serve_requests(const std::string& directory, bool serves_every_log);
  /// Checks signatures that were not needed so far, until `stop`.
  void verify_in_background();
  /// Looks once through all of the store for damage, until `stop`, so that peers are not told to
  /// find here what cannot be read. What it finds observers are told as what a session meets.
  void search_for_damage();

  /// Begins a sync. `told` hears what happens, and ends it by returning false; `ended` gets what
  /// came of it, last.
  node::SyncId sync(const node::SyncRequest& request,
                    std::function<bool(const node::SyncEvent&)> told,
                    std::function<void(const node::SyncReport&)> ended);

  /// Ends all connections, and calls `handler` once all that was received is committed: see
  /// `transport::Node::stop`. Precondition: called once.
  void stop(std::function<void()> handler);

 private:
  /// Has the thread that writes do it.
  class InNodeWriter final : public Writer {
   public:
    explicit InNodeWriter(StoreNode& host) : host_(host) {}
    [[nodiscard]] Result<store::IngestReport> ingest(CheckedUnit& unit) override;
    [[nodiscard]] IngestedUnits ingest_all(std::span<KeptUnit> units) override;
    [[nodiscard]] Result<void> append(const store::SignedUnit& unit,
                                      const MoveMark& move_mark) override;
    [[nodiscard]] Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) override;
    [[nodiscard]] ChangedLogs change_all(std::span<const LogChange> changes) override;
    [[nodiscard]] Result<void> forget_peer(const std::string& address) override;
    [[nodiscard]] Result<void> compact() override;
    [[nodiscard]] Result<store::Stage> begin_stage(const store::KvClaim& claim) override;
    [[nodiscard]] Result<void> put_parts(const store::Stage& stage, std::uint64_t offset,
                                         ByteView bytes) override;
    [[nodiscard]] Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                          const store::StagedPayload& staged,
                                          bool undelete) override;
    [[nodiscard]] Result<void> reclaim() override;

   private:
    StoreNode& host_;
  };
  /// To the thread that runs `io`; dropped where this is gone by then. From any thread.
  void post(std::function<void(StoreNode&)> call);
  [[nodiscard]] Result<void> write(const std::function<Result<void>(DirectWriter&)>& body);

  boost::asio::io_context& io_;
  store::Store& store_;
  SystemRandom random_;
  Ed25519Verifier verifier_;
  VerifierPool pool_;
  StoreWriter writer_;
  OwnLogGuard guard_;
  transport::Node node_;
  AcceptOptions accept_;
  InNodeWriter direct_{*this};
  /// Gone with this, for what is still to be called then.
  std::shared_ptr<StoreNode*> self_ = std::make_shared<StoreNode*>(this);
  std::optional<BackgroundVerifier> background_;
  std::optional<DamageSearch> search_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace culm::host
