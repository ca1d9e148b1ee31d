#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "culm/core/assert.hpp"
#include "culm/core/result.hpp"

namespace culm::store::detail {

enum class Access : std::uint8_t { kRead, kWrite };

/// Knows which threads hold transactions: any number of readers, one writer, and nobody at all
/// while the ground below them moves.
class TransactionGate {
 public:
  /// One transaction's admission; leaves the gate when destroyed. Outlived by its gate.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)),
          thread_(other.thread_),
          access_(other.access_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (gate_ != nullptr) gate_->leave(*this);
    }

   private:
    friend TransactionGate;
    Ticket(TransactionGate* gate, std::thread::id thread, Access access)
        : gate_(gate), thread_(thread), access_(access) {}

    TransactionGate* gate_;
    std::thread::id thread_;
    Access access_;
  };

  TransactionGate() = default;
  TransactionGate(const TransactionGate&) = delete;
  TransactionGate& operator=(const TransactionGate&) = delete;
  ~TransactionGate() { CULM_ASSERT(holders_.empty()); }

  /// Waits for the writer before (if `access` is kWrite) and for `alone` to end. A thread that is
  /// inside already does not wait for `alone`, which waits for that thread.
  /// Precondition: a thread that holds the writer's ticket does not ask for another.
  [[nodiscard]] Ticket enter(Access access) {
    const auto self = std::this_thread::get_id();
    std::unique_lock lock(mutex_);
    CULM_ASSERT(access == Access::kRead || !writes(self));
    changed_.wait(lock, [&] {
      return (!closed_ || inside(self)) && (access == Access::kRead || !has_writer());
    });
    holders_.push_back({self, access});
    return {this, self, access};
  }

  /// Whether this thread is inside more than once.
  [[nodiscard]] bool is_nested() {
    const std::lock_guard lock(mutex_);
    return std::ranges::count(holders_, std::this_thread::get_id(), &Holder::thread) > 1;
  }

  /// Waits until nobody is inside and runs `change`, which returns a `Result<void>`.
  /// Fails with kStoreFull, without waiting, when this very thread is inside.
  template <class Change>
  [[nodiscard]] Result<void> alone(Change change) {
    std::unique_lock lock(mutex_);
    if (inside(std::this_thread::get_id())) return fail(Errc::kStoreFull);
    changed_.wait(lock, [&] { return !closed_; });
    closed_ = true;
    changed_.wait(lock, [&] { return holders_.empty(); });
    Result<void> result = change();
    closed_ = false;
    changed_.notify_all();
    return result;
  }

 private:
  struct Holder {
    std::thread::id thread;
    Access access;
    friend bool operator==(const Holder&, const Holder&) = default;
  };

  bool inside(std::thread::id thread) const {
    return std::ranges::find(holders_, thread, &Holder::thread) != holders_.end();
  }
  bool has_writer() const {
    return std::ranges::find(holders_, Access::kWrite, &Holder::access) != holders_.end();
  }
  bool writes(std::thread::id thread) const {
    return std::ranges::find(holders_, Holder{thread, Access::kWrite}) != holders_.end();
  }

  void leave(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(holders_, Holder{ticket.thread_, ticket.access_});
    CULM_ASSERT(found != holders_.end());
    *found = holders_.back();
    holders_.pop_back();
    if (closed_ || ticket.access_ == Access::kWrite) changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Holder> holders_;
  bool closed_ = false;
};

}  // namespace culm::store::detail
