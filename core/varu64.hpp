#pragma once

#include <cstddef>
#include <cstdint>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"

/// VarU64: values below 248 are one byte; others are 247 + n, then n big-endian bytes, n minimal.
/// Spec: entry.md#varu64
namespace culm::varu64 {

inline constexpr std::size_t kSizeBytesMax = 9;

struct Decoded {
  std::uint64_t value = 0;
  std::size_t size_bytes = 0;
};

/// Reads one VarU64 from the start of `bytes`. Fails with kVarU64Truncated or kVarU64Noncanonical.
[[nodiscard]] Result<Decoded> decode(ByteView bytes);

/// Bytes that `value` takes: 1 to 9.
[[nodiscard]] std::size_t encoded_size(std::uint64_t value) noexcept;

/// Writes `value` at the start of `out` and returns the bytes written.
/// Precondition: `out.size() >= encoded_size(value)`.
std::size_t encode(MutableByteView out, std::uint64_t value);

/// Appends `value` to `out`.
void append(Bytes& out, std::uint64_t value);

}  // namespace culm::varu64
