#include "culm/replication/detail/request.hpp"

#include <gtest/gtest.h>

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using Phase = Request::Phase;

Request request_for(Interest interest, bool live = false) {
  Request request;
  request.asked = test::want_of(LogKey{Author{}, LogId{1}}, std::move(interest));
  request.asked.live = live;
  return request;
}

ElidedContents entries(const RangeSet& seqnums) {
  ElidedContents contents;
  contents.seqnums = seqnums;
  return contents;
}

ElidedContents with_payload(SeqNum seqnum, std::uint64_t payload_bytes) {
  ElidedContents contents = entries({{seqnum, seqnum}});
  contents.payloads = contents.seqnums;
  contents.payload_bytes_min = contents.payload_bytes_max = payload_bytes;
  return contents;
}

TEST(Request, NothingWasAskedForBeforeThePeerHasAnswered) {
  Request request = request_for(everything());
  EXPECT_FALSE(request.is_solicited(entries({{1, 3}})));
  request.on_have(3);
  EXPECT_TRUE(request.is_solicited(entries({{1, 3}})));
}

TEST(Request, WhatAnchorsTheWantedWasAskedForAndNothingElse) {
  Request request = request_for({RangeSet{{20, 20}}, 0});
  request.on_have(100);
  RangeSet path;
  for (const SeqNum n : path_to_first(20)) path.insert(n);
  EXPECT_TRUE(request.is_solicited(entries(path)));
  const RangeSet others = RangeSet{{1, 100}} - closure(RangeSet{{20, 20}}, 100);
  ASSERT_GT(others.count(), 50U);
  for (const SeqRange range : others.ranges()) {
    EXPECT_FALSE(request.is_solicited(entries({{range.first, range.first}}))) << range.first;
  }
}

TEST(Request, TheWindowOfTheNewestCountsWhereItHasBeen) {
  Request request = request_for({RangeSet(), 5});
  request.on_have(100);
  EXPECT_TRUE(request.is_solicited(entries({{96, 100}})));
  request.on_have(200);
  EXPECT_TRUE(request.is_solicited(entries({{96, 200}})));
  EXPECT_FALSE(request.is_solicited(entries({{50, 55}})));
}

TEST(Request, PayloadsOutsideTheSizesWereNotAskedFor) {
  Request request = request_for(everything());
  request.asked.payload_size_min = 10;
  request.asked.payload_size_max = 20;
  request.on_have(3);
  EXPECT_FALSE(request.is_solicited(with_payload(1, 9)));
  EXPECT_TRUE(request.is_solicited(with_payload(1, 10)));
  EXPECT_TRUE(request.is_solicited(with_payload(1, 20)));
  EXPECT_FALSE(request.is_solicited(with_payload(1, 21)));
  const Bytes part(8);
  EXPECT_TRUE(request.is_solicited(Payload{1, 3, 12, false, part}));
  EXPECT_FALSE(request.is_solicited(Payload{1, 3, 13, false, part}));
}

TEST(Request, NothingButAnAnswerIsOwedToAQuote) {
  Request request = request_for(everything());
  request.asked.quote_only = true;
  request.on_have(3);
  EXPECT_FALSE(request.is_solicited(entries({{1, 1}})));
  EXPECT_TRUE(request.awaits_peer(false));
  ASSERT_TRUE(request.on_done(DoneReason::kComplete));
  EXPECT_FALSE(request.awaits_peer(true));
}

TEST(Request, ThePeerIsWaitedForWhileItMaySendAndNothingIsWithTheCommitter) {
  Request request = request_for(everything(), true);
  EXPECT_TRUE(request.awaits_peer(false)) << "it owes an answer";
  request.on_have(3);
  EXPECT_FALSE(request.awaits_peer(false)) << "it has no credit";
  EXPECT_TRUE(request.awaits_peer(true));
  request.works = 1;
  EXPECT_FALSE(request.awaits_peer(true));
  request.works = 0;
  ASSERT_TRUE(request.on_ready());
  EXPECT_FALSE(request.awaits_peer(true));
}

TEST(Request, EachPhaseTakesWhatMayFollowIt) {
  Request request = request_for(everything(), true);
  EXPECT_FALSE(request.on_ready()) << "before the answer";
  EXPECT_FALSE(request.on_done(DoneReason::kComplete)) << "before the answer";
  request.on_have(3);
  ASSERT_TRUE(request.on_quote());
  EXPECT_EQ(request.on_quote().error().code, Errc::kProtocolState) << "twice";
  ASSERT_TRUE(request.on_ready());
  request.phase = Phase::kCaughtUp;
  ASSERT_TRUE(request.on_ready());
  EXPECT_EQ(request.phase, Phase::kCaughtUp) << "said again, it changes nothing";
  EXPECT_FALSE(request.on_done(DoneReason::kBudget)) << "it was given none";
  request.asked.budget_bytes = 1000;
  ASSERT_TRUE(request.on_done(DoneReason::kBudget));
  EXPECT_EQ(request.on_done(DoneReason::kBudget).error().code, Errc::kProtocolState);
  ASSERT_TRUE(request.on_ready());
  EXPECT_EQ(request.phase, Phase::kDone) << "too late to mean anything";
}

TEST(Request, OnlyALiveWantIsEverReady) {
  Request request = request_for(everything());
  request.on_have(3);
  EXPECT_EQ(request.on_ready().error().code, Errc::kProtocolState);
}

}  // namespace
}  // namespace culm::replication
