#include "tools/cli/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace culm::tools
