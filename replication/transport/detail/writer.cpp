#include "culm/replication/transport/detail/writer.hpp"

#include <utility>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/replication/credit_pool.hpp"

namespace culm::transport::detail {
namespace {

constexpr std::size_t kChangesPerRead = 1024;

std::size_t size_bytes(const replication::Work& work) {
  return static_cast<std::size_t>(replication::counted_bytes(work.credit));
}

std::uint64_t last_change(const store::Store& store) {
  const auto transaction = store.read();
  return transaction ? transaction->last_change().value_or(0) : 0;
}

}  // namespace

Writer::Writer(asio::io_context& io, store::Store& store, SignatureVerifier& verifier,
               const AcceptOptions& options, CommittedHandler committed)
    : io_(io),
      store_(store),
      committed_(std::move(committed)),
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

void Writer::post(replication::Work work) { enqueue(std::move(work)); }

void Writer::run(StoreTask task, UpdateHandler handler) {
  enqueue(Update{std::move(task), std::move(handler)});
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

void Writer::enqueue(Task task) {
  {
    const std::lock_guard lock(mutex_);
    CULM_ASSERT(!stopping_);
    if (guard_.empty()) guard_.push_back(asio::make_work_guard(io_));
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Writer::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty() && !stopping_) guard_.clear();
    wake_.wait(lock, [this] { return !queue_.empty() || stopping_; });
    if (queue_.empty()) break;
    std::deque<Task> tasks;
    tasks.swap(queue_);
    lock.unlock();
    perform(tasks);
    lock.lock();
  }
  if (stopped_) asio::post(io_, std::move(stopped_));
  guard_.clear();
}

void Writer::perform(std::deque<Task>& tasks) {
  for (Task& task : tasks) {
    if (auto* work = std::get_if<replication::Work>(&task)) {
      batch_bytes_ += size_bytes(*work);
      batch_.push_back(std::move(*work));
      if (batch_bytes_ >= limits::kCommitBytesTarget) commit_works();
    } else {
      commit_works();
      perform(std::get<Update>(std::move(task)));
    }
  }
  commit_works();
}

void Writer::perform(Update update) {
  Result<void> result = update.task(store_);
  Committed committed;
  committed.changed = take_changed();
  report(std::move(committed), std::move(update.handler), result);
}

void Writer::commit_works() {
  if (batch_.empty()) return;
  Committed committed;
  committed.reports = committer_.commit(std::exchange(batch_, {}));
  batch_bytes_ = 0;
  committed.changed = take_changed();
  report(std::move(committed), nullptr, {});
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

void Writer::report(Committed committed, UpdateHandler handler, Result<void> result) {
  asio::post(io_, [notify = committed_, committed = std::move(committed),
                   handler = std::move(handler), result] {
    notify(committed);
    if (handler) handler(result);
  });
}

}  // namespace culm::transport::detail
