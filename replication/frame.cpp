#include "culm/replication/frame.hpp"

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/replication/detail/buffer.hpp"

namespace culm::replication {

std::size_t begin_frame(Bytes& out) {
  const std::size_t position = out.size();
  out.resize(position + kFramePrefixBytes);
  return position;
}

void end_frame(Bytes& out, std::size_t position) {
  const std::size_t size = out.size() - position - kFramePrefixBytes;
  CULM_ASSERT(size >= 1 && size <= limits::kMessageBytesMax);
  for (std::size_t i = 0; i < kFramePrefixBytes; ++i) {
    out[position + i] = static_cast<std::uint8_t>(size >> (24 - 8 * i));
  }
}

void append_frame(Bytes& out, ByteView message) {
  const std::size_t position = begin_frame(out);
  append_bytes(out, message);
  end_frame(out, position);
}

Bytes& FrameReader::fill() {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
  position_ = 0;
  return buffer_;
}

Result<std::optional<ByteView>> FrameReader::next(std::size_t size_max) {
  if (position_ == buffer_.size()) {
    if (position_ != 0) recycle(buffer_);
    position_ = 0;
    return std::nullopt;
  }
  const ByteView rest = ByteView(buffer_).subspan(position_);
  if (rest.size() < kFramePrefixBytes) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kFramePrefixBytes; ++i) size = size << 8U | rest[i];
  if (size == 0 || size > size_max) return fail(Errc::kFrameLength);
  if (rest.size() - kFramePrefixBytes < size) return std::nullopt;
  position_ += kFramePrefixBytes + size;
  return rest.subspan(kFramePrefixBytes, size);
}

void FrameReader::trim() {
  if (has_spare(memory(), held())) fill().shrink_to_fit();
}

Result<void> FrameReader::finish() const {
  if (position_ != buffer_.size()) return fail(Errc::kFrameTruncated);
  return {};
}

}  // namespace culm::replication
