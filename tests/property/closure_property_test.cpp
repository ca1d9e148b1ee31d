#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"

#include "tests/support/prng.hpp"

namespace culm {
namespace {

using test::TestRandom;
using Numbers = std::set<SeqNum>;

RangeSet to_ranges(const Numbers& numbers) {
  RangeSet out;
  for (const SeqNum n : numbers) out.insert(n);
  return out;
}

Numbers to_numbers(const RangeSet& set) {
  Numbers out;
  for (const SeqRange range : set.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) out.insert(n);
  }
  return out;
}

/// The least spine number from n on, by counting.
SeqNum spine_from(SeqNum n) {
  SeqNum z = 1;
  while (z < n) z = 3 * z + 1;
  return z;
}

/// By its definition: the number before n on the path from the spine down to n.
std::optional<SeqNum> slow_up(SeqNum n) {
  const std::vector<SeqNum> down = path(spine_from(n), n);
  return down.size() < 2 ? std::nullopt : std::optional(down[down.size() - 2]);
}

/// The interest and the certificate pool of each of its members.
Numbers interest_and_pools(const Numbers& interest, SeqNum head) {
  Numbers out;
  for (const SeqNum n : interest) {
    if (n > head) continue;
    for (const SeqNum member : path(n, 1)) out.insert(member);
    for (const SeqNum member : path(spine_from(n), n)) {
      if (member <= head) out.insert(member);
    }
  }
  return out;
}

/// By the definition: entry 1, and whatever has a link target among them.
Numbers slow_anchored(const Numbers& set) {
  Numbers out;
  for (const SeqNum n : set) {
    if (n == 1 || out.contains(n - 1) || out.contains(lipmaa(n))) out.insert(n);
  }
  return out;
}

TEST(ClosureProperty, AnchoredIsWhatLinksInsideLeadToEntryOne) {
  TestRandom random(11);
  for (int round = 0; round < 3000; ++round) {
    const SeqNum head = 1 + random.below(400);
    Numbers set;
    const std::uint64_t lost = 1 + random.below(40);
    for (SeqNum n = 1; n <= head; ++n) {
      if (random.below(lost) != 0 || random.below(4) == 0) set.insert(n);
    }
    ASSERT_EQ(anchored(to_ranges(set)), to_ranges(slow_anchored(set))) << to_string(to_ranges(set));
  }
  EXPECT_EQ(anchored({{1, 3}, {kSeqnumMax - 5, kSeqnumMax}}), (RangeSet{{1, 3}}));
}

/// The interest, and whatever the local rule asks for until it asks for nothing more.
Numbers least_fixpoint(const Numbers& interest, SeqNum head) {
  Numbers out;
  std::vector<SeqNum> open;
  for (const SeqNum n : interest) {
    if (n <= head) open.push_back(n);
  }
  while (!open.empty()) {
    const SeqNum n = open.back();
    open.pop_back();
    if (!out.insert(n).second) continue;
    if (n > 1) open.push_back(lipmaa(n));
    const auto above = slow_up(n);
    if (above && *above <= head) open.push_back(*above);
  }
  return out;
}

struct Case {
  SeqNum head;
  Numbers interest;
};

/// Some singles, some ranges, some of it above the head; heads small enough to be slow with.
Case random_case(TestRandom& random) {
  Case out;
  out.head = random.between(1, std::uint64_t{1} << random.between(1, 11));
  const SeqNum last = out.head + random.below(20);
  for (auto left = random.below(9); left > 0; --left) {
    const SeqNum first = random.between(1, last);
    const SeqNum size = random.below(3) == 0 ? random.below(40) : 0;
    for (SeqNum n = first; n <= std::min(last, first + size); ++n) out.interest.insert(n);
  }
  return out;
}

std::string text(const Case& c) {
  return to_string(to_ranges(c.interest)) + " at head " + std::to_string(c.head);
}

TEST(ClosureProperty, IsInterestAndPoolsAndTheLeastFixpointOfTheLocalRule) {
  TestRandom random(41);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 4'000; ++i) {
    const Case c = random_case(random);
    const Numbers closed = to_numbers(closure(to_ranges(c.interest), c.head));
    ASSERT_EQ(closed, interest_and_pools(c.interest, c.head)) << text(c);
    ASSERT_EQ(closed, least_fixpoint(c.interest, c.head)) << text(c);
  }
}

TEST(ClosureProperty, IsRightForEverySetAtSmallHeads) {
  constexpr SeqNum kHeadMax = 14;
  for (SeqNum head = 1; head <= kHeadMax; ++head) {
    for (std::uint32_t bits = 0; bits < 1U << head; ++bits) {
      Numbers interest;
      for (SeqNum n = 1; n <= head; ++n) {
        if ((bits >> (n - 1) & 1U) != 0) interest.insert(n);
      }
      const RangeSet set = to_ranges(interest);
      const Numbers expected = interest_and_pools(interest, head);
      ASSERT_EQ(to_numbers(closure(set, head)), expected) << text({head, interest});
      ASSERT_EQ(is_closed(set, head), expected == interest) << text({head, interest});
    }
  }
}

TEST(ClosureProperty, IsIdempotentAndSoIsServingAnyPartOfIt) {
  TestRandom random(42);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 5'000; ++i) {
    const Case c = random_case(random);
    const RangeSet closed = closure(to_ranges(c.interest), c.head);
    ASSERT_EQ(closure(closed, c.head), closed) << text(c);
    ASSERT_TRUE(is_closed(closed, c.head)) << text(c);
    RangeSet part;
    for (const SeqNum n : to_numbers(closed)) {
      if (random.below(4) == 0) part.insert(n);
    }
    ASSERT_TRUE(closed.contains(closure(part, c.head))) << text(c);
  }
}

TEST(ClosureProperty, EveryPrefixIsClosedAtItsEnd) {
  TestRandom random(43);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 1'000; ++i) {
    const Case c = random_case(random);
    const RangeSet closed = closure(to_ranges(c.interest), c.head);
    for (const SeqNum n : to_numbers(closed)) {
      ASSERT_TRUE(is_closed(closed & RangeSet{{1, n}}, n)) << text(c) << " up to " << n;
    }
  }
}

TEST(ClosureProperty, ItsMaximumIsTheOnlySinkAndReachesAll) {
  TestRandom random(44);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 3'000; ++i) {
    const Case c = random_case(random);
    const Numbers closed = to_numbers(closure(to_ranges(c.interest), c.head));
    if (closed.empty()) continue;
    Numbers reached{*closed.rbegin()};
    for (auto n = closed.rbegin(); n != closed.rend(); ++n) {
      ASSERT_TRUE(reached.count(*n)) << *n << " of " << text(c);
      for (const SeqNum target : {*n - 1, lipmaa(*n)}) {
        if (closed.count(target) != 0) reached.insert(target);
      }
    }
  }
}

TEST(ClosureProperty, GrowsByTheNewHeadAtMost) {
  TestRandom random(45);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 5'000; ++i) {
    const Case c = random_case(random);
    const RangeSet interest = to_ranges(c.interest) & RangeSet{{1, c.head}};
    RangeSet expected = closure(interest, c.head);
    for (const SeqRange range : interest.ranges()) {
      const std::vector<SeqNum> tail = path(spine_from(range.last), range.last);
      if (std::ranges::find(tail, c.head + 1) != tail.end()) expected.insert(c.head + 1);
    }
    ASSERT_EQ(closure(interest, c.head + 1), expected) << text(c);
  }
}

TEST(ClosureProperty, LooseIsWhatLacksItsUp) {
  TestRandom random(46);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 5'000; ++i) {
    const Case c = random_case(random);  // also sets that are not closed at all
    const RangeSet held = i % 2 == 0 ? to_ranges(c.interest)
                                     : closure(to_ranges(c.interest), 1 + random.below(c.head));
    RangeSet expected;
    for (const SeqNum n : to_numbers(held)) {
      const auto above = slow_up(n);
      if (above && *above <= c.head && !held.contains(*above)) expected.insert(n);
    }
    ASSERT_EQ(loose(held, c.head), expected) << to_string(held) << " at head " << c.head;
  }
}

TEST(ClosureProperty, HoldsTheLocalRuleOverTheWholeRange) {
  TestRandom random(47);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 2'000; ++i) {
    const SeqNum head = std::max<SeqNum>(1, random.next() >> random.below(64));
    RangeSet wanted;
    for (auto left = random.below(6); left > 0; --left) {
      const SeqNum first = 1 + random.below(head);
      const SeqNum size = random.next() >> random.between(1, 63);
      wanted.insert({first, head - first < size ? head : first + size});
    }
    const RangeSet closed = closure(wanted, head);
    ASSERT_TRUE(closed.contains(wanted));
    ASSERT_EQ(closure(closed, head), closed);
    RangeSet by_ranges;
    for (const SeqRange range : wanted.ranges()) {
      by_ranges.insert(range);
      for (const SeqNum n : path_to_first(range.first)) by_ranges.insert(n);
      for (const SeqNum n : tail_path(range.last, head)) by_ranges.insert(n);
    }
    ASSERT_EQ(closed, by_ranges) << to_string(wanted) << " at head " << head;
  }
}

// The costs that the design stands on, in a log of 10^6 entries.
constexpr SeqNum kMillion = 1'000'000;

std::uint64_t closure_of_newest(std::uint64_t count, SeqNum head) {
  return closure(resolve({{}, count}, head), head).count();
}

TEST(ClosureCosts, HeadIs28EntriesAndItsLaterPool52) {
  const RangeSet million{{kMillion, kMillion}};
  EXPECT_EQ(closure(million, kMillion).count(), 28U);
  EXPECT_EQ(closure(million, kSeqnumMax).count(), 52U);
}

TEST(ClosureCosts, Newest100Is124) { EXPECT_EQ(closure_of_newest(100, kMillion), 124U); }

TEST(ClosureCosts, Newest100OverAllHeadsIs122OnAverageAnd135AtMost) {
  // The newest 100 need the head path of their first and nothing else.
  std::vector<std::uint64_t> path_entries{0};
  for (SeqNum n = 1; n <= kMillion; ++n) path_entries.push_back(1 + path_entries[lipmaa(n)]);
  std::uint64_t most = 0;
  std::uint64_t sum = 0;
  for (SeqNum head = 100; head <= kMillion; ++head) {
    const std::uint64_t count = 99 + path_entries[head - 99];
    most = std::max(most, count);
    sum += count;
    if (head % 97 == 0) {
      ASSERT_EQ(closure_of_newest(100, head), count) << head;
    }
  }
  EXPECT_EQ(most, 135U);
  EXPECT_EQ(closure_of_newest(100, 797'248), 135U);
  EXPECT_NEAR(static_cast<double>(sum) / kMillion, 122.0, 0.5);
}

TEST(ClosureCosts, TailOf10000Is24More) { EXPECT_EQ(closure_of_newest(10'000, kMillion), 10'024U); }

TEST(ClosureCosts, HundredRandomEntriesAre2163To2252OnAverage) {
  std::uint64_t sum = 0;
  constexpr std::uint64_t kSamples = 300;
  for (std::uint64_t seed = 1; seed <= kSamples; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    Numbers interest;
    while (interest.size() < 100) interest.insert(random.between(1, kMillion));
    const RangeSet closed = closure(to_ranges(interest), kMillion);
    if (seed % 50 == 0) {
      ASSERT_EQ(to_numbers(closed), interest_and_pools(interest, kMillion));
    }
    // Single samples vary: of 20,000, three in four lay within the figures of the average.
    EXPECT_GT(closed.count(), 2'000U);
    EXPECT_LT(closed.count(), 2'400U);
    sum += closed.count();
  }
  EXPECT_GE(sum, 2'163 * kSamples);
  EXPECT_LE(sum, 2'252 * kSamples);
}

}  // namespace
}  // namespace culm
