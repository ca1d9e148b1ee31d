#include "culm/replication/node/commit_queue.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

using replication::Work;
using replication::WorkId;

class CommitQueueTest : public testing::Test {
 protected:
  void push(SessionId session, std::uint64_t number, std::uint64_t credit = 1000) {
    queue.push(Work{{session, number}, {}, replication::UnitWork{}, credit, nullptr});
  }
  void push_task(TaskId id, bool waits = true) {
    queue.push(Task{id, [](store::Store&) { return Result<void>(); }, waits});
  }
  /// What the next job is: works by session and number, or {task, 0}.
  std::vector<WorkId> next() {
    std::vector<WorkId> out;
    const auto job = queue.next();
    if (!job) return out;
    if (const auto* const task = std::get_if<Task>(&*job)) return {{task->id, 0}};
    for (const Work& work : std::get<std::vector<Work>>(*job)) {
      out.push_back(work.id);
      bytes += work.credit;
    }
    return out;
  }
  void finish(const std::vector<WorkId>& works, std::uint64_t credit = 1000) {
    JobResult result;
    for (const WorkId& id : works)
      result.reports.push_back({id, {}, store::IngestReport{}, credit});
    queue.finished(result);
  }

  using Works = std::vector<WorkId>;
  CommitQueue queue;
  std::uint64_t bytes = 0;
};

TEST_F(CommitQueueTest, SessionsTakeTurnsAndEachStaysInOrder) {
  for (std::uint64_t n = 1; n <= 3; ++n) push(7, n);
  push(8, 1);
  push(9, 1);
  push(8, 2);
  EXPECT_EQ(next(), (Works{{7, 1}, {8, 1}, {9, 1}, {7, 2}, {8, 2}, {7, 3}}));
  EXPECT_EQ(next(), Works{});
}

TEST_F(CommitQueueTest, WhateverWaitsATaskIsNext) {
  for (std::uint64_t n = 1; n <= 1000; ++n) push(1, n, 256 * 1024);
  push_task(5, false);
  push_task(6, false);
  EXPECT_EQ(next(), (Works{{5, 0}}));
  EXPECT_EQ(next(), (Works{{6, 0}}));
  EXPECT_EQ(next().front(), (WorkId{1, 1}));
}

TEST_F(CommitQueueTest, SmallWorksCountForWhatTheyCostInTime) {
  for (std::uint64_t n = 1; n <= 10'000; ++n) push(1, n, 256);
  EXPECT_EQ(next().size(), limits::kCommitBytesTarget / commit_bytes(256));
  EXPECT_LE(limits::kCommitBytesTarget / commit_bytes(256), 2048U);
}

TEST_F(CommitQueueTest, ATaskThatWaitsIsBehindAllBeforeItAndBeforeAllBehindIt) {
  push(1, 1);
  push_task(5);
  push(1, 2);
  push(2, 1);
  EXPECT_EQ(next(), (Works{{1, 1}}));
  EXPECT_EQ(next(), (Works{{5, 0}}));
  EXPECT_EQ(next(), (Works{{1, 2}, {2, 1}}));
}

TEST_F(CommitQueueTest, NoMoreIsHandedOutThanTwoCommitsHold) {
  constexpr std::uint64_t kUnit = 256 * 1024;
  const std::uint64_t count = 3 * limits::kCommitBytesTarget / kUnit;
  for (std::uint64_t n = 1; n <= count; ++n) push(1, n, kUnit);
  const Works first = next();
  EXPECT_EQ(bytes, limits::kCommitBytesTarget);
  const Works second = next();
  EXPECT_EQ(bytes, 2 * limits::kCommitBytesTarget);
  EXPECT_EQ(next(), Works{});
  finish({first[0]}, kUnit);
  EXPECT_EQ(next(), (Works{{1, first.size() + second.size() + 1}})) << "as much as has come back";
  EXPECT_FALSE(queue.is_idle());
}

TEST_F(CommitQueueTest, OneThatBringsMuchDoesNotKeepTheOthersWaiting) {
  constexpr std::uint64_t kUnit = 256 * 1024;
  for (std::uint64_t n = 1; n <= 1000; ++n) push(1, n, kUnit);
  push(2, 1, kUnit);
  const Works first = next();
  EXPECT_EQ(first[1], (WorkId{2, 1}));
}

TEST_F(CommitQueueTest, ManyTasksDoNotKeepWorksWaiting) {
  push(1, 1);
  for (TaskId task = 1; task <= 2 * CommitQueue::kTasksInRow; ++task) push_task(task, false);
  for (TaskId task = 1; task <= CommitQueue::kTasksInRow; ++task) {
    EXPECT_EQ(next(), (Works{{task, 0}}));
  }
  EXPECT_EQ(next(), (Works{{1, 1}}));
  EXPECT_EQ(next(), (Works{{CommitQueue::kTasksInRow + 1, 0}}));
}

TEST_F(CommitQueueTest, ATaskThatWaitsIsNeverBeforeOneThatWasQueuedEarlier) {
  for (TaskId task = 1; task <= CommitQueue::kTasksInRow + 2; ++task) push_task(task, false);
  push_task(100, true);
  for (TaskId task = 1; task <= CommitQueue::kTasksInRow + 2; ++task) {
    EXPECT_EQ(next(), (Works{{task, 0}}));
  }
  EXPECT_EQ(next(), (Works{{100, 0}}));
}

TEST_F(CommitQueueTest, ManyLaterTasksDoNotKeepOneThatWaitsWaiting) {
  push(1, 1);
  push_task(1, true);
  for (TaskId task = 2; task <= 3 * CommitQueue::kTasksInRow; ++task) push_task(task, false);
  std::size_t before = 0;
  while (before < 100 && next() != Works{{1, 0}}) ++before;
  EXPECT_EQ(before, 2 * CommitQueue::kTasksInRow + 1) << "and the work";
}

TEST_F(CommitQueueTest, IsIdleOnceAllThatWasHandedOutHasComeBack) {
  EXPECT_TRUE(queue.is_idle());
  push(1, 1);
  push_task(1);
  EXPECT_FALSE(queue.is_idle());
  finish(next());
  EXPECT_FALSE(queue.is_idle());
  ASSERT_EQ(next(), (Works{{1, 0}}));
  EXPECT_FALSE(queue.is_idle()) << "the task is under way";
  JobResult result;
  result.task = 1;
  queue.finished(result);
  EXPECT_TRUE(queue.is_idle());
}

TEST_F(CommitQueueTest, AHostThatEndsGetsAllThatIsLeft) {
  for (std::uint64_t n = 1; n <= 100; ++n) push(1, n, 256 * 1024);
  push_task(1);
  push(1, 101);
  std::size_t works = 0;
  std::size_t tasks = 0;
  for (const Job& job : queue.take_all()) {
    if (const auto* const some = std::get_if<std::vector<Work>>(&job))
      works += some->size();
    else
      ++tasks;
  }
  EXPECT_EQ(works, 101U);
  EXPECT_EQ(tasks, 1U);
}

}  // namespace
}  // namespace culm::node
