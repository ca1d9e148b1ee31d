#include "culm/core/signing.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include <sodium.h>

#include "culm/core/assert.hpp"
#include "culm/core/detail/signature_equation.hpp"

namespace culm {
namespace {

constexpr std::size_t kAuthorsCachedMax = 4096;

enum class Path : std::uint8_t { kUnknown, kLibrary, kRecompute };
std::atomic<Path> verify_path{Path::kUnknown};

/// libsodium releases up to 1.0.22 compare with R themselves; its development branch multiplies by
/// the cofactor first and would accept what other peers refuse.
bool verify_equation(const Author& author, ByteView message, const Signature& signature,
                     Path path) {
  if (crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                  author.bytes.data()) != 0) {
    return false;
  }
  return path == Path::kLibrary || detail::recomputes_r(author, message, signature);
}

bool is_prime_order(const Author& author) {
  return crypto_core_ed25519_is_valid_point(author.bytes.data()) == 1;
}

struct Case {
  std::string_view author;
  std::string_view signature;
  bool good;
};

constexpr std::string_view kCaseAuthor =
    "3ee19b39cdb00b901148dc3b876a4caccea43374a9bdde59eb4eaf9b59766326";

/// One honest signature, the same with R moved by a point of order 8 (good only to those who
/// multiply by the cofactor), and the same with S + L.
constexpr std::array<Case, 3> kSignatureCases{{
    {kCaseAuthor,
     "6f1c4a70c57ba680fa565be8b8ae622530a4f587fb899651b5ebaef7ea5b2731"
     "dc35bd0012f2ae70b3b4ecf2b043672dfdc1d47006f03f45dd65d1b50eae7e06",
     true},
    {kCaseAuthor,
     "ca2d9a2097070fce90438a69828bc486d415dbcd6bb458666ab8c87486beb789"
     "be7ce60abf5fc06c2d7c668076cfe2b5f9e38d5d10b6acee7f7660c572abdd0e",
     false},
    {kCaseAuthor,
     "6f1c4a70c57ba680fa565be8b8ae622530a4f587fb899651b5ebaef7ea5b2731"
     "c909b35d2c55c1c88951e4958f3d4642fdc1d47006f03f45dd65d1b50eae7e16",
     false},
}};

/// The author key moved by a point of order 8 and by the point of order 2; releases of libsodium
/// before CVE-2025-69277 was mended miss the latter.
constexpr std::array<std::string_view, 2> kBadAuthors{
    "d98877b698edcebbaba828b06b004e0c1ab1a39c6d2f5ed48fb365a1235266dd",
    "af1e64c6324ff46feeb723c47895b353315bcc8b564221a614b15064a6899cd9"};

template <class T>
T parse_hex(std::string_view text) {
  T out;
  const auto bytes = from_hex(text);
  CULM_ASSERT(bytes && bytes->size() == out.bytes.size());
  std::ranges::copy(*bytes, out.bytes.begin());
  return out;
}

bool self_test(Path path) {
  const ByteView text = as_bytes("culm signature self-test");
  for (const Case& test : kSignatureCases) {
    if (verify_equation(parse_hex<Author>(test.author), text, parse_hex<Signature>(test.signature),
                        path) != test.good) {
      return false;
    }
  }
  if (!is_prime_order(parse_hex<Author>(kCaseAuthor))) return false;
  return std::ranges::none_of(kBadAuthors, [](std::string_view author) {
    return is_prime_order(parse_hex<Author>(author));
  });
}

}  // namespace

bool detail::recomputes_r(const Author& author, ByteView message, const Signature& signature) {
  crypto_hash_sha512_state state;
  std::array<std::uint8_t, crypto_hash_sha512_BYTES> digest{};
  crypto_hash_sha512_init(&state);
  crypto_hash_sha512_update(&state, signature.bytes.data(), 32);
  crypto_hash_sha512_update(&state, author.bytes.data(), author.bytes.size());
  crypto_hash_sha512_update(&state, message.data(), message.size());
  crypto_hash_sha512_final(&state, digest.data());

  using Point = std::array<std::uint8_t, crypto_core_ed25519_BYTES>;
  std::array<std::uint8_t, crypto_core_ed25519_SCALARBYTES> h{};
  crypto_core_ed25519_scalar_reduce(h.data(), digest.data());
  Point left{};
  Point right{};
  Point difference{};
  // Both return -1 for a zero result, which no honest signature has.
  if (crypto_scalarmult_ed25519_base_noclamp(left.data(), signature.bytes.data() + 32) != 0 ||
      crypto_scalarmult_ed25519_noclamp(right.data(), h.data(), author.bytes.data()) != 0 ||
      crypto_core_ed25519_sub(difference.data(), left.data(), right.data()) != 0) {
    return false;
  }
  return std::equal(difference.begin(), difference.end(), signature.bytes.begin());
}

Result<void> initialize_crypto() {
  if (verify_path.load() != Path::kUnknown) return {};
  if (sodium_init() < 0) return fail(Errc::kCryptoSelfTest);
  for (const Path path : {Path::kLibrary, Path::kRecompute}) {
    if (self_test(path)) {
      verify_path = path;
      return {};
    }
  }
  return fail(Errc::kCryptoSelfTest);
}

SecretKey::SecretKey(ByteView seed)
    : secret_(static_cast<std::uint8_t*>(sodium_malloc(crypto_sign_SECRETKEYBYTES))) {
  CULM_ASSERT(secret_ != nullptr);
  CULM_ASSERT(crypto_sign_seed_keypair(author_.bytes.data(), secret_.get(), seed.data()) == 0);
  sodium_mprotect_readonly(secret_.get());
}

void SecretKey::Free::operator()(std::uint8_t* memory) const noexcept { sodium_free(memory); }

SecretKey SecretKey::generate(Random& random) {
  std::array<std::uint8_t, kSeedSizeBytes> seed{};
  random.fill(seed);
  SecretKey key(seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

Result<SecretKey> SecretKey::from_seed(ByteView seed) {
  if (seed.size() != kSeedSizeBytes) return fail(Errc::kKeyFormat);
  return SecretKey(seed);
}

ByteView SecretKey::seed() const noexcept { return {secret_.get(), kSeedSizeBytes}; }

Signature SecretKey::sign(ByteView message) const {
  Signature signature;
  CULM_ASSERT(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                   secret_.get()) == 0);
  return signature;
}

void SignatureVerifier::verify_all(std::span<const SignatureCheck> checks,
                                   std::span<Result<void>> outcomes) {
  CULM_ASSERT(checks.size() == outcomes.size());
  for (std::size_t i = 0; i < checks.size(); ++i) {
    outcomes[i] = verify(checks[i].author, checks[i].message, checks[i].signature);
  }
}

Ed25519Verifier::Ed25519Verifier() { CULM_ASSERT(verify_path.load() != Path::kUnknown); }

std::size_t Ed25519Verifier::AuthorHash::operator()(const Author& author) const noexcept {
  std::size_t prefix = 0;
  std::memcpy(&prefix, author.bytes.data(), sizeof prefix);
  return prefix;
}

bool Ed25519Verifier::is_author_valid(const Author& author) {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = authors_.find(author); found != authors_.end()) return found->second;
  }
  const bool valid = is_prime_order(author);
  const std::scoped_lock lock(mutex_);
  if (authors_.size() >= kAuthorsCachedMax) authors_.clear();
  authors_.emplace(author, valid);
  return valid;
}

Result<void> Ed25519Verifier::verify(const Author& author, ByteView message,
                                     const Signature& signature) {
  if (!is_author_valid(author)) return fail(Errc::kAuthorKey);
  if (!verify_equation(author, message, signature, verify_path.load())) {
    return fail(Errc::kEntrySignature);
  }
  return {};
}

}  // namespace culm
