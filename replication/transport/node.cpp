#include "culm/replication/transport/node.hpp"

#include <utility>

#include "culm/replication/transport/detail/node_impl.hpp"

namespace culm::transport {

Result<void> can_listen(const Endpoint& endpoint) {
  detail::asio::io_context io;
  CULM_TRY(const auto listener,
           detail::Listener::open(io, endpoint, [](const auto& /*socket*/) {}));
  listener->close();
  return {};
}

Node::Node(boost::asio::io_context& io, const store::Store& store, replication::Policy& policy,
           SignatureVerifier& verifier, Random& random, node::JobRunner& runner,
           NodeOptions options)
    : impl_(std::make_shared<Impl>(io, store, policy, verifier, random, runner,
                                   std::move(options))) {}

Node::~Node() { impl_->shut_down(); }

Result<Endpoint> Node::listen(const Endpoint& endpoint) { return impl_->listen(endpoint); }

DialId Node::dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler) {
  const DialId id = impl_->ask().dial(endpoint, std::move(options));
  if (handler) impl_->dial_handlers_.emplace(id, std::move(handler));
  return id;
}

void Node::end_dial(DialId dial) { impl_->ask().end_dial(dial, detail::now()); }

node::SyncId Node::sync(node::SyncRequest request, SyncHandler handler) {
  const node::SyncId id = impl_->ask().sync(std::move(request), detail::now());
  if (handler) impl_->sync_handlers_.emplace(id, std::move(handler));
  return id;
}

void Node::end_sync(node::SyncId sync) { impl_->ask().end_sync(sync, detail::now()); }

void Node::before_dials(BeforeDial ask) { impl_->before_dial_ = std::move(ask); }

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
  const node::TaskId id = impl_->ask().run(std::move(task));
  if (handler) impl_->task_handlers_.emplace(id, std::move(handler));
}

void Node::update(store::Store::Body body, std::function<void(Result<void>)> handler) {
  run([body = std::move(body)](store::Store& store) { return store.update(body); },
      std::move(handler));
}

void Node::log_changed(const LogKey& log) { impl_->ask().log_changed(log, detail::now()); }

void Node::damage_found(const LogKey& log, const SeqRange& part, const store::RowDamage& damage) {
  impl_->ask().damage_found(log, part, damage, detail::now());
}

void Node::log_forgotten(const LogKey& log) { impl_->ask().log_forgotten(log, detail::now()); }

ObserverId Node::observe(NodeObserver observer) {
  const ObserverId id = ++impl_->last_observer_;
  impl_->observers_.emplace(id, std::make_shared<const NodeObserver>(std::move(observer)));
  return id;
}

void Node::end_observe(ObserverId observer) { impl_->observers_.erase(observer); }

std::vector<SessionStatus> Node::sessions() const { return impl_->node_.sessions(); }

NodeStats Node::stats() const { return impl_->node_.stats(); }

void Node::stop(std::function<void()> handler) {
  impl_->stopped_ = std::move(handler);
  for (const auto& listener : impl_->listeners_) listener->close();
  impl_->listeners_.clear();
  impl_->ask().stop(detail::now());
}

}  // namespace culm::transport
