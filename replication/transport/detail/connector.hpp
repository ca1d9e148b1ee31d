#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Makes one connection to one endpoint: looks it up and connects. How long that may take is for
/// the node to say, which cancels.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  /// Takes the outcome: a connected socket, or kAddress, kNetwork.
  using Connected = std::function<void(Result<tcp::socket>)>;

  Connector(asio::io_context& io, Connected connected);

  /// Precondition: called once.
  void connect(const node::Endpoint& endpoint);
  /// Nothing is called any more.
  void cancel();

 private:
  void connect_to(const std::vector<tcp::endpoint>& endpoints);
  void finish(const ErrorCode& code);

  Connected connected_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  bool cancelled_ = false;
};

}  // namespace culm::transport::detail
