#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include "culm/core/bytes.hpp"
#include "culm/core/random.hpp"
#include "culm/core/result.hpp"
#include "culm/core/types.hpp"

namespace culm {

/// An Ed25519 signature.
struct Signature {
  std::array<std::uint8_t, 64> bytes{};

  friend auto operator<=>(const Signature&, const Signature&) = default;
};

/// Prepares the crypto library and proves that it decides the edge cases as the written criterion
/// does. Call once before anything else of culm; cheap to call again, from any thread. Fails with
/// kCryptoSelfTest, and then nothing may be verified. Spec: verification.md#criterion
[[nodiscard]] Result<void> initialize_crypto();

/// An author's Ed25519 secret key, in memory that is locked, fenced by unmapped pages, left out of
/// core dumps and wiped at the end.
class SecretKey {
 public:
  static constexpr std::size_t kSeedSizeBytes = 32;

  [[nodiscard]] static SecretKey generate(Random& random);

  /// The key of a 32-byte seed. Fails with kKeyFormat when `seed` has another size.
  [[nodiscard]] static Result<SecretKey> from_seed(ByteView seed);

  SecretKey(SecretKey&&) noexcept = default;
  SecretKey& operator=(SecretKey&&) noexcept = default;

  [[nodiscard]] const Author& author() const noexcept { return author_; }

  /// Valid as long as this key. Only for writing the key file.
  [[nodiscard]] ByteView seed() const noexcept;

  /// Deterministic (RFC 8032).
  [[nodiscard]] Signature sign(ByteView message) const;

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const noexcept;
  };

  explicit SecretKey(ByteView seed);

  std::unique_ptr<std::uint8_t, Free> secret_;
  Author author_;
};

/// A signature to be checked. Borrows the message.
struct SignatureCheck {
  Author author;
  ByteView message;
  Signature signature;
};

/// Decides whether a signature is good. Injected wherever signatures are checked, so that a
/// simulation can trade curve arithmetic for a keyed hash and a test can count checks.
class SignatureVerifier {
 public:
  virtual ~SignatureVerifier() = default;

  /// Fails with kAuthorKey or kEntrySignature.
  [[nodiscard]] virtual Result<void> verify(const Author& author, ByteView message,
                                            const Signature& signature) = 0;

  /// What `verify` says of each of `checks`, at the same place of `outcomes`, which is as long. One
  /// after the other, unless the verifier has threads for it.
  virtual void verify_all(std::span<const SignatureCheck> checks, std::span<Result<void>> outcomes);
};

/// The written criterion on libsodium. Safe to use from any thread. The check of an author key
/// costs two signatures and is remembered for the last few thousand authors.
/// Spec: verification.md#criterion
class Ed25519Verifier final : public SignatureVerifier {
 public:
  /// Precondition: `initialize_crypto()` has succeeded.
  Ed25519Verifier();

  [[nodiscard]] Result<void> verify(const Author& author, ByteView message,
                                    const Signature& signature) override;

 private:
  struct AuthorHash {
    [[nodiscard]] std::size_t operator()(const Author& author) const noexcept;
  };

  [[nodiscard]] bool is_author_valid(const Author& author);

  std::mutex mutex_;
  std::unordered_map<Author, bool, AuthorHash> authors_;
};

}  // namespace culm
