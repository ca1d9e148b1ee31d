#include "culm/core/hash.hpp"

#include <algorithm>

#include <sodium.h>

#include "culm/core/assert.hpp"

namespace culm {
namespace {

constexpr std::uint8_t kTypeBlake2b = 0;

crypto_generichash_blake2b_state* as_sodium(void* state) {
  return static_cast<crypto_generichash_blake2b_state*>(state);
}

}  // namespace

Hash hash(ByteView bytes) {
  Hash out;
  CULM_ASSERT(crypto_generichash_blake2b(out.bytes.data(), out.bytes.size(), bytes.data(),
                                         bytes.size(), nullptr, 0) == 0);
  return out;
}

Result<Hash> decode_yamf_hash(ByteView bytes) {
  if (!bytes.empty() && bytes[0] != kTypeBlake2b) return fail(error_at(Errc::kHashFormat, 0));
  Hash out;
  if (bytes.size() > 1 && bytes[1] != out.bytes.size()) return fail(error_at(Errc::kHashFormat, 1));
  if (bytes.size() < kYamfHashSizeBytes) return fail(error_at(Errc::kEntryTruncated, bytes.size()));
  std::ranges::copy(bytes.subspan(2, out.bytes.size()), out.bytes.begin());
  return out;
}

void encode_yamf_hash(MutableByteView out, const Hash& hash) {
  CULM_ASSERT(out.size() >= kYamfHashSizeBytes);
  out[0] = kTypeBlake2b;
  out[1] = static_cast<std::uint8_t>(hash.bytes.size());
  std::ranges::copy(hash.bytes, out.begin() + 2);
}

Hasher::Hasher() {
  static_assert(sizeof(crypto_generichash_blake2b_state) <= sizeof(State));
  static_assert(alignof(crypto_generichash_blake2b_state) <= alignof(State));
  CULM_ASSERT(
      crypto_generichash_blake2b_init(as_sodium(&state_), nullptr, 0, sizeof(Hash::bytes)) == 0);
}

void Hasher::update(ByteView part) {
  CULM_ASSERT(crypto_generichash_blake2b_update(as_sodium(&state_), part.data(), part.size()) == 0);
}

Hash Hasher::finish() {
  Hash out;
  CULM_ASSERT(crypto_generichash_blake2b_final(as_sodium(&state_), out.bytes.data(),
                                               out.bytes.size()) == 0);
  return out;
}

}  // namespace culm
