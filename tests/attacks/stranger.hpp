#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "culm/replication/codec.hpp"
#include "culm/replication/frame.hpp"
#include "culm/replication/secure_channel.hpp"

namespace culm::attack {

using Clock = std::chrono::steady_clock;

/// One end of a real connection that speaks the channel and says in it whatever an attack makes it
/// say. Waits for sockets, never for time to pass.
class Stranger {
 public:
  using Role = replication::SecureChannel::Role;
  using Heard = std::function<void(const replication::Message&)>;

  /// Calls a relay at 127.0.0.1 from an address of its own for each `number` of 64. Not connected
  /// where that failed.
  [[nodiscard]] static std::unique_ptr<Stranger> call(std::uint16_t port, std::uint32_t number) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto own = address(0x7f000001U + ((number / 64 + 1) << 8U), 0);
    const auto relay = address(INADDR_LOOPBACK, port);
    static_cast<void>(::bind(socket, as_sockaddr(own), sizeof own));
    auto stranger = std::make_unique<Stranger>(socket, Role::kInitiator);
    if (::connect(socket, as_sockaddr(relay), sizeof relay) != 0) stranger->hang_up();
    stranger->begin();
    return stranger;
  }

  Stranger(int socket, Role role)
      : socket_(socket), channel_({role, sealing::KeyPair::generate(random_)}, random_) {}
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() { hang_up(); }

  /// Does the handshake and says hello.
  void begin() {
    if (socket_ < 0) return;
    ::fcntl(socket_, F_SETFL, O_NONBLOCK);
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (is_open() && !channel_.established() && Clock::now() < deadline) {
      write();
      wait(POLLIN, deadline);
      read({});
    }
    if (!channel_.established()) return hang_up();
    say(replication::Hello{});
    send(deadline);
  }

  [[nodiscard]] bool is_open() const { return socket_ >= 0; }
  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] bool has_unsent() const { return !channel_.pending_output().empty(); }
  [[nodiscard]] std::uint64_t received() const { return received_; }

  /// Adds a message to what is sent next.
  void say(const replication::Message& message) {
    Bytes encoded;
    replication::encode(encoded, message);
    replication::append_frame(plaintext_, encoded);
  }

  /// Adds so many bytes of a message that would have more.
  void say_part(std::size_t bytes) { plaintext_.resize(plaintext_.size() + bytes); }
  void begin_message(std::uint32_t size) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      plaintext_.push_back(static_cast<std::uint8_t>(size >> shift));
    }
  }

  /// Sends what was said, and takes what comes meanwhile unless it is `deaf`.
  void send(Clock::time_point deadline, bool deaf = false, const Heard& heard = {}) {
    if (!plaintext_.empty()) static_cast<void>(channel_.send(plaintext_));
    plaintext_.clear();
    while (is_open() && write() && Clock::now() < deadline) {
      wait(deaf ? POLLOUT : POLLOUT | POLLIN, deadline);
      if (!deaf) read(heard);
    }
  }

  /// Waits until something comes, and takes it.
  void hear(Clock::time_point deadline, const Heard& heard) {
    wait(POLLIN, deadline);
    read(heard);
  }

  void hang_up() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  static sockaddr_in address(std::uint32_t host, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(host);
    return out;
  }
  static const sockaddr* as_sockaddr(const sockaddr_in& in) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&in));
  }

 private:
  void wait(int events, Clock::time_point deadline) const {
    if (socket_ < 0) return;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd one{socket_, static_cast<short>(events), 0};
    if (left > 0) static_cast<void>(::poll(&one, 1, static_cast<int>(left)));
  }

  /// Whether more is to be written.
  bool write() {
    while (is_open() && !channel_.pending_output().empty()) {
      const ByteView out = channel_.pending_output();
      const ssize_t done = ::send(socket_, out.data(), out.size(), MSG_NOSIGNAL);
      if (done < 0 && errno == EAGAIN) return true;
      if (done <= 0) {
        hang_up();
        return false;
      }
      sent_ += static_cast<std::uint64_t>(done);
      channel_.output_sent(static_cast<std::size_t>(done));
    }
    return false;
  }

  void read(const Heard& heard) {
    std::array<std::uint8_t, 65536> buffer{};
    while (is_open()) {
      const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (got < 0 && errno == EAGAIN) break;
      if (got <= 0) return hang_up();
      received_ += static_cast<std::uint64_t>(got);
      const ByteView bytes(buffer.data(), static_cast<std::size_t>(got));
      if (!channel_.receive(bytes, reader_.fill())) return hang_up();
      for (auto frame = reader_.next(); frame && *frame; frame = reader_.next()) {
        const auto message = replication::decode(**frame);
        if (message && heard) heard(*message);
      }
    }
  }

  SystemRandom random_;
  int socket_;
  replication::SecureChannel channel_;
  replication::FrameReader reader_;
  Bytes plaintext_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace culm::attack
