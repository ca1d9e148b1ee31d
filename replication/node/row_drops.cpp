#include "culm/replication/node/row_drops.hpp"

#include <algorithm>

namespace culm::node {

RowDrops::Met RowDrops::meet(const LogKey& log, SeqNum seqnum) {
  Rows& rows = logs_[log];
  if (rows.failed.contains(seqnum)) return Met::kFailed;
  if (rows.waiting.contains(seqnum) || rows.under_way.contains(seqnum)) return Met::kUnderWay;
  await(log, rows, {{seqnum, seqnum}});
  return Met::kNew;
}

void RowDrops::await(const LogKey& log, Rows& rows, const RangeSet& more) {
  if (rows.waiting.empty() && rows.under_way.empty()) ready_.push_back(log);
  rows.waiting |= more;
}

std::optional<RowDrops::Task> RowDrops::next() {
  if (ready_.empty() || tasks_ == kTasksMax) return std::nullopt;
  const LogKey log = ready_.front();
  ready_.pop_front();
  ++tasks_;
  Rows& rows = logs_.at(log);
  rows.under_way = lowest(rows.waiting, rows.at_a_time);
  rows.waiting -= rows.under_way;
  return Task{log, rows.under_way};
}

void RowDrops::finished(const Task& task, bool is_done, Instant now) {
  --tasks_;
  Rows& rows = logs_.at(task.log);
  rows.under_way = {};
  if (!rows.waiting.empty()) ready_.push_back(task.log);
  if (!is_done) {
    if (rows.failed.empty()) due_.emplace_back(now + kAgainAfter, task.log);
    rows.failed |= task.rows;
    rows.at_a_time = std::max<std::uint64_t>(task.rows.count() / 2, 1);
  }
  if (rows.waiting.empty() && rows.failed.empty()) logs_.erase(task.log);
}

std::optional<Instant> RowDrops::next_deadline() const {
  return due_.empty() ? std::nullopt : std::optional(due_.front().first);
}

void RowDrops::deadline_reached(Instant now) {
  for (; !due_.empty() && due_.front().first <= now; due_.pop_front()) {
    const LogKey& log = due_.front().second;
    Rows& rows = logs_.at(log);
    await(log, rows, std::exchange(rows.failed, {}));
  }
}

}  // namespace culm::node
