#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "culm/replication/session.hpp"

namespace culm::node {

/// One connection's life, without its socket: what is read and written, until when, and the order
/// in which it ends. Not thread-safe.
///
///   open --the session ends--> flushing --all is sent--> half closed --the peer's end--> closed
///                                  '-- limits::kCloseTimeoutMs from the session's end --^
///
/// To close by halves keeps the kernel from throwing away the bye that the peer has not read yet;
/// without a handshake there is none, and flushing leads to closed. A peer that takes nothing for
/// limits::kWriteStallTimeoutMs is given up with kPeerSlow.
class Connection {
 public:
  enum class State { kOpen, kFlushing, kHalfClosed, kClosed };

  explicit Connection(std::unique_ptr<replication::Session> session)
      : session_(std::move(session)) {}

  [[nodiscard]] State state() const noexcept { return state_; }
  /// Whether the session goes on.
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen && !session_->ended(); }
  [[nodiscard]] replication::Session& session() { return *session_; }
  [[nodiscard]] const replication::Session& session() const { return *session_; }

  // After each of these, take all events and call `advance`.
  void received(ByteView bytes, Instant now);
  /// The peer's end, or no connection any more.
  void receive_ended();
  void sent(std::size_t bytes, Instant now);
  /// Nobody takes what is sent any more; what the peer has said before may still be read.
  void send_failed() { sending_over_ = true; }
  void deadline_reached(Instant now);
  /// Ends the session for a reason of this side.
  void fail(const Error& error);
  /// The same, and closes it without waiting for the peer.
  void drop(const Error& error);
  /// Moves on as far as it can. Whether the sending side of the socket is to be shut down now.
  [[nodiscard]] bool advance(Instant now);

  /// After `Ended`, only `WorkReceived`.
  [[nodiscard]] std::optional<replication::Event> next_event();

  [[nodiscard]] ByteView pending_output() const;
  /// Whether the socket should be read; what comes once the session has ended is thrown away.
  [[nodiscard]] bool wants_input() const;
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  void abort();

  std::unique_ptr<replication::Session> session_;
  State state_ = State::kOpen;
  std::optional<Instant> stalls_at_;  ///< set while output waits
  std::optional<Instant> close_by_;   ///< set once the session has ended
  std::optional<Error> failure_;      ///< why this side has ended the session
  bool told_ended_ = false;
  bool sending_over_ = false;
  bool receiving_over_ = false;
};

}  // namespace culm::node
