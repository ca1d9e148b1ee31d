#include "tools/cli/progress.hpp"

#include <atomic>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace culm::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Progress, SaysHowLongTheRestTakes) {
  Progress progress("writing", 1000, Progress::Unit::kCount);
  progress.show(250);
  EXPECT_EQ(progress.line(5),
            "writing  [######..................] 25 %  250 of 1,000  50/s  15 s left");
  progress.advance(250);
  EXPECT_THAT(progress.line(500), HasSubstr("50 %  500 of 1,000  1/s  8 min 20 s left"));
  progress.show(1000);
  EXPECT_THAT(progress.line(10), Not(HasSubstr("left")));
}

TEST(Progress, SaysNothingOfTheRestThatItDoesNotKnow) {
  Progress progress("appending", 0, Progress::Unit::kBytes);
  progress.show(5'000'000);
  EXPECT_EQ(progress.line(2), "appending  5.0 MB  2.5 MB/s");
  Progress none("verifying", 9, Progress::Unit::kCount);
  EXPECT_THAT(none.line(0), HasSubstr("0 %  0 of 9"));
  EXPECT_THAT(none.line(0), Not(HasSubstr("left")));
}

/// A terminal in the place of stderr.
class TerminalOnStderr {
 public:
  TerminalOnStderr() {
    if (::grantpt(person_) != 0 || ::unlockpt(person_) != 0) std::abort();
    const int terminal = ::open(::ptsname(person_), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || ::dup2(terminal, STDERR_FILENO) < 0) std::abort();
    ::close(terminal);
  }
  TerminalOnStderr(const TerminalOnStderr&) = delete;
  TerminalOnStderr& operator=(const TerminalOnStderr&) = delete;
  ~TerminalOnStderr() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(person_);
  }

  /// Waits for it.
  [[nodiscard]] std::string read_until(const std::string& text) const {
    std::string shown;
    char part[512];
    while (shown.find(text) == std::string::npos) {
      const ssize_t size = ::read(person_, part, sizeof part);
      if (size <= 0) break;
      shown.append(part, static_cast<std::size_t>(size));
    }
    return shown;
  }

 private:
  int person_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  int before_ = ::dup(STDERR_FILENO);
};

TEST(Progress, OfWorkThatIsOneCallIsAskedForWhileItRuns) {
  const TerminalOnStderr terminal;
  std::atomic<std::uint64_t> done = 20;
  {
    const WatchedProgress progress("copying", Progress::Unit::kCount, [&done] {
      return WatchedProgress::Extent{done, 100};
    });
    EXPECT_THAT(terminal.read_until("20 of 100"), HasSubstr("copying  [####"));
    done = 70;
    EXPECT_THAT(terminal.read_until("70 of 100"), HasSubstr("70 %"));
  }
  EXPECT_THAT(terminal.read_until("\033[K"), HasSubstr("\r\033[K"));
}

TEST(Progress, OfOneCallAsksNothingWhereNothingIsShown) {
  if (::isatty(STDERR_FILENO) == 1) GTEST_SKIP() << "stderr is a terminal";
  std::atomic<bool> is_asked = false;
  {
    const WatchedProgress progress("copying", Progress::Unit::kCount, [&is_asked] {
      is_asked = true;
      return WatchedProgress::Extent{};
    });
  }
  EXPECT_FALSE(is_asked);
}

}  // namespace
}  // namespace culm::tools
