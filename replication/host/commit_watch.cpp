#include "culm/replication/host/commit_watch.hpp"

#include <algorithm>
#include <array>

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace culm::host {
namespace {

constexpr Duration kSoon = std::chrono::milliseconds(1);
constexpr Duration kUnwatchedPause = std::chrono::milliseconds(20);

}  // namespace

// Of the directory, not of the data file: a compacted store may take the file's place.
CommitWatch::CommitWatch(const std::string& directory)
    : events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      is_watching_(events_.get() >= 0 &&
                   ::inotify_add_watch(events_.get(), directory.c_str(), IN_MODIFY) >= 0),
      pause_(kSoon) {}

void CommitWatch::wait(Duration wait_max) {
  const auto left = std::chrono::nanoseconds(std::clamp(wait_max, Duration::zero(), pause_));
  const timespec pause{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  pollfd poll_for{events_.get(), POLLIN, 0};
  const bool is_told = ::ppoll(&poll_for, is_watching_ ? 1 : 0, &pause, nullptr) > 0;
  pause_ = std::min(2 * pause_, is_watching_ ? kWaitMax : kUnwatchedPause);
  if (!is_told) return;
  // The pages of a commit are written before it counts, and it counts a moment after the last of
  // them: there is more to see soon.
  pause_ = kSoon;
  std::array<char, 4096> events{};
  while (::read(events_.get(), events.data(), events.size()) > 0) {
  }
}

}  // namespace culm::host
