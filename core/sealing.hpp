#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/random.hpp"
#include "culm/core/result.hpp"

/// The primitives of the encrypted channel: X25519, ChaCha20-Poly1305, HKDF over BLAKE2b.
/// Spec: channel.md#primitives
namespace culm::sealing {

using Key = std::array<std::uint8_t, 32>;

inline constexpr std::size_t kTagSizeBytes = 16;

/// A peer's identity: its X25519 public key.
struct PeerKey {
  Key bytes{};

  friend auto operator<=>(const PeerKey&, const PeerKey&) = default;
};

/// An X25519 key pair. The secret half is wiped at the end.
class KeyPair {
 public:
  [[nodiscard]] static KeyPair generate(Random& random);
  [[nodiscard]] static KeyPair from_secret(const Key& secret);

  KeyPair(const KeyPair&) = default;
  KeyPair& operator=(const KeyPair&) = default;
  ~KeyPair();

  [[nodiscard]] const PeerKey& public_key() const noexcept { return public_; }
  [[nodiscard]] const Key& secret() const noexcept { return secret_; }

  /// The shared secret with `other`. Fails with kHandshake when it is zero, which a low-order point
  /// brings about.
  [[nodiscard]] Result<Key> agree(const PeerKey& other) const;

 private:
  explicit KeyPair(const Key& secret);

  Key secret_;
  PeerKey public_;
};

/// Writes ciphertext and tag: `out.size() == plaintext.size() + kTagSizeBytes`.
void seal(MutableByteView out, const Key& key, std::uint64_t nonce, ByteView associated,
          ByteView plaintext);

/// Writes the plaintext: `out.size() + kTagSizeBytes == sealed.size()`. Fails with kSealBroken and
/// then leaves nothing of the plaintext in `out`.
[[nodiscard]] Result<void> open(MutableByteView out, const Key& key, std::uint64_t nonce,
                                ByteView associated, ByteView sealed);

/// A key with its nonces: counts them up from the first, one for each successful call, so that none
/// is used twice. Neither copied nor moved for that reason; the key is wiped at the end.
class Cipher {
 public:
  explicit Cipher(const Key& key, std::uint64_t first_nonce = 0);
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  ~Cipher();

  /// As the function `seal`. Fails with kLimit from nonce limits::kRecordsPerKeyMax on.
  [[nodiscard]] Result<void> seal(MutableByteView out, ByteView associated, ByteView plaintext);

  /// As the function `open`. Fails with kLimit as `seal` does, or with kSealBroken.
  [[nodiscard]] Result<void> open(MutableByteView out, ByteView associated, ByteView sealed);

 private:
  Key key_;
  std::uint64_t nonce_;
};

/// HKDF as Noise uses it, `outputs.size()` 2 or 3 chunks of 64 bytes.
void hkdf(std::span<Hash> outputs, const Hash& chaining_key, ByteView input);

/// Overwrites `secret` in a way that no compiler leaves out.
void wipe(MutableByteView secret) noexcept;

}  // namespace culm::sealing
