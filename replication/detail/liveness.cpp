#include "culm/replication/detail/liveness.hpp"

#include <algorithm>
#include <chrono>

#include "culm/core/limits.hpp"

namespace culm::replication {
namespace {

constexpr auto kHandshakeTimeout = std::chrono::milliseconds(limits::kHandshakeTimeoutMs);
constexpr auto kPingInterval = std::chrono::milliseconds(limits::kPingIntervalMs);
constexpr auto kIdleTimeout = std::chrono::milliseconds(limits::kIdleTimeoutMs);
constexpr auto kStallTimeout = std::chrono::milliseconds(limits::kWantStallTimeoutMs);
constexpr auto kSessionTimeout = std::chrono::milliseconds(limits::kSessionTimeoutMs);

}  // namespace

void Liveness::bytes_received(std::size_t bytes, Instant now) {
  now_ = now;
  last_received_ = now;
  is_ping_sent_ = false;
  bytes_since_progress_ += bytes;
}

void Liveness::not_listening(Instant now) {
  last_received_ = std::max(last_received_, now - kPingInterval);
  is_ping_sent_ = false;
}

void Liveness::progressed() {
  stalled_since_.reset();
  bytes_since_progress_ = 0;
}

Result<void> Liveness::check_stall(bool peer_owes) {
  // On a link so slow that a message takes longer, bytes alone must do.
  if (!peer_owes || bytes_since_progress_ >= limits::kProgressBytes) {
    progressed();
    return {};
  }
  // Until now it may have been this side that was waited for.
  if (!stalled_since_) stalled_since_ = now_;
  if (now_ >= *stalled_since_ + kStallTimeout) return fail(Errc::kPeerStalled);
  return {};
}

Result<Liveness::Due> Liveness::deadline_reached(Instant now, bool peer_owes) {
  now_ = now;
  if (!is_established_) {
    if (now >= started_ + kHandshakeTimeout) return fail(Errc::kHandshake);
    return Due::kNothing;
  }
  if (now >= started_ + kSessionTimeout) return Due::kClose;
  if (now >= last_received_ + kIdleTimeout) return fail(Errc::kPeerSilent);
  CULM_CHECK(check_stall(peer_owes));
  if (now < last_received_ + kPingInterval || is_ping_sent_) return Due::kNothing;
  is_ping_sent_ = true;
  return Due::kPing;
}

Instant Liveness::next_deadline(bool peer_owes) const {
  if (!is_established_) return started_ + kHandshakeTimeout;
  Instant next = last_received_ + (is_ping_sent_ ? kIdleTimeout : kPingInterval);
  if (peer_owes) next = std::min(next, stalled_since_.value_or(now_) + kStallTimeout);
  return std::min(next, started_ + kSessionTimeout);
}

}  // namespace culm::replication
