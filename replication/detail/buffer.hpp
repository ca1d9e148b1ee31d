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

}  // namespace culm::replication
