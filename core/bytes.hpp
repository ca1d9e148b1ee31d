#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace culm {

/// Borrows bytes from their maker, who says until when.
using ByteView = std::span<const std::uint8_t>;
/// Borrows writable bytes.
using MutableByteView = std::span<std::uint8_t>;
/// Owns bytes.
using Bytes = std::vector<std::uint8_t>;

/// Borrows the characters of `text` as bytes.
[[nodiscard]] ByteView as_bytes(std::string_view text) noexcept;

/// Borrows `bytes` as characters, unchecked for any encoding.
[[nodiscard]] std::string_view as_text(ByteView bytes) noexcept;

/// Two lower-case digits a byte.
[[nodiscard]] std::string to_hex(ByteView bytes);

/// Bytes of an even number of hex digits of either case; nothing if `text` is anything else.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

/// Content equality; not constant time.
[[nodiscard]] bool equal(ByteView a, ByteView b) noexcept;

/// Big-endian, so that keys sort as numbers.
[[nodiscard]] std::array<std::uint8_t, 8> to_big_endian(std::uint64_t value) noexcept;

/// Reads exactly the first 8 bytes. Precondition: `bytes.size() >= 8`.
[[nodiscard]] std::uint64_t from_big_endian(ByteView bytes);

/// Appends `bytes` to `out`.
void append_bytes(Bytes& out, ByteView bytes);

}  // namespace culm
