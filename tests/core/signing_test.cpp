#include "culm/core/signing.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "culm/core/detail/signature_equation.hpp"

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm {
namespace {

class Signing : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(initialize_crypto()); }
};

using Verification = Signing;

template <class T>
T fixed(const nlohmann::json& text) {
  return T{test::hex_as<decltype(T::bytes)>(text)};
}

struct Rfc8032Case {
  std::string_view seed;
  std::string_view author;
  std::string_view message;
  std::string_view signature;
};

/// RFC 8032, section 7.1, tests 1 to 3.
constexpr std::array<Rfc8032Case, 3> kRfc8032{{
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
}};

TEST_F(Signing, GivesTheSignaturesOfRfc8032) {
  Ed25519Verifier verifier;
  for (const auto& vector : kRfc8032) {
    const auto key = SecretKey::from_seed(*from_hex(vector.seed));
    ASSERT_TRUE(key);
    EXPECT_EQ(to_hex(key->author().bytes), vector.author);
    const Bytes message = *from_hex(vector.message);
    const Signature signature = key->sign(message);
    EXPECT_EQ(to_hex(signature.bytes), vector.signature);
    EXPECT_TRUE(verifier.verify(key->author(), message, signature));
  }
}

TEST_F(Signing, AMovedKeySignsTheSame) {
  auto key = SecretKey::from_seed(*from_hex(kRfc8032[1].seed));
  ASSERT_TRUE(key);
  const Signature before = key->sign(as_bytes("m"));
  SecretKey moved = *std::move(key);
  EXPECT_EQ(moved.sign(as_bytes("m")), before);
  EXPECT_EQ(to_hex(moved.seed()), kRfc8032[1].seed);
  moved = *SecretKey::from_seed(*from_hex(kRfc8032[2].seed));
  EXPECT_EQ(to_hex(moved.author().bytes), kRfc8032[2].author);
}

TEST_F(Signing, AGeneratedKeyIsTheKeyOfItsSeed) {
  test::TestRandom random(11);
  CULM_TRACE_SEED(random);
  const SecretKey key = SecretKey::generate(random);
  const auto again = SecretKey::from_seed(key.seed());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->author(), key.author());
  EXPECT_NE(SecretKey::generate(random).author(), key.author());
}

TEST_F(Signing, RefusesSeedsOfOtherSizes) {
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    const auto key = SecretKey::from_seed(Bytes(size));
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::kKeyFormat);
  }
}

TEST_F(Signing, TheSecretLiesInMemoryThatCannotBeWritten) {
  test::TestRandom random(12);
  const SecretKey key = SecretKey::generate(random);
  auto* memory = const_cast<std::uint8_t*>(key.seed().data());
  EXPECT_DEATH(*static_cast<volatile std::uint8_t*>(memory) = 0, "");
}

TEST_F(Verification, RefusesEveryFlippedBit) {
  test::TestRandom random(13);
  CULM_TRACE_SEED(random);
  Ed25519Verifier verifier;
  const SecretKey key = SecretKey::generate(random);
  Bytes message = random.bytes(40);
  Signature signature = key.sign(message);
  ASSERT_TRUE(verifier.verify(key.author(), message, signature));
  for (std::size_t bit = 0; bit < 8 * signature.bytes.size(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
    signature.bytes[bit / 8] ^= mask;
    const auto verified = verifier.verify(key.author(), message, signature);
    ASSERT_FALSE(verified) << bit;
    EXPECT_EQ(verified.error().code, Errc::kEntrySignature);
    signature.bytes[bit / 8] ^= mask;
  }
  for (std::size_t i = 0; i < message.size(); ++i) {
    message[i] ^= 1U;
    EXPECT_FALSE(verifier.verify(key.author(), message, signature)) << i;
    message[i] ^= 1U;
  }
  EXPECT_FALSE(verifier.verify(SecretKey::generate(random).author(), message, signature));
}

TEST_F(Verification, NamesABadAuthorKey) {
  Ed25519Verifier verifier;
  for (int round = 0; round < 2; ++round) {  // the second answer comes from memory
    const auto verified = verifier.verify(Author{}, as_bytes("m"), Signature{});
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, Errc::kAuthorKey);
  }
}

TEST_F(Verification, ManyAuthorsAndThreadsGetTheSameAnswers) {
  Ed25519Verifier verifier;
  const auto work = [&verifier](std::uint64_t seed, bool& good) {
    test::TestRandom random(seed);
    for (int i = 0; i < 50; ++i) {
      const SecretKey key = SecretKey::generate(random);
      Signature signature = key.sign(as_bytes("m"));
      good = good && verifier.verify(key.author(), as_bytes("m"), signature).has_value();
      signature.bytes[0] ^= 1U;
      good = good && !verifier.verify(key.author(), as_bytes("m"), signature).has_value();
    }
  };
  bool first = true;
  bool second = true;
  std::thread other(work, 1, std::ref(first));
  work(2, second);
  other.join();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
}

TEST_F(Verification, OfTheCctvEdgeCasesAcceptsNumber305Only) {
  CULM_VECTORS_OR_SKIP(vectors, test::shared_vectors("ed25519-cctv.json"));
  Ed25519Verifier verifier;
  ASSERT_EQ(vectors.size(), 914U);
  for (const auto& vector : vectors) {
    const bool good =
        verifier
            .verify(fixed<Author>(vector.at("key")), as_bytes(vector.at("msg").get<std::string>()),
                    fixed<Signature>(vector.at("sig")))
            .has_value();
    const int number = vector.at("number").get<int>();
    EXPECT_EQ(good, number == 305) << "number " << number;
  }
}

TEST_F(Verification, RecomputingRAgreesWithTheLibraryOnWhatIsGoodAndRefusesTheCofactored) {
  for (const auto& vector : kRfc8032) {
    const Author author = fixed<Author>(vector.author);
    Signature signature = fixed<Signature>(vector.signature);
    const Bytes message = *from_hex(vector.message);
    EXPECT_TRUE(detail::recomputes_r(author, message, signature));
    signature.bytes[0] ^= 1U;
    EXPECT_FALSE(detail::recomputes_r(author, message, signature));
  }
  // R moved by a point of order 8: who multiplies by the cofactor calls this one good.
  EXPECT_FALSE(detail::recomputes_r(
      fixed<Author>("3ee19b39cdb00b901148dc3b876a4caccea43374a9bdde59eb4eaf9b59766326"),
      as_bytes("culm signature self-test"),
      fixed<Signature>("ca2d9a2097070fce90438a69828bc486d415dbcd6bb458666ab8c87486beb789"
                       "be7ce60abf5fc06c2d7c668076cfe2b5f9e38d5d10b6acee7f7660c572abdd0e")));
}

TEST_F(Verification, OfTheSpeccheckEdgeCasesAcceptsNone) {
  CULM_VECTORS_OR_SKIP(vectors, test::shared_vectors("ed25519-speccheck.json"));
  Ed25519Verifier verifier;
  ASSERT_EQ(vectors.size(), 12U);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const auto& vector = vectors.at(i);
    EXPECT_FALSE(verifier.verify(fixed<Author>(vector.at("pub_key")),
                                 test::hex(vector.at("message")),
                                 fixed<Signature>(vector.at("signature"))))
        << "case " << i;
  }
}

}  // namespace
}  // namespace culm
