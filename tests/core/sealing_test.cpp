#include "culm/core/sealing.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm::sealing {
namespace {

Key key_of(std::string_view text) { return test::hex_as<Key>(text); }

// RFC 7748, section 6.1.
const Key kAliceSecret = key_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
const Key kBobSecret = key_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
constexpr std::string_view kAlicePublic =
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
constexpr std::string_view kBobPublic =
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
constexpr std::string_view kShared =
    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

TEST(KeyPair, AgreesAsRfc7748) {
  const KeyPair alice = KeyPair::from_secret(kAliceSecret);
  const KeyPair bob = KeyPair::from_secret(kBobSecret);
  EXPECT_EQ(to_hex(alice.public_key().bytes), kAlicePublic);
  EXPECT_EQ(to_hex(bob.public_key().bytes), kBobPublic);
  EXPECT_EQ(to_hex(*alice.agree(bob.public_key())), kShared);
  EXPECT_EQ(to_hex(*bob.agree(alice.public_key())), kShared);
}

TEST(KeyPair, AGeneratedKeyIsTheKeyOfItsSecret) {
  test::TestRandom random(21);
  CULM_TRACE_SEED(random);
  const KeyPair pair = KeyPair::generate(random);
  EXPECT_EQ(KeyPair::from_secret(pair.secret()).public_key(), pair.public_key());
  EXPECT_NE(KeyPair::generate(random).public_key(), pair.public_key());
}

TEST(KeyPair, RefusesPointsOfLowOrder) {
  const KeyPair pair = KeyPair::from_secret(kAliceSecret);
  for (const std::string_view point :
       {"0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto shared = pair.agree(PeerKey{key_of(point)});
    ASSERT_FALSE(shared) << point;
    EXPECT_EQ(shared.error().code, Errc::kHandshake);
  }
}

/// RFC 8439, appendix A.5, whose nonce begins with the four zero bytes that ours have.
const Key kAeadKey = key_of("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
constexpr std::uint64_t kAeadNonce = 0x0807060504030201U;
constexpr std::string_view kAssociated = "f33388860000000000004e91";
constexpr std::string_view kPlaintext =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
    "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
    "Internet-Drafts as reference material or to cite them other than as "
    "/\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
constexpr std::string_view kSealed =
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26"
    "b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37"
    "c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cd"
    "e7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273"
    "f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0"
    "ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";

TEST(Seal, IsTheAeadOfRfc8439) {
  const Bytes associated = *from_hex(kAssociated);
  Bytes sealed(kPlaintext.size() + kTagSizeBytes);
  seal(sealed, kAeadKey, kAeadNonce, associated, as_bytes(kPlaintext));
  EXPECT_EQ(to_hex(sealed), kSealed);
  Bytes opened(kPlaintext.size());
  ASSERT_TRUE(open(opened, kAeadKey, kAeadNonce, associated, sealed));
  EXPECT_EQ(as_text(opened), kPlaintext);
}

TEST(Open, RefusesEveryChangeAndLeavesNoPlaintext) {
  const Bytes associated = *from_hex(kAssociated);
  Bytes sealed = *from_hex(kSealed);
  Bytes opened(kPlaintext.size());
  const Bytes zeros(opened.size());
  const auto expect_refused = [&](const Key& key, std::uint64_t nonce, ByteView context) {
    opened.assign(opened.size(), 0xaa);
    const auto result = open(opened, key, nonce, context, sealed);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::kSealBroken);
    EXPECT_EQ(opened, zeros);
  };
  for (std::uint8_t& byte : sealed) {
    byte ^= 0x10U;
    expect_refused(kAeadKey, kAeadNonce, associated);
    byte ^= 0x10U;
  }
  expect_refused(kAeadKey, kAeadNonce + 1, associated);
  expect_refused(kAeadKey, kAeadNonce, {});
  expect_refused(kAliceSecret, kAeadNonce, associated);
}

TEST(Open, RefusesWhatIsShorterThanATag) {
  for (std::size_t size = 0; size < kTagSizeBytes; ++size) {
    EXPECT_EQ(open({}, kAeadKey, 0, {}, Bytes(size)).error().code, Errc::kSealBroken);
  }
}

TEST(Cipher, UsesEachNonceOnce) {
  Cipher sender(kAeadKey);
  Cipher receiver(kAeadKey);
  Bytes first(1 + kTagSizeBytes);
  Bytes second(1 + kTagSizeBytes);
  Bytes opened(1);
  ASSERT_TRUE(sender.seal(first, {}, Bytes{7}));
  ASSERT_TRUE(sender.seal(second, {}, Bytes{7}));
  EXPECT_NE(first, second);
  EXPECT_FALSE(receiver.open(opened, {}, second));
  ASSERT_TRUE(receiver.open(opened, {}, first));
  EXPECT_FALSE(receiver.open(opened, {}, first));
  ASSERT_TRUE(receiver.open(opened, {}, second));
  EXPECT_EQ(opened, Bytes{7});
}

TEST(Cipher, EndsBeforeItsNoncesDo) {
  Cipher sender(kAeadKey, limits::kRecordsPerKeyMax - 1);
  Cipher receiver(kAeadKey, limits::kRecordsPerKeyMax - 1);
  Bytes sealed(1 + kTagSizeBytes);
  Bytes opened(1);
  ASSERT_TRUE(sender.seal(sealed, {}, Bytes{7}));
  ASSERT_TRUE(receiver.open(opened, {}, sealed));
  EXPECT_EQ(sender.seal(sealed, {}, Bytes{7}).error().code, Errc::kLimit);
  EXPECT_EQ(receiver.open(opened, {}, sealed).error().code, Errc::kLimit);
}

TEST(Hkdf, IsHmacOfBlake2bAsAnotherImplementationComputesIt) {
  // hmac and hashlib.blake2b of Python 3.11, chaining key 00 01 .. 3f.
  Hash chaining_key;
  for (std::size_t i = 0; i < chaining_key.bytes.size(); ++i) {
    chaining_key.bytes[i] = static_cast<std::uint8_t>(i);
  }
  std::array<Hash, 3> three;
  hkdf(three, chaining_key, as_bytes("input key material"));
  EXPECT_EQ(to_hex(three[0].bytes),
            "a94ec1ceaa5ac0280eafc97980003e4019176e4bf7c914c45fb0bbda0b22a995"
            "4d01f3697bbf32817ed0fccbf6dd1ebd24c0b05611051e63dc56e131af4f7c10");
  EXPECT_EQ(to_hex(three[1].bytes),
            "f9d83f6c5d34695529eb8e35c8a2ed78658092e7c3b38fdf0cea2a2096b6f6e5"
            "42af644e298508f37da08860db285a8ad4b604c1f160f23356df6b28c183508d");
  EXPECT_EQ(to_hex(three[2].bytes),
            "bb6f14b645bac5dd79c98ce583e3357b43b431c22400c9b79d690c1d2fe2d391"
            "ab8372b0b08553b56e802dc6badace75398c1b8a973d0aab18d857d431c3a48f");
  std::array<Hash, 2> two;
  hkdf(two, chaining_key, as_bytes("input key material"));
  EXPECT_EQ(two[0], three[0]);
  EXPECT_EQ(two[1], three[1]);
}

TEST(Wipe, OverwritesEverything) {
  Key key = kAliceSecret;
  wipe(key);
  EXPECT_EQ(key, Key{});
}

}  // namespace
}  // namespace culm::sealing
