#include "culm/replication/transport/detail/socket.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::transport::detail {
namespace {

bool is_temporary(const ErrorCode& code) {
  return code == asio::error::would_block || code == asio::error::try_again ||
         code == asio::error::interrupted;
}

}  // namespace

Socket::Socket(tcp::socket socket, node::SessionId session, Shared& shared)
    : socket_(std::move(socket)), session_(session), shared_(&shared) {}

void Socket::transfer() {
  if (shared_ == nullptr) return;
  std::size_t bytes_left = limits::kPumpBytesMax;
  while (!waits_writable_ && write_some(bytes_left)) continue;
  if (!waits_readable_ && shared_->node.wants_input(session_)) wait_readable();
}

bool Socket::write_some(std::size_t& bytes_left) {
  const ByteView output = shared_->node.pending_output(session_);
  if (output.empty()) return false;
  if (bytes_left == 0) {  // the other connections have their turn
    wait_writable();
    return false;
  }
  ErrorCode code;
  const std::size_t written =
      socket_.write_some(asio::buffer(output.data(), std::min(output.size(), bytes_left)), code);
  if (is_temporary(code)) {
    wait_writable();
  } else if (code) {
    shared_->node.send_failed(session_, now());
  } else {
    bytes_left -= written;
    shared_->node.sent(session_, written, now());
  }
  return !code;
}

void Socket::wait_writable() {
  waits_writable_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const ErrorCode&) {
    self->waits_writable_ = false;
    if (self->shared_ == nullptr) return;
    self->transfer();
    self->shared_->take_actions();
  });
}

void Socket::wait_readable() {
  waits_readable_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const ErrorCode&) {
    self->waits_readable_ = false;
    if (self->shared_ == nullptr) return;
    self->read_some();
    self->transfer();
    self->shared_->take_actions();
  });
}

void Socket::read_some() {
  node::Node& node = shared_->node;
  if (!node.wants_input(session_)) return;
  const MutableByteView buffer = MutableByteView(shared_->read_buffer).first(node.read_bytes_max());
  ErrorCode code;
  const std::size_t size = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), code);
  if (is_temporary(code)) return;
  if (code) {
    node.receive_ended(session_, now());
  } else {
    node.received(session_, buffer.first(size), now());
  }
}

void Socket::shut_down() {
  ErrorCode code;
  socket_.shutdown(tcp::socket::shutdown_send, code);
}

void Socket::close(ByteView last_words) {
  shared_ = nullptr;
  ErrorCode code;
  if (!last_words.empty()) {
    socket_.write_some(asio::buffer(last_words.data(), last_words.size()), code);
  }
  socket_.close(code);
}

}  // namespace culm::transport::detail
