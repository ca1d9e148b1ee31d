#include "culm/replication/detail/served_want.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm::replication {
namespace {

using Step = ServedWant::Step;
constexpr std::uint64_t kCredit = limits::kCreditBytesMin;

store::LogState log_of(const RangeSet& held, const RangeSet& payloads) {
  store::LogState log;
  log.held = held;
  log.payloads = payloads;
  return log;
}

ServedWant served(Interest interest, const store::LogState& log, const RangeSet& held = {}) {
  Want want;
  want.interest = std::move(interest);
  want.entries = want.payloads = true;
  want.payload_size_max = limits::kPayloadSizeBytesMax;
  want.held = held;
  ServedWant out(std::move(want));
  out.plan(log);
  return out;
}

TEST(ServedWant, WhatThePeerHoldsIsNotSent) {
  const auto log = log_of({{1, 10}}, {});
  ServedWant want = served(everything(), log, {{1, 4}});
  EXPECT_EQ(want.entries, (RangeSet{{5, 10}}));
  want.peer_holds({{5, 6}}, {});
  EXPECT_EQ(want.entries, (RangeSet{{7, 10}}));
  want.plan(log);
  EXPECT_EQ(want.entries, (RangeSet{{7, 10}})) << "nor after the log has changed";
}

TEST(ServedWant, OfMoreRangesThanAPeerNeedsToShowNothingIsTakenDown) {
  ServedWant want = served(everything(), log_of({{1, 100'000}}, {}));
  RangeSet shown;
  for (SeqNum n = 1; n <= 3 * limits::kRangesPerMessageMax; n += 2) shown.insert(n);
  want.peer_holds(shown, {});
  EXPECT_EQ(want.known, shown);
  RangeSet more = shown - RangeSet{{1, 1}};
  want.peer_holds(more, {});
  EXPECT_EQ(want.known, shown);
}

TEST(ServedWant, OfADamagedPayloadNotMuchIsSentTwice) {
  const auto log = log_of({{1, 10}}, {{5, 5}});
  for (const std::uint64_t offset : {std::uint64_t{100}, limits::kVainBytesPerWantMax}) {
    ServedWant want = served(everything(), log, {{1, 10}});
    want.chunked.push_back({5, offset, limits::kPayloadSizeBytesMax});
    EXPECT_TRUE(want.pass_over(5));
    want.plan(log);
    EXPECT_EQ(want.next_step(kCredit), Step::kNothing) << "something may be saved of it";
    want.drop_finished({{5, 5}});
    EXPECT_EQ(want.next_step(kCredit), Step::kComplete);
    want.damaged = {};  // it came back
    want.plan(log);
    EXPECT_EQ(want.next_step(kCredit), offset == 100 ? Step::kPayload : Step::kComplete);
    EXPECT_EQ(want.lacks({}, log), offset != 100);
    want.peer_holds({}, {{5, 5}});
    EXPECT_FALSE(want.lacks({}, log)) << "another has brought it";
  }
}

TEST(ServedWant, PayloadsFollowTheEntriesThatThePeerHas) {
  ServedWant want = served(everything(), log_of({{1, 10}}, {{5, 5}, {8, 8}}), {{1, 5}});
  EXPECT_EQ(want.next_step(kCredit), Step::kPayload);
  want.settle_payload(5);
  EXPECT_EQ(want.next_step(kCredit), Step::kUnit) << "8 is not there yet";
  EXPECT_EQ(want.next_unit(), (RangeSet{{6, 10}}));
}

TEST(ServedWant, HoweverManyLargePayloadsThereAreEachComesInItsClass) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
  constexpr SeqNum kCount = 40;
  ServedWant want = served(everything(), log_of({{1, kCount}}, {{1, kCount}}), {{1, kCount}});
  const auto size_of = [](SeqNum n) { return n % 10 == 0 ? 200 * kMiB : 2 * kMiB; };
  std::vector<SeqNum> sent;
  // As the responder does it, looking at three at a time, with a look at the others between parts.
  for (int step = 0; step < 1000 && sent.size() < kCount; ++step) {
    const RangeSet ready = want.ready_payloads();
    RangeSet larger;
    const RangeSet looked_at = lowest(ready, 3);
    for (const SeqRange range : looked_at.ranges()) {
      for (SeqNum n = range.first; n <= range.last && want.chunked.empty(); ++n) {
        if (size_of(n) > want.ready_size_max()) {
          larger.insert(n);
        } else {
          want.put_off_larger(std::exchange(larger, {}));
          want.chunked.push_back({n, 0, size_of(n)});
        }
      }
    }
    want.put_off_larger(larger);
    if (!want.chunked.empty()) {
      const RangeSet others = want.ready_payloads();
      want.put_off_larger(lowest(others, 3));
      sent.push_back(want.chunked.back().seqnum);
      want.settle_payload(sent.back());
    } else if (ready.empty()) {
      want.take_larger();
    }
  }
  ASSERT_EQ(sent.size(), kCount);
  const auto is_of_first_class = [&](SeqNum n) { return size_of(n) == 2 * kMiB; };
  EXPECT_TRUE(std::ranges::is_partitioned(sent, is_of_first_class));
}

TEST(ServedWant, WhatIsTooLargeWaitsForAllElse) {
  ServedWant want = served(everything(), log_of({{1, 10}}, {{2, 3}}), {{1, 5}});
  want.put_off.insert(2);
  EXPECT_EQ(want.ready_payloads(), (RangeSet{{3, 3}}));
  EXPECT_EQ(want.next_step(kCredit), Step::kPayload);
  want.settle_payload(3);
  EXPECT_EQ(want.next_step(kCredit), Step::kUnit);
  want.known |= std::exchange(want.entries, {});
  EXPECT_EQ(want.next_step(kCredit), Step::kPayload);
  EXPECT_TRUE(want.ready_payloads().empty());
  want.take_larger();
  EXPECT_EQ(want.ready_payloads(), (RangeSet{{2, 2}}));
  EXPECT_EQ(want.ready_size_max(), 16 * kSmallPayloadBytesMax);
}

TEST(ServedWant, WhatIsNewAndSmallGoesBetweenThePartsOfALargePayload) {
  ServedWant want = served(everything(), log_of({{1, 10}}, {{2, 2}}), {{1, 10}});
  want.chunked.push_back({2, 0, kSmallPayloadBytesMax + 1});
  want.plan(log_of({{1, 11}}, {{2, 3}}));
  EXPECT_EQ(want.ready_payloads(), (RangeSet{{3, 3}}));
  EXPECT_EQ(want.ready_size_max(), kSmallPayloadBytesMax);
  want.chunked.push_back({3, 0, kSmallPayloadBytesMax});
  EXPECT_TRUE(want.ready_payloads().empty()) << "one after the other";
  EXPECT_EQ(want.next_step(kCredit), Step::kPayload);
  want.settle_payload(3);
  EXPECT_EQ(want.next_step(kCredit), Step::kUnit);
  want.plan(log_of({{1, 11}}, {}));
  EXPECT_TRUE(want.chunked.empty()) << "it is there no longer";
}

TEST(ServedWant, WithoutCreditOnlyWhatIsNotCountedIsSaid) {
  ServedWant want = served(everything(), log_of({{1, 10}}, {}));
  EXPECT_EQ(want.next_step(kCredit - 1), Step::kNothing);
  EXPECT_EQ(want.next_step(kCredit), Step::kUnit);
  want.entries = {};
  EXPECT_EQ(want.next_step(0), Step::kComplete);
  want.want.live = true;
  EXPECT_EQ(want.next_step(0), Step::kReady);
  want.phase = ServedWant::Phase::kLive;
  EXPECT_EQ(want.next_step(kCredit), Step::kNothing) << "it is said once";
}

TEST(ServedWant, ABudgetThatHasNoRoomForAMessageEndsWhatHasMoreToSend) {
  ServedWant want = served(everything(), log_of({{1, 10}}, {}));
  want.want.budget_bytes = 1000;
  want.bytes = 1000 - limits::kCountedBytesMin;
  EXPECT_EQ(want.next_step(kCredit), Step::kUnit);
  ++want.bytes;
  EXPECT_EQ(want.next_step(0), Step::kBudget);
  want.entries = {};
  EXPECT_EQ(want.next_step(kCredit), Step::kComplete) << "that was all";
}

TEST(ServedWant, NewestFirstEachUnitBringsWhatAnchorsIt) {
  ServedWant want = served(everything(), log_of({{1, 1000}}, {}));
  want.want.order = Order::kNewestFirst;
  RangeSet there;
  while (!want.entries.empty()) {
    const RangeSet unit = want.next_unit();
    const SeqNum lowest_of_run = std::prev(unit.ranges().end())->first;
    for (const SeqNum n : path_to_first(lowest_of_run)) {
      ASSERT_TRUE(unit.contains(n) || there.contains(n)) << n;
    }
    there |= unit;
    want.entries -= unit;
  }
  EXPECT_EQ(there, (RangeSet{{1, 1000}}));
}

TEST(ServedWant, WhereEntriesAreLostEachUnitIsAnchoredByWhatIsLeft) {
  for (const Order order : {Order::kAscending, Order::kNewestFirst}) {
    RangeSet left{{1, 1000}};
    for (const SeqNum lost : {7U, 121U, 500U, 903U}) left.erase(SeqRange{lost, lost});
    ServedWant want = served(everything(), log_of(left, {}));
    want.want.order = order;
    EXPECT_EQ(want.entries, anchored(left));
    EXPECT_FALSE(want.entries.empty());
    while (!want.entries.empty()) {
      const RangeSet unit = want.next_unit();
      ASSERT_TRUE(anchored(want.known | unit).contains(unit)) << to_string(unit);
      want.known |= unit;
      want.entries -= unit;
    }
  }
}

TEST(ServedWant, WhatThePeerHasShownAnchorsWhatIsLeft) {
  const RangeSet left = RangeSet{{1, 100}} - RangeSet{{4, 4}};
  EXPECT_EQ(served(everything(), log_of(left, {})).entries, (RangeSet{{1, 3}}));
  EXPECT_EQ(served(everything(), log_of(left, {}), {{4, 4}}).entries, left);
}

TEST(ServedWant, OfWhatCannotBeAnchoredTheProofIsNotSentEither) {
  const RangeSet left = RangeSet{{1, 100}} - RangeSet{{4, 4}};
  EXPECT_EQ(served({RangeSet{{90, 95}}, 0}, log_of(left, {})).entries, RangeSet());
}

TEST(ServedWant, WhatIsDamagedIsPassedOverUntilItIsPlannedWithoutIt) {
  const auto log = log_of({{1, 100}}, {{7, 9}});
  ServedWant want = served(everything(), log);
  EXPECT_TRUE(want.pass_over(7));
  EXPECT_FALSE(want.planned);
  want.plan(log);
  EXPECT_FALSE(want.entries.contains(7));
  EXPECT_EQ(want.payloads, (RangeSet{{8, 9}}));
  EXPECT_FALSE(want.pass_over(7)) << "it was not to be sent";
  want.damaged = {};
  want.plan(log);
  EXPECT_TRUE(want.entries.contains(7));
}

TEST(ServedWant, AWindowOfTheNewestNeverMovesDown) {
  ServedWant want = served({RangeSet(), 3}, log_of({{1, 100}}, {}));
  EXPECT_TRUE(want.entries.contains(RangeSet{{98, 100}}));
  want.plan(log_of({{1, 50}}, {}));  // a fork was found at 51
  EXPECT_TRUE(want.entries.empty());
}

}  // namespace
}  // namespace culm::replication
