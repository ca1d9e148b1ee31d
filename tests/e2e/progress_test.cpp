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
  EXPECT_EQ(progress.line(5, 100),
            "writing  [######..................] 25 %  250 of 1,000  50/s  15 s left");
  progress.advance(250);
  EXPECT_THAT(progress.line(500, 100), HasSubstr("50 %  500 of 1,000  1/s  8 min 20 s left"));
  progress.show(1000);
  EXPECT_THAT(progress.line(10, 100), Not(HasSubstr("left")));
}

TEST(Progress, SaysNothingOfTheRestThatItDoesNotKnow) {
  Progress progress("appending", 0, Progress::Unit::kBytes);
  progress.show(5'000'000);
  EXPECT_EQ(progress.line(2, 100), "appending  5.0 MB  2.5 MB/s");
  Progress none("verifying", 9, Progress::Unit::kCount);
  EXPECT_THAT(none.line(0, 100), HasSubstr("0 %  0 of 9"));
  EXPECT_THAT(none.line(0, 100), Not(HasSubstr("left")));
}

TEST(Progress, FitsTheTerminalAtEveryWidth) {
  Progress progress("looking for damage", 1'800'000'000, Progress::Unit::kBytes);
  progress.show(900'000'000);
  EXPECT_EQ(progress.line(5, 80),
            "looking for damage  [#######.......] 50 %  900 MB of 1.8 GB  180 MB/s  5 s left");
  EXPECT_EQ(progress.line(5, 60), "looking for damage  [##..] 50 %  900 MB of 1.8 GB  5 s left");
  EXPECT_EQ(progress.line(5, 20), "50 %  5 s left");
  EXPECT_EQ(progress.line(5, 10), "50 %");
  for (std::size_t columns = 0; columns < 120; ++columns) {
    EXPECT_LE(progress.line(5, columns).size(), columns);
  }
}

TEST(Progress, DoesNotGoBack) {
  Progress progress("compacting", 100, Progress::Unit::kCount);
  progress.show(69);
  progress.show(0);
  EXPECT_THAT(progress.line(1, 100), HasSubstr("69 of 100"));
}

/// A terminal in the place of stderr.
class TerminalOnStderr {
 public:
  TerminalOnStderr() {
    ::setenv("TERM", "xterm", 1);
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

TEST(Progress, IsTakenAwayBeforeAnotherLineAndShownAgain) {
  const TerminalOnStderr terminal;
  Progress progress("copying", 9, Progress::Unit::kCount);
  const auto show = [&](std::uint64_t done) {
    while (progress.seconds() < 0.6) {
    }
    progress.show(done);
  };
  show(3);
  clear_progress();
  clear_progress();
  std::fputs("a line", stderr);
  EXPECT_THAT(terminal.read_until("a line"), testing::EndsWith(" left\r\033[Ka line"));
}

TEST(Progress, AsksNothingOfATerminalThatCannotClearALine) {
  const TerminalOnStderr terminal;
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(Progress("copying", 9, Progress::Unit::kCount).is_shown());
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
