#include "culm/replication/host/detail/sync_run.hpp"

#include <utility>

#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/node_key.hpp"
#include "culm/replication/host/store_node.hpp"
#include "culm/replication/host/synced_logs.hpp"

namespace culm::host {
namespace {

Result<node::NodeOptions> make_options(const std::string& directory,
                                       const ReplicaOptions& options) {
  const std::string& file = options.peer_key_file;
  CULM_TRY(const auto identity, open_peer_key(file.empty() ? directory + "/peer.key" : file));
  node::NodeOptions node{.identity = identity, .network_id = network_id_of(options.network)};
  if (!options.network_key_file.empty()) {
    CULM_TRY(node.psk, read_node_key(options.network_key_file));
  }
  return node;
}

}  // namespace

class SyncRun::Impl {
 public:
  Impl(store::Store& store, StoreNodeOptions options, const node::SyncRequest& request,
       const Replica::Told& told)
      : request_(request), policy_(request_), host_(io_, store, policy_, std::move(options)) {
    sync_ = host_.sync(
        request_,
        [this, told](const node::SyncEvent& event) {
          policy_.hear(event);
          return !told || told(event);
        },
        [this](const node::SyncReport& all) {
          report_ = all;
          host_.stop([] {});
        });
  }

  node::SyncReport run(const std::stop_token& stop) {
    const std::stop_callback on_stop(
        stop, [this] { asio::post(io_, [this] { host_.node().end_sync(sync_); }); });
    io_.run();
    return report_;
  }

  Writer& writer() { return host_.writer(); }

 private:
  node::SyncRequest request_;
  asio::io_context io_;
  SyncedLogs policy_;
  StoreNode host_;
  node::SyncId sync_{};
  node::SyncReport report_;
};

Result<std::unique_ptr<SyncRun>> SyncRun::start(store::Store& store, const std::string& directory,
                                                const ReplicaOptions& options,
                                                const node::SyncRequest& request,
                                                const Replica::Told& told,
                                                const std::optional<OwnLogs>& own) {
  CULM_TRY(auto node_options, make_options(directory, options));
  return std::unique_ptr<SyncRun>(new SyncRun(std::make_unique<Impl>(
      store,
      StoreNodeOptions{.node = std::move(node_options), .accept = options.accept, .own = own},
      request, told)));
}

SyncRun::SyncRun(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SyncRun::~SyncRun() = default;

node::SyncReport SyncRun::run(const std::stop_token& stop) { return impl_->run(stop); }
Writer& SyncRun::writer() { return impl_->writer(); }

}  // namespace culm::host
