#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

namespace culm::tools {

/// How many lines a log may grow by, whatever peers do: so many a second, and fewer for one of them
/// alone, so that nobody hides what the others do. What is left out is counted.
class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint32_t kPerSecond = 8;
  static constexpr std::uint32_t kPerSessionAndSecond = 4;

  /// Whether a line about `session` (0: about none) is written now.
  [[nodiscard]] bool take(std::uint64_t session, Time now) {
    if (now >= begun_ + std::chrono::seconds(1)) {
      begun_ = now;
      total_ = 0;
      by_session_.clear();
    }
    if (total_ < kPerSecond) {
      std::uint32_t& mine = by_session_[session];
      if (session == 0 || mine < kPerSessionAndSecond) {
        ++mine;
        ++total_;
        return true;
      }
    }
    ++left_out_;
    return false;
  }
  /// Lines that were left out since the last call.
  [[nodiscard]] std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  Time begun_{};
  std::uint32_t total_ = 0;
  std::map<std::uint64_t, std::uint32_t> by_session_;
  std::uint64_t left_out_ = 0;
};

}  // namespace culm::tools
