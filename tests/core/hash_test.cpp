#include "culm/core/hash.hpp"

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm {
namespace {

/// RFC 7693, appendix A.
constexpr std::string_view kHashOfAbc =
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923";

TEST(Hash, IsBlake2bOf64Bytes) { EXPECT_EQ(to_hex(hash(as_bytes("abc")).bytes), kHashOfAbc); }

TEST(Hash, StreamingEqualsWholeForEveryCut) {
  test::TestRandom random(3);
  CULM_TRACE_SEED(random);
  const Bytes bytes = random.bytes(300);
  const Hash whole = hash(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Hasher hasher;
    hasher.update(ByteView(bytes).first(cut));
    hasher.update(ByteView(bytes).subspan(cut));
    ASSERT_EQ(hasher.finish(), whole) << cut;
  }
}

TEST(Hash, StreamingNothingIsTheHashOfNothing) { EXPECT_EQ(Hasher().finish(), hash({})); }

TEST(YamfHash, RoundTripsAndReadsNoFurther) {
  const Hash digest = hash(as_bytes("abc"));
  Bytes bytes(kYamfHashSizeBytes + 1, 0xff);
  encode_yamf_hash(bytes, digest);
  EXPECT_EQ(to_hex(ByteView(bytes).first(kYamfHashSizeBytes)),
            std::string("0040").append(kHashOfAbc));
  EXPECT_EQ(bytes.back(), 0xff);
  EXPECT_EQ(decode_yamf_hash(bytes), digest);
}

TEST(YamfHash, RefusesEveryOtherTypeAndLength) {
  Bytes bytes(kYamfHashSizeBytes + 4);
  for (unsigned value = 0; value < 256; ++value) {
    encode_yamf_hash(bytes, Hash{});
    bytes[0] = static_cast<std::uint8_t>(value);
    if (value != 0) {
      EXPECT_EQ(decode_yamf_hash(bytes).error(), error_at(Errc::kHashFormat, 0)) << value;
    }
    encode_yamf_hash(bytes, Hash{});
    bytes[1] = static_cast<std::uint8_t>(value);
    if (value != 64) {
      EXPECT_EQ(decode_yamf_hash(bytes).error(), error_at(Errc::kHashFormat, 1)) << value;
    }
  }
}

TEST(YamfHash, IsTruncatedAtEveryCut) {
  Bytes bytes(kYamfHashSizeBytes);
  encode_yamf_hash(bytes, Hash{});
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(decode_yamf_hash(ByteView(bytes).first(cut)).error(),
              error_at(Errc::kEntryTruncated, cut));
  }
}

TEST(YamfHashDeathTest, EncodingIntoTooLittleRoomIsABug) {
  Bytes room(kYamfHashSizeBytes - 1);
  EXPECT_DEATH(encode_yamf_hash(room, Hash{}), "bug: out.size\\(\\) >= kYamfHashSizeBytes");
}

TEST(YamfHashVectors, AgreeWithTheSpecification) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("yamf_hash.json"));
  for (const auto& vector : vectors.at("cases")) {
    SCOPED_TRACE(vector.at("id").get<std::string>());
    if (vector.contains("error")) {
      const auto decoded = decode_yamf_hash(test::hex(vector.at("bytes")));
      ASSERT_FALSE(decoded);
      EXPECT_EQ(name(decoded.error().code), vector.at("error").get<std::string>());
    } else {
      Bytes encoded(kYamfHashSizeBytes);
      encode_yamf_hash(encoded, hash(test::hex(vector.at("input"))));
      EXPECT_EQ(encoded, test::hex(vector.at("encoded")));
    }
  }
}

}  // namespace
}  // namespace culm
