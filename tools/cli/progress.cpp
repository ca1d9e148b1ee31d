#include "tools/cli/progress.hpp"

#include <algorithm>
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
  if (is_shown_) std::fputs("\r\033[K", stderr);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::show(std::uint64_t done) {
  if (!is_terminal_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  is_shown_ = true;

  const auto say = [this](std::uint64_t value) {
    return unit_ == Unit::kBytes ? human_size(value) : human_count(value);
  };
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(done) / seconds());
  std::string line = "\r\033[K" + what_ + "  ";
  if (total_ != 0) {
    constexpr std::size_t kWidth = 24;
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<std::size_t>(part * kWidth);
    line += '[' + std::string(filled, '#') + std::string(kWidth - filled, '.') + "] " +
            std::to_string(static_cast<int>(part * 100)) + " %  ";
  }
  line += say(done) + (total_ != 0 ? " of " + say(total_) : "") + "  " + say(rate) + "/s";
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace culm::tools
