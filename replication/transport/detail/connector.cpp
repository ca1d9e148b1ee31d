#include "culm/replication/transport/detail/connector.hpp"

#include <utility>

namespace culm::transport::detail {

Connector::Connector(asio::io_context& io, Connected connected)
    : connected_(std::move(connected)), resolver_(io), socket_(io) {}

void Connector::connect(const node::Endpoint& endpoint) {
  ErrorCode code;
  const auto address = asio::ip::make_address(endpoint.host, code);
  if (!code) return connect_to({tcp::endpoint(address, endpoint.port)});
  resolver_.async_resolve(endpoint.host, std::to_string(endpoint.port),
                          [self = shared_from_this()](const ErrorCode& error,
                                                      const tcp::resolver::results_type& found) {
                            if (error) return self->finish(error);
                            std::vector<tcp::endpoint> endpoints;
                            endpoints.reserve(found.size());
                            for (const auto& entry : found) endpoints.push_back(entry.endpoint());
                            self->connect_to(endpoints);
                          });
}

void Connector::cancel() {
  cancelled_ = true;
  resolver_.cancel();
  ErrorCode code;
  socket_.close(code);
}

void Connector::connect_to(const std::vector<tcp::endpoint>& endpoints) {
  if (cancelled_) return;
  asio::async_connect(socket_, endpoints,
                      [self = shared_from_this()](const ErrorCode& code, const tcp::endpoint&) {
                        self->finish(code);
                      });
}

void Connector::finish(const ErrorCode& code) {
  if (cancelled_) return;
  tcp::socket socket = std::move(socket_);
  if (code) return connected_(fail(to_error(code)));
  // A port that nobody listens at can be the very one that the system picks for this socket, and
  // then the socket is connected to itself.
  ErrorCode ignored;
  if (socket.local_endpoint(ignored) == socket.remote_endpoint(ignored)) {
    return connected_(fail(to_error(asio::error::connection_refused)));
  }
  connected_(std::move(socket));
}

}  // namespace culm::transport::detail
