#include "tools/cli/progress.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "tools/cli/output.hpp"

namespace culm::tools {

Progress::Progress(std::string what, std::uint64_t total, Unit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      next_(start_ + std::chrono::milliseconds(500)) {}

Progress::~Progress() {
  if (is_on_screen_) std::fputs("\r\033[K", stderr);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::show(std::uint64_t done) {
  done_ = done;
  if (!is_terminal_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  is_on_screen_ = true;
  std::fputs(("\r\033[K" + line(seconds())).c_str(), stderr);
  std::fflush(stderr);
}

std::string Progress::line(double seconds) const {
  const auto say = [this](std::uint64_t value) {
    return unit_ == Unit::kBytes ? human_size(value) : human_count(value);
  };
  const double rate = static_cast<double>(done_) / std::max(seconds, 1e-3);
  const std::string speed = say(static_cast<std::uint64_t>(rate)) + "/s";
  if (total_ == 0) return what_ + "  " + say(done_) + "  " + speed;
  constexpr std::size_t kWidth = 24;
  const double part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const auto filled = static_cast<std::size_t>(part * kWidth);
  std::string text = what_ + "  [" + std::string(filled, '#') + std::string(kWidth - filled, '.') +
                     "] " + std::to_string(static_cast<int>(part * 100)) + " %  " + say(done_) +
                     " of " + say(total_) + "  " + speed;
  if (done_ == 0 || done_ >= total_) return text;
  const double rest = std::ceil(static_cast<double>(total_ - done_) / rate);
  const bool is_soon = rest < 60;
  return text + "  " +
         (is_soon ? std::to_string(static_cast<int>(rest)) + " s" : human_duration(rest)) + " left";
}

WatchedProgress::WatchedProgress(std::string what, Progress::Unit unit,
                                 std::function<Extent()> look)
    : progress_(std::move(what), 0, unit) {
  if (!progress_.is_shown()) return;
  // Signals are for the thread that works.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, look = std::move(look)] { watch(look); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WatchedProgress::~WatchedProgress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    is_ended_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void WatchedProgress::watch(const std::function<Extent()>& look) {
  auto pause = std::chrono::milliseconds(500);
  std::unique_lock guard(mutex_);
  while (!ended_.wait_for(guard, pause, [this] { return is_ended_; })) {
    const Extent extent = look();
    progress_.set_total(extent.total);
    progress_.show(extent.done);
    pause = std::chrono::milliseconds(100);
  }
}

}  // namespace culm::tools
