#include "culm/replication/node/connection.hpp"

#include <utility>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

constexpr auto kStallTimeout = std::chrono::milliseconds(limits::kWriteStallTimeoutMs);
constexpr auto kCloseTimeout = std::chrono::milliseconds(limits::kCloseTimeoutMs);

}  // namespace

void Connection::received(ByteView bytes, Instant now) {
  // The session tells by an event what became of it, here and below.
  if (!session_->ended()) static_cast<void>(session_->receive(bytes, now));
}

void Connection::receive_ended() {
  receiving_over_ = true;
  if (!session_->ended()) static_cast<void>(session_->receive_end());
}

void Connection::sent(std::size_t bytes, Instant now) {
  stalls_at_ = now + kStallTimeout;
  session_->output_sent(bytes, now);
}

void Connection::deadline_reached(Instant now) {
  if (close_by_) {
    if (now >= *close_by_) abort();
  } else if (stalls_at_ && now >= *stalls_at_) {
    drop(Error{Errc::kPeerSlow});  // no farewell gets through either
  } else if (const auto deadline = session_->next_deadline(); deadline && now >= *deadline) {
    static_cast<void>(session_->deadline_reached(now));
  }
}

void Connection::fail(const Error& error) {
  if (session_->ended()) return;
  failure_ = error;
  session_->close(error.code);
}

void Connection::drop(const Error& error) {
  fail(error);
  sending_over_ = true;
  receiving_over_ = true;
}

void Connection::abort() {
  sending_over_ = true;
  receive_ended();
}

bool Connection::advance(Instant now) {
  if (session_->ended() && state_ == State::kOpen) {
    state_ = State::kFlushing;
    close_by_ = now + kCloseTimeout;
  }
  bool shuts_down = false;
  if (state_ == State::kFlushing && (sending_over_ || session_->pending_output().empty())) {
    state_ = State::kHalfClosed;
    shuts_down = !std::exchange(sending_over_, true);
  }
  // Before the handshake is done there is no bye to be lost.
  if (state_ == State::kHalfClosed && (receiving_over_ || !session_->established())) {
    state_ = State::kClosed;
  }
  if (session_->pending_output().empty()) {
    stalls_at_.reset();
  } else if (!stalls_at_) {
    stalls_at_ = now + kStallTimeout;
  }
  return shuts_down;
}

std::optional<replication::Event> Connection::next_event() {
  while (auto event = session_->next_event()) {
    if (told_ended_ && !std::holds_alternative<replication::WorkReceived>(*event)) continue;
    if (auto* const ended = std::get_if<replication::Ended>(&*event)) {
      if (failure_) ended->error = failure_;
      told_ended_ = true;
    }
    return event;
  }
  return std::nullopt;
}

ByteView Connection::pending_output() const {
  return sending_over_ ? ByteView() : session_->pending_output();
}

bool Connection::wants_input() const {
  if (receiving_over_ || state_ == State::kClosed) return false;
  return session_->ended() || session_->wants_input();
}

std::optional<Instant> Connection::next_deadline() const {
  if (close_by_) return close_by_;
  auto deadline = session_->next_deadline();
  if (stalls_at_ && (!deadline || *stalls_at_ < *deadline)) deadline = stalls_at_;
  return deadline;
}

}  // namespace culm::node
