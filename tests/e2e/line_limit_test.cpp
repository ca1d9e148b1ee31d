#include "tools/relay/line_limit.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace culm::tools {
namespace {

using std::chrono::milliseconds;

TEST(LineLimit, OneSessionAloneHasNotAllOfTheLines) {
  LineLimit limit;
  const LineLimit::Time now{std::chrono::hours(1)};
  const auto lines_of = [&](std::uint64_t session) {
    std::uint32_t lines = 0;
    for (int i = 0; i < 100; ++i) lines += limit.take(session, now) ? 1U : 0U;
    return lines;
  };
  EXPECT_EQ(lines_of(7), LineLimit::kAtOncePerSession);
  EXPECT_EQ(lines_of(8), LineLimit::kAtOnce - LineLimit::kAtOncePerSession);
  EXPECT_EQ(lines_of(9), 0U);
  EXPECT_EQ(limit.take_left_out(), 300 - LineLimit::kAtOnce);
  EXPECT_EQ(limit.take_left_out(), 0U);
}

/// The lines of `seconds`, one asked for each millisecond.
std::uint32_t lines_in(std::uint32_t seconds, const std::function<std::uint64_t(int)>& session) {
  LineLimit limit;
  std::uint32_t lines = 0;
  for (int ms = 0; ms < static_cast<int>(seconds) * 1000; ++ms) {
    const LineLimit::Time now{std::chrono::hours(1) + milliseconds(ms)};
    lines += limit.take(session(ms), now) ? 1U : 0U;
  }
  return lines;
}

TEST(LineLimit, ManySessionsWriteNoMoreThanSoManyLinesASecondAndSomeAtOnce) {
  for (const std::uint32_t seconds : {1U, 10U}) {
    const std::uint32_t lines = lines_in(seconds, [](int ms) { return 1 + ms; });
    EXPECT_LE(lines, LineLimit::kAtOnce + seconds * LineLimit::kPerSecond);
    EXPECT_GE(lines, LineLimit::kAtOnce + seconds * LineLimit::kPerSecond - 1);
  }
}

TEST(LineLimit, OneSessionWritesNoMoreThanItsLinesASecond) {
  const std::uint32_t lines = lines_in(10, [](int /*ms*/) { return 7; });
  EXPECT_LE(lines, LineLimit::kAtOncePerSession + 10 * LineLimit::kPerSessionAndSecond);
  EXPECT_GE(lines, LineLimit::kAtOncePerSession + 10 * LineLimit::kPerSessionAndSecond - 1);
}

}  // namespace
}  // namespace culm::tools
