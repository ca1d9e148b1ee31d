#include "culm/replication/node/subscriptions.hpp"

#include <gtest/gtest.h>

namespace culm::node {
namespace {

using Sessions = std::vector<SessionId>;

LogKey log_number(std::uint64_t n) { return {Author{}, LogId{n}}; }

TEST(Subscriptions, ALogIsToldToThoseWhoCareForIt) {
  Subscriptions subscriptions;
  subscriptions.add(3, log_number(1));
  subscriptions.add(1, log_number(1));
  subscriptions.add(1, log_number(1));
  subscriptions.add(2, log_number(2));
  EXPECT_EQ(subscriptions.of(log_number(1)), (Sessions{1, 3}));
  EXPECT_EQ(subscriptions.of(log_number(2)), (Sessions{2}));
  EXPECT_EQ(subscriptions.of(log_number(3)), Sessions{});
  EXPECT_EQ(subscriptions.count(1), 1U);
}

TEST(Subscriptions, WhoLeavesIsToldNothing) {
  Subscriptions subscriptions;
  subscriptions.add(1, log_number(1));
  subscriptions.add(1, log_number(2));
  subscriptions.add(2, log_number(1));
  subscriptions.remove(1, log_number(2));
  subscriptions.remove(1, log_number(3));
  EXPECT_EQ(subscriptions.of(log_number(2)), Sessions{});
  subscriptions.remove_all(1);
  subscriptions.remove_all(7);
  EXPECT_EQ(subscriptions.of(log_number(1)), (Sessions{2}));
  EXPECT_EQ(subscriptions.count(1), 0U);
  EXPECT_TRUE(subscriptions.logs_of(1).empty());
}

}  // namespace
}  // namespace culm::node
