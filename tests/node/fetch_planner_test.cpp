#include "culm/replication/node/fetch_planner.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"

namespace culm::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Segment = FetchPlanner::Segment;

constexpr std::uint64_t kPieceBytes = 1024 * 1024;

class FetchPlannerTest : public testing::Test {
 protected:
  FetchPlannerTest() { planner.set_missing({{1, 100'000}}); }

  void holds(SessionId peer, const RangeSet& held = {{1, 100'000}}) {
    planner.peer_holds(peer, held, now);
  }
  /// Peers 1 and 2 hold all, and are asked for a segment each.
  std::vector<Segment> ask_two() {
    holds(1);
    holds(2);
    auto asked = planner.assign(now);
    EXPECT_EQ(asked.size(), 2U);
    return asked;
  }
  void store(SessionId peer, const RangeSet& brought, std::uint64_t bytes = kPieceBytes) {
    const RangeSet fresh = brought & planner.missing();
    planner.received(peer, bytes);
    planner.stored(peer, fresh, fresh, 0, now);
  }
  void store_part(SessionId peer, std::uint64_t bytes) {
    planner.received(peer, bytes);
    planner.stored(peer, {}, {}, bytes, now);
  }
  /// Whether something is cancelled that the peer was asked for.
  bool gives_up(SessionId peer) {
    return std::ranges::count(planner.take_cancelled(now), peer, &Segment::peer) != 0;
  }
  /// The peer brings all of what it was asked for.
  void bring(const Segment& segment) {
    store(segment.peer, segment.entries);
    planner.ended(segment.peer, segment.entries, now);
  }

  FetchPlanner planner{{}};
  Instant now{};
};

TEST_F(FetchPlannerTest, OnePeerIsAskedForAllAtOnce) {
  holds(1);
  const auto asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{1, 100'000}}));
  EXPECT_TRUE(planner.assign(now).empty());
  bring(asked[0]);
  EXPECT_TRUE(planner.missing().empty());
  EXPECT_FALSE(planner.can_go_on());
}

TEST_F(FetchPlannerTest, OnePeerLeavesSomethingForThoseWhoHaveNotAnsweredYet) {
  planner.set_peers_expected(2);
  holds(1);
  const auto asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{1, 4096}}));
}

TEST_F(FetchPlannerTest, SeveralPeersAreAskedForDifferentSegments) {
  const auto asked = ask_two();
  EXPECT_EQ(asked[0].entries, (RangeSet{{1, 4096}}));
  EXPECT_EQ(asked[1].entries, (RangeSet{{4097, 8192}}));
}

TEST_F(FetchPlannerTest, TheNextIsAskedForWhenTheFirstIsHalfThere) {
  ask_two();
  store(1, {{1, 2047}});
  EXPECT_TRUE(planner.assign(now).empty());
  store(1, {{2048, 2048}});
  const auto next = planner.assign(now);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].peer, 1U);
  EXPECT_EQ(next[0].entries.min(), 8193U);
}

TEST_F(FetchPlannerTest, NewestFirstSegmentsComeFromAbove) {
  planner = FetchPlanner({.newest_first = true});
  planner.set_missing({{1, 100'000}});
  const auto asked = ask_two();
  EXPECT_EQ(asked[0].entries, (RangeSet{{95'905, 100'000}}));
}

TEST_F(FetchPlannerTest, LargeEntriesMakeSegmentsOfFew) {
  planner = FetchPlanner({.newest_first = false, .entry_bytes = 32 * 1024});
  planner.set_missing({{1, 100'000}});
  holds(1);
  holds(2);
  EXPECT_EQ(planner.assign(now)[0].entries.count(), 32U);
}

TEST_F(FetchPlannerTest, WhatCannotBeCutIsAskedOfOneAndOfTheNextOnlyIfItFails) {
  planner = FetchPlanner({.newest_first = false, .one_at_a_time = true});
  planner.set_missing({{1, 100'000}});
  holds(1);
  holds(2);
  auto asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{1, 100'000}}));
  store(1, {{1, 90'000}});
  EXPECT_TRUE(planner.assign(now).empty());
  planner.remove(1);
  asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{90'001, 100'000}}));
}

TEST_F(FetchPlannerTest, NobodyIsAskedForWhatItDoesNotSayItHolds) {
  holds(1, {{1, 10}, {50'000, 50'010}});
  holds(2, {{90'000, 100'000}});
  for (const Segment& segment : planner.assign(now)) {
    const RangeSet held =
        segment.peer == 1 ? RangeSet{{1, 10}, {50'000, 50'010}} : RangeSet{{90'000, 100'000}};
    EXPECT_TRUE(held.contains(segment.entries));
  }
}

TEST_F(FetchPlannerTest, WhatAPeerTwiceDidNotBringIsNotAskedOfItAgain) {
  holds(1);
  for (int round = 0; round < 2; ++round) {
    const auto asked = planner.assign(now);
    ASSERT_EQ(asked.size(), 1U);
    store(1, round == 0 ? RangeSet{{1, 10}} : RangeSet{{11, 20}});
    planner.ended(1, asked[0].entries, now);
  }
  EXPECT_TRUE(planner.assign(now).empty());
  EXPECT_FALSE(planner.can_go_on());
  EXPECT_TRUE(planner.believes(1)) << "it did bring something";
  holds(2);
  const auto asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].peer, 2U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{21, 100'000}}));
}

TEST_F(FetchPlannerTest, WhoBringsNothingOfTwoSegmentsIsAskedForNothingMore) {
  planner.set_missing({{1, kSeqnumMax}});
  planner.set_peers_expected(2);
  holds(1, {{1, kSeqnumMax}});
  for (std::uint32_t n = 0; n < FetchPlanner::kFruitlessMax; ++n) {
    const auto asked = planner.assign(now);
    ASSERT_EQ(asked.size(), 1U);
    planner.ended(1, asked[0].entries, now);
  }
  EXPECT_FALSE(planner.can_go_on());
  holds(1, {{1, kSeqnumMax}});
  EXPECT_TRUE(planner.assign(now).empty());
  EXPECT_FALSE(planner.believes(1));
}

TEST_F(FetchPlannerTest, WhatAPeerHasNotSpokenOfIsAskedForOnceAndIsNoLie) {
  planner.peer_holds(1, {{1, 10}}, now, {{11, 100'000}});
  const auto asked = planner.assign(now);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].entries, (RangeSet{{1, 100'000}}));
  store(1, {{1, 20}});
  planner.ended(1, asked[0].entries, now);
  EXPECT_TRUE(planner.assign(now).empty());
  EXPECT_TRUE(planner.guesses(1).empty() || planner.guesses(1).max() <= 20);
  EXPECT_TRUE(planner.believes(1));
}

TEST_F(FetchPlannerTest, WhoIsTooBusyForASegmentIsAskedForHalfOfIt) {
  holds(1);
  auto asked = planner.assign(now);
  while (planner.ask_less(1, asked[0].entries)) {
    const std::uint64_t before = asked[0].entries.count();
    asked = planner.assign(now);
    ASSERT_FALSE(asked.empty());
    ASSERT_EQ(asked[0].entries.count(), before / 2);
  }
  EXPECT_LE(asked[0].entries.count(), FetchPlanner::kSegmentEntriesMin);
}

TEST_F(FetchPlannerTest, WhoWithholdsThatItIsDoneIsLate) {
  holds(1);
  const auto asked = planner.assign(now);
  store(1, asked[0].entries);
  now += FetchPlanner::kLateAfter;
  ASSERT_LE(*planner.next_deadline(), now);
  EXPECT_EQ(planner.take_cancelled(now).size(), 1U);
  EXPECT_FALSE(planner.is_waiting());
}

TEST_F(FetchPlannerTest, WhatIsHereAlreadyIsNoProgress) {
  const auto asked = ask_two();
  bring(asked[0]);
  now += seconds(4);
  store(2, asked[0].entries);
  now += seconds(1);
  EXPECT_TRUE(gives_up(2));
}

TEST_F(FetchPlannerTest, ALateOneIsAskedAgainAfterAWhile) {
  ask_two();
  now += FetchPlanner::kLateAfter - seconds(1);
  store(1, {{1, 10}});
  now += seconds(1);
  ASSERT_EQ(planner.take_cancelled(now).size(), 1U);
  for (const Segment& segment : planner.assign(now)) EXPECT_EQ(segment.peer, 1U);
  now += FetchPlanner::kForgivenAfter;
  ASSERT_LE(*planner.next_deadline(), now);
  static_cast<void>(planner.take_cancelled(now));
  bool is_asked = false;
  for (const Segment& segment : planner.assign(now)) is_asked |= segment.peer == 2;
  EXPECT_TRUE(is_asked);
}

TEST_F(FetchPlannerTest, PartsOfALargePayloadAreProgress) {
  ask_two();
  for (int second = 0; second < 100; second += 4) {
    store_part(1, 48 * 1024);
    EXPECT_FALSE(gives_up(1));
    now += seconds(4);
  }
}

TEST_F(FetchPlannerTest, PartsThatAreNotKeptAreNone) {
  const auto asked = ask_two();
  bring(asked[1]);
  for (int part = 0; part < 5; ++part) {
    now += seconds(1);
    store_part(1, 0);
  }
  const auto cancelled = planner.take_cancelled(now);
  ASSERT_EQ(cancelled.size(), 1U);
  EXPECT_EQ(cancelled[0].peer, 1U);
}

/// Seconds until `planner` asks 2 for what 1 owes, who brings parts of `bytes` each second.
class SlowParts : public FetchPlannerTest {
 protected:
  int seconds_until_given_up(std::uint64_t bytes) {
    planner.set_missing({{1, 1}});
    holds(1, {{1, 1}});
    EXPECT_EQ(planner.assign(now).size(), 1U);
    holds(2, {{1, 1}});
    for (int second = 1; second <= 300; ++second) {
      now += seconds(1);
      store_part(1, bytes);
      if (planner.take_cancelled(now).empty()) continue;
      const auto next = planner.assign(now);
      EXPECT_TRUE(next.size() == 1 && next[0].peer == 2U);
      return second;
    }
    return 0;
  }
};

TEST_F(SlowParts, GiveWayToOneWhoHasNothingToDo) {
  EXPECT_EQ(seconds_until_given_up(48 * 1024), 30);
}

TEST_F(SlowParts, GiveWayAlsoWhereNothingCanBeCut) {
  planner = FetchPlanner({.one_at_a_time = true});
  EXPECT_EQ(seconds_until_given_up(48 * 1024), 30);
}

TEST_F(SlowParts, DoNotWhereTheyAreQuick) { EXPECT_EQ(seconds_until_given_up(1024 * 1024), 0); }

TEST_F(SlowParts, DoNotGoBackToOneWhoWasSlower) {
  ASSERT_EQ(seconds_until_given_up(48 * 1024), 30);
  for (int second = 0; second < 200; ++second) {
    now += seconds(1);
    store_part(2, 100 * 1024);
    ASSERT_TRUE(planner.take_cancelled(now).empty()) << second;
    ASSERT_TRUE(planner.assign(now).empty()) << second;
  }
}

TEST_F(FetchPlannerTest, WhoHasShownNoRateTakesOverFromOneSlowPeerAtATime) {
  planner = FetchPlanner({.entry_bytes = 32 * 1024 * 1024});
  planner.set_missing({{1, 3}});
  for (SessionId peer = 1; peer <= 3; ++peer) holds(peer, {{1, 3}});
  ASSERT_EQ(planner.assign(now).size(), 3U);
  holds(4, {{1, 3}});
  std::vector<Segment> cancelled;
  for (int second = 1; second <= 31 && cancelled.empty(); ++second) {
    now += seconds(1);
    for (SessionId peer = 1; peer <= 3; ++peer) {
      store_part(peer, 48 * 1024);
    }
    cancelled = planner.take_cancelled(now);
  }
  EXPECT_EQ(cancelled.size(), 1U);
  const auto next = planner.assign(now);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].peer, 4U);
  EXPECT_TRUE(planner.take_cancelled(now).empty());
}

TEST_F(FetchPlannerTest, WhatALatePeerOwesGoesToAnother) {
  auto asked = ask_two();
  now += FetchPlanner::kLateAfter - milliseconds(1);
  bring(asked[0]);
  EXPECT_TRUE(planner.take_cancelled(now).empty());
  now += milliseconds(1);
  ASSERT_LE(*planner.next_deadline(), now);
  const auto cancelled = planner.take_cancelled(now);
  ASSERT_EQ(cancelled.size(), 1U);
  EXPECT_EQ(cancelled[0].peer, 2U);
  EXPECT_EQ(cancelled[0].entries, asked[1].entries);
  const auto next = planner.assign(now);
  ASSERT_FALSE(next.empty());
  EXPECT_TRUE(std::ranges::all_of(next, [](const Segment& one) { return one.peer == 1; }));
  EXPECT_EQ(next[0].entries.min(), asked[1].entries.min());
}

TEST_F(FetchPlannerTest, NobodyIsLateWhileWhatItBroughtWaitsToBeStored) {
  ask_two();
  planner.received(1, kPieceBytes);
  planner.received(2, kPieceBytes);
  now += seconds(60);
  EXPECT_TRUE(planner.take_cancelled(now).empty());
}

TEST_F(FetchPlannerTest, NobodyIsLateWhoCannotBeReplaced) {
  holds(1);
  ASSERT_EQ(planner.assign(now).size(), 1U);
  EXPECT_FALSE(planner.next_deadline());
  now += seconds(60);
  EXPECT_TRUE(planner.take_cancelled(now).empty());
  holds(2);
  EXPECT_EQ(planner.take_cancelled(now).size(), 1U) << "now it can";
}

TEST_F(FetchPlannerTest, OneWhoBringsAByteNowAndThenIsLate) {
  const auto asked = ask_two();
  bool is_late = false;
  for (int i = 0; i < 20 && !is_late; ++i) {
    now += seconds(2);
    const SeqNum n = static_cast<SeqNum>(i) + 1;
    store(2, {{asked[1].entries.min() + n, asked[1].entries.min() + n}});
    store(1, {{100 * n, 100 * n + 99}});
    is_late = gives_up(2);
  }
  EXPECT_TRUE(is_late);
  EXPECT_LE(now, Instant{} + FetchPlanner::kRateOver + seconds(2));
}

TEST_F(FetchPlannerTest, OneWhoseQuoteSaysThatEntriesAreHugeIsAsLateAsWhatItBrings) {
  planner.set_entry_bytes(std::uint64_t{1} << 40U);
  planner.set_missing({{1, 100}});
  holds(1, {{1, 100}});
  ASSERT_EQ(planner.assign(now).size(), 1U);
  holds(2, {{1, 100}});
  bool is_late = false;
  for (SeqNum n = 1; n <= 31 && !is_late; ++n) {
    now += seconds(1);
    store(1, {{n, n}}, 300);
    is_late = !planner.take_cancelled(now).empty();
  }
  EXPECT_TRUE(is_late);
}

TEST_F(FetchPlannerTest, ALateOneIsAskedAgainOnceThereIsNobodyElse) {
  const auto asked = ask_two();
  now += seconds(4);
  bring(asked[0]);
  now += seconds(2);
  ASSERT_EQ(planner.take_cancelled(now).size(), 1U);
  planner.remove(1);
  EXPECT_TRUE(planner.can_go_on());
  const auto next = planner.assign(now);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].peer, 2U);
}

/// A peer of the simulation below.
struct Provider {
  double entries_per_second = 0;
  RangeSet held;
  std::vector<RangeSet> asked;
  Instant stalls_at = Instant::max();
  Instant dies_at = Instant::max();
  RangeSet lies;  ///< said to be held and not sent
};

TEST(FetchPlanner, BringsEverythingThatSomebodyHasWhoeverStallsLiesOrDies) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    test::TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const SeqNum head = random.between(1000, 60'000);
    const RangeSet all{{1, head}};
    Instant now{};
    FetchPlanner planner({.newest_first = random.below(2) == 0});
    planner.set_missing(all);
    std::map<SessionId, Provider> providers;
    const std::uint64_t count = random.between(2, 5);
    for (SessionId id = 1; id <= count; ++id) {
      Provider& provider = providers[id];
      provider.entries_per_second = static_cast<double>(random.between(1000, 20'000));
      provider.held = all;
      if (id == 1) continue;  // one is honest and whole
      if (random.below(3) == 0) provider.held.erase({1, random.between(1, head)});
      if (random.below(3) == 0) provider.lies = {{random.between(1, head), head}};
      const Instant at = now + milliseconds(random.below(10'000));
      if (random.below(3) == 0) provider.stalls_at = at;
      if (random.below(3) == 0) provider.dies_at = at;
    }
    for (auto& [id, provider] : providers) planner.peer_holds(id, provider.held, now);
    RangeSet stored;
    std::uint64_t sent = 0;
    while (!planner.missing().empty() && now < Instant{} + seconds(600)) {
      for (const Segment& one : planner.take_cancelled(now)) {
        std::erase(providers.at(one.peer).asked, one.entries);
      }
      for (const Segment& one : planner.assign(now)) {
        ASSERT_TRUE(providers.at(one.peer).held.contains(one.entries));
        providers.at(one.peer).asked.push_back(one.entries);
        ASSERT_LE(providers.at(one.peer).asked.size(), FetchPlanner::kSegmentsPerPeerMax);
      }
      ASSERT_TRUE(planner.can_go_on());
      now += milliseconds(100);
      for (auto next = providers.begin(); next != providers.end();) {
        auto& [id, provider] = *next++;
        if (now >= provider.dies_at) {
          planner.remove(id);
          providers.erase(id);
          continue;
        }
        if (provider.asked.empty() || now >= provider.stalls_at) continue;
        RangeSet segment = provider.asked.front();
        const RangeSet left = segment - stored - provider.lies;
        RangeSet now_sent;
        auto room = static_cast<std::uint64_t>(provider.entries_per_second / 10);
        for (const SeqRange range : left.ranges()) {
          if (room == 0) break;
          const std::uint64_t more = std::min(room - 1, range.last - range.first);
          now_sent.insert({range.first, range.first + more});
          room -= more + 1;
        }
        sent += now_sent.count();
        planner.received(id, kPieceBytes);
        planner.stored(id, now_sent - stored, now_sent - stored, 0, now);
        stored |= now_sent;
        if (now_sent == left) {
          provider.asked.erase(provider.asked.begin());
          planner.set_missing(all - stored);
          planner.ended(id, segment, now);
        }
      }
    }
    EXPECT_EQ(stored, all);
    EXPECT_LE(sent, all.count() + all.count() / 20) << "sent twice";
  }
}

}  // namespace
}  // namespace culm::node
