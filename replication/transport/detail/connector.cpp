#include "culm/replication/transport/detail/connector.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::transport::detail {

Connector::Connector(asio::io_context& io, Connected connected)
    : connected_(std::move(connected)), resolver_(io), next_(io) {}

void Connector::connect(const node::Endpoint& endpoint) {
  ErrorCode code;
  const auto address = asio::ip::make_address(endpoint.host, code);
  if (!code) return connect_to({tcp::endpoint(address, endpoint.port)});
  resolver_.async_resolve(endpoint.host, std::to_string(endpoint.port),
                          [self = shared_from_this()](const ErrorCode& error,
                                                      const tcp::resolver::results_type& found) {
                            if (self->is_over_) return;
                            if (error) return self->finish(fail(to_error(error)));
                            std::vector<tcp::endpoint> addresses;
                            addresses.reserve(found.size());
                            for (const auto& entry : found) addresses.push_back(entry.endpoint());
                            self->connect_to(std::move(addresses));
                          });
}

void Connector::cancel() {
  is_over_ = true;
  resolver_.cancel();
  next_.cancel();
  ErrorCode code;
  for (const Attempt& attempt : attempts_) attempt->close(code);
  attempts_.clear();
}

void Connector::connect_to(std::vector<tcp::endpoint> addresses) {
  addresses_ = std::move(addresses);
  addresses_.resize(std::min(addresses_.size(), limits::kAddressesMax));
  std::ranges::reverse(addresses_);
  try_next();
}

void Connector::try_next() {
  const tcp::endpoint address = addresses_.back();
  addresses_.pop_back();
  const auto attempt = std::make_shared<tcp::socket>(next_.get_executor());
  attempts_.push_back(attempt);
  attempt->async_connect(address, [self = shared_from_this(), attempt](const ErrorCode& code) {
    self->take(attempt, code);
  });
  if (addresses_.empty()) return;
  next_.expires_after(std::chrono::milliseconds(limits::kNextAddressMs));
  next_.async_wait([self = shared_from_this()](const ErrorCode& code) {
    if (!code && !self->is_over_ && !self->addresses_.empty()) self->try_next();
  });
}

void Connector::take(const Attempt& attempt, ErrorCode code) {
  if (is_over_) return;
  std::erase(attempts_, attempt);
  // A port that nobody listens at can be the very one that the system picks for this socket, and
  // then the socket is connected to itself.
  ErrorCode ignored;
  if (!code && attempt->local_endpoint(ignored) == attempt->remote_endpoint(ignored)) {
    code = asio::error::connection_refused;
  }
  if (!code) return finish(std::move(*attempt));
  if (failure_ != asio::error::connection_refused) failure_ = code;
  if (!addresses_.empty()) return try_next();
  if (attempts_.empty()) finish(fail(to_error(*failure_)));
}

void Connector::finish(Result<tcp::socket> outcome) {
  cancel();
  connected_(std::move(outcome));
}

}  // namespace culm::transport::detail
