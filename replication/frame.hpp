#pragma once

#include <cstddef>
#include <optional>

#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"
#include "culm/core/result.hpp"

/// Messages within the plaintext of a channel: a frame is the message's length in 4 big-endian
/// bytes, 1 to limits::kMessageBytesMax, then the message. Spec: channel.md#frames
namespace culm::replication {

inline constexpr std::size_t kFramePrefixBytes = 4;

/// Makes room for a length at the end of `out`, so that a message can be encoded right behind it.
/// Returns the position that `end_frame` takes.
[[nodiscard]] std::size_t begin_frame(Bytes& out);

/// Makes all that `out` holds since `begin_frame` returned `position` one frame.
/// Precondition: those are 1 to limits::kMessageBytesMax bytes.
void end_frame(Bytes& out, std::size_t position);

/// Appends `message` as one frame. Precondition: its size is 1 to limits::kMessageBytesMax.
void append_frame(Bytes& out, ByteView message);

/// Cuts a stream into messages without copying them. Memory grows with bytes received, never with
/// a length that was only announced. Not thread-safe.
class FrameReader {
 public:
  /// The buffer to append the next bytes of the stream to; its content is not for others.
  /// Call `next` until it gives nothing before filling again, so that it holds at most the new
  /// bytes and one begun frame.
  [[nodiscard]] Bytes& fill();

  /// The next message, or nothing when its end has not come yet. Valid until the next call of
  /// `next` or `fill`. Fails with kFrameLength for one of more than `size_max` bytes, and then on
  /// every later call too. Precondition: `size_max` never falls.
  [[nodiscard]] Result<std::optional<ByteView>> next(
      std::size_t size_max = limits::kMessageBytesMax);

  /// Bytes of messages that `next` has not given.
  [[nodiscard]] std::size_t held() const noexcept { return buffer_.size() - position_; }
  /// What these are in, and whatever was before them.
  [[nodiscard]] std::size_t memory() const noexcept { return buffer_.capacity(); }
  /// Gives back memory that holds nothing.
  void trim();

  /// Says that the stream has ended. Fails with kFrameTruncated inside a frame.
  [[nodiscard]] Result<void> finish() const;

 private:
  Bytes buffer_;
  std::size_t position_ = 0;
};

}  // namespace culm::replication
