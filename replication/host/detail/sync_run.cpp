#include "culm/replication/host/detail/sync_run.hpp"

#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/node_key.hpp"
#include "culm/replication/host/store_node.hpp"
#include "culm/replication/host/synced_logs.hpp"

namespace culm::host {
namespace {

Result<node::NodeOptions> make_options(const std::string& directory,
                                       const ReplicaOptions& options) {
  CULM_TRY(const auto identity, open_peer_key(directory + "/peer.key"));
  node::NodeOptions node{.identity = identity, .network_id = network_id_of(options.network)};
  if (!options.network_key_file.empty()) {
    CULM_TRY(node.psk, read_node_key(options.network_key_file));
  }
  return node;
}

}  // namespace

Result<node::SyncReport> run_sync(store::Store& store, const std::string& directory,
                                  const ReplicaOptions& options, const node::SyncRequest& request,
                                  const Replica::Told& told, const std::stop_token& stop) {
  CULM_TRY(auto node_options, make_options(directory, options));
  asio::io_context io;
  SyncedLogs policy(request);
  StoreNode host(io, store, policy, {std::move(node_options), options.accept});
  node::SyncReport report;
  const node::SyncId sync = host.sync(
      request, [&](const node::SyncEvent& event) { return !told || told(event); },
      [&](const node::SyncReport& all) {
        report = all;
        host.stop([] {});
      });
  const std::stop_callback on_stop(stop,
                                   [&] { asio::post(io, [&] { host.node().end_sync(sync); }); });
  io.run();
  return report;
}

}  // namespace culm::host
