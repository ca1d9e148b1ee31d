#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <variant>
#include <vector>

#include "culm/replication/committer.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// The one thread that writes to a store. Takes work in order, puts all work that has queued up
/// meanwhile into one commit, and posts what came of it to the `io_context`, in order; while
/// anything is queued the `io_context` has work. Nothing but the queue is shared between the
/// threads. The queue needs no bound of its own: sessions queue no more than their credit.
class Writer {
 public:
  /// What one commit did.
  struct Committed {
    std::vector<replication::WorkReport> reports;  ///< one for each work, in order
    std::vector<LogKey> changed;                   ///< logs that are no longer what they were
  };
  using CommittedHandler = std::function<void(const Committed&)>;
  using StoreTask = std::function<Result<void>(store::Store&)>;
  using UpdateHandler = std::function<void(Result<void>)>;

  /// All must outlive the writer; `verifier` is used in the writer's thread. `committed` is called
  /// in the `io_context`.
  Writer(asio::io_context& io, store::Store& store, SignatureVerifier& verifier,
         const AcceptOptions& options, CommittedHandler committed);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  /// Waits until what was queued is done.
  ~Writer();

  /// Queues work of a session.
  void post(replication::Work work);
  /// Queues what writes to the store in its own way, in any number of commits. `handler` is called
  /// after the `committed` handler.
  void run(StoreTask task, UpdateHandler handler);
  /// Ends the thread when what was queued is done, then posts `handler`. Nothing may be queued
  /// after it.
  void stop(std::function<void()> handler);

 private:
  struct Update {
    StoreTask task;
    UpdateHandler handler;
  };
  using Task = std::variant<replication::Work, Update>;
  using Guard = asio::executor_work_guard<asio::io_context::executor_type>;

  void enqueue(Task task);
  void loop();
  void perform(std::deque<Task>& tasks);
  void perform(Update update);
  void commit_works();
  [[nodiscard]] std::vector<LogKey> take_changed();
  void report(Committed committed, UpdateHandler handler, Result<void> result);

  asio::io_context& io_;
  store::Store& store_;
  CommittedHandler committed_;

  // The writer's thread alone.
  replication::Committer committer_;
  std::vector<replication::Work> batch_;
  std::size_t batch_bytes_ = 0;
  std::uint64_t last_change_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;         // guarded by mutex_
  std::vector<Guard> guard_;       // guarded by mutex_; one while anything is queued or under way
  bool stopping_ = false;          // guarded by mutex_
  std::function<void()> stopped_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace culm::transport::detail
