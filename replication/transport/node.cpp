#include "culm/replication/transport/node.hpp"

#include "culm/replication/transport/detail/node_impl.hpp"

namespace culm::transport {

Node::Node(boost::asio::io_context& io, store::Store& store, replication::Policy& policy,
           SignatureVerifier& verifier, Random& random, NodeOptions options)
    : impl_(std::make_shared<Impl>(io, store, policy, verifier, random, std::move(options))) {
  impl_->start();
}

Node::~Node() { impl_->shut_down(); }

Result<Endpoint> Node::listen(const Endpoint& endpoint) { return impl_->listen(endpoint); }

DialId Node::dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler) {
  return impl_->dial(endpoint, std::move(options), std::move(handler));
}

void Node::end_dial(DialId dial) { impl_->end_dial(dial); }

Result<replication::WantId> Node::want(SessionId session, const replication::WantRequest& request) {
  detail::Connection* const connection = impl_->find_open(session);
  if (connection == nullptr) return fail(Errc::kPeerClosed);
  auto want = connection->session().want(request);
  connection->pump();
  return want;
}

void Node::cancel(SessionId session, replication::WantId want) {
  detail::Connection* const connection = impl_->find_open(session);
  if (connection == nullptr) return;
  connection->session().cancel(want);
  connection->pump();
}

Result<void> Node::offer(SessionId session, const LogKey& log) {
  detail::Connection* const connection = impl_->find_open(session);
  if (connection == nullptr) return fail(Errc::kPeerClosed);
  auto offered = connection->session().offer(log);
  connection->pump();
  return offered;
}

void Node::close_session(SessionId session, std::optional<Errc> code) {
  detail::Connection* const connection = impl_->find_open(session);
  if (connection == nullptr) return;
  connection->session().close(code);
  connection->pump();
}

void Node::run(std::function<Result<void>(store::Store&)> task,
               std::function<void(Result<void>)> handler) {
  impl_->run(std::move(task), std::move(handler));
}

void Node::update(store::Store::Body body, std::function<void(Result<void>)> handler) {
  impl_->update(std::move(body), std::move(handler));
}

void Node::log_changed(const LogKey& log) { impl_->log_changed(log); }

ObserverId Node::observe(NodeObserver observer) { return impl_->observe(std::move(observer)); }

void Node::end_observe(ObserverId observer) { impl_->end_observe(observer); }

std::vector<SessionStatus> Node::sessions() const { return impl_->sessions(); }

NodeStats Node::stats() const { return impl_->stats(); }

void Node::stop(std::function<void()> handler) { impl_->stop(std::move(handler)); }

}  // namespace culm::transport
