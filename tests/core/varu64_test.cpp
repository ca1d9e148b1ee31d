#include "culm/core/varu64.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm::varu64 {
namespace {

Bytes encoded(std::uint64_t value) {
  Bytes out;
  append(out, value);
  return out;
}

TEST(VarU64, DecidesEveryFirstByteAlone) {
  for (unsigned first = 0; first < 256; ++first) {
    const std::array<std::uint8_t, 1> bytes{static_cast<std::uint8_t>(first)};
    const auto decoded = decode(bytes);
    if (first < 248) {
      ASSERT_TRUE(decoded) << first;
      EXPECT_EQ(decoded->value, first);
      EXPECT_EQ(decoded->size_bytes, 1U);
      EXPECT_EQ(encoded(first), Bytes(bytes.begin(), bytes.end()));
    } else {
      ASSERT_FALSE(decoded) << first;
      EXPECT_EQ(decoded.error().code, Errc::kVarU64Truncated);
    }
  }
}

TEST(VarU64, DecidesEveryTwoBytes) {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const Bytes bytes{static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second)};
      const auto decoded = decode(bytes);
      if (first < 248) {
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->size_bytes, 1U);
      } else if (first > 248) {
        ASSERT_FALSE(decoded);
        EXPECT_EQ(decoded.error().code, Errc::kVarU64Truncated);
      } else if (second < 248) {
        ASSERT_FALSE(decoded);
        EXPECT_EQ(decoded.error().code, Errc::kVarU64Noncanonical);
      } else {
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->value, second);
        EXPECT_EQ(decoded->size_bytes, 2U);
        EXPECT_EQ(encoded(second), bytes);
      }
    }
  }
}

TEST(VarU64, NoBytesAreTruncated) { EXPECT_EQ(decode({}).error().code, Errc::kVarU64Truncated); }

TEST(VarU64, EveryBoundaryRoundTripsInItsShortestFormOnly) {
  EXPECT_EQ(encoded_size(247), 1U);
  EXPECT_EQ(encoded_size(248), 2U);
  for (std::size_t length = 1; length <= 8; ++length) {
    const std::uint64_t smallest = length == 1 ? 248 : std::uint64_t{1} << (8 * (length - 1));
    const std::uint64_t largest =
        length == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * length)) - 1;
    for (const std::uint64_t value : {smallest, largest}) {
      const Bytes bytes = encoded(value);
      ASSERT_EQ(bytes.size(), 1 + length) << value;
      EXPECT_EQ(encoded_size(value), bytes.size());
      EXPECT_EQ(decode(bytes)->value, value);
      EXPECT_EQ(decode(bytes)->size_bytes, bytes.size());
      for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        EXPECT_EQ(decode(ByteView(bytes).first(cut)).error().code, Errc::kVarU64Truncated);
      }
    }
    Bytes padded{static_cast<std::uint8_t>(247 + length)};
    for (std::size_t i = 0; i < length; ++i) {
      padded.push_back(static_cast<std::uint8_t>((smallest - 1) >> (8 * (length - 1 - i))));
    }
    EXPECT_EQ(decode(padded).error().code, Errc::kVarU64Noncanonical) << length;
  }
}

TEST(VarU64, ReadsNoFurtherThanItsEnd) {
  Bytes bytes = encoded(70'000);
  bytes.push_back(0xff);
  EXPECT_EQ(decode(bytes)->value, 70'000U);
  EXPECT_EQ(decode(bytes)->size_bytes, 4U);
}

TEST(VarU64, WhateverDecodesEncodesToTheSameBytes) {
  test::TestRandom random(7);
  CULM_TRACE_SEED(random);
  int good = 0;
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = random.bytes(9);
    bytes[0] = static_cast<std::uint8_t>(random.between(240, 255));
    if (random.below(2) == 0) bytes[1] = 0;
    const auto decoded = decode(bytes);
    if (!decoded) continue;
    ++good;
    bytes.resize(decoded->size_bytes);
    ASSERT_EQ(encoded(decoded->value), bytes);
  }
  EXPECT_GT(good, 50'000);
}

TEST(VarU64DeathTest, EncodingIntoTooLittleRoomIsABug) {
  std::array<std::uint8_t, 2> room{};
  EXPECT_DEATH(encode(room, 256), "bug: out.size\\(\\) >= size");
}

TEST(VarU64Vectors, AgreeWithTheSpecification) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("varu64.json"));
  for (const auto& vector : vectors.at("cases")) {
    SCOPED_TRACE(vector.at("id").get<std::string>());
    const Bytes bytes = test::hex(vector.at("bytes"));
    const auto decoded = decode(bytes);
    if (vector.contains("error")) {
      ASSERT_FALSE(decoded);
      EXPECT_EQ(name(decoded.error().code), vector.at("error").get<std::string>());
    } else {
      ASSERT_TRUE(decoded);
      EXPECT_EQ(decoded->value, vector.at("value").get<std::uint64_t>());
      EXPECT_EQ(decoded->size_bytes, bytes.size());
      EXPECT_EQ(encoded(decoded->value), bytes);
    }
  }
}

}  // namespace
}  // namespace culm::varu64
