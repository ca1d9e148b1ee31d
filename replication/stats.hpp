#pragma once

#include <algorithm>
#include <cstdint>

#include "culm/core/time.hpp"

namespace culm::replication {

/// Counted from the start of the session.
struct SessionStats {
  std::uint64_t bytes_received = 0;  ///< on the wire, handshake included
  std::uint64_t bytes_sent = 0;      ///< likewise
  std::uint64_t entries_received = 0;
  std::uint64_t entries_sent = 0;
  std::uint64_t payload_bytes_received = 0;
  std::uint64_t payload_bytes_sent = 0;
  /// Units and parts of payloads in which something came for the first time by their want.
  std::uint64_t pieces_new = 0;
  Instant heard{};  ///< when something came last

  SessionStats& operator+=(const SessionStats& other) {
    bytes_received += other.bytes_received;
    bytes_sent += other.bytes_sent;
    entries_received += other.entries_received;
    entries_sent += other.entries_sent;
    payload_bytes_received += other.payload_bytes_received;
    payload_bytes_sent += other.payload_bytes_sent;
    pieces_new += other.pieces_new;
    heard = std::max(heard, other.heard);
    return *this;
  }
};

}  // namespace culm::replication
