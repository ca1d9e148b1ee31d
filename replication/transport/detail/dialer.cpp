#include "culm/replication/transport/detail/dialer.hpp"

#include <algorithm>
#include <array>

#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"

namespace culm::transport::detail {

using Milliseconds = std::chrono::milliseconds;

Dialer::Dialer(asio::io_context& io, node::Endpoint endpoint, Random& random, Connected connected)
    : endpoint_(std::move(endpoint)),
      random_(random),
      connected_(std::move(connected)),
      resolver_(io),
      socket_(io),
      timer_(io),
      delay_ms_max_(limits::kRedialDelayMsMin) {}

void Dialer::connect() {
  timed_out_ = false;
  start_timeout();
  ErrorCode code;
  const auto address = asio::ip::make_address(endpoint_.host, code);
  if (code) {
    resolve();
  } else {
    connect_to({tcp::endpoint(address, endpoint_.port)});
  }
}

void Dialer::retry(Duration lasted) {
  if (lasted >= Milliseconds(limits::kRedialDelayMsMax)) {
    delay_ms_max_ = limits::kRedialDelayMsMin;
  }
  timer_.expires_after(next_delay());
  timer_.async_wait([self = shared_from_this()](const ErrorCode& code) {
    if (!code && !self->cancelled_) self->connect();
  });
}

void Dialer::cancel() {
  cancelled_ = true;
  timer_.cancel();
  resolver_.cancel();
  ErrorCode code;
  socket_.close(code);
}

void Dialer::resolve() {
  resolver_.async_resolve(
      endpoint_.host, std::to_string(endpoint_.port),
      [self = shared_from_this()](const ErrorCode& code, const tcp::resolver::results_type& found) {
        if (code) return self->finish(code);
        if (self->timed_out_) return self->finish(asio::error::timed_out);
        std::vector<tcp::endpoint> endpoints;
        for (const auto& entry : found) endpoints.push_back(entry.endpoint());
        self->connect_to(endpoints);
      });
}

void Dialer::connect_to(const std::vector<tcp::endpoint>& endpoints) {
  if (cancelled_) return;
  asio::async_connect(socket_, endpoints,
                      [self = shared_from_this()](const ErrorCode& code, const tcp::endpoint&) {
                        self->finish(code);
                      });
}

void Dialer::start_timeout() {
  timer_.expires_after(Milliseconds(limits::kConnectTimeoutMs));
  timer_.async_wait([self = shared_from_this()](const ErrorCode& code) {
    if (code) return;
    self->timed_out_ = true;
    self->resolver_.cancel();
    ErrorCode ignored;
    self->socket_.close(ignored);
  });
}

void Dialer::finish(const ErrorCode& code) {
  if (cancelled_) return;
  timer_.cancel();
  tcp::socket socket = std::move(socket_);
  if (timed_out_) return connected_(fail(Errc::kTimeout));
  if (code) return connected_(fail(to_error(code)));
  // A port that nobody listens at can be the very one that the system picks for this socket, and
  // then the socket is connected to itself.
  ErrorCode ignored;
  if (socket.local_endpoint(ignored) == socket.remote_endpoint(ignored)) {
    return connected_(fail(to_error(asio::error::connection_refused)));
  }
  connected_(std::move(socket));
}

Duration Dialer::next_delay() {
  std::array<std::uint8_t, 8> bytes{};
  random_.fill(bytes);
  const std::uint64_t half = delay_ms_max_ / 2;
  const std::uint64_t delay_ms = half + from_big_endian(bytes) % (delay_ms_max_ - half + 1);
  delay_ms_max_ = std::min(delay_ms_max_ * 2, limits::kRedialDelayMsMax);
  return Milliseconds(delay_ms);
}

}  // namespace culm::transport::detail
