#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Makes one connection to one endpoint: looks it up and connects to whichever address answers
/// first. They are tried in the order of the system, each beside those before it once these have
/// failed or have had limits::kNextAddressMs, so that a dead one holds up nothing. How long all of
/// it may take is for the node to say, which cancels.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  /// Takes the outcome: a connected socket, or kAddress, kNetwork. Of several failures it is told
  /// that an address has refused, where one has, else the last.
  using Connected = std::function<void(Result<tcp::socket>)>;

  Connector(asio::io_context& io, Connected connected);

  /// Precondition: this or `connect_to` is called once.
  void connect(const node::Endpoint& endpoint);
  /// Tries these, at least one.
  void connect_to(std::vector<tcp::endpoint> addresses);
  /// Nothing is called any more.
  void cancel();

 private:
  using Attempt = std::shared_ptr<tcp::socket>;

  void try_next();
  void take(const Attempt& attempt, ErrorCode code);
  void finish(Result<tcp::socket> outcome);

  Connected connected_;
  tcp::resolver resolver_;
  asio::steady_timer next_;
  std::vector<tcp::endpoint> addresses_;  ///< from the last to the first
  std::vector<Attempt> attempts_;         ///< that are under way
  std::optional<ErrorCode> failure_;
  bool is_over_ = false;
};

}  // namespace culm::transport::detail
