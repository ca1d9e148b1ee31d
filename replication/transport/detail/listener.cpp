#include "culm/replication/transport/detail/listener.hpp"

#include "culm/core/limits.hpp"

namespace culm::transport::detail {

node::Endpoint to_endpoint(const tcp::endpoint& endpoint) {
  return {endpoint.address().to_string(), endpoint.port()};
}

Result<std::shared_ptr<Listener>> Listener::open(asio::io_context& io,
                                                 const node::Endpoint& endpoint,
                                                 Accepted accepted) {
  ErrorCode code;
  tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::passive, code);
  if (code || found.empty()) return fail(Errc::kAddress);
  std::shared_ptr<Listener> listener(new Listener(io, std::move(accepted)));
  CULM_CHECK(listener->bind(found.begin()->endpoint()));
  listener->accept();
  return listener;
}

Listener::Listener(asio::io_context& io, Accepted accepted)
    : acceptor_(io), pause_(io), accepted_(std::move(accepted)) {}

Result<void> Listener::bind(const tcp::endpoint& endpoint) {
  ErrorCode code;
  acceptor_.open(endpoint.protocol(), code);
  if (!code) acceptor_.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) acceptor_.bind(endpoint, code);
  if (!code) acceptor_.listen(tcp::acceptor::max_listen_connections, code);
  if (code) return fail(to_error(code));
  return {};
}

node::Endpoint Listener::endpoint() const {
  ErrorCode code;
  return to_endpoint(acceptor_.local_endpoint(code));
}

void Listener::close() {
  ErrorCode code;
  acceptor_.close(code);
  pause_.cancel();
}

void Listener::accept() {
  acceptor_.async_accept([self = shared_from_this()](const ErrorCode& code, tcp::socket socket) {
    if (!self->acceptor_.is_open()) return;
    if (code) return self->pause();
    self->accepted_(std::move(socket));
    if (self->acceptor_.is_open()) self->accept();
  });
}

void Listener::pause() {
  pause_.expires_after(std::chrono::milliseconds(limits::kAcceptPauseMs));
  pause_.async_wait([self = shared_from_this()](const ErrorCode&) {
    if (self->acceptor_.is_open()) self->accept();
  });
}

}  // namespace culm::transport::detail
