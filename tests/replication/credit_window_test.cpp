#include "culm/replication/detail/credit_window.hpp"

#include <deque>
#include <optional>

#include <gtest/gtest.h>

#include "tests/support/prng.hpp"

namespace culm::test {
namespace {

using replication::CreditPool;
using replication::CreditWindow;

constexpr std::uint64_t kLeast = limits::kCreditBytesMin;

TEST(CreditWindow, BeginsWithTheLeastThatIsOfUse) {
  CreditPool pool(10 * kLeast);
  CreditWindow window(pool);
  EXPECT_FALSE(window.is_open() || window.can_be_used());
  EXPECT_EQ(window.open(), kLeast);
  EXPECT_TRUE(window.is_open() && window.can_be_used());
  EXPECT_EQ(window.open(), 0U) << "once";
  EXPECT_EQ(pool.free(), 10 * kLeast) << "who sends nothing takes nothing";
}

TEST(CreditWindow, WhatIsInWorksIsTakenOfThePool) {
  CreditPool pool(kLeast);
  CreditWindow window(pool);
  ASSERT_EQ(window.open(), kLeast);
  ASSERT_TRUE(window.spend(1000));
  EXPECT_FALSE(pool.is_short());
  window.submitted(1000);
  EXPECT_EQ(pool.free(), kLeast - 1000);
  EXPECT_TRUE(pool.is_short());
  EXPECT_EQ(window.work_done(1000), 1000U) << "less than the least is left with the peer";
  EXPECT_EQ(pool.free(), kLeast);
}

TEST(CreditWindow, NoMoreIsSpentThanWasGranted) {
  CreditPool pool(10 * kLeast);
  CreditWindow window(pool);
  EXPECT_EQ(window.spend(1).error().code, Errc::kFlow);
  ASSERT_EQ(window.open(), kLeast);
  EXPECT_TRUE(window.spend(kLeast));
  EXPECT_EQ(window.spend(1).error().code, Errc::kFlow);
}

TEST(CreditWindow, GrowsWithUseUpToTheShareOfASession) {
  CreditPool pool(100 * limits::kSessionCreditBytes);
  CreditWindow window(pool);
  std::uint64_t with_peer = window.open();
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t spent = with_peer;
    ASSERT_TRUE(window.spend(spent));
    with_peer = window.passed_over(spent);
  }
  EXPECT_EQ(with_peer, limits::kSessionCreditBytes);
  ASSERT_TRUE(window.spend(with_peer / 4));
  EXPECT_EQ(window.passed_over(with_peer / 4 - 1), 0U);
  EXPECT_EQ(window.passed_over(1), with_peer / 4) << "granted by the quarter";
  EXPECT_EQ(pool.size() - pool.free(), limits::kSessionCreditBytes - kLeast);
}

TEST(CreditWindow, DoesNotGrowWhenHalfOfThePoolIsTaken) {
  CreditPool pool(2 * kLeast);
  CreditWindow window(pool);
  ASSERT_EQ(window.open(), kLeast);
  ASSERT_TRUE(window.spend(kLeast));
  EXPECT_EQ(window.passed_over(kLeast), kLeast);
  EXPECT_EQ(pool.free(), 2 * kLeast);
}

TEST(CreditWindow, GrantsCrumbsOnlyToAPeerThatCouldNotGoOn) {
  CreditPool pool(100 * limits::kSessionCreditBytes);
  CreditWindow window(pool);
  std::uint64_t with_peer = window.open();
  ASSERT_TRUE(window.spend(100));
  const std::uint64_t grown = window.passed_over(100);
  EXPECT_EQ(grown, 200U) << "below the least, whatever there is";
  with_peer += grown - 100;
  ASSERT_TRUE(window.spend(100));
  EXPECT_EQ(window.passed_over(100), 0U);
  ASSERT_TRUE(window.spend(with_peer - 100));
  EXPECT_EQ(window.passed_over(with_peer - 100), 2 * with_peer);
}

/// Whatever is spent, submitted, done or left: the pool gets all of it back, and the peer never has
/// more than was taken and the least.
TEST(CreditWindow, EverythingGoesBackToThePool) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    CreditPool pool(random.between(1, 40) * kLeast);
    const std::uint64_t size = pool.free();
    std::deque<std::uint64_t> works;
    {
      CreditWindow window(pool);
      std::uint64_t with_peer = window.open();
      for (int step = 0; step < 100; ++step) {
        if (with_peer != 0 && random.below(2) == 0) {
          const std::uint64_t spent = random.between(1, with_peer);
          ASSERT_TRUE(window.spend(spent));
          with_peer -= spent;
          switch (random.below(3)) {
            case 0:
              with_peer += window.passed_over(spent);
              break;
            case 1:
              window.submitted(spent);
              works.push_back(spent);
              break;
            default:  // refused: it stays out until the end
              break;
          }
        } else if (!works.empty()) {
          with_peer += window.work_done(works.front());
          works.pop_front();
        }
        ASSERT_LE(with_peer, kLeast + (size - pool.free()));
      }
    }
    for (const std::uint64_t work : works) pool.give_back(work);
    EXPECT_EQ(pool.free(), size);
  }
}

}  // namespace
}  // namespace culm::test
