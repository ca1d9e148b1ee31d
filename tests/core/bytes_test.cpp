#include "culm/core/bytes.hpp"

#include <gtest/gtest.h>

namespace culm {
namespace {

TEST(Hex, RoundTripsEveryByte) {
  Bytes all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  const std::string text = to_hex(all);
  EXPECT_EQ(text.size(), 512U);
  EXPECT_EQ(text.substr(0, 6), "000102");
  EXPECT_EQ(text.substr(506), "fdfeff");
  EXPECT_EQ(from_hex(text), all);
}

TEST(Hex, ReadsBothCases) { EXPECT_EQ(from_hex("aBFf"), (Bytes{0xab, 0xff})); }

TEST(Hex, EmptyIsEmpty) {
  EXPECT_EQ(to_hex({}), "");
  EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, RefusesWhatIsNotHex) {
  for (const char* text :
       {"a", "abc", "0x", "g0", "0g", " 0", "0 ", "/0", ":0", "@0", "`0", "G0"}) {
    EXPECT_EQ(from_hex(text), std::nullopt) << text;
  }
}

TEST(BigEndian, PutsTheHighestByteFirst) {
  EXPECT_EQ(to_big_endian(0x0102030405060708U),
            (std::array<std::uint8_t, 8>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(BigEndian, RoundTripsAndReadsNoFurther) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{255},
                                    std::uint64_t{1} << 63U, ~std::uint64_t{0}}) {
    const auto encoded = to_big_endian(value);
    Bytes longer(encoded.begin(), encoded.end());
    longer.push_back(0xaa);
    EXPECT_EQ(from_big_endian(longer), value);
  }
}

TEST(BigEndianDeathTest, ReadingFewerThanEightBytesIsABug) {
  EXPECT_DEATH(static_cast<void>(from_big_endian(Bytes(7))), "bug: bytes.size\\(\\) >= 8");
}

TEST(Bytes, EqualComparesSizeAndContent) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_TRUE(equal(Bytes{1, 2}, Bytes{1, 2}));
  EXPECT_FALSE(equal(Bytes{1, 2}, Bytes{1, 3}));
  EXPECT_FALSE(equal(Bytes{1, 2}, Bytes{1, 2, 3}));
}

TEST(Bytes, TextAndBytesAreTwoViewsOfOneThing) {
  const std::string text("a\0\xff", 3);
  const ByteView bytes = as_bytes(text);
  EXPECT_TRUE(equal(bytes, Bytes{'a', 0, 0xff}));
  EXPECT_EQ(as_text(bytes), text);
}

TEST(Bytes, AppendKeepsWhatIsThere) {
  Bytes out{1};
  append_bytes(out, Bytes{2, 3});
  append_bytes(out, {});
  EXPECT_EQ(out, (Bytes{1, 2, 3}));
}

}  // namespace
}  // namespace culm
