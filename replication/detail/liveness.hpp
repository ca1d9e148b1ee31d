#pragma once

#include <cstdint>
#include <optional>

#include "culm/core/result.hpp"
#include "culm/core/time.hpp"

namespace culm::replication {

/// All timers of one session. It is told the time and keeps none of its own.
///
///   handshake  from the start to hello: a stranger holds a connection no longer without a word
///   ping       nothing came: ask for a sign of life, so that a link that is cut shows
///   idle       nothing came, no pong either: the peer is gone (kPeerSilent)
///   stall      the peer owes something and brings it no nearer, though it may be alive
///              (kPeerStalled): who waits can ask somebody else
///   end        no key encrypts for longer: a new session may follow
///
/// What the peer owes is no timer but a fact at each moment: while this side is busy with what
/// came, nobody stalls. Spec: replication.md#limits
class Liveness {
 public:
  enum class Due : std::uint8_t { kNothing, kPing, kClose };

  explicit Liveness(Instant now) : started_(now), now_(now), last_received_(now) {}

  void bytes_received(std::size_t bytes, Instant now);
  /// Nothing that came is looked at: that the peer is silent says nothing, and it must not find
  /// this side silent either.
  void not_listening(Instant now);
  /// The handshake is over, hello included.
  void established() { is_established_ = true; }
  /// What the peer owes came nearer, or more was asked for just now.
  void progressed();

  /// Fails with kPeerStalled. Called when something came, too: a peer may send what helps nobody.
  [[nodiscard]] Result<void> check_stall(bool peer_owes);
  /// Says what is to be done now. Fails with kHandshake, kPeerSilent, kPeerStalled.
  [[nodiscard]] Result<Due> deadline_reached(Instant now, bool peer_owes);
  [[nodiscard]] Instant next_deadline(bool peer_owes) const;

  /// The time as it was told last.
  [[nodiscard]] Instant now() const noexcept { return now_; }

 private:
  Instant started_;
  Instant now_;
  Instant last_received_;
  std::optional<Instant> stalled_since_;  // noticed in passing
  std::uint64_t bytes_since_progress_ = 0;
  bool is_ping_sent_ = false;
  bool is_established_ = false;
};

}  // namespace culm::replication
