#include "culm/replication/detail/common_logs.hpp"

#include <gtest/gtest.h>

namespace culm::test {
namespace {

using replication::CommonLogs;

LogKey log_number(std::uint64_t n) { return {Author{}, LogId{n}}; }

TEST(CommonLogs, NamesAreKeptUpToABound) {
  CommonLogs logs;
  for (std::uint64_t n = 0; n <= limits::kLogsNamedPerSessionMax; ++n) logs.name(log_number(n));
  EXPECT_TRUE(logs.is_named(log_number(0)));
  EXPECT_TRUE(logs.is_named(log_number(limits::kLogsNamedPerSessionMax - 1)));
  EXPECT_FALSE(logs.is_named(log_number(limits::kLogsNamedPerSessionMax)));
}

TEST(CommonLogs, FewOfTheLogsThatAPeerWasDeniedAreKept) {
  CommonLogs logs;
  const auto count = [&logs] {
    std::size_t awaited = 0;
    for (std::uint64_t n = 0; n < 3000; ++n) {
      if (logs.is_awaited(log_number(n))) ++awaited;
    }
    return awaited;
  };
  for (std::uint64_t n = 0; n < 3000; ++n) logs.await_news(log_number(n), true);
  EXPECT_EQ(count(), limits::kWantsPerSessionMax);
  logs.news_told(log_number(0));
  EXPECT_FALSE(logs.is_awaited(log_number(0)));
  logs.await_news(log_number(2999), true);
  EXPECT_TRUE(logs.is_awaited(log_number(2999))) << "there is room again";
  // What is served by now takes no room of what is not.
  logs.await_news(log_number(2999), false);
  logs.await_news(log_number(2999), true);
  logs.await_news(log_number(2998), true);
  EXPECT_EQ(count(), limits::kWantsPerSessionMax + 1);
  for (std::uint64_t n = 0; n < 3000; ++n) logs.await_news(log_number(n), false);
  EXPECT_LE(count(), limits::kLogsNamedPerSessionMax + limits::kWantsPerSessionMax);
}

TEST(CommonLogs, AnOfferNamesItsLogAndIsDeniedOnce) {
  CommonLogs logs;
  logs.offer_sent(log_number(1));
  EXPECT_TRUE(logs.is_named(log_number(1)));
  EXPECT_FALSE(logs.offer_denied(log_number(2)));
  EXPECT_TRUE(logs.offer_denied(log_number(1)));
  EXPECT_FALSE(logs.offer_denied(log_number(1)));
}

TEST(CommonLogs, OffersHaveABoundInBothDirections) {
  CommonLogs logs;
  for (std::uint64_t n = 0; n < limits::kOffersPerSessionMax; ++n) {
    ASSERT_TRUE(logs.can_offer());
    logs.offer_sent(log_number(n));
    ASSERT_TRUE(logs.offer_received());
  }
  EXPECT_FALSE(logs.can_offer());
  EXPECT_EQ(logs.offer_received().error().code, Errc::kLimit);
}

TEST(CommonLogs, OneDenyMayComeForEachWantAndOfferAndAFewMore) {
  CommonLogs logs;
  logs.want_received();
  logs.offer_sent(log_number(1));
  for (std::uint64_t n = 0; n < 2 + 3 + limits::kSpareDeniesPerSessionMax; ++n) {
    ASSERT_TRUE(logs.deny_received(3));
  }
  EXPECT_EQ(logs.deny_received(3).error().code, Errc::kLimit);
  logs.want_received();
  logs.want_received();
  EXPECT_TRUE(logs.deny_received(3)) << "the bound grows with what may be denied";
}

TEST(CommonLogs, AReceiptIsDueUntilItIsSent) {
  CommonLogs logs;
  EXPECT_FALSE(logs.is_receipt_due(log_number(1)));
  logs.receipt_due(log_number(1));
  logs.receipt_due(log_number(1));
  EXPECT_TRUE(logs.is_receipt_due(log_number(1)));
  logs.receipt_sent(log_number(1));
  EXPECT_FALSE(logs.is_receipt_due(log_number(1)));
}

TEST(CommonLogs, ACapIsToldOnceAndAgainOnlyWhenItFalls) {
  CommonLogs logs;
  EXPECT_TRUE(logs.tell_cap(log_number(1), 9));
  EXPECT_FALSE(logs.tell_cap(log_number(1), 9));
  EXPECT_TRUE(logs.tell_cap(log_number(2), 9));
  EXPECT_TRUE(logs.tell_cap(log_number(1), 5));
  EXPECT_FALSE(logs.tell_cap(log_number(1), 7));
}

TEST(CommonLogs, EvidenceHasABoundInBothDirections) {
  CommonLogs logs;
  for (SeqNum cap = 1000; cap > 1000 - limits::kDefectsPerSessionMax; --cap) {
    ASSERT_TRUE(logs.tell_cap(log_number(1), cap));
    ASSERT_TRUE(logs.defect_received());
  }
  EXPECT_FALSE(logs.tell_cap(log_number(1), 1));
  EXPECT_FALSE(logs.tell_cap(log_number(2), 1));
  EXPECT_EQ(logs.defect_received().error().code, Errc::kLimit);
}

}  // namespace
}  // namespace culm::test
