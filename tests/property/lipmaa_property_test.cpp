#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <queue>
#include <set>

#include <gtest/gtest.h>

#include "culm/feed/lipmaa.hpp"

#include "tests/support/prng.hpp"

namespace culm {
namespace {

__extension__ typedef unsigned __int128 Wide;

/// s(k) for k up to 60, far beyond 64 bits.
Wide spine(int k) {
  Wide power = 1;
  for (int i = 0; i < k; ++i) power *= 3;
  return (power - 1) / 2;
}

/// The least k with s(k) >= n.
int level(Wide n) {
  int k = 0;
  while (spine(k) < n) ++k;
  return k;
}

/// g of the specification, as it is written there.
int recursive_g(Wide n) {
  const int k = level(n);
  return spine(k) == n ? k : recursive_g(n - spine(k - 1));
}

/// lip of the specification, as it is written there.
Wide recursive_lipmaa(Wide n) {
  const int k = level(n);
  return spine(k) == n ? spine(k - 1) : n - spine(recursive_g(n));
}

/// All links that begin at 2 to `last`, by target.
std::vector<std::vector<SeqNum>> links_by_target(SeqNum last) {
  std::vector<std::vector<SeqNum>> sources(last + 1);
  for (SeqNum n = 2; n <= last; ++n) {
    if (lipmaa(n) != n - 1) sources[lipmaa(n)].push_back(n);
    sources[n - 1].push_back(n);
  }
  return sources;
}

/// Where arithmetic is most likely to fail: around powers of two, spine numbers, sums of them.
std::vector<SeqNum> boundaries() {
  std::set<Wide> around;
  for (unsigned bit = 1; bit <= 64; ++bit) around.insert(Wide{1} << bit);
  for (int k = 1; k <= 42; ++k) {
    for (int j = 0; j <= k; ++j) {
      for (Wide i = 1; i <= 3; ++i) around.insert(spine(k) + i * spine(j));
    }
  }
  std::set<SeqNum> out;
  for (const Wide middle : around) {
    for (Wide n = middle - (middle < 4 ? middle - 1 : 3); n <= middle + 3; ++n) {
      if (n <= kSeqnumMax) out.insert(static_cast<SeqNum>(n));
    }
  }
  return {out.begin(), out.end()};
}

TEST(LipmaaProperty, EqualsTheRecursiveFormUpTo100000) {
  for (SeqNum n = 1; n <= 100'000; ++n) {
    ASSERT_EQ(Wide{lipmaa(n)}, recursive_lipmaa(n)) << n;
    ASSERT_EQ(has_lipmaalink(n), n > 1 && recursive_lipmaa(n) != n - 1) << n;
  }
}

TEST(LipmaaProperty, EqualsTheRecursiveFormAtTheBoundaries) {  // B1
  const std::vector<SeqNum> all = boundaries();
  const std::set<SeqNum> known(all.begin(), all.end());
  for (const SeqNum n :
       {SeqNum{1}, SeqNum{121}, SeqNum{4294967295}, SeqNum{4294967297}, SeqNum{6078832729528464399},
        SeqNum{6078832729528464402}, (SeqNum{1} << 63U) - 1, SeqNum{1} << 63U,
        SeqNum{18236498188585393201U}, kSeqnumMax}) {
    ASSERT_TRUE(known.count(n)) << n;
  }
  for (const SeqNum n : all) ASSERT_EQ(Wide{lipmaa(n)}, recursive_lipmaa(n)) << n;
}

TEST(LipmaaProperty, EqualsTheRecursiveFormAtRandomSeqnums) {
  test::TestRandom random(31);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 20'000; ++i) {
    const SeqNum n = std::max<SeqNum>(1, random.next() >> random.below(64));
    ASSERT_EQ(Wide{lipmaa(n)}, recursive_lipmaa(n)) << n;
  }
}

TEST(LipmaaProperty, InLinksAreTheInverseOfLinks) {
  constexpr SeqNum kLast = 10'000;
  const auto sources = links_by_target(4 * kLast);
  for (SeqNum target = 1; target <= kLast; ++target) {
    const InLinks links(target);
    ASSERT_EQ(std::vector<SeqNum>(links.begin(), links.end()), sources[target]) << target;
  }
}

TEST(LipmaaProperty, InLinksAreTheInverseOfLinksAtTheBoundaries) {
  for (const SeqNum n : boundaries()) {
    const InLinks links(n);
    ASSERT_TRUE(std::is_sorted(links.begin(), links.end())) << n;
    ASSERT_EQ(std::set<SeqNum>(links.begin(), links.end()).size(), links.size()) << n;
    for (const SeqNum source : links) {
      ASSERT_TRUE(source == n + 1 || lipmaa(source) == n) << source << " to " << n;
    }
    for (const SeqNum target : {n - 1, lipmaa(n)}) {
      if (target == 0) continue;
      const InLinks back(target);
      ASSERT_NE(std::find(back.begin(), back.end(), n), back.end()) << n << " to " << target;
    }
  }
}

TEST(LipmaaProperty, LinksNeverCross) {
  constexpr SeqNum kLast = 1'200;
  for (SeqNum outer = 2; outer <= kLast; ++outer) {
    for (SeqNum inner = lipmaa(outer) + 1; inner < outer; ++inner) {
      ASSERT_GE(lipmaa(inner), lipmaa(outer)) << inner << " inside " << outer;
    }
  }
}

TEST(LipmaaProperty, PathIsTheShortest) {
  constexpr SeqNum kLast = 400;
  for (SeqNum from = 1; from <= kLast; ++from) {
    std::vector<std::size_t> steps(from + 1, 0);  // entries on the shortest path; 0: not reached
    std::queue<SeqNum> reached;
    steps[from] = 1;
    for (reached.push(from); !reached.empty(); reached.pop()) {
      const SeqNum n = reached.front();
      for (const SeqNum target : {n - 1, lipmaa(n)}) {
        if (target == 0 || steps[target] != 0) continue;
        steps[target] = steps[n] + 1;
        reached.push(target);
      }
    }
    for (SeqNum to = 1; to <= from; ++to) {
      ASSERT_EQ(path(from, to).size(), steps[to]) << from << " to " << to;
    }
    ASSERT_EQ(path_to_first(from), path(from, 1));
  }
}

TEST(LipmaaProperty, HeadPathFollowsLinksEverywhere) {
  for (const SeqNum n : boundaries()) ASSERT_EQ(path_to_first(n), path(n, 1)) << n;
}

/// z(n), if it fits.
std::optional<SeqNum> end_of_tail(SeqNum n) {
  const Wide z = spine(level(n));
  return z <= kSeqnumMax ? std::optional(static_cast<SeqNum>(z)) : std::nullopt;
}

/// The tail path by way of `up` alone.
std::vector<SeqNum> climb(SeqNum n) {
  std::vector<SeqNum> out{n};
  for (auto next = up(n); next; next = up(*next)) out.insert(out.begin(), *next);
  return out;
}

void expect_tail_path(SeqNum n) {
  const std::vector<SeqNum> whole = tail_path(n, kSeqnumMax);
  ASSERT_EQ(whole, climb(n)) << n;
  if (const auto end = end_of_tail(n)) {
    ASSERT_EQ(whole, path(*end, n)) << n;
  }
}

TEST(LipmaaProperty, TailPathIsThePathFromTheSpine) {
  for (SeqNum n = 1; n <= 5'000; ++n) expect_tail_path(n);
  for (const SeqNum n : boundaries()) expect_tail_path(n);
}

TEST(LipmaaProperty, TailPathBeyond64BitsIsWhatFitsOfTheWidePath) {  // B2
  // The greedy path from s(42) in 128 bits, with the specification's own lip.
  const auto wide_tail = [](SeqNum n) {
    std::vector<SeqNum> out;
    for (Wide at = spine(42);;) {
      if (at <= kSeqnumMax) out.push_back(static_cast<SeqNum>(at));
      if (at == n) return out;
      const Wide target = recursive_lipmaa(at);
      at = target >= n ? target : at - 1;
    }
  };
  test::TestRandom random(32);
  CULM_TRACE_SEED(random);
  std::vector<SeqNum> places{18'236'498'188'585'393'202U, kSeqnumMax - 1, kSeqnumMax};
  for (int i = 0; i < 300; ++i) {
    places.push_back(random.between(18'236'498'188'585'393'202U, kSeqnumMax));
  }
  for (const SeqNum n : places) ASSERT_EQ(tail_path(n, kSeqnumMax), wide_tail(n)) << n;
}

TEST(LipmaaProperty, TailPathBelowAHeadIsThatPartOfIt) {
  test::TestRandom random(33);
  CULM_TRACE_SEED(random);
  for (int i = 0; i < 20'000; ++i) {
    const SeqNum n = std::max<SeqNum>(1, random.next() >> random.below(64));
    const std::vector<SeqNum> whole = tail_path(n, kSeqnumMax);
    SeqNum head = whole[random.below(whole.size())];
    if (random.below(2) == 0 && head > 1) --head;
    std::vector<SeqNum> part;
    for (const SeqNum member : whole) {
      if (member <= head) part.push_back(member);
    }
    ASSERT_EQ(tail_path(n, head), part) << n << " below " << head;
  }
}

TEST(LipmaaProperty, UpIsTheLargestInLinkOnTheTailPath) {
  for (SeqNum n = 1; n <= 5'000; ++n) {
    std::optional<SeqNum> largest;
    for (const SeqNum source : InLinks(n)) {
      if (source <= *end_of_tail(n)) largest = source;
    }
    ASSERT_EQ(up(n), largest) << n;
  }
}

TEST(LipmaaProperty, PathsOfALevelAreAsLongAsTheLimitsSay) {
  std::map<int, std::array<std::size_t, 3>> longest;  // head path, tail path, pool
  for (SeqNum n = 2; n <= 29'524; ++n) {
    auto& row = longest[level(n)];
    const std::size_t head = path_to_first(n).size();
    const std::size_t tail = tail_path(n, kSeqnumMax).size();
    row[0] = std::max(row[0], head);
    row[1] = std::max(row[1], tail);
    row[2] = std::max(row[2], head + tail - 1);
  }
  for (const auto& [k, row] : longest) {
    const auto level_size = static_cast<std::size_t>(k);
    EXPECT_EQ(row[0], 3 * level_size - 3) << k;
    EXPECT_EQ(row[1], 3 * level_size - 3) << k;
    EXPECT_EQ(row[2], 4 * level_size - 4) << k;
  }
}

}  // namespace
}  // namespace culm
