#include "culm/replication/host/jsonl.hpp"

#include <gtest/gtest.h>

namespace culm {
namespace {

TEST(Jsonl, ALineComesBack) {
  const Bytes encoded = {0, 1, 0xFF};
  for (const std::optional<Bytes>& payload :
       {std::optional<Bytes>(), std::optional(Bytes()), std::optional(Bytes{9})}) {
    std::string line;
    append_jsonl(line, encoded, payload);
    ASSERT_TRUE(line.ends_with("}\n"));
    const auto back = decode_jsonl(line);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->encoded, encoded);
    EXPECT_EQ(back->payload, payload);
  }
}

TEST(Jsonl, OtherKeysMeanNothingWhateverTheyHold) {
  const auto entry = decode_jsonl(
      R"({"a":{"encoded":1},"b":["payload",{"payload":2}],"encoded":"0A","c":-1.5e3,"d":null})");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->encoded, Bytes{10});
  EXPECT_EQ(entry->payload, std::nullopt);
}

TEST(Jsonl, NestingCostsNoStack) {
  const std::string deep = std::string(2'000'000, '[') + std::string(2'000'000, ']');
  EXPECT_TRUE(decode_jsonl(R"({"encoded":"","x":)" + deep + "}"));
  EXPECT_FALSE(decode_jsonl(R"({"encoded":"","x":)" + std::string(2'000'000, '[')));
}

TEST(Jsonl, NamesTheReason) {
  EXPECT_EQ(decode_jsonl("{").error().code, Errc::kFileFormat);
  EXPECT_EQ(decode_jsonl(R"(["encoded","00"])").error().code, Errc::kFileFormat);
  EXPECT_EQ(decode_jsonl(R"({"encoded":"00"}x)").error().code, Errc::kFileFormat);
  EXPECT_EQ(decode_jsonl(R"({"encoded":"0"})").error().code, Errc::kHexFormat);
}

}  // namespace
}  // namespace culm
