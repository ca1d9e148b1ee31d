#include <bitset>

#include <gtest/gtest.h>

#include "culm/feed/range_set.hpp"

#include "tests/support/prng.hpp"

namespace culm {
namespace {

using test::TestRandom;

// The model: all seqnums cut into cells, 32 single ones at either end and one that is all between,
// so that every range of cells is a range of seqnums up to the very last one.
constexpr std::size_t kEnd = 32;
constexpr std::size_t kCells = 2 * kEnd + 1;
using Model = std::bitset<kCells>;

SeqRange cell(std::size_t i) {
  if (i < kEnd) return {i + 1, i + 1};
  if (i == kEnd) return {kEnd + 1, kSeqnumMax - kEnd};
  return {kSeqnumMax - (kCells - 1 - i), kSeqnumMax - (kCells - 1 - i)};
}

/// One range for each run of cells.
std::vector<SeqRange> ranges_of(const Model& model) {
  std::vector<SeqRange> out;
  for (std::size_t i = 0; i < kCells; ++i) {
    if (!model.test(i)) continue;
    if (i > 0 && model.test(i - 1)) {
      out.back().last = cell(i).last;
    } else {
      out.push_back(cell(i));
    }
  }
  return out;
}

void expect_equal(const RangeSet& set, const Model& model) {
  const std::vector<SeqRange> expected = ranges_of(model);
  ASSERT_EQ(std::vector<SeqRange>(set.ranges().begin(), set.ranges().end()), expected);
  std::uint64_t count = 0;
  SeqNum below = 0;
  for (std::size_t i = 0; i < kCells; ++i) {
    const SeqRange range = cell(i);
    if (model.test(i)) {
      count += range.last - range.first + 1;
      below = range.last;
    }
    ASSERT_EQ(set.contains(range.first), model.test(i)) << range.first;
    ASSERT_EQ(set.contains(range.last), model.test(i)) << range.last;
    ASSERT_EQ(set.largest_up_to(range.last), below) << range.last;
  }
  SeqNum above = 0;
  for (std::size_t i = kCells; i-- > 0;) {
    if (model.test(i)) above = cell(i).first;
    ASSERT_EQ(set.smallest_from(cell(i).first), above) << cell(i).first;
  }
  ASSERT_EQ(set.count(), count);
  ASSERT_EQ(set.empty(), model.none());
  ASSERT_EQ(RangeSet::from_canonical(expected), set);
  if (!set.empty()) {
    ASSERT_EQ(parse_ranges(to_string(set)), set);
  }
}

struct Both {
  RangeSet set;
  Model model;
};

void insert_or_erase(TestRandom& random, Both& both) {
  const std::size_t first = random.below(kCells);
  const std::size_t last =
      std::min(kCells - 1, first + random.below(random.below(4) == 0 ? 20 : 2));
  const SeqRange range{cell(first).first, cell(last).last};
  const bool inserts = random.below(2) == 0;
  inserts ? both.set.insert(range) : both.set.erase(range);
  for (std::size_t i = first; i <= last; ++i) both.model.set(i, inserts);
}

TEST(RangeSetProperty, InsertAndEraseFollowTheModel) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    Both both;
    for (int i = 0; i < 200; ++i) {
      insert_or_erase(random, both);
      ASSERT_NO_FATAL_FAILURE(expect_equal(both.set, both.model));
    }
  }
}

TEST(RangeSetProperty, CopiesShareTheirRangesUntilOneOfThemChanges) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    std::vector<Both> copies(4);
    for (int i = 0; i < 200; ++i) {
      Both& to = copies[random.below(copies.size())];
      const Both& from = copies[random.below(copies.size())];
      if (random.below(3) == 0) {
        to = from;
        ASSERT_EQ(to.set.ranges().data(), from.set.ranges().data());
      } else if (random.below(4) == 0) {
        to.set |= from.set;
        to.model |= from.model;
      } else {
        insert_or_erase(random, to);
      }
      for (const Both& copy : copies) {
        ASSERT_NO_FATAL_FAILURE(expect_equal(copy.set, copy.model));
      }
    }
  }
}

TEST(RangeSetProperty, SetOperationsFollowTheModel) {
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    Both a;
    Both b;
    for (auto left = random.below(40); left > 0; --left) insert_or_erase(random, a);
    for (auto left = random.below(40); left > 0; --left) insert_or_erase(random, b);
    ASSERT_NO_FATAL_FAILURE(expect_equal(a.set | b.set, a.model | b.model));
    ASSERT_NO_FATAL_FAILURE(expect_equal(a.set & b.set, a.model & b.model));
    ASSERT_NO_FATAL_FAILURE(expect_equal(a.set - b.set, a.model & ~b.model));
    ASSERT_EQ(a.set.contains(b.set), (b.model & ~a.model).none());
    ASSERT_TRUE((a.set | b.set).contains(a.set));
    ASSERT_EQ(a.set == b.set, a.model == b.model);
  }
}

TEST(RangeSetProperty, OrderOfInsertionDoesNotMatter) {
  TestRandom random(51);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 500; ++i) {
    std::vector<SeqRange> ranges;
    RangeSet forward;
    for (auto left = random.below(20); left > 0; --left) {
      const SeqNum first = 1 + (random.next() >> random.below(64)) / 2;
      ranges.push_back({first, first + (random.next() >> random.between(1, 63)) / 2});
      forward.insert(ranges.back());
    }
    RangeSet backward;
    for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) backward.insert(*range);
    ASSERT_EQ(forward, backward);
  }
}

}  // namespace
}  // namespace culm
