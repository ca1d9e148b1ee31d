#include "culm/feed/range_set.hpp"

#include <gtest/gtest.h>

namespace culm {
namespace {

constexpr SeqNum kTop = kSeqnumMax;

std::vector<SeqRange> ranges_of(const RangeSet& set) {
  return {set.ranges().begin(), set.ranges().end()};
}

Error error_of(std::vector<SeqRange> ranges) {
  const auto set = RangeSet::from_canonical(std::move(ranges));
  return set ? Error{} : set.error();
}

TEST(RangeSet, AnyRangesBecomeTheOneForm) {
  const RangeSet set{{7, 9}, {1, 2}, {3, 3}, {8, 12}, {20, 20}};
  EXPECT_EQ(ranges_of(set), (std::vector<SeqRange>{{1, 3}, {7, 12}, {20, 20}}));
  EXPECT_EQ(set.count(), 10U);
  EXPECT_EQ(set.min(), 1U);
  EXPECT_EQ(set.max(), 20U);
}

TEST(RangeSet, FromCanonicalTakesCanonicalRanges) {
  const auto set = RangeSet::from_canonical({{1, 1}, {3, 5}, {kTop, kTop}});
  ASSERT_TRUE(set);
  EXPECT_EQ(*set, (RangeSet{{kTop, kTop}, {3, 5}, {1, 1}}));
  EXPECT_TRUE(RangeSet::from_canonical({})->empty());
}

TEST(RangeSet, FromCanonicalRefusesImpossibleRanges) {
  EXPECT_EQ(error_of({{5, 3}}).code, Errc::kRange);            // B3
  EXPECT_EQ(error_of({{0, 3}}).code, Errc::kRange);            // B4
  EXPECT_EQ(error_of({{0, 0}}).code, Errc::kRange);            // B4
  EXPECT_EQ(error_of({{1, 2}, {0, 3}}).code, Errc::kRange);    // B4
  EXPECT_EQ(error_of({{kTop, kTop - 1}}).code, Errc::kRange);  // B3
}

TEST(RangeSet, FromCanonicalTakesAnEndAtTheLastSeqnum) {  // B5: the seqnum is not capped
  EXPECT_TRUE(RangeSet::from_canonical({{1, kTop}}));
}

TEST(RangeSet, FromCanonicalRefusesEveryOtherForm) {              // B6
  EXPECT_EQ(error_of({{1, 5}, {5, 9}}).code, Errc::kRangeOrder);  // overlapping
  EXPECT_EQ(error_of({{7, 9}, {1, 2}}).code, Errc::kRangeOrder);  // unsorted
  EXPECT_EQ(error_of({{1, 5}, {1, 5}}).code, Errc::kRangeOrder);  // duplicate
  EXPECT_EQ(error_of({{1, 5}, {6, 9}}).code, Errc::kRangeOrder);  // adjacent
  EXPECT_EQ(error_of({{1, 9}, {3, 4}}).code, Errc::kRangeOrder);  // nested
  EXPECT_EQ(error_of({{1, kTop}, {kTop, kTop}}).code, Errc::kRangeOrder);
  EXPECT_EQ(error_of({{5, kTop}, {1, 2}}).code, Errc::kRangeOrder);
}

TEST(RangeSet, WholeRangeOfSeqnumsIsOneRange) {
  RangeSet set{{1, kTop}};
  EXPECT_EQ(set.count(), kTop);
  EXPECT_TRUE(set.contains(1));
  EXPECT_TRUE(set.contains(kTop));
  EXPECT_FALSE(set.contains(0));
  set.erase({5, 7});
  EXPECT_EQ(ranges_of(set), (std::vector<SeqRange>{{1, 4}, {8, kTop}}));
  set.insert({5, 7});
  EXPECT_EQ(set, (RangeSet{{1, kTop}}));
  set.erase({1, kTop});
  EXPECT_TRUE(set.empty());
}

TEST(RangeSet, AdjacentRangesJoinAtTheTop) {
  RangeSet set{{kTop - 1, kTop - 1}};
  set.insert(kTop);
  EXPECT_EQ(ranges_of(set), (std::vector<SeqRange>{{kTop - 1, kTop}}));
  set.insert(kTop);
  EXPECT_EQ(ranges_of(set), (std::vector<SeqRange>{{kTop - 1, kTop}}));
}

TEST(RangeSet, NearestMembers) {
  const RangeSet set{{3, 5}, {9, 9}};
  EXPECT_EQ(set.largest_up_to(2), 0U);
  EXPECT_EQ(set.largest_up_to(4), 4U);
  EXPECT_EQ(set.largest_up_to(8), 5U);
  EXPECT_EQ(set.largest_up_to(kTop), 9U);
  EXPECT_EQ(set.smallest_from(0), 3U);
  EXPECT_EQ(set.smallest_from(4), 4U);
  EXPECT_EQ(set.smallest_from(6), 9U);
  EXPECT_EQ(set.smallest_from(10), 0U);
  EXPECT_EQ(RangeSet{}.largest_up_to(7), 0U);
  EXPECT_EQ(RangeSet{}.smallest_from(7), 0U);
}

TEST(RangeSet, LowestAndHighestMembers) {
  const RangeSet set{{3, 5}, {9, 9}, {kTop - 1, kTop}};
  EXPECT_EQ(lowest(set, 0), RangeSet{});
  EXPECT_EQ(lowest(set, 2), (RangeSet{{3, 4}}));
  EXPECT_EQ(lowest(set, 5), (RangeSet{{3, 5}, {9, 9}, {kTop - 1, kTop - 1}}));
  EXPECT_EQ(lowest(set, 7), set);
  EXPECT_EQ(highest(set, 0), RangeSet{});
  EXPECT_EQ(highest(set, 1), (RangeSet{{kTop, kTop}}));
  EXPECT_EQ(highest(set, 4), (RangeSet{{5, 5}, {9, 9}, {kTop - 1, kTop}}));
  EXPECT_EQ(highest(set, 7), set);
}

TEST(RangeSet, SetOperationsWorkOnThemselves) {
  RangeSet set{{1, 3}, {7, 9}};
  const RangeSet same = set;
  const RangeSet& itself = set;
  set |= itself;
  EXPECT_EQ(set, same);
  set &= itself;
  EXPECT_EQ(set, same);
  EXPECT_TRUE(set.contains(itself));
  set -= itself;
  EXPECT_TRUE(set.empty());
}

TEST(RangeSetDeathTest, ImpossibleRangesAreABug) {
  RangeSet set;
  EXPECT_DEATH(set.insert(0), "bug: is_range");
  EXPECT_DEATH(set.insert({3, 2}), "bug: is_range");
  EXPECT_DEATH(set.erase({0, 2}), "bug: is_range");
  EXPECT_DEATH(static_cast<void>(set.min()), "bug: ");
  EXPECT_DEATH(static_cast<void>(set.max()), "bug: ");
}

TEST(RangeText, IsWrittenShort) {
  EXPECT_EQ(to_string(RangeSet{}), "");
  EXPECT_EQ(to_string(RangeSet{{1, 5}, {7, 7}, {9, kTop}}), "1-5,7,9-");
  EXPECT_EQ(to_string(RangeSet{{kTop, kTop}}), "18446744073709551615");
}

TEST(RangeText, IsReadInAnyOrder) {
  EXPECT_EQ(parse_ranges("9-,1-5,7"), (RangeSet{{1, 5}, {7, 7}, {9, kTop}}));
  EXPECT_EQ(parse_ranges("3,1-4,5"), (RangeSet{{1, 5}}));
  EXPECT_EQ(parse_ranges("18446744073709551615"), (RangeSet{{kTop, kTop}}));
  EXPECT_EQ(parse_ranges("1-18446744073709551615"), (RangeSet{{1, kTop}}));
}

TEST(RangeText, WhatIsWrongIsNamedByItsOffset) {
  struct Row {
    const char* text;
    std::uint64_t offset;
  };
  for (const Row& row : {Row{"", 0},
                         Row{"0", 0},
                         Row{"0-5", 0},
                         Row{"5-3", 0},
                         Row{"1,5-3", 2},
                         Row{"1,", 2},
                         Row{",1", 0},
                         Row{"1,,2", 2},
                         Row{"-5", 0},
                         Row{"-", 0},
                         Row{"1--2", 0},
                         Row{"1-2-3", 0},
                         Row{"a", 0},
                         Row{"1-b", 0},
                         Row{"7,1 ", 2},
                         Row{" 1", 0},
                         Row{"+1", 0},
                         Row{"1.5", 0},
                         Row{"18446744073709551616", 0},
                         Row{"1-18446744073709551616", 0},
                         Row{"1-0", 0}}) {
    const auto set = parse_ranges(row.text);
    ASSERT_FALSE(set) << row.text;
    EXPECT_EQ(set.error(), error_at(Errc::kRange, row.offset)) << row.text;
  }
}

}  // namespace
}  // namespace culm
