#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

namespace culm::tools {

/// How many lines a log may grow by, whatever peers do: some at once and so many a second, and
/// fewer for one of them alone, so that nobody hides what the others do. What is left out is
/// counted.
class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint32_t kAtOnce = 8;
  static constexpr std::uint32_t kPerSecond = 6;
  static constexpr std::uint32_t kAtOncePerSession = 4;
  static constexpr std::uint32_t kPerSessionAndSecond = 3;

  /// Whether a line about `session` (0: about none) is written now.
  [[nodiscard]] bool take(std::uint64_t session, Time now) {
    std::erase_if(free_by_session_, [&](const auto& free) { return free.second <= now; });
    const Time all = std::max(free_, now) + second() / kPerSecond;
    const auto of_session = free_by_session_.find(session);
    const Time before = of_session == free_by_session_.end() ? now : of_session->second;
    const Time mine = before + second() / kPerSessionAndSecond;
    if (all > now + second() * kAtOnce / kPerSecond ||
        (session != 0 && mine > now + second() * kAtOncePerSession / kPerSessionAndSecond)) {
      ++left_out_;
      return false;
    }
    free_ = all;
    if (session != 0) free_by_session_[session] = mine;
    return true;
  }
  /// Lines that were left out since the last call.
  [[nodiscard]] std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  static constexpr std::chrono::nanoseconds second() { return std::chrono::seconds(1); }

  Time free_{};                                      ///< when as many may come at once again
  std::map<std::uint64_t, Time> free_by_session_{};  ///< of those that have not yet come so far
  std::uint64_t left_out_ = 0;
};

}  // namespace culm::tools
