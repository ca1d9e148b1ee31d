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

/// Bytes that all sessions of a node together may have with its committer or, beyond the least,
/// granted to their peers. The least that each peer is granted is not counted, because it cannot be
/// taken back: who is granted it and sends nothing takes nothing from the others. So more may come
/// than there is room for: while the pool is short, sessions that fetch look at nothing that comes,
/// wait in line, and are told by the host when there is room: see `take_waiting`. Not thread-safe:
/// one pool for each I/O thread.
class CreditPool {
 public:
  explicit CreditPool(std::uint64_t bytes = limits::kNodeCreditBytes)
      : size_(bytes), free_(static_cast<std::int64_t>(bytes)) {}

  /// Takes bytes that have come already, whether or not there is so much left.
  void charge(std::uint64_t bytes) { free_ -= static_cast<std::int64_t>(bytes); }
  void give_back(std::uint64_t bytes) { free_ += static_cast<std::int64_t>(bytes); }

  /// Whether there is too little for any message.
  [[nodiscard]] bool is_short() const noexcept { return free() < limits::kCreditBytesMin; }
  /// A session, named by `Session::Options::id`, found it short.
  void wait(std::uint64_t session) { waiting_.push_back(session); }
  /// The next to be told by `Session::credit_freed`; nothing while the pool is short, or nobody
  /// waits. It may have ended meanwhile.
  [[nodiscard]] std::optional<std::uint64_t> take_waiting() {
    if (waiting_.empty() || is_short()) return std::nullopt;
    const std::uint64_t session = waiting_.front();
    waiting_.pop_front();
    return session;
  }

  // Ranges of the wants that sessions serve: see limits::kServedRangesNode.
  [[nodiscard]] bool has_room_for_ranges(std::uint64_t more) const noexcept {
    return ranges_ + more <= limits::kServedRangesNode;
  }
  /// Whether wants that are open may have the ranges by which they have grown.
  [[nodiscard]] bool has_room_for_growth() const noexcept {
    return ranges_ <= limits::kServedRangesNode + limits::kServedRangesNode / 8;
  }
  void charge_ranges(std::uint64_t ranges) { ranges_ += ranges; }
  void give_back_ranges(std::uint64_t ranges) { ranges_ -= ranges; }

  // Output that waits for peers to read: see limits::kNodeOutputBytes.
  [[nodiscard]] bool is_short_of_output() const noexcept {
    return output_ >= limits::kNodeOutputBytes;
  }
  void charge_output(std::uint64_t bytes) { output_ += bytes; }
  void give_back_output(std::uint64_t bytes) { output_ -= bytes; }

  // Input that is not taken in: see limits::kNodeInputBytes.
  [[nodiscard]] bool is_short_of_input() const noexcept {
    return input_ >= limits::kNodeInputBytes;
  }
  [[nodiscard]] bool has_no_input_left() const noexcept {
    return input_ >= limits::kNodeInputBytes + limits::kNodeInputBytes / 2;
  }
  [[nodiscard]] std::uint64_t input() const noexcept { return input_; }
  void charge_input(std::uint64_t bytes) { input_ += bytes; }
  void give_back_input(std::uint64_t bytes) { input_ -= bytes; }

  [[nodiscard]] std::uint64_t free() const noexcept {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(free_, 0));
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::uint64_t size_;
  std::int64_t free_;  // below 0: the last message was larger
  std::deque<std::uint64_t> waiting_;
  std::uint64_t ranges_ = 0;
  std::uint64_t output_ = 0;
  std::uint64_t input_ = 0;
};

}  // namespace culm::replication
