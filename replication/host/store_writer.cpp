#include "culm/replication/host/store_writer.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::host {
namespace {

constexpr std::size_t kChangesPerRead = 1024;

std::uint64_t size_bytes(const std::vector<replication::Work>& works) {
  std::uint64_t bytes = 0;
  for (const auto& work : works) bytes += node::commit_bytes(work.credit);
  return bytes;
}

std::uint64_t last_change(const store::Store& store) {
  const auto transaction = store.read();
  return transaction ? transaction->last_change().value_or(0) : 0;
}

}  // namespace

StoreWriter::StoreWriter(store::Store& store, SignatureVerifier& verifier,
                         const AcceptOptions& options, Post post)
    : store_(store),
      post_(std::move(post)),
      committer_(store, verifier, options),
      last_change_(last_change(store)),
      thread_([this] { loop(); }) {}

StoreWriter::~StoreWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreWriter::run(node::Job job, Finished finished) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(job), std::move(finished)});
  }
  wake_.notify_one();
}

void StoreWriter::loop() {
  std::unique_lock lock(mutex_);
  bool is_tidy = false;
  for (;;) {
    while (queue_.empty() && (committer_.is_hashing() || (!ending_ && !is_tidy))) {
      lock.unlock();
      if (committer_.is_hashing()) {
        hash_on();
      } else {
        is_tidy = !committer_.tidy();
      }
      lock.lock();
    }
    wake_.wait(lock, [this] { return !queue_.empty() || ending_; });
    if (queue_.empty()) return;
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    auto* const works = std::get_if<Works>(&next.job);
    if (works != nullptr) add_next(*works);
    lock.unlock();
    is_tidy = false;
    const bool is_task = works == nullptr;
    tell(next.finished, perform(std::move(next.job)));
    if (!is_task) finished_ = std::move(next.finished);
    // A commit has done one already.
    if (is_task && committer_.is_hashing()) hash_on();
    lock.lock();
  }
}

void StoreWriter::hash_on() {
  node::JobResult result;
  result.reports = committer_.hash_on();
  if (result.reports.empty()) return;
  note_changes(result);
  tell(finished_, std::move(result));
}

void StoreWriter::tell(const Finished& finished, node::JobResult result) {
  const auto shared = std::make_shared<node::JobResult>(std::move(result));
  post_([finished, shared] { finished(std::move(*shared)); });
}

void StoreWriter::add_next(Works& works) {
  std::uint64_t bytes = size_bytes(works);
  while (!queue_.empty() && bytes < limits::kCommitBytesTarget) {
    auto* const more = std::get_if<Works>(&queue_.front().job);
    if (more == nullptr) return;
    bytes += size_bytes(*more);
    std::ranges::move(*more, std::back_inserter(works));
    queue_.pop_front();
  }
}

node::JobResult StoreWriter::perform(node::Job job) {
  node::JobResult result;
  if (auto* const works = std::get_if<Works>(&job)) {
    result.reports = committer_.commit(std::move(*works));
  } else {
    const auto& task = std::get<node::Task>(job);
    result.task = task.id;
    result.outcome = task.body(store_);
  }
  note_changes(result);
  return result;
}

void StoreWriter::note_changes(node::JobResult& result) {
  result.changed = take_changed();
  result.damaged = store_.take_damaged();
  if (!result.damaged.empty()) committer_.look_again();
}

std::vector<LogKey> StoreWriter::take_changed() {
  std::vector<LogKey> changed;
  const auto transaction = store_.read();
  if (!transaction) return changed;
  for (;;) {
    // What cannot be read now is found again after the next commit.
    const auto changes = transaction->changes(last_change_, kChangesPerRead);
    if (!changes) return changed;
    for (const auto& change : *changes) {
      changed.push_back(change.log);
      last_change_ = change.number;
    }
    if (changes->size() < kChangesPerRead) return changed;
  }
}

}  // namespace culm::host
