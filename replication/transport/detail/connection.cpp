#include "culm/replication/transport/detail/connection.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"

namespace culm::transport::detail {
namespace {

constexpr auto kStallTimeout = std::chrono::milliseconds(limits::kWriteStallTimeoutMs);
constexpr auto kCloseTimeout = std::chrono::milliseconds(limits::kCloseTimeoutMs);

bool is_temporary(const ErrorCode& code) {
  return code == asio::error::would_block || code == asio::error::try_again ||
         code == asio::error::interrupted;
}

}  // namespace

Connection::Connection(tcp::socket socket, std::uint64_t id,
                       std::unique_ptr<replication::Session> session, Host& host)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      id_(id),
      session_(std::move(session)),
      host_(&host) {}

void Connection::pump() {
  // A handler of an event may come back here.
  pump_again_ = true;
  if (pumping_ || is_closed()) return;
  const auto self = shared_from_this();
  pumping_ = true;
  pump_bytes_left_ = limits::kPumpBytesMax;
  while (pump_again_) {
    pump_again_ = false;
    deliver_events();
    while (write_some()) deliver_events();
  }
  pumping_ = false;
  if (session_->ended()) {
    wind_up();
  } else {
    wait_readable();
  }
  arm_timer();
}

void Connection::deliver_events() {
  while (auto event = session_->next_event()) {
    auto* const ended = std::get_if<replication::Ended>(&*event);
    if (ended != nullptr && failure_) ended->error = failure_;
    host_->on_event(*this, *event);
  }
}

void Connection::fail(const Error& error) {
  failure_ = error;
  session_->close(error.code);
  pump();
}

bool Connection::write_some() {
  if (waits_writable_ || sending_over_) return false;
  const ByteView output = session_->pending_output();
  if (output.empty()) {
    stalls_at_.reset();
    return false;
  }
  if (!stalls_at_) stalls_at_ = now() + kStallTimeout;
  if (pump_bytes_left_ == 0) {  // the other connections have their turn
    wait_writable();
    return false;
  }
  ErrorCode code;
  const std::size_t written = socket_.write_some(
      asio::buffer(output.data(), std::min(output.size(), pump_bytes_left_)), code);
  if (is_temporary(code)) {
    wait_writable();
  } else if (code) {
    // What the peer has said before it went away may still lie in the socket.
    sending_over_ = true;
  } else {
    pump_bytes_left_ -= written;
    stalls_at_ = now() + kStallTimeout;
    session_->output_sent(written);
  }
  return !code;
}

void Connection::wait_writable() {
  waits_writable_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const ErrorCode&) {
    self->waits_writable_ = false;
    self->pump();
  });
}

void Connection::wait_readable() {
  if (waits_readable_ || receiving_over_) return;
  if (!session_->ended() && !session_->wants_input() && !sending_over_) return;
  waits_readable_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const ErrorCode&) {
    self->waits_readable_ = false;
    if (self->is_closed()) return;
    self->readable();
    self->pump();
  });
}

void Connection::readable() {
  const bool ended = session_->ended();
  if (!ended && !session_->wants_input() && !sending_over_) return;
  const MutableByteView buffer = host_->read_buffer();
  ErrorCode code;
  const std::size_t size = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), code);
  if (is_temporary(code)) return;
  if (code) {
    receiving_over_ = true;
    // The session tells by an event what became of it, here and below.
    if (!ended) static_cast<void>(session_->receive_end());
  } else if (!ended) {
    static_cast<void>(session_->receive(buffer.first(size), now()));
  }
}

void Connection::wind_up() {
  if (!close_by_) close_by_ = now() + kCloseTimeout;
  if (!sending_over_) {
    if (!session_->pending_output().empty()) return;
    sending_over_ = true;
    ErrorCode code;
    socket_.shutdown(tcp::socket::shutdown_send, code);
  }
  // Before the handshake is done there is no bye to be lost.
  if (receiving_over_ || !session_->established()) return close();
  wait_readable();
}

std::optional<Instant> Connection::next_deadline() const {
  if (close_by_) return close_by_;
  auto deadline = session_->next_deadline();
  if (stalls_at_ && (!deadline || *stalls_at_ < *deadline)) deadline = stalls_at_;
  return deadline;
}

void Connection::arm_timer() {
  if (is_closed()) return;
  const auto deadline = next_deadline();
  // A timer that fires too early costs less than one that is set anew for each read.
  if (!deadline || (armed_ && *armed_ <= *deadline)) return;
  armed_ = deadline;
  timer_.expires_at(to_steady(*deadline));
  timer_.async_wait([self = shared_from_this()](const ErrorCode& code) {
    if (!code && !self->is_closed()) self->timer_expired();
  });
}

void Connection::timer_expired() {
  armed_.reset();
  const Instant at = now();
  if (close_by_) {
    if (at >= *close_by_) return abort();
  } else if (stalls_at_ && at >= *stalls_at_) {
    sending_over_ = true;  // no farewell gets through either
    receiving_over_ = true;
    return fail(Error{Errc::kPeerSlow});
  } else if (const auto deadline = session_->next_deadline(); deadline && at >= *deadline) {
    static_cast<void>(session_->deadline_reached(at));
  }
  pump();
}

void Connection::abort() {
  CULM_ASSERT(!pumping_);
  if (is_closed()) return;
  if (!session_->ended()) {
    static_cast<void>(session_->receive_end());
    deliver_events();
  }
  close();
}

void Connection::close() {
  Host& host = *host_;
  host.on_closed(*this);
  abandon();
}

void Connection::abandon() {
  host_ = nullptr;
  session_.reset();
  timer_.cancel();
  ErrorCode code;
  socket_.close(code);
}

}  // namespace culm::transport::detail
