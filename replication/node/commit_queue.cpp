#include "culm/replication/node/commit_queue.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

/// A commit under way and the next one.
constexpr std::uint64_t kAheadBytesMax = 2 * limits::kCommitBytesTarget;

}  // namespace

void CommitQueue::push(replication::Work work) {
  if (parts_.empty() || !std::holds_alternative<Works>(parts_.back())) {
    parts_.emplace_back(Works{});
  }
  Works& works = std::get<Works>(parts_.back());
  auto& mine = works.by_session[work.id.session];
  if (mine.empty()) works.turns.push_back(work.id.session);
  mine.push_back(std::move(work));
}

void CommitQueue::push(Task task) {
  if (task.waits) {
    parts_.emplace_back(std::move(task));
  } else {
    tasks_first_.push_back(std::move(task));
  }
}

std::optional<Job> CommitQueue::next() {
  const bool is_full = bytes_ >= kAheadBytesMax;
  const Task* const waiting = parts_.empty() ? nullptr : std::get_if<Task>(&parts_.front());
  const bool is_next = waiting != nullptr
                           ? tasks_first_.empty() || waiting->id < tasks_first_.front().id
                           : !parts_.empty() && !is_full;
  if (!tasks_first_.empty() && (in_row_ < kTasksInRow || !is_next)) {
    ++in_row_;
    return take_task();
  }
  if (!is_next) return std::nullopt;
  in_row_ = 0;
  return take(std::min<std::uint64_t>(kAheadBytesMax - bytes_, limits::kCommitBytesTarget));
}

std::vector<Job> CommitQueue::take_all() {
  std::vector<Job> jobs;
  while (!tasks_first_.empty()) jobs.push_back(take_task());
  while (!parts_.empty()) jobs.push_back(take(limits::kCommitBytesTarget));
  return jobs;
}

void CommitQueue::finished(const JobResult& result) {
  works_ -= result.reports.size();
  for (const auto& report : result.reports) bytes_ -= commit_bytes(report.credit);
  if (result.task != 0) --tasks_;
}

Job CommitQueue::take_task() {
  ++tasks_;
  Job job = std::move(tasks_first_.front());
  tasks_first_.pop_front();
  return job;
}

Job CommitQueue::take(std::uint64_t bytes_max) {
  auto& part = parts_.front();
  if (auto* const task = std::get_if<Task>(&part)) {
    ++tasks_;
    Task taken = std::move(*task);
    parts_.pop_front();
    return taken;
  }
  Works& works = std::get<Works>(part);
  std::vector<replication::Work> taken = take_works(works, bytes_max);
  if (works.turns.empty()) parts_.pop_front();
  return taken;
}

std::vector<replication::Work> CommitQueue::take_works(Works& works, std::uint64_t bytes_max) {
  std::vector<replication::Work> batch;
  std::uint64_t bytes = 0;
  while (!works.turns.empty() && bytes < bytes_max) {
    const SessionId session = works.turns.front();
    works.turns.pop_front();
    const auto found = works.by_session.find(session);
    auto& mine = found->second;
    bytes += commit_bytes(mine.front().credit);
    batch.push_back(std::move(mine.front()));
    mine.pop_front();
    if (mine.empty()) {
      works.by_session.erase(found);
    } else {
      works.turns.push_back(session);
    }
  }
  works_ += batch.size();
  bytes_ += bytes;
  return batch;
}

}  // namespace culm::node
