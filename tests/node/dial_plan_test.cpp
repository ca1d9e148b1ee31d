#include "culm/replication/node/dial_plan.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/prng.hpp"

namespace culm::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Dials = std::vector<DialId>;

class DialPlanTest : public testing::Test {
 protected:
  /// Fails calls of dial 1 for so long; when each was made.
  std::vector<Instant> call_for(Duration time) {
    std::vector<Instant> calls;
    for (const Instant end = now + time; now <= end;) {
      if (!plan.take_due(now).empty()) {
        calls.push_back(now);
        EXPECT_TRUE(plan.over(1, Duration::zero(), now));
      }
      now = std::max(now, *plan.next_deadline());
    }
    return calls;
  }

  test::TestRandom random{1};
  DialPlan plan{random};
  Instant now{};
};

TEST_F(DialPlanTest, ADialIsCalledOnceItIsReleased) {
  plan.add(1, false);
  EXPECT_EQ(plan.take_due(now), Dials{});
  EXPECT_FALSE(plan.next_deadline());
  plan.release(1, now);
  EXPECT_EQ(plan.take_due(now), Dials{1});
  EXPECT_EQ(plan.take_due(now), Dials{}) << "it is under way";
  EXPECT_TRUE(plan.is_calling(1));
}

TEST_F(DialPlanTest, ACallThatTakesTooLongIsLate) {
  plan.add(1, false);
  plan.release(1, now);
  ASSERT_EQ(plan.take_due(now), Dials{1});
  const Instant late = now + milliseconds(limits::kConnectTimeoutMs);
  EXPECT_EQ(plan.next_deadline(), late);
  EXPECT_EQ(plan.late(late - milliseconds(1)), Dials{});
  EXPECT_EQ(plan.late(late), Dials{1});
  EXPECT_FALSE(plan.over(1, Duration::zero(), late));
  EXPECT_FALSE(plan.next_deadline()) << "it is forgotten";
}

TEST_F(DialPlanTest, WhatIsInASessionIsNeitherCalledNorLate) {
  plan.add(1, true);
  plan.release(1, now);
  ASSERT_EQ(plan.take_due(now), Dials{1});
  plan.connected(1);
  EXPECT_FALSE(plan.next_deadline());
  EXPECT_EQ(plan.late(now + seconds(1000)), Dials{});
  EXPECT_EQ(plan.take_due(now + seconds(1000)), Dials{});
}

TEST_F(DialPlanTest, TheDelayDoublesUpToItsLimitAndHalfOfItIsChance) {
  plan.add(1, true);
  plan.release(1, now);
  const auto calls = call_for(seconds(600));
  Duration most = milliseconds(limits::kRedialDelayMsMin);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    const Duration delay = calls[i] - calls[i - 1];
    EXPECT_GE(delay, most / 2);
    EXPECT_LE(delay, most);
    most = std::min<Duration>(most * 2, milliseconds(limits::kRedialDelayMsMax));
  }
  EXPECT_GE(calls.size(), 15U);
  EXPECT_LE(calls.size(), 30U);
}

TEST_F(DialPlanTest, ASessionThatLastedMakesTheDelayShortAgainAndOneThatDidNotDoesNot) {
  plan.add(1, true);
  plan.release(1, now);
  call_for(seconds(600));
  ASSERT_EQ(plan.take_due(now), Dials{1});
  plan.connected(1);
  ASSERT_TRUE(plan.over(1, milliseconds(limits::kRedialDelayMsMax - 1), now));
  EXPECT_GE(*plan.next_deadline() - now, milliseconds(limits::kRedialDelayMsMax / 2));
  now = *plan.next_deadline();
  ASSERT_EQ(plan.take_due(now), Dials{1});
  plan.connected(1);
  ASSERT_TRUE(plan.over(1, milliseconds(limits::kRedialDelayMsMax), now));
  EXPECT_LE(*plan.next_deadline() - now, milliseconds(limits::kRedialDelayMsMin));
}

TEST_F(DialPlanTest, WhatIsRemovedIsNotCalled) {
  plan.add(1, true);
  plan.remove(1);
  plan.release(1, now);
  EXPECT_EQ(plan.take_due(now), Dials{});
  EXPECT_FALSE(plan.over(1, Duration::zero(), now));
}

}  // namespace
}  // namespace culm::node
