#include "culm/replication/host/verifier_pool.hpp"

#include <algorithm>
#include <system_error>

#include <sched.h>

#include "culm/core/assert.hpp"

namespace culm::host {
namespace {

/// About a quarter of a millisecond: long beside taking the lock, short beside the wait for the
/// last thread.
constexpr std::size_t kChecksPerPortion = 4;

}  // namespace

std::size_t VerifierPool::count_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp<std::size_t>(static_cast<std::size_t>(CPU_COUNT(&set)), 1, kThreadsMax);
}

VerifierPool::VerifierPool(SignatureVerifier& verifier, std::size_t threads) : verifier_(verifier) {
  CULM_ASSERT(threads >= 1 && threads <= kThreadsMax);
  threads_.reserve(threads - 1);
  try {
    for (std::size_t i = 1; i < threads; ++i) threads_.emplace_back([this] { loop(); });
  } catch (const std::system_error&) {
    // The process may have no more threads; it works with those that there are.
  }
}

VerifierPool::~VerifierPool() {
  {
    const std::scoped_lock lock(mutex_);
    CULM_ASSERT(batches_.empty());
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<void> VerifierPool::verify(const Author& author, ByteView message,
                                  const Signature& signature) {
  return verifier_.verify(author, message, signature);
}

void VerifierPool::verify_all(std::span<const SignatureCheck> checks,
                              std::span<Result<void>> outcomes) {
  CULM_ASSERT(checks.size() == outcomes.size());
  if (threads_.empty() || checks.size() <= 1) return verifier_.verify_all(checks, outcomes);
  Batch batch{checks, outcomes};
  std::unique_lock lock(mutex_);
  batches_.push_back(&batch);
  wake_.notify_all();
  while (check_portion(batch, lock)) {
  }
  done_.wait(lock, [&] { return batch.done == checks.size(); });
}

void VerifierPool::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !batches_.empty(); });
    if (batches_.empty()) return;
    (void)check_portion(*batches_.front(), lock);
  }
}

/// False when all of `batch` was begun. A thread that has begun a portion finishes it, and `batch`
/// stays until then.
bool VerifierPool::check_portion(Batch& batch, std::unique_lock<std::mutex>& lock) noexcept {
  const std::size_t first = batch.begun;
  const std::size_t count = std::min(batch.checks.size() - first, kChecksPerPortion);
  if (count == 0) return false;
  batch.begun += count;
  if (batch.begun == batch.checks.size()) std::erase(batches_, &batch);
  lock.unlock();
  verifier_.verify_all(batch.checks.subspan(first, count), batch.outcomes.subspan(first, count));
  lock.lock();
  batch.done += count;
  if (batch.done == batch.checks.size()) done_.notify_all();
  return true;
}

}  // namespace culm::host
