#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "culm/core/limits.hpp"
#include "culm/core/time.hpp"
#include "culm/replication/node/subscriptions.hpp"

namespace culm::node {

/// An IPv6 address in network order; an IPv4 address as ::ffff:a.b.c.d.
using Address = std::array<std::uint8_t, 16>;

/// How many inbound connections a node has at a time, in all and of one address.
struct AdmissionLimits {
  /// With a complete handshake.
  std::uint32_t sessions_max = limits::kSessionsNode;
  std::uint32_t sessions_per_address_max = limits::kSessionsPerAddress;
  /// With a handshake under way; 0 counts as 1.
  std::uint32_t handshakes_max = limits::kHandshakes;
  std::uint32_t handshakes_per_address_max = limits::kHandshakesPerAddress;

  friend bool operator==(const AdmissionLimits&, const AdmissionLimits&) = default;
};

/// Who may connect, and who gives up its place when all are taken. Knows inbound connections only,
/// by what it is told; closing them is for the node. Of an IPv6 address the first 64 bits count:
/// one customer has the rest.
///
///   arrived --> handshake --established--> session --evicted--> farewell --> dropped
///                   |            '-------------refused-------------^
///                   '--> displaced
///
/// Handshake: a newcomer always gets a place. When those of its address are taken it displaces the
/// oldest of them; when all are taken, the oldest of the address that has the most. A handshake is
/// over after one or two round trips, a bare connection stays, so age tells them apart: an honest
/// peer gets through unless all places of its address are asked for again within its handshake. To
/// choose by chance would let some through beyond that rate, and lose some below it. Who holds many
/// places of few addresses displaces only itself: no honest address has as many.
///
/// Session: when the places of its address, or all, are taken, a newcomer evicts one of them that
/// is of no use, or is refused. Of no use is a session that moves nothing: for
/// limits::kSessionUnwantedMs when no want is open, either way; those go first. With a want open,
/// only after limits::kSessionQuietMs: a reader that waits for a log to grow is worth its place,
/// but to want a quiet log costs a stranger nothing, and must not hold the node for ever. Who
/// brought something that was committed goes last, and after limits::kSessionUsefulMs: it has shown
/// its use, but one entry costs little where every author is taken.
///
/// Farewell: who is refused or evicted is told so and hangs up itself. Beyond limits::kFarewells
/// the oldest is dropped without waiting for that, as it has had the most time to read its bye.
class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  /// A connection has come; begins its handshake. Returns the one that it displaces, which is known
  /// no longer.
  [[nodiscard]] std::optional<SessionId> arrived(SessionId id, const Address& address);

  struct Verdict {
    bool is_admitted = true;
    std::optional<SessionId> evicted{};  ///< to be told so
    std::optional<SessionId> dropped{};  ///< to be closed at once: known no longer
  };
  /// The handshake is complete. Precondition: `id` has arrived and is under way.
  [[nodiscard]] Verdict established(SessionId id, Instant now);

  // Of a session; nothing happens for others.

  /// It has moved something.
  void used(SessionId id, Instant now);
  /// Its first want was opened, or its last one has ended.
  void wants(SessionId id, bool has_wants);
  /// Something that it brought was committed.
  void brought(SessionId id);

  /// The connection is closed. Nothing happens for one that is not known.
  void leave(SessionId id);

 private:
  enum class Room : std::uint8_t { kHandshake, kSession, kFarewell };
  /// Who goes first: by the least.
  struct Worth {
    bool has_brought = false;
    bool has_wants = false;
    Instant used_at{};
    SessionId id = 0;

    friend auto operator<=>(const Worth&, const Worth&) = default;
  };
  struct Place {
    Room room{};
    Address network{};
    Worth worth{};  ///< of a session
  };
  using ByNetwork = std::map<Address, std::set<SessionId>>;

  [[nodiscard]] SessionId oldest_of_the_most() const;
  /// Which session goes when `network` has one more; nothing when none may.
  [[nodiscard]] std::optional<SessionId> useless(const Address& network, Instant now) const;
  [[nodiscard]] bool has_room(const Address& network) const;
  /// Returns the one that is dropped for it.
  std::optional<SessionId> dismiss(SessionId id, Place& place);
  void set_worth(Place& place, const Worth& worth);
  void vacate(SessionId id, const Place& place);

  AdmissionLimits limits_;
  std::map<SessionId, Place> places_;
  ByNetwork handshakes_;
  std::uint32_t handshake_count_ = 0;
  ByNetwork sessions_;
  std::set<Worth> by_worth_;  ///< all sessions
  std::deque<SessionId> farewells_;
};

}  // namespace culm::node
