#include "culm/replication/transport/node.hpp"

#include <utility>

#include "culm/replication/transport/detail/node_impl.hpp"

namespace culm::transport {

Node::Node(boost::asio::io_context& io, const store::Store& store, replication::Policy& policy,
           SignatureVerifier& verifier, Random& random, node::JobRunner& runner,
           NodeOptions options)
    : impl_(std::make_shared<Impl>(io, store, policy, verifier, random, runner,
                                   std::move(options))) {}

Node::~Node() { impl_->shut_down(); }

Result<Endpoint> Node::listen(const Endpoint& endpoint) { return impl_->listen(endpoint); }

DialId Node::dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler) {
  return impl_->dial(endpoint, std::move(options), std::move(handler));
}

void Node::end_dial(DialId dial) { impl_->ask().end_dial(dial, detail::now()); }

node::SyncId Node::sync(node::SyncRequest request, SyncHandler handler) {
  return impl_->sync(std::move(request), std::move(handler));
}

void Node::end_sync(node::SyncId sync) { impl_->ask().end_sync(sync, detail::now()); }

Result<replication::WantId> Node::want(SessionId session, const replication::WantRequest& request) {
  return impl_->ask().want(session, request, detail::now());
}

void Node::cancel(SessionId session, replication::WantId want) {
  impl_->ask().cancel(session, want, detail::now());
}

Result<void> Node::offer(SessionId session, const LogKey& log) {
  return impl_->ask().offer(session, log, detail::now());
}

void Node::close_session(SessionId session, std::optional<Errc> code) {
  impl_->ask().close_session(session, code, detail::now());
}

void Node::run(node::StoreTask task, std::function<void(Result<void>)> handler) {
  impl_->run(std::move(task), std::move(handler));
}

void Node::update(store::Store::Body body, std::function<void(Result<void>)> handler) {
  impl_->run([body = std::move(body)](store::Store& store) { return store.update(body); },
             std::move(handler));
}

void Node::log_changed(const LogKey& log) { impl_->ask().log_changed(log, detail::now()); }

ObserverId Node::observe(NodeObserver observer) { return impl_->observe(std::move(observer)); }

void Node::end_observe(ObserverId observer) { impl_->end_observe(observer); }

std::vector<SessionStatus> Node::sessions() const { return impl_->node().sessions(); }

NodeStats Node::stats() const { return impl_->node().stats(); }

void Node::stop(std::function<void()> handler) { impl_->stop(std::move(handler)); }

}  // namespace culm::transport
