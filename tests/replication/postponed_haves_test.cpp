#include "culm/replication/detail/postponed_haves.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

namespace culm::test {
namespace {

using replication::Have;
using replication::PostponedHaves;

Have have_of(std::uint64_t log_id, std::size_t ranges) {
  Have have;
  have.log.log_id = LogId{log_id};
  for (SeqNum n = 1; n <= ranges; ++n) have.held.insert({2 * n, 2 * n});
  have.head = 2 * ranges;
  have.payloads = have.held;
  return have;
}

TEST(PostponedHaves, GivesBackWhatWasSaidLast) {
  PostponedHaves postponed;
  EXPECT_TRUE(postponed.put(have_of(1, 5)));
  EXPECT_FALSE(postponed.put(have_of(1, 3)));
  EXPECT_EQ(postponed.ranges(), 3U);
  const auto have = postponed.take(have_of(1, 0).log);
  ASSERT_TRUE(have);
  EXPECT_EQ(have->held, have_of(1, 3).held);
  EXPECT_EQ(have->head, 6U);
  EXPECT_EQ(postponed.ranges(), 0U);
  EXPECT_FALSE(postponed.take(have->log));
}

TEST(PostponedHaves, ManyLogsOfManyRangesTakeNoMoreRoomThanAFew) {
  PostponedHaves postponed;
  for (std::uint64_t log = 0; log < limits::kLogsNamedPerSessionMax; ++log) {
    postponed.put(have_of(log, limits::kRangesPerMessageMax));
  }
  EXPECT_LE(postponed.ranges(), PostponedHaves::kRangesMax + limits::kLogsNamedPerSessionMax);
  const auto last = postponed.take(have_of(limits::kLogsNamedPerSessionMax - 1, 0).log);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->held, (RangeSet{{last->head, last->head}})) << "the highest, which shows a fork";
}

}  // namespace
}  // namespace culm::test
