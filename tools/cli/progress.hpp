#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace culm::tools {

/// How far long work has come and how long the rest will take, on one line of stderr that
/// disappears in the end. Prints nothing unless stderr is a terminal that can clear a line, nor in
/// the first half second. One at a time.
class Progress {
 public:
  enum class Unit { kBytes, kCount };

  /// `total` 0: not known.
  Progress(std::string what, std::uint64_t total, Unit unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// What is done stays done: less than before counts as before.
  void show(std::uint64_t done);
  /// As `show`, of `more` than was done.
  void advance(std::uint64_t more) { show(done_ + more); }
  /// Now that it is known, or known better.
  void set_total(std::uint64_t total) { total_ = total; }
  [[nodiscard]] double seconds() const;
  /// Whether anything will ever be shown.
  [[nodiscard]] bool is_shown() const noexcept { return is_terminal_; }
  /// What it shows after so many seconds on so many columns, of which the last stays free.
  [[nodiscard]] std::string line(double seconds, std::size_t columns) const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::uint64_t total_;
  Unit unit_;
  bool is_terminal_;
  std::uint64_t done_ = 0;
  Clock::time_point start_;
  Clock::time_point next_;
};

/// Takes what a `Progress` shows away, so that another line can be printed there.
void clear_progress();

/// The progress of work that is one call: while this exists, and no more than every 100 ms, a
/// thread asks how far it has come. It asks nothing where nothing would be shown.
class WatchedProgress {
 public:
  struct Extent {
    std::uint64_t done = 0;
    std::uint64_t total = 0;  ///< 0: not known
  };
  WatchedProgress(std::string what, Progress::Unit unit, std::function<Extent()> look);
  WatchedProgress(const WatchedProgress&) = delete;
  WatchedProgress& operator=(const WatchedProgress&) = delete;
  ~WatchedProgress();

 private:
  void watch(const std::function<Extent()>& look);

  Progress progress_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
  std::thread thread_;
};

}  // namespace culm::tools
