#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "culm/replication/node/commit_queue.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// The one thread that writes to a store: performs jobs in order, puts all works that it finds one
/// behind the other into one commit, and posts what came of them to the `io_context`, in order;
/// while any is queued the `io_context` has work. Nothing but the queue is shared between the
/// threads.
class Writer {
 public:
  using FinishedHandler = std::function<void(node::JobResult)>;

  /// All must outlive the writer; `verifier` is used in the writer's thread. `finished` is called
  /// in the `io_context`.
  Writer(asio::io_context& io, store::Store& store, SignatureVerifier& verifier,
         const AcceptOptions& options, FinishedHandler finished);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  /// Waits until what was queued is done.
  ~Writer();

  void post(node::Job job);
  /// Ends the thread when what was queued is done, then posts `handler`. Nothing may be queued
  /// after it.
  void stop(std::function<void()> handler);

 private:
  using Guard = asio::executor_work_guard<asio::io_context::executor_type>;

  using Works = std::vector<replication::Work>;

  void loop();
  /// Adds the works that are next in the queue, as far as a commit holds them.
  void add_next(Works& works);
  [[nodiscard]] node::JobResult perform(node::Job job);
  [[nodiscard]] std::vector<LogKey> take_changed();

  asio::io_context& io_;
  store::Store& store_;
  FinishedHandler finished_;

  // The writer's thread alone.
  replication::Committer committer_;
  std::uint64_t last_change_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<node::Job> queue_;    // guarded by mutex_
  std::vector<Guard> guard_;       // guarded by mutex_; one while anything is queued or under way
  bool stopping_ = false;          // guarded by mutex_
  std::function<void()> stopped_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace culm::transport::detail
