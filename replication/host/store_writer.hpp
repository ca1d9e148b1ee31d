#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "culm/replication/node/job_runner.hpp"

namespace culm::host {

/// The one thread that writes to a store: performs jobs in order, and puts all works that it finds
/// one behind the other into one commit. Nothing but the queue is shared between the threads. It
/// serves one node.
///
///   const auto lock = kv.lock_for_node().value();  // it has to hear of each change
///   host::StoreWriter writer(store, verifier, {}, [&io](auto task) { asio::post(io, task); });
///   transport::Node node(io, store, policy, verifier, random, writer, options);
class StoreWriter final : public node::JobRunner {
 public:
  /// Calls a task in the thread of the node, later. Called in the thread of the writer.
  using Post = std::function<void(std::function<void()>)>;

  /// All must outlive the writer; `verifier` is used in its thread.
  StoreWriter(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options,
              Post post);
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;
  /// Waits until all that was given is done.
  ~StoreWriter() override;

  void run(node::Job job, Finished finished) override;

 private:
  using Works = std::vector<replication::Work>;
  struct Queued {
    node::Job job;
    Finished finished;
  };

  void loop();
  /// Adds the works that are next in the queue, as far as a commit holds them.
  void add_next(Works& works);
  [[nodiscard]] node::JobResult perform(node::Job job);
  /// A step of what is to be hashed before the node hears more of works that it gave.
  void hash_on();
  void tell(const Finished& finished, node::JobResult result);
  void note_changes(node::JobResult& result);
  [[nodiscard]] std::vector<LogKey> take_changed();

  store::Store& store_;
  Post post_;

  // The writer's thread alone.
  replication::Committer committer_;
  std::uint64_t last_change_ = 0;
  Finished finished_;  ///< of the last works

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Queued> queue_;  // guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace culm::host
