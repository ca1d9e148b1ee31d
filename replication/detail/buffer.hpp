#pragma once

#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"

namespace culm::replication {

/// Empties `buffer`. Memory that was of use this time is kept for the next; large memory that was
/// not goes back, so that a connection that only exchanges pings holds none.
inline void recycle(Bytes& buffer) {
  if (buffer.size() <= limits::kIdleBufferBytesMax &&
      buffer.capacity() > limits::kIdleBufferBytesMax) {
    Bytes().swap(buffer);
  } else {
    buffer.clear();
  }
}

/// Gives back memory of `buffer` that holds nothing, where that is more than what holds something,
/// or where little is held.
inline void trim(Bytes& buffer) {
  const bool is_little = buffer.size() <= limits::kIdleBufferBytesMax;
  const std::size_t kept = is_little ? limits::kIdleBufferBytesMax : 2 * buffer.size();
  if (buffer.capacity() > kept) buffer.shrink_to_fit();
}

}  // namespace culm::replication
