#pragma once

#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"

namespace culm::replication {

/// Empties `buffer`, and gives back large memory.
inline void release(Bytes& buffer) {
  if (buffer.capacity() > limits::kIdleBufferBytesMax) {
    Bytes().swap(buffer);
  } else {
    buffer.clear();
  }
}

/// Empties `buffer`. Memory that was of use this time is kept for the next; large memory that was
/// not goes back.
inline void recycle(Bytes& buffer) {
  buffer.size() <= limits::kIdleBufferBytesMax ? release(buffer) : buffer.clear();
}

/// Whether of memory in which so much is held some is to go back where room is needed.
[[nodiscard]] inline bool has_spare(std::size_t capacity, std::size_t held) {
  const bool is_little = held <= limits::kIdleBufferBytesMax;
  return capacity > (is_little ? limits::kIdleBufferBytesMax : 2 * held);
}

}  // namespace culm::replication
