#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"

namespace culm {

/// A BLAKE2b-512 digest, the only hash of this version. Spec: entry.md#yamf-hash
struct Hash {
  std::array<std::uint8_t, 64> bytes{};

  friend auto operator<=>(const Hash&, const Hash&) = default;
};

/// The yamf-hash form: type 0, length 64, digest.
inline constexpr std::size_t kYamfHashSizeBytes = 66;

/// BLAKE2b-512 of `bytes`, without key.
[[nodiscard]] Hash hash(ByteView bytes);

/// Reads a yamf-hash from the start of `bytes`. Fails with kHashFormat, or kEntryTruncated when
/// fewer than 66 bytes are there.
[[nodiscard]] Result<Hash> decode_yamf_hash(ByteView bytes);

/// Writes the 66 bytes of the yamf-hash. Precondition: `out.size() >= kYamfHashSizeBytes`.
void encode_yamf_hash(MutableByteView out, const Hash& hash);

/// BLAKE2b-512 over bytes that come in parts.
class Hasher {
 public:
  Hasher();

  void update(ByteView part);

  /// The digest of all parts so far; no `update` may follow.
  [[nodiscard]] Hash finish();

 private:
  struct alignas(64) State {
    std::array<std::uint8_t, 384> bytes{};
  };
  State state_;
};

}  // namespace culm
