#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "culm/replication/session.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Pumps bytes and deadlines between a socket and a session.
///
/// The socket does not block. Reading goes straight into a buffer that all connections of a node
/// share, and writing straight out of the session's output, so an idle connection holds no buffer
/// and no byte is copied on the way. While the session has too much output waiting, nothing is
/// read: a peer that does not read is not answered.
///
///   open --session ended--> flush output --> shut down sending --> read until the peer's end -->
///   closed
///
/// The detour keeps the kernel from throwing away the bye that the peer has not read yet.
/// Kept alive by its own handlers until closed.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// Who owns the connections. Outlives each of them, or abandons it.
  class Host {
   public:
    virtual ~Host() = default;
    /// May take the event apart, and call anything but `abandon`.
    virtual void on_event(Connection& connection, replication::Event& event) = 0;
    /// The socket is closed; the last call for this connection.
    virtual void on_closed(Connection& connection) = 0;
    /// Scratch memory for one read.
    [[nodiscard]] virtual MutableByteView read_buffer() = 0;
  };

  /// `socket` is connected and does not block.
  Connection(tcp::socket socket, std::uint64_t id, std::unique_ptr<replication::Session> session,
             Host& host);

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] bool is_closed() const noexcept { return host_ == nullptr; }
  /// Whether the session goes on.
  [[nodiscard]] bool is_open() const { return !is_closed() && !session_->ended(); }
  /// Call `pump` after each call that is not const. Precondition: neither closed nor abandoned.
  [[nodiscard]] replication::Session& session() { return *session_; }
  /// Ends the session for a reason of the host. Precondition: open.
  void fail(const Error& error);

  /// Delivers events, writes, and sees to it that what comes next is noticed.
  void pump();
  /// Closes the socket at once.
  void abort();
  /// Closes the socket and forgets session and host.
  void abandon();

 private:
  void deliver_events();
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  [[nodiscard]] bool write_some();
  void wait_writable();
  void wait_readable();
  void readable();
  void wind_up();
  void arm_timer();
  void timer_expired();
  void close();

  tcp::socket socket_;
  asio::steady_timer timer_;
  std::uint64_t id_;
  std::unique_ptr<replication::Session> session_;
  Host* host_;

  std::optional<Instant> armed_;      ///< when the timer fires
  std::optional<Instant> stalls_at_;  ///< set while output waits
  std::optional<Instant> close_by_;   ///< set once the session has ended
  std::optional<Error> failure_;      ///< why the host has ended the session
  std::size_t pump_bytes_left_ = 0;
  bool pumping_ = false;
  bool pump_again_ = false;
  bool waits_readable_ = false;
  bool waits_writable_ = false;
  bool sending_over_ = false;  ///< shut down, or nobody takes it any more
  bool receiving_over_ = false;
};

}  // namespace culm::transport::detail
