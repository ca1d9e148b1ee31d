#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "culm/core/time.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"

namespace culm::node {

/// Which damaged rows are dropped when: those of a log together, of few logs at a time, and what
/// could not be dropped again later, fewer at a time, until it can.
class RowDrops {
 public:
  static constexpr std::size_t kTasksMax = 64;
  /// Of one task.
  static constexpr std::uint64_t kRowsMax = 1024;
  static constexpr auto kAgainAfter = std::chrono::minutes(1);

  enum class Met : std::uint8_t { kNew, kUnderWay, kFailed };
  /// Takes a row in, unless it is here already.
  Met meet(const LogKey& log, SeqNum seqnum);

  struct Task {
    LogKey log;
    RangeSet rows;
  };
  /// What to drop now; `finished` is called for it.
  [[nodiscard]] std::optional<Task> next();
  void finished(const Task& task, bool is_done, Instant now);

  [[nodiscard]] std::optional<Instant> next_deadline() const;
  /// Takes in again what is due.
  void deadline_reached(Instant now);

 private:
  struct Rows {
    RangeSet waiting;
    RangeSet under_way;
    RangeSet failed;
    std::uint64_t at_a_time = kRowsMax;  ///< less once some failed: not all may be to blame
  };
  void await(const LogKey& log, Rows& rows, const RangeSet& more);

  std::map<LogKey, Rows> logs_;
  std::deque<LogKey> ready_;                    ///< with rows that wait and none that are under way
  std::deque<std::pair<Instant, LogKey>> due_;  ///< ascending; of each log with failed ones
  std::size_t tasks_ = 0;
};

}  // namespace culm::node
