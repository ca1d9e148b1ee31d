#include "culm/replication/node/row_drops.hpp"

#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"

namespace culm::node {
namespace {

using Met = RowDrops::Met;
using test::LogBuilder;

const LogKey& a_log() {
  static const LogKey log = LogBuilder("alice").log();
  return log;
}

TEST(RowDrops, OneTaskOfALogAtATimeTakesAllThatWaits) {
  RowDrops drops;
  for (SeqNum n = 1; n <= 300; ++n) EXPECT_EQ(drops.meet(a_log(), n), Met::kNew);
  const auto first = drops.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->rows, (RangeSet{{1, 300}}));
  EXPECT_EQ(drops.meet(a_log(), 7), Met::kUnderWay);
  EXPECT_EQ(drops.meet(a_log(), 301), Met::kNew);
  EXPECT_EQ(drops.meet(a_log(), 301), Met::kUnderWay);
  EXPECT_FALSE(drops.next());
  drops.finished(*first, true, Instant());
  const auto second = drops.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->rows, (RangeSet{{301, 301}}));
  drops.finished(*second, true, Instant());
  EXPECT_FALSE(drops.next());
  EXPECT_EQ(drops.meet(a_log(), 7), Met::kNew) << "it is damaged again";
}

TEST(RowDrops, OneTaskHasSoManyRowsAtMost) {
  RowDrops drops;
  for (SeqNum n = 1; n <= RowDrops::kRowsMax + 1; ++n) drops.meet(a_log(), n);
  const auto first = drops.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->rows.count(), RowDrops::kRowsMax);
  drops.finished(*first, true, Instant());
  EXPECT_EQ(drops.next()->rows.count(), 1U);
}

TEST(RowDrops, LogsBeyondSoManyTasksWaitForOne) {
  RowDrops drops;
  for (std::size_t n = 0; n <= RowDrops::kTasksMax; ++n) {
    drops.meet(LogBuilder(std::to_string(n)).log(), 1);
  }
  std::vector<RowDrops::Task> tasks;
  while (auto task = drops.next()) tasks.push_back(*task);
  EXPECT_EQ(tasks.size(), RowDrops::kTasksMax);
  drops.finished(tasks[0], true, Instant());
  EXPECT_TRUE(drops.next());
}

TEST(RowDrops, WhatFailedIsTriedAgainLaterUntilItIsDone) {
  RowDrops drops;
  Instant now{};
  drops.meet(a_log(), 3);
  auto task = drops.next();
  ASSERT_TRUE(task);
  EXPECT_FALSE(drops.next_deadline());
  for (int n = 0; n < 3; ++n) {
    drops.finished(*task, false, now);
    EXPECT_EQ(drops.meet(a_log(), 3), Met::kFailed);
    EXPECT_FALSE(drops.next());
    EXPECT_EQ(drops.next_deadline(), now + RowDrops::kAgainAfter);
    drops.deadline_reached(now + RowDrops::kAgainAfter - Duration(1));
    EXPECT_FALSE(drops.next());
    now += RowDrops::kAgainAfter;
    drops.deadline_reached(now);
    EXPECT_FALSE(drops.next_deadline());
    task = drops.next();
    ASSERT_TRUE(task);
    EXPECT_EQ(task->rows, (RangeSet{{3, 3}}));
    EXPECT_EQ(drops.meet(a_log(), 3), Met::kUnderWay);
  }
  drops.finished(*task, true, now);
  EXPECT_FALSE(drops.next_deadline());
}

TEST(RowDrops, ARowThatCannotBeDroppedKeepsNoOtherOnesFromIt) {
  RowDrops drops;
  const RangeSet all{{1, 100}};
  RangeSet left = all;
  for (SeqNum n = 1; n <= all.max(); ++n) drops.meet(a_log(), n);
  Instant now{};
  for (int n = 0; n < 10; ++n) {
    while (const auto task = drops.next()) {
      const bool is_done = !task->rows.contains(70);
      if (is_done) left -= task->rows;
      drops.finished(*task, is_done, now);
    }
    now += RowDrops::kAgainAfter;
    drops.deadline_reached(now);
  }
  EXPECT_EQ(left, (RangeSet{{70, 70}}));
}

}  // namespace
}  // namespace culm::node
