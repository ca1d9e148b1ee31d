#pragma once

#include <functional>

#include "culm/replication/node/commit_queue.hpp"

namespace culm::node {

/// Performs the jobs of a node, one after the other, in a thread of its own. `host::StoreWriter`
/// does.
class JobRunner {
 public:
  using Finished = std::function<void(JobResult)>;

  virtual ~JobRunner() = default;

  /// Performs `job` behind all that were given before. `finished` takes what came of it, in the
  /// thread of the node and never within this call; for works, maybe of those of neighbouring jobs
  /// as well, whose own `finished` is not called then, and more than once: what takes long is
  /// reported on behind later jobs. Called from the thread of the node.
  virtual void run(Job job, Finished finished) = 0;
};

}  // namespace culm::node
