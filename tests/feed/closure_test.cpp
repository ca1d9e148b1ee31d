#include "culm/feed/closure.hpp"

#include <gtest/gtest.h>

#include "tests/support/vectors.hpp"

namespace culm {
namespace {

TEST(Resolve, CutsAtTheHead) {
  const Interest interest{RangeSet{{5, 9}, {20, 30}}, 0};
  EXPECT_EQ(resolve(interest, 25), (RangeSet{{5, 9}, {20, 25}}));
  EXPECT_EQ(resolve(interest, 3), RangeSet{});
  EXPECT_EQ(resolve(interest, 0), RangeSet{});
}

TEST(Resolve, NewestMovesWithTheHead) {
  const Interest interest{RangeSet{{2, 2}}, 3};
  EXPECT_EQ(resolve(interest, 10), (RangeSet{{2, 2}, {8, 10}}));
  EXPECT_EQ(resolve(interest, 11), (RangeSet{{2, 2}, {9, 11}}));
  EXPECT_EQ(resolve(interest, 2), (RangeSet{{1, 2}}));
  EXPECT_EQ(resolve({{}, kSeqnumMax}, 7), (RangeSet{{1, 7}}));
}

TEST(Resolve, EverythingIsAllThereIs) {
  EXPECT_EQ(resolve(everything(), 7), (RangeSet{{1, 7}}));
  EXPECT_EQ(resolve(everything(), kSeqnumMax), (RangeSet{{1, kSeqnumMax}}));
  EXPECT_FALSE(everything().empty());
  EXPECT_TRUE(Interest{}.empty());
}

TEST(Closure, HoldsHeadPathRangeAndTailPath) {
  EXPECT_EQ(closure(RangeSet{{5, 9}, {20, 30}}, 100),
            (RangeSet{{1, 1}, {4, 13}, {17, 30}, {34, 34}, {38, 40}}));
  EXPECT_EQ(closure(RangeSet{{15, 15}}, 1000),
            (RangeSet{{1, 1}, {4, 4}, {13, 17}, {21, 21}, {25, 26}, {39, 40}}));
}

TEST(Closure, HeadPathsAreThoseOfTheFirstOfEachRange) {
  EXPECT_EQ(with_head_paths(RangeSet{{5, 9}, {20, 30}}),
            closure(RangeSet{{5, 9}}, 9) | closure(RangeSet{{20, 30}}, 30));
  EXPECT_EQ(with_head_paths(RangeSet{{15, 15}, {17, 17}, {3000, 3001}}),
            closure(RangeSet{{15, 15}}, 15) | closure(RangeSet{{17, 17}}, 17) |
                closure(RangeSet{{3000, 3001}}, 3001));
  EXPECT_EQ(with_head_paths(RangeSet{}), RangeSet{});
}

TEST(Closure, LeavesOutWhatLiesAboveTheHead) {
  EXPECT_EQ(closure(RangeSet{{15, 15}}, 20), (RangeSet{{1, 1}, {4, 4}, {13, 17}}));
  EXPECT_EQ(closure(RangeSet{{15, 30}}, 15), (RangeSet{{1, 1}, {4, 4}, {13, 15}}));
  EXPECT_EQ(closure(RangeSet{{15, 30}}, 14), RangeSet{});
  EXPECT_EQ(closure(RangeSet{{15, 30}}, 0), RangeSet{});
  EXPECT_EQ(closure(RangeSet{}, 100), RangeSet{});
}

TEST(Closure, WorksAtTheLastSeqnum) {
  EXPECT_EQ(closure(RangeSet{{1, kSeqnumMax}}, kSeqnumMax), (RangeSet{{1, kSeqnumMax}}));
  const RangeSet last = closure(RangeSet{{kSeqnumMax, kSeqnumMax}}, kSeqnumMax);
  EXPECT_TRUE(last.contains(1));
  EXPECT_EQ(last.max(), kSeqnumMax);
  EXPECT_TRUE(is_closed(last, kSeqnumMax));
}

TEST(Closure, IsClosedMissesNothing) {
  EXPECT_TRUE(is_closed(RangeSet{{1, 2}}, 2));
  EXPECT_FALSE(is_closed(RangeSet{{1, 2}}, 3));  // up(2) = 3
  EXPECT_FALSE(is_closed(RangeSet{{2, 2}}, 2));  // lip(2) = 1
  EXPECT_FALSE(is_closed(RangeSet{{1, 5}}, 4));  // 5 lies above the head
  EXPECT_TRUE(is_closed(RangeSet{}, 100));
}

TEST(Loose, EntriesWhoseTailIsMissing) {
  EXPECT_EQ(loose(RangeSet{{1, 2}}, 2), RangeSet{});
  EXPECT_EQ(loose(RangeSet{{1, 2}}, 4), (RangeSet{{2, 2}}));
  EXPECT_EQ(loose(RangeSet{{1, 2}, {4, 4}}, 4), (RangeSet{{2, 2}}));
  EXPECT_EQ(loose(RangeSet{{1, 4}}, 4), RangeSet{});
  EXPECT_EQ(loose(RangeSet{{1, 9}}, 1000), (RangeSet{{8, 9}}));
}

TEST(ClosureVectors, AllHold) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("closure.json"));
  const auto ranges = [](const nlohmann::json& list) {
    RangeSet set;
    for (const auto& range : list)
      set.insert({range.at(0).get<SeqNum>(), range.at(1).get<SeqNum>()});
    return set;
  };
  for (const auto& test : vectors.at("cases")) {
    SCOPED_TRACE(test.at("id").get<std::string>());
    const auto head = test.at("head").get<SeqNum>();
    const RangeSet closed = closure(ranges(test.at("interest")), head);
    EXPECT_EQ(closed.count(), test.at("count").get<std::uint64_t>());
    EXPECT_TRUE(is_closed(closed, head));
    if (test.contains("closure")) {
      EXPECT_EQ(to_string(closed), to_string(ranges(test.at("closure"))));
    }
  }
}

}  // namespace
}  // namespace culm
