#include "culm/replication/node/interests.hpp"

#include <memory>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/keep_interest.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/prng.hpp"

namespace culm::node {
namespace {

using replication::WantRequest;
using store::LogInterest;

LogKey log_number(std::uint64_t n) { return {Author{}, LogId{n}}; }

WantRequest want(const LogKey& log, Interest interest, bool payloads = true) {
  WantRequest request;
  request.log = log;
  request.interest = std::move(interest);
  request.payloads = payloads;
  return request;
}

TEST(Interests, WantsOfOneLogAddUp) {
  const LogKey log = log_number(1);
  WantRequest quote = want(log, everything());
  quote.quote_only = true;
  const std::vector<WantRequest> wants{want(log, {RangeSet{{1, 5}}, 3}, false),
                                       want(log, {RangeSet{{4, 9}}, 2}), quote,
                                       want(log_number(2), everything())};
  const auto wanted = interest_of(wants, log);
  ASSERT_TRUE(wanted);
  EXPECT_EQ(*wanted, (LogInterest{{RangeSet{{1, 9}}, 3}, true}));
  EXPECT_FALSE(interest_of(wants, log_number(3)));
  EXPECT_FALSE(interest_of({&quote, 1}, log)) << "a quote asks for nothing";
}

TEST(Interests, AreAddedToWhatIsKeptPayloadsAsSaidLastAndNothingIsWrittenTwice) {
  test::TestRandom random(1);
  const auto store = *store::Store::open(std::make_unique<store::MemoryKv>(), random);
  const auto keep_in_store = [&](const LogInterest& more) {
    ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) {
      return replication::keep_interest(transaction, log_number(1), more);
    }));
  };
  const auto kept = [&] { return (*store->read()->find_log(log_number(1)))->interest; };
  const auto changes = [&] { return *store->read()->last_change(); };
  keep_in_store({{RangeSet{{10, 20}}, 0}, true});
  keep_in_store({{RangeSet{{30, 40}}, 5}, false});
  EXPECT_EQ(kept(), (LogInterest{{RangeSet{{10, 20}, {30, 40}}, 5}, false}));
  const auto before = changes();
  keep_in_store({{RangeSet{{12, 13}}, 5}, false});
  EXPECT_EQ(changes(), before);
  keep_in_store({{RangeSet{{12, 13}}, 0}, true});
  EXPECT_EQ(kept(), (LogInterest{{RangeSet{{10, 20}, {30, 40}}, 5}, true}));
}

TEST(Interests, AWantAsksForWhatIsKeptAsWell) {
  const LogInterest kept{{RangeSet{{10, 20}}, 5}, true};
  const auto wide = widened(want(log_number(1), {RangeSet{{1, 2}}, 7}), kept);
  EXPECT_EQ(wide.interest, (Interest{RangeSet{{1, 2}, {10, 20}}, 7}));
  auto quote = want(log_number(1), {RangeSet{{1, 2}}, 7});
  quote.quote_only = true;
  EXPECT_EQ(widened(quote, kept).interest, quote.interest);
}

TEST(Interests, WhatIsWantedAlreadyStaysWantedAsItWasWhereDeletedPayloadsAreTaken) {
  store::LogState log;
  log.log = log_number(1);
  log.held = {{1, 9}};
  log.interest = {{RangeSet{{2, 3}}, 3}, true};
  const auto keeps = [&](const Interest& asked) {
    auto again = want(log_number(1), asked);
    again.undelete = asked.ranges;
    return interest_of(again, &log)->entries;
  };
  for (const RangeSet& now : {RangeSet{{2, 2}, {7, 9}}, RangeSet{{8, 8}}}) {
    EXPECT_TRUE(keeps({now, 0}).empty());
    EXPECT_EQ(interest_of(want(log_number(1), {now, 0}), &log)->entries.ranges, now);
  }
  for (const Interest& more :
       {Interest{RangeSet{{6, 7}}, 0}, Interest{RangeSet{{7, kSeqnumMax}}, 0},
        Interest{RangeSet{{7, 9}}, 4}}) {
    EXPECT_EQ(keeps(more), more);
  }
  log.interest = {};  // nobody has said anything, so all are wanted
  EXPECT_TRUE(keeps({RangeSet{{1, 9}}, 0}).empty());
  log.interest.payloads = false;
  EXPECT_FALSE(keeps({RangeSet{{1, 1}}, 0}).empty());
}

TEST(Interests, OfMoreRangesThanAMessageCarriesTheWantAsksAlone) {
  LogInterest kept;
  for (SeqNum n = 1; n <= 2 * limits::kRangesPerMessageMax; n += 2) {
    kept.entries.ranges.insert(n);
  }
  const Interest asked{RangeSet{{20'000, 20'005}}, 0};
  EXPECT_EQ(widened(want(log_number(1), asked), kept).interest, asked);
}

}  // namespace
}  // namespace culm::node
