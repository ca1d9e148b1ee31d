#include "culm/feed/lipmaa.hpp"

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm {
namespace {

std::vector<SeqNum> in_links(SeqNum n) {
  const InLinks links(n);
  return {links.begin(), links.end()};
}

/// s(k)
SeqNum spine(int k) { return k == 0 ? 0 : 3 * spine(k - 1) + 1; }

TEST(Lipmaa, FirstFortyTargets) {
  const std::vector<SeqNum> targets{0,  1,  2,  1,  4,  5,  6,  4,  8,  9,  10, 8,  4,  13,
                                    14, 15, 13, 17, 18, 19, 17, 21, 22, 23, 21, 13, 26, 27,
                                    28, 26, 30, 31, 32, 30, 34, 35, 36, 34, 26, 13};
  for (SeqNum n = 1; n <= targets.size(); ++n) EXPECT_EQ(lipmaa(n), targets[n - 1]) << n;
}

TEST(Lipmaa, OwnFieldOnlyWhereTheTargetIsNotTheEntryBefore) {
  std::vector<SeqNum> with;
  for (SeqNum n = 1; n <= 26; ++n) {
    if (has_lipmaalink(n)) with.push_back(n);
  }
  EXPECT_EQ(with, (std::vector<SeqNum>{4, 8, 12, 13, 17, 21, 25, 26}));
}

TEST(Lipmaa, SpineNumbersLinkToEachOther) {
  for (int k = 2; k <= 41; ++k) {
    EXPECT_TRUE(is_on_spine(spine(k)));
    EXPECT_FALSE(is_on_spine(spine(k) + 1));
    EXPECT_FALSE(is_on_spine(spine(k) - 1));
    EXPECT_EQ(lipmaa(spine(k)), spine(k - 1));
  }
  EXPECT_TRUE(is_on_spine(1));
  EXPECT_FALSE(is_on_spine(0));
  EXPECT_FALSE(is_on_spine(kSeqnumMax));
}

TEST(LipmaaDeathTest, SeqnumZeroIsABug) {
  EXPECT_DEATH(static_cast<void>(lipmaa(0)), "bug: n >= 1");
  EXPECT_DEATH(static_cast<void>(path(3, 4)), "bug: ");
  EXPECT_DEATH(static_cast<void>(path(3, 0)), "bug: ");
}

TEST(InLinks, OfTheFirstEntries) {
  EXPECT_EQ(in_links(1), (std::vector<SeqNum>{2, 4}));
  EXPECT_EQ(in_links(2), (std::vector<SeqNum>{3}));
  EXPECT_EQ(in_links(3), (std::vector<SeqNum>{4}));
  EXPECT_EQ(in_links(4), (std::vector<SeqNum>{5, 8, 13}));
  EXPECT_EQ(in_links(8), (std::vector<SeqNum>{9, 12}));
  EXPECT_EQ(in_links(12), (std::vector<SeqNum>{13}));
  EXPECT_EQ(in_links(13), (std::vector<SeqNum>{14, 17, 26, 40}));
}

TEST(InLinks, EndWhereSeqnumsEnd) {
  EXPECT_TRUE(in_links(kSeqnumMax).empty());
  EXPECT_EQ(in_links(kSeqnumMax - 1), (std::vector<SeqNum>{kSeqnumMax}));
  for (const SeqNum n : in_links(spine(41))) EXPECT_TRUE(n > spine(41));
}

TEST(InLinks, TheLimitIsTheMostThereIs) {
  EXPECT_EQ(in_links(spine(40)).size(), limits::kInLinksMax);
  // At most one for each level of the block after the target, and one more on the spine.
  for (int k = 1; k <= 41; ++k) {
    EXPECT_LE(in_links(spine(k)).size(), limits::kInLinksMax);
    for (int j = 1; j < k; ++j) {
      EXPECT_LE(in_links(spine(k) + spine(j)).size(), limits::kInLinksMax);
    }
  }
}

TEST(InLinks, UpToTenToTheSixThereAreThirteen) {
  std::size_t most = 0;
  for (SeqNum n = 1; n <= 1'000'000; ++n) {
    std::size_t within = 0;
    for (const SeqNum source : InLinks(n)) within += source <= 1'000'000 ? 1 : 0;
    most = std::max(most, within);
  }
  EXPECT_EQ(most, 13U);
}

TEST(Path, FollowsTheLongestLinkThatDoesNotPass) {
  EXPECT_EQ(path_to_first(1), (std::vector<SeqNum>{1}));
  EXPECT_EQ(path_to_first(12), (std::vector<SeqNum>{12, 8, 4, 1}));
  EXPECT_EQ(path_to_first(23), (std::vector<SeqNum>{23, 22, 21, 17, 13, 4, 1}));
  EXPECT_EQ(path(40, 23), (std::vector<SeqNum>{40, 39, 26, 25, 24, 23}));
  EXPECT_EQ(path(7, 7), (std::vector<SeqNum>{7}));
}

TEST(Path, TheLimitIsTheLongestThereIs) {
  // Two blocks of each level before it: the worst place of all below s(41).
  SeqNum worst_head = 1;
  for (int k = 1; k <= 40; ++k) worst_head += 2 * spine(k);
  EXPECT_EQ(path_to_first(worst_head).size(), limits::kPathEntriesMax);
  // None before it within its level: the most blocks lie behind it.
  const SeqNum worst_tail = spine(40) + 1;
  EXPECT_EQ(tail_path(worst_tail, kSeqnumMax).size(), limits::kPathEntriesMax);
}

TEST(Path, NoneOfManyIsLongerThanTheLimits) {
  test::TestRandom random(21);
  CULM_TRACE_SEED(random);
  std::size_t largest_pool = 0;
  for (int i = 0; i < 100'000; ++i) {
    const SeqNum n = i % 2 == 0 ? random.between(spine(40), kSeqnumMax - 1)
                                : 1 + (random.next() >> random.below(64)) / 2;
    const std::size_t head = path_to_first(n).size();
    const std::size_t tail = tail_path(n, kSeqnumMax).size();
    ASSERT_LE(head, limits::kPathEntriesMax) << n;
    ASSERT_LE(tail, limits::kPathEntriesMax) << n;
    ASSERT_LE(head + tail - 1, limits::kPoolEntriesMax) << n;
    largest_pool = std::max(largest_pool, head + tail - 1);
  }
  EXPECT_EQ(largest_pool, limits::kPoolEntriesMax);
}

TEST(Path, OfAMillionHas28EntriesAndItsPool52) {
  EXPECT_EQ(path_to_first(1'000'000).size(), 28U);
  EXPECT_EQ(path_to_first(1'000'000).size() + tail_path(1'000'000, kSeqnumMax).size() - 1, 52U);
  EXPECT_EQ(tail_path(1'000'000, 1'000'000), (std::vector<SeqNum>{1'000'000}));
}

TEST(TailPath, LeavesOutWhatLiesAboveTheHead) {
  EXPECT_EQ(tail_path(15, 100), (std::vector<SeqNum>{40, 39, 26, 25, 21, 17, 16, 15}));
  EXPECT_EQ(tail_path(15, 39), (std::vector<SeqNum>{39, 26, 25, 21, 17, 16, 15}));
  EXPECT_EQ(tail_path(15, 20), (std::vector<SeqNum>{17, 16, 15}));
  EXPECT_EQ(tail_path(15, 15), (std::vector<SeqNum>{15}));
  EXPECT_TRUE(tail_path(15, 14).empty());
  EXPECT_EQ(tail_path(40, 100), (std::vector<SeqNum>{40}));
}

TEST(TailPath, AboveTheLastSpineNumberTheEndDoesNotFit) {
  for (const SeqNum n : {spine(41) + 1, spine(41) + 2, SeqNum{1} << 63U, kSeqnumMax - 1}) {
    const auto tail = tail_path(n, kSeqnumMax);
    ASSERT_FALSE(tail.empty());
    EXPECT_EQ(tail.back(), n);
    EXPECT_EQ(up(tail.front()).has_value(), false) << n;
  }
  EXPECT_EQ(tail_path(kSeqnumMax, kSeqnumMax), (std::vector<SeqNum>{kSeqnumMax}));
  EXPECT_EQ(up(kSeqnumMax), std::nullopt);
}

TEST(Up, OfTheFirstEntries) {
  EXPECT_EQ(up(1), std::nullopt);
  EXPECT_EQ(up(2), 3U);
  EXPECT_EQ(up(3), 4U);
  EXPECT_EQ(up(4), std::nullopt);
  EXPECT_EQ(up(5), 6U);
  EXPECT_EQ(up(8), 12U);
  EXPECT_EQ(up(12), 13U);
  EXPECT_EQ(up(26), 39U);
}

TEST(LipmaaVectors, AllHold) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("lipmaa.json"));
  for (const auto& test : vectors.at("cases")) {
    SCOPED_TRACE(test.at("id").get<std::string>());
    const auto n = test.at("n").get<SeqNum>();
    EXPECT_EQ(lipmaa(n), test.at("lipmaa").get<SeqNum>());
    EXPECT_EQ(has_lipmaalink(n), test.at("has_lipmaalink").get<bool>());
    EXPECT_EQ(is_on_spine(n), test.at("is_spine").get<bool>());
    const auto& up_expected = test.at("up");
    EXPECT_EQ(up(n),
              up_expected.is_null() ? std::nullopt : std::optional(up_expected.get<SeqNum>()));
    const auto head_path = path_to_first(n);
    EXPECT_EQ(head_path, test.at("path").get<std::vector<SeqNum>>());
    EXPECT_EQ(head_path.size() + tail_path(n, kSeqnumMax).size() - 1,
              test.at("pool_size").get<std::size_t>());
  }
}

}  // namespace
}  // namespace culm
