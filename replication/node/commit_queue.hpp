#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "culm/replication/committer.hpp"
#include "culm/replication/node/subscriptions.hpp"

namespace culm::node {

/// Numbers the tasks of a node, from 1.
using TaskId = std::uint64_t;
/// What writes to the store in its own way, in any number of commits.
using StoreTask = std::function<Result<void>(store::Store&)>;

struct Task {
  TaskId id = 0;  ///< rises
  StoreTask body;
  bool waits = false;  ///< until all that was queued before it is done
};
/// What a work with so much credit counts for in a commit: small ones cost time, not room.
[[nodiscard]] constexpr std::uint64_t commit_bytes(std::uint64_t credit) {
  return std::max<std::uint64_t>(credit, 4096);
}
/// What the thread that writes does in one go: works in one commit, or a task. Works of several
/// jobs that it finds one behind the other may share a commit.
using Job = std::variant<std::vector<replication::Work>, Task>;

/// What came of a task, or of the works of a commit.
struct JobResult {
  std::vector<replication::WorkReport> reports;  ///< one for each work that is done
  TaskId task = 0;                               ///< 0: works
  Result<void> outcome;                          ///< of the task
  std::vector<LogKey> changed;                   ///< logs that the job has changed
  std::set<LogKey> damaged{};                    ///< of these, that lost damaged rows
};

/// The order in which a node writes. Jobs leave in order and are performed in order: the works of
/// one session as they came, tasks as they came and before all works that have not left, but for
/// one commit of these behind every kTasksInRow tasks: so that whatever peers bring, an append
/// waits for no more than two commits of it and one for each kTasksInRow tasks ahead, and whatever
/// the host writes, peers get on. A task that `waits` is behind all that was queued before it.
/// Sessions take turns, a work at a time, so that one that brings much does not keep the others
/// waiting. Works are handed out as they come, up to two commits of limits::kCommitBytesTarget: so
/// the thread that writes hardly waits for the thread of the node, and finds in one go all that
/// came meanwhile. What waits here is bounded by the sessions' credit, and evidence by how much a
/// session may send.
class CommitQueue {
 public:
  static constexpr std::size_t kTasksInRow = 8;

  void push(replication::Work work);
  void push(Task task);

  /// The next job; nothing while enough is under way.
  [[nodiscard]] std::optional<Job> next();
  /// All that is left, for a host that ends.
  [[nodiscard]] std::vector<Job> take_all();
  void finished(const JobResult& result);
  /// Works and tasks that were handed out and have not come back.
  [[nodiscard]] std::size_t under_way() const { return works_ + tasks_; }
  [[nodiscard]] bool is_idle() const {
    return parts_.empty() && tasks_first_.empty() && under_way() == 0;
  }

 private:
  /// Works between two tasks.
  struct Works {
    std::map<SessionId, std::deque<replication::Work>> by_session;
    std::deque<SessionId> turns;  ///< each session of `by_session` once
  };

  [[nodiscard]] Job take_task();
  [[nodiscard]] Job take(std::uint64_t bytes_max);
  [[nodiscard]] std::vector<replication::Work> take_works(Works& works, std::uint64_t bytes_max);

  std::deque<Task> tasks_first_;                 // that wait for no work
  std::deque<std::variant<Works, Task>> parts_;  // none empty
  std::size_t in_row_ = 0;                       // tasks that left one behind the other
  // Under way.
  std::size_t works_ = 0;
  std::size_t tasks_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace culm::node
