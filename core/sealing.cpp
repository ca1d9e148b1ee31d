#include "culm/core/sealing.hpp"

#include <sodium.h>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"

namespace culm::sealing {
namespace {

constexpr std::size_t kBlockSizeBytes = 128;

using Nonce = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

Nonce noise_nonce(std::uint64_t counter) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return nonce;
}

Hash hmac(ByteView key, ByteView first, ByteView second) {
  CULM_ASSERT(key.size() <= kBlockSizeBytes);
  std::array<std::uint8_t, kBlockSizeBytes> pad{};
  const auto padded = [&](std::uint8_t fill) -> ByteView {
    pad.fill(fill);
    for (std::size_t i = 0; i < key.size(); ++i) pad[i] ^= key[i];
    return pad;
  };
  Hasher inner;
  inner.update(padded(0x36));
  inner.update(first);
  inner.update(second);
  Hash digest = inner.finish();
  Hasher outer;
  outer.update(padded(0x5c));
  outer.update(digest.bytes);
  wipe(pad);
  wipe(digest.bytes);
  return outer.finish();
}

}  // namespace

KeyPair::KeyPair(const Key& secret) : secret_(secret) {
  CULM_ASSERT(crypto_scalarmult_base(public_.bytes.data(), secret_.data()) == 0);
}

KeyPair::~KeyPair() { wipe(secret_); }

KeyPair KeyPair::generate(Random& random) {
  Key secret{};
  random.fill(secret);
  KeyPair pair(secret);
  wipe(secret);
  return pair;
}

KeyPair KeyPair::from_secret(const Key& secret) { return KeyPair(secret); }

Result<Key> KeyPair::agree(const PeerKey& other) const {
  Key shared{};
  if (crypto_scalarmult(shared.data(), secret_.data(), other.bytes.data()) != 0) {
    return fail(Errc::kHandshake);
  }
  return shared;
}

void seal(MutableByteView out, const Key& key, std::uint64_t nonce, ByteView associated,
          ByteView plaintext) {
  CULM_ASSERT(out.size() == plaintext.size() + kTagSizeBytes);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(), plaintext.size(),
                                            associated.data(), associated.size(), nullptr,
                                            noise_nonce(nonce).data(), key.data());
}

Result<void> open(MutableByteView out, const Key& key, std::uint64_t nonce, ByteView associated,
                  ByteView sealed) {
  if (sealed.size() < kTagSizeBytes) return fail(Errc::kSealBroken);
  CULM_ASSERT(out.size() + kTagSizeBytes == sealed.size());
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, sealed.data(),
                                                sealed.size(), associated.data(), associated.size(),
                                                noise_nonce(nonce).data(), key.data()) != 0) {
    return fail(Errc::kSealBroken);
  }
  return {};
}

Cipher::Cipher(const Key& key, std::uint64_t first_nonce) : key_(key), nonce_(first_nonce) {}

Cipher::~Cipher() { wipe(key_); }

Result<void> Cipher::seal(MutableByteView out, ByteView associated, ByteView plaintext) {
  if (nonce_ >= limits::kRecordsPerKeyMax) return fail(Errc::kLimit);
  sealing::seal(out, key_, nonce_++, associated, plaintext);
  return {};
}

Result<void> Cipher::open(MutableByteView out, ByteView associated, ByteView sealed) {
  if (nonce_ >= limits::kRecordsPerKeyMax) return fail(Errc::kLimit);
  CULM_CHECK(sealing::open(out, key_, nonce_, associated, sealed));
  ++nonce_;
  return {};
}

void hkdf(std::span<Hash> outputs, const Hash& chaining_key, ByteView input) {
  Hash temporary = hmac(chaining_key.bytes, input, {});
  ByteView previous;
  std::uint8_t counter = 0;
  for (Hash& output : outputs) {
    ++counter;
    output = hmac(temporary.bytes, previous, ByteView(&counter, 1));
    previous = output.bytes;
  }
  wipe(temporary.bytes);
}

void wipe(MutableByteView secret) noexcept { sodium_memzero(secret.data(), secret.size()); }

}  // namespace culm::sealing
