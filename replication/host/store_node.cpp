#include "culm/replication/host/store_node.hpp"

#include <utility>

#include "culm/replication/host/detail/asio.hpp"

namespace culm::host {

StoreNode::StoreNode(asio::io_context& io, store::Store& store, replication::Policy& policy,
                     StoreNodeOptions options)
    : io_(io),
      store_(store),
      pool_(verifier_, options.verify_threads),
      writer_(store, pool_, options.accept,
              [&io](std::function<void()> task) { asio::post(io, std::move(task)); }),
      node_(io, store, policy, pool_, random_, writer_, std::move(options.node)) {}

Result<void> StoreNode::serve_requests(const std::string& directory, bool serves_every_log) {
  CULM_TRY(control_, ControlServer::open(io_, directory, store_, node_, pool_, serves_every_log));
  return {};
}

void StoreNode::verify_in_background() {
  background_.emplace(store_, verifier_, [this](store::Store::Body body, auto handler) {
    asio::post(io_, [this, body = std::move(body), handler = std::move(handler)] {
      node_.update(body, [handler](const Result<void>& /*outcome*/) { handler(); });
    });
  });
  transport::NodeObserver observer;
  observer.log_changed = [this](const LogKey& /*log*/) {
    if (background_) background_->wake();
  };
  node_.observe(std::move(observer));
}

node::SyncId StoreNode::sync(const node::SyncRequest& request,
                             std::function<bool(const node::SyncEvent&)> told,
                             std::function<void(const node::SyncReport&)> ended) {
  const auto id = std::make_shared<node::SyncId>();
  *id = node_.sync(request, [this, id, told = std::move(told),
                             ended = std::move(ended)](const node::SyncEvent& event) {
    if (!told(event)) node_.end_sync(*id);
    if (const auto* const end = std::get_if<node::SyncEnded>(&event)) ended(end->report);
  });
  return *id;
}

void StoreNode::stop(std::function<void()> handler) {
  background_.reset();
  if (control_) control_->close();
  node_.stop(std::move(handler));
}

}  // namespace culm::host
