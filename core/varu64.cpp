#include "culm/core/varu64.hpp"

#include <array>

#include "culm/core/assert.hpp"

namespace culm::varu64 {
namespace {

constexpr std::uint8_t kOneByteMax = 247;

}  // namespace

Result<Decoded> decode(ByteView bytes) {
  if (bytes.empty()) return fail(Errc::kVarU64Truncated);
  if (bytes[0] <= kOneByteMax) return Decoded{bytes[0], 1};

  const std::size_t length = bytes[0] - std::size_t{kOneByteMax};
  if (bytes.size() < 1 + length) return fail(Errc::kVarU64Truncated);
  std::uint64_t value = 0;
  for (std::size_t i = 1; i <= length; ++i) value = value << 8U | bytes[i];
  if (encoded_size(value) != 1 + length) return fail(Errc::kVarU64Noncanonical);
  return Decoded{value, 1 + length};
}

std::size_t encoded_size(std::uint64_t value) noexcept {
  if (value <= kOneByteMax) return 1;
  std::size_t length = 1;
  while (length < 8 && value >> (8 * length) != 0) ++length;
  return 1 + length;
}

std::size_t encode(MutableByteView out, std::uint64_t value) {
  const std::size_t size = encoded_size(value);
  CULM_ASSERT(out.size() >= size);
  if (size == 1) {
    out[0] = static_cast<std::uint8_t>(value);
    return 1;
  }
  out[0] = static_cast<std::uint8_t>(kOneByteMax + size - 1);
  for (std::size_t i = size - 1; i > 0; --i, value >>= 8U) {
    out[i] = static_cast<std::uint8_t>(value);
  }
  return size;
}

void append(Bytes& out, std::uint64_t value) {
  std::array<std::uint8_t, kSizeBytesMax> buffer{};
  append_bytes(out, ByteView(buffer).first(encode(buffer, value)));
}

}  // namespace culm::varu64
