#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace culm::tools {

/// How far long work has come and how long the rest will take, on one line of stderr that
/// disappears in the end. Prints nothing unless stderr is a terminal, nor in the first half second.
class Progress {
 public:
  enum class Unit { kBytes, kCount };

  /// `total` 0: not known.
  Progress(std::string what, std::uint64_t total, Unit unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void show(std::uint64_t done);
  /// As `show`, of `more` than was done.
  void advance(std::uint64_t more) { show(done_ + more); }
  /// Now that it is known, or known better.
  void set_total(std::uint64_t total) { total_ = total; }
  [[nodiscard]] double seconds() const;
  /// Whether anything will ever be shown.
  [[nodiscard]] bool is_shown() const noexcept { return is_terminal_; }
  /// What it shows after so many seconds.
  [[nodiscard]] std::string line(double seconds) const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::uint64_t total_;
  Unit unit_;
  bool is_terminal_;
  std::uint64_t done_ = 0;
  bool is_on_screen_ = false;
  Clock::time_point start_;
  Clock::time_point next_;
};

}  // namespace culm::tools
