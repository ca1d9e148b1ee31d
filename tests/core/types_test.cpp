#include "culm/core/types.hpp"

#include <set>
#include <unordered_set>

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"

namespace culm {
namespace {

LogKey log_of(std::uint8_t first, std::uint64_t log_id) {
  LogKey log;
  log.author.bytes[0] = first;
  log.log_id = LogId{log_id};
  return log;
}

const std::string kAuthorText = "ab" + std::string(62, '0');

TEST(LogKeyText, LeavesOutLogIdZero) {
  EXPECT_EQ(to_string(log_of(0xab, 0)), kAuthorText);
  EXPECT_EQ(to_string(log_of(0xab, 7)), kAuthorText + ".7");
  EXPECT_EQ(to_string(log_of(0xab, ~std::uint64_t{0})), kAuthorText + ".18446744073709551615");
}

TEST(LogKeyText, RoundTrips) {
  test::TestRandom random(1);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 200; ++i) {
    LogKey log;
    random.fill(log.author.bytes);
    log.log_id = LogId{random.next() >> random.below(64)};
    EXPECT_EQ(parse_log_key(to_string(log)), log);
  }
}

TEST(LogKeyText, ReadsUpperCaseAndAWrittenLogIdZero) {
  EXPECT_EQ(parse_log_key("AB" + std::string(62, '0') + ".0"), log_of(0xab, 0));
}

TEST(LogKeyText, RefusesEverythingElse) {
  for (const std::string& text :
       {std::string(), kAuthorText.substr(2), kAuthorText + "00", kAuthorText + ".",
        kAuthorText + ".-1", kAuthorText + ".+1", kAuthorText + ". 1", kAuthorText + ".1 ",
        kAuthorText + ".1.2", kAuthorText + ".0x1", kAuthorText + ".18446744073709551616",
        "." + kAuthorText, " " + kAuthorText, "g" + kAuthorText.substr(1)}) {
    const auto parsed = parse_log_key(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::kHexFormat) << text;
  }
}

TEST(LogKeyText, PointsAtAWrongLogId) {
  EXPECT_EQ(parse_log_key(kAuthorText + ".x").error(), error_at(Errc::kHexFormat, 65));
}

TEST(LogKeyOrder, IsByAuthorThenLogIdThenSeqnum) {
  const std::set<LogKey> logs{log_of(2, 0), log_of(1, 9), log_of(1, 2)};
  EXPECT_EQ(*logs.begin(), log_of(1, 2));
  EXPECT_EQ(*logs.rbegin(), log_of(2, 0));
  EXPECT_LT((EntryKey{log_of(1, 2), 5}), (EntryKey{log_of(1, 2), 6}));
  EXPECT_LT((EntryKey{log_of(1, 2), 6}), (EntryKey{log_of(1, 3), 1}));
}

TEST(LogKeyHash, TellsLogsOfOneAuthorApart) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint64_t id = 0; id < 1000; ++id) hashes.insert(LogKeyHash{}(log_of(1, id)));
  EXPECT_EQ(hashes.size(), 1000U);
}

}  // namespace
}  // namespace culm
