#pragma once

#include <functional>
#include <memory>

#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Accepts connections until closed. When the process has no descriptor left it pauses and tries
/// again, so that the connections that exist go on.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  /// Takes an accepted socket. Closing it refuses the connection.
  using Accepted = std::function<void(tcp::socket)>;

  /// Binds `endpoint`. A name is looked up, which may block. Fails with kAddress, kNetwork.
  [[nodiscard]] static Result<std::shared_ptr<Listener>> open(asio::io_context& io,
                                                              const node::Endpoint& endpoint,
                                                              Accepted accepted);

  /// The address that was bound, with its port.
  [[nodiscard]] node::Endpoint endpoint() const;

  void close();

 private:
  Listener(asio::io_context& io, Accepted accepted);
  [[nodiscard]] Result<void> bind(const tcp::endpoint& endpoint);
  void accept();
  void pause();

  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  Accepted accepted_;
};

[[nodiscard]] node::Endpoint to_endpoint(const tcp::endpoint& endpoint);

}  // namespace culm::transport::detail
