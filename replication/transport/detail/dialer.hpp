#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Makes connections to one endpoint: looks it up, connects within limits::kConnectTimeoutMs, and
/// waits longer from one try to the next, with jitter, so that the peers of a node that comes back
/// do not all call at once.
class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  /// Takes each outcome: a connected socket, or kAddress, kNetwork, kTimeout.
  using Connected = std::function<void(Result<tcp::socket>)>;

  /// `random` must outlive the dialer's last call of `retry`.
  Dialer(asio::io_context& io, node::Endpoint endpoint, Random& random, Connected connected);

  /// Tries now. Precondition: nothing is under way.
  void connect();
  /// Tries again after a while. `lasted` is how long the last connection did: one that lasted makes
  /// the waiting short again. Precondition: nothing is under way.
  void retry(Duration lasted);
  /// Nothing is called any more.
  void cancel();

 private:
  void resolve();
  void connect_to(const std::vector<tcp::endpoint>& endpoints);
  void finish(const ErrorCode& code);
  void start_timeout();
  [[nodiscard]] Duration next_delay();

  node::Endpoint endpoint_;
  Random& random_;
  Connected connected_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::uint32_t delay_ms_max_;
  bool timed_out_ = false;
  bool cancelled_ = false;
};

}  // namespace culm::transport::detail
