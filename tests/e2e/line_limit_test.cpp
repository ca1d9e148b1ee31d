#include "tools/relay/line_limit.hpp"

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
  EXPECT_EQ(lines_of(7), LineLimit::kPerSessionAndSecond);
  EXPECT_EQ(lines_of(8), LineLimit::kPerSecond - LineLimit::kPerSessionAndSecond);
  EXPECT_EQ(lines_of(9), 0U);
  EXPECT_EQ(limit.take_left_out(), 300 - LineLimit::kPerSecond);
  EXPECT_EQ(limit.take_left_out(), 0U);
}

TEST(LineLimit, ManySessionsWriteNoMoreThanSoManyLinesASecond) {
  LineLimit limit;
  std::uint32_t lines = 0;
  for (std::uint64_t ms = 0; ms < 10'000; ++ms) {
    const LineLimit::Time now{std::chrono::hours(1) + milliseconds(ms)};
    lines += limit.take(1 + ms, now) ? 1U : 0U;
  }
  EXPECT_EQ(lines, 10 * LineLimit::kPerSecond);
}

}  // namespace
}  // namespace culm::tools
