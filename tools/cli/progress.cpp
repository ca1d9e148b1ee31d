#include "tools/cli/progress.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

std::atomic<bool> is_on_screen = false;

}  // namespace

void clear_progress() {
  if (is_on_screen.exchange(false)) std::fputs("\r\033[K", stderr);
}

Progress::Progress(std::string what, std::uint64_t total, Unit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      is_terminal_(::isatty(STDERR_FILENO) == 1 && !is_dumb_terminal()),
      start_(Clock::now()),
      next_(start_ + std::chrono::milliseconds(500)) {}

Progress::~Progress() { clear_progress(); }

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::show(std::uint64_t done) {
  done_ = std::max(done_, done);
  if (!is_terminal_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  is_on_screen = true;
  std::fputs(("\r\033[K" + line(seconds(), columns_of(STDERR_FILENO).value_or(80))).c_str(),
             stderr);
  std::fflush(stderr);
}

std::string Progress::line(double seconds, std::size_t columns) const {
  constexpr std::size_t kBarMax = 24;
  constexpr std::size_t kBarMin = 4;
  const std::size_t room = std::max<std::size_t>(columns, 1) - 1;
  const auto say = [this](std::uint64_t value) {
    return unit_ == Unit::kBytes ? human_size(value) : human_count(value);
  };
  const double rate = static_cast<double>(done_) / std::max(seconds, 1e-3);
  const double part =
      total_ == 0 ? 0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  std::string left;
  if (done_ != 0 && done_ < total_) {
    const double rest = std::ceil(static_cast<double>(total_ - done_) / rate);
    left = (rest < 60 ? std::to_string(static_cast<int>(rest)) + " s" : human_duration(rest)) +
           " left";
  }
  std::array parts{what_, total_ == 0 ? "" : std::to_string(static_cast<int>(part * 100)) + " %",
                   say(done_) + (total_ == 0 ? "" : " of " + say(total_)),
                   say(static_cast<std::uint64_t>(rate)) + "/s", left};
  const auto joined = [&parts] {
    std::string text;
    for (const std::string& one : parts) text += (text.empty() || one.empty() ? "" : "  ") + one;
    return text;
  };
  // What there is no room for goes, what can be told from the rest first.
  for (const std::size_t least : {3U, 2U, 0U, 4U}) {
    if (joined().size() > room) parts[least].clear();
  }
  const std::size_t size = joined().size();
  if (total_ != 0 && size + kBarMin + 3 <= room) {
    const std::size_t width = std::min(kBarMax, room - size - 3);
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
    parts[1].insert(0, "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] ");
  }
  return joined().substr(0, room);
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
