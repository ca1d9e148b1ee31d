#include "culm/replication/transport/detail/writer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/replication/credit_pool.hpp"

namespace culm::transport::detail {
namespace {

constexpr std::size_t kChangesPerRead = 1024;

std::uint64_t size_bytes(const std::vector<replication::Work>& works) {
  std::uint64_t bytes = 0;
  for (const auto& work : works) bytes += replication::counted_bytes(work.credit);
  return bytes;
}

std::uint64_t last_change(const store::Store& store) {
  const auto transaction = store.read();
  return transaction ? transaction->last_change().value_or(0) : 0;
}

}  // namespace

Writer::Writer(asio::io_context& io, store::Store& store, SignatureVerifier& verifier,
               const AcceptOptions& options, FinishedHandler finished)
    : io_(io),
      store_(store),
      finished_(std::move(finished)),
      committer_(store, verifier, options),
      last_change_(last_change(store)),
      thread_([this] { loop(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Writer::post(node::Job job) {
  {
    const std::lock_guard lock(mutex_);
    CULM_ASSERT(!stopping_);
    if (guard_.empty()) guard_.push_back(asio::make_work_guard(io_));
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Writer::stop(std::function<void()> handler) {
  {
    const std::lock_guard lock(mutex_);
    CULM_ASSERT(!stopping_);
    stopping_ = true;
    stopped_ = std::move(handler);
    guard_.push_back(asio::make_work_guard(io_));
  }
  wake_.notify_one();
}

void Writer::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty() && !stopping_) guard_.clear();
    wake_.wait(lock, [this] { return !queue_.empty() || stopping_; });
    if (queue_.empty()) break;
    node::Job job = std::move(queue_.front());
    queue_.pop_front();
    if (auto* const works = std::get_if<Works>(&job)) add_next(*works);
    lock.unlock();
    asio::post(io_, [notify = finished_, result = perform(std::move(job))]() mutable {
      notify(std::move(result));
    });
    lock.lock();
  }
  if (stopped_) asio::post(io_, std::move(stopped_));
  guard_.clear();
}

void Writer::add_next(Works& works) {
  std::uint64_t bytes = size_bytes(works);
  while (!queue_.empty() && bytes < limits::kCommitBytesTarget) {
    auto* const more = std::get_if<Works>(&queue_.front());
    if (more == nullptr) return;
    bytes += size_bytes(*more);
    std::ranges::move(*more, std::back_inserter(works));
    queue_.pop_front();
  }
}

node::JobResult Writer::perform(node::Job job) {
  node::JobResult result;
  if (auto* const works = std::get_if<Works>(&job)) {
    result.reports = committer_.commit(std::move(*works));
  } else {
    const auto& task = std::get<node::Task>(job);
    result.task = task.id;
    result.outcome = task.body(store_);
  }
  result.changed = take_changed();
  return result;
}

std::vector<LogKey> Writer::take_changed() {
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

}  // namespace culm::transport::detail
