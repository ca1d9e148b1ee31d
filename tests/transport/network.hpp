#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "culm/core/bytes.hpp"
#include "culm/replication/node/endpoint.hpp"
#include "culm/replication/transport/detail/asio.hpp"
#include "culm/replication/transport/detail/listener.hpp"

namespace culm::test {

namespace asio = transport::detail::asio;
using asio::ip::tcp;
using node::Endpoint;
using transport::detail::ErrorCode;

/// Runs the `io_context` until `done`. False when that takes too long, or nothing is left to run.
template <class Done>
[[nodiscard]] bool run_until(asio::io_context& io, Done done,
                             std::chrono::seconds limit = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    io.restart();
    if (io.run_one_until(deadline) == 0) return done();
  }
  return true;
}

inline Endpoint any_port() { return {"127.0.0.1", 0}; }

inline tcp::endpoint to_tcp(const Endpoint& endpoint) {
  return {asio::ip::make_address(endpoint.host), endpoint.port};
}

/// A bare socket, for peers that do not speak the protocol.
class RawClient {
 public:
  explicit RawClient(asio::io_context& io) : socket_(io) {}
  RawClient(const RawClient&) = delete;

  void connect(const Endpoint& endpoint, const char* from = "127.0.0.1") {
    socket_.open(tcp::v4());
    socket_.bind({asio::ip::make_address(from), 0});
    socket_.connect(to_tcp(endpoint));
    read();
  }
  void send(std::string_view text) {
    ErrorCode ignored;
    socket_.write_some(asio::buffer(text), ignored);
  }
  void close() { socket_.close(); }

  bool closed = false;  ///< by the other side
  std::size_t received = 0;

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [this](const ErrorCode& code, std::size_t size) {
      if (code == asio::error::operation_aborted) return;
      received += size;
      if (code) {
        closed = true;
      } else {
        read();
      }
    });
  }

  tcp::socket socket_;
  std::array<std::uint8_t, 4096> buffer_{};
};

/// Stands between two nodes and does to their connections what networks do.
class Proxy {
 public:
  Proxy(asio::io_context& io, const Endpoint& target)
      : io_(io),
        target_(to_tcp(target)),
        listener_(*transport::detail::Listener::open(
            io, any_port(), [this](tcp::socket socket) { accept(std::move(socket)); })) {}
  Proxy(const Proxy&) = delete;
  ~Proxy() { close(); }

  [[nodiscard]] Endpoint endpoint() const { return listener_->endpoint(); }

  void close() {
    listener_->close();
    cut();
  }
  /// Cuts all connections.
  void cut() {
    for (const auto& link : links_) link->cut();
    links_.clear();
  }
  /// Goes on where `is_frozen` has stopped it.
  void thaw() {
    is_frozen = false;
    for (const auto& link : links_) link->resume();
  }

  /// Cuts the connection once so many bytes went to the one who called.
  std::uint64_t cut_after_bytes = UINT64_MAX;
  /// Nothing is taken from the one who was called.
  bool is_frozen = false;
  std::uint64_t connections = 0;

 private:
  struct Pipe {
    Pipe(tcp::socket& source, tcp::socket& sink) : from(source), to(sink) {}
    tcp::socket& from;
    tcp::socket& to;
    std::array<std::uint8_t, 16 * 1024> buffer{};
    std::size_t begin = 0;
    std::size_t end = 0;
    std::uint64_t passed = 0;
    bool is_back = false;
    bool is_waiting = false;
  };
  struct Link : std::enable_shared_from_this<Link> {
    Link(Proxy& owner, tcp::socket socket, asio::io_context& io)
        : proxy(owner), caller(std::move(socket)), called(io) {
      back.is_back = true;
    }

    void resume() {
      if (back.is_waiting) read(back);
    }
    void cut() {
      is_cut = true;
      ErrorCode ignored;
      caller.close(ignored);
      called.close(ignored);
    }
    void read(Pipe& pipe) {
      if (is_cut) return;
      pipe.is_waiting = pipe.is_back && proxy.is_frozen;
      if (pipe.is_waiting) return;
      pipe.from.async_read_some(
          asio::buffer(pipe.buffer),
          [self = shared_from_this(), &pipe](const ErrorCode& code, std::size_t size) {
            ErrorCode ignored;
            if (code) {
              pipe.to.shutdown(tcp::socket::shutdown_send, ignored);
              return;
            }
            pipe.begin = 0;
            pipe.end = size;
            self->write(pipe);
          });
    }
    void write(Pipe& pipe) {
      if (is_cut) return;
      if (pipe.begin == pipe.end) return read(pipe);
      const std::uint64_t left = pipe.is_back ? proxy.cut_after_bytes - pipe.passed : UINT64_MAX;
      if (left == 0) return cut();
      const std::size_t size = std::min<std::uint64_t>(pipe.end - pipe.begin, left);
      pipe.to.async_write_some(
          asio::buffer(pipe.buffer.data() + pipe.begin, size),
          [self = shared_from_this(), &pipe](const ErrorCode& code, std::size_t written) {
            if (code) return self->cut();
            pipe.begin += written;
            pipe.passed += written;
            self->write(pipe);
          });
    }

    Proxy& proxy;
    tcp::socket caller;
    tcp::socket called;
    Pipe forth{caller, called};
    Pipe back{called, caller};
    bool is_cut = false;
  };

  void accept(tcp::socket socket) {
    ++connections;
    const auto link = std::make_shared<Link>(*this, std::move(socket), io_);
    links_.push_back(link);
    ErrorCode code;
    link->called.connect(target_, code);
    if (code) return link->cut();
    link->read(link->forth);
    link->read(link->back);
  }

  asio::io_context& io_;
  tcp::endpoint target_;
  std::vector<std::shared_ptr<Link>> links_;
  std::shared_ptr<transport::detail::Listener> listener_;
};

}  // namespace culm::test
