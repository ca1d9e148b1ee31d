#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "culm/core/limits.hpp"

namespace culm::replication {

/// What an entries or payload message of `message_bytes` takes of credit.
[[nodiscard]] constexpr std::uint64_t counted_bytes(std::uint64_t message_bytes) {
  return std::max(message_bytes, limits::kCountedBytesMin);
}

/// Bytes that all sessions of a node together may have under way towards it. A session takes what
/// it grants to its peer from here and gives it back when it ends. One that finds too little to
/// begin waits in line, and is told by the host when there is enough: see `take_waiting`. Not
/// thread-safe: one pool for each I/O thread.
class CreditPool {
 public:
  explicit CreditPool(std::uint64_t bytes = limits::kNodeCreditBytes)
      : size_(bytes), free_(bytes) {}

  /// Takes up to `wanted` bytes; 0 when less than `least` is left.
  [[nodiscard]] std::uint64_t take(std::uint64_t wanted, std::uint64_t least) {
    if (free_ < least) return 0;
    const std::uint64_t taken = std::min(wanted, free_);
    free_ -= taken;
    return taken;
  }

  void give_back(std::uint64_t bytes) { free_ += bytes; }

  /// A session, named by `Session::Options::id`, found less than limits::kCreditBytesMin.
  void wait(std::uint64_t session) { waiting_.push_back(session); }
  /// The next to be told by `Session::credit_freed`; nothing while there is too little, or nobody
  /// waits. It may have ended meanwhile.
  [[nodiscard]] std::optional<std::uint64_t> take_waiting() {
    if (waiting_.empty() || free_ < limits::kCreditBytesMin) return std::nullopt;
    const std::uint64_t session = waiting_.front();
    waiting_.pop_front();
    return session;
  }

  [[nodiscard]] std::uint64_t free() const noexcept { return free_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::uint64_t size_;
  std::uint64_t free_;
  std::deque<std::uint64_t> waiting_;
};

}  // namespace culm::replication
