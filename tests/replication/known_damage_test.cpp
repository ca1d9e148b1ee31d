#include "culm/replication/known_damage.hpp"

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"

namespace culm::replication {
namespace {

const LogKey& a_log() {
  static const LogKey log = test::LogBuilder("alice").log();
  return log;
}

TEST(KnownDamage, OfAPartThatWasReadExactlyWhatWasNotIsUnreadable) {
  KnownDamage damage;
  damage.found_unreadable(a_log(), {{10, 500}});
  EXPECT_EQ(damage.take_changed(), std::set{a_log()});
  damage.found_readable(a_log(), {1, 64}, {{1, 2}, {20, 25}});
  EXPECT_EQ(damage.unreadable(a_log()), (RangeSet{{1, 2}, {20, 25}, {65, 500}}));
  EXPECT_EQ(damage.take_changed(), std::set{a_log()});
  damage.found_readable(a_log(), {1, 64}, {{1, 2}, {20, 25}});
  EXPECT_TRUE(damage.take_changed().empty());
  damage.found_readable(a_log(), {1, kSeqnumMax}, {});
  EXPECT_TRUE(damage.unreadable(a_log()).empty());
  EXPECT_EQ(damage.take_changed(), std::set{a_log()});
}

TEST(KnownDamage, ARowThatCouldNotBeDroppedIsUnreadableUntilItIs) {
  KnownDamage damage;
  damage.drops(a_log(), 7);
  EXPECT_EQ(damage.dropping(a_log()), (RangeSet{{7, 7}}));
  damage.drop_finished(a_log(), {{7, 7}}, false);
  damage.found_readable(a_log(), {1, kSeqnumMax}, {});
  EXPECT_TRUE(damage.dropping(a_log()).empty());
  EXPECT_EQ(damage.unreadable(a_log()), (RangeSet{{7, 7}}));
  EXPECT_EQ(damage.take_changed(), std::set{a_log()});
  damage.drop_finished(a_log(), {{7, 7}}, true);
  EXPECT_TRUE(damage.of(a_log()).empty());
  EXPECT_EQ(damage.take_changed(), std::set{a_log()});
}

}  // namespace
}  // namespace culm::replication
