#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/session.hpp"

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::TestPush;
using test::want_of;

TEST(SessionLive, GoesOnWithoutGapOrRepeat) {
  LogBuilder log = LogBuilder("alice").append_many(10);
  TestPeer author(1);
  TestPeer reader(2);
  author.hold(log);
  TestConnection connection(reader, author, 3);
  auto request = want_of(log.log());
  request.live = true;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  EXPECT_EQ(connection.a.count<CaughtUp>(), 1U);

  for (int round = 0; round < 20; ++round) {
    log.append("live");
    author.hold(log, {{log.head(), log.head()}});
    connection.log_changed(author, log.log());
    connection.run();
    EXPECT_EQ(reader.state(log.log()).head(), log.head());
  }
  EXPECT_EQ(connection.a.session->stats().entries_received, log.head());
  EXPECT_EQ(connection.a.count<CaughtUp>(), 1U);
}

TEST(SessionLive, AWindowOfTheNewestStaysClosedAsTheTailGrows) {
  LogBuilder log = LogBuilder("alice").append_many(100);
  TestPeer author(1);
  TestPeer reader(2);
  author.hold(log);
  TestConnection connection(reader, author, 3);
  auto request = want_of(log.log(), {RangeSet{{20, 30}}, 5});
  request.live = true;
  ASSERT_TRUE(connection.a.session->want(request));
  for (int round = 0; round < 60; ++round) {
    connection.run();
    EXPECT_TRUE(loose(reader.state(log.log()).held, log.head()).empty()) << log.head();
    EXPECT_TRUE(reader.state(log.log()).held.contains(
        closure(resolve({RangeSet{{20, 30}}, 5}, log.head()), log.head())));
    log.append("live");
    author.hold(log, {{log.head(), log.head()}});
    connection.log_changed(author, log.log());
  }
  EXPECT_EQ(connection.a.session->ended(), false);
}

TEST(SessionLive, BeginsWithALogThatTheProviderKnowsAndHoldsNothingOf) {
  LogBuilder log = LogBuilder("alice").append_many(3);
  TestPeer relay(1);
  TestPeer reader(2);
  ASSERT_TRUE(relay.store().update([&](store::WriteTransaction& transaction) {
    return transaction.set_interest(log.log(), {everything(), true});
  }));
  TestConnection connection(reader, relay, 3);
  auto request = want_of(log.log());
  request.live = true;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  EXPECT_EQ(connection.a.count<CaughtUp>(), 1U);
  relay.hold(log);
  connection.log_changed(relay, log.log());
  connection.run();
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 3}})) << connection.why();
}

/// A push that is cut in the middle.
class HalfPush : public testing::Test {
 protected:
  HalfPush() { connection.run(300'000); }

  static LogBuilder build() {
    LogBuilder log("alice");
    for (int n = 0; n < 2000; ++n) log.append(std::string(1000, 'x'));
    return log;
  }

  const LogBuilder log = build();
  TestPush push{log};
  TestPeer& relay = push.relay;
  TestConnection& connection = push.connection;
};

TEST_F(HalfPush, PayloadsThatAreDeletedWhileTheyComeAreSaidNotToBeTaken) {
  const RangeSet all{{1, log.head()}};
  ASSERT_TRUE(relay.store().update([&](store::WriteTransaction& transaction) {
    const auto rest = transaction.delete_payloads(log.log(), all, 10'000);
    return rest ? Result<void>() : fail(rest.error());
  }));
  connection.log_changed(relay, log.log());
  connection.run();
  EXPECT_EQ(relay.state(log.log()).held, all) << connection.why();
  EXPECT_TRUE(relay.state(log.log()).payloads.empty());
  EXPECT_LT(connection.b.session->stats().payload_bytes_received, 1'500'000U);
  const auto is_said = [&](const Event& event) {
    const auto* const has = std::get_if<PeerHas>(&event);
    return has != nullptr && has->payloads_excepted == all;
  };
  EXPECT_TRUE(std::ranges::any_of(connection.a.seen, is_said));
  EXPECT_EQ(connection.a.last<PeerHas>()->held, all);
}

TEST_F(HalfPush, WhatIsDeletedIsLookedForOnlyWhereSomethingWas) {
  const auto count_reads = [&] {
    const std::uint64_t before = test::read_counts.transactions;
    connection.log_changed(relay, log.log());
    return test::read_counts.transactions - before;
  };
  const auto delete_one = [&](SeqNum n) {
    ASSERT_TRUE(relay.store().update([&](store::WriteTransaction& transaction) {
      const auto rest = transaction.delete_payloads(log.log(), {{n, n}}, 10);
      return rest ? Result<void>() : fail(rest.error());
    }));
  };
  const std::uint64_t reads = count_reads();
  delete_one(1);  // came already: there is nothing to tell
  EXPECT_EQ(count_reads(), reads + 1);
  EXPECT_EQ(count_reads(), reads);
}

/// An author who pushes and a relay that serves him too: the demo's own case, for long.
class LivePair : public testing::Test {
 protected:
  LivePair() {
    auto request = want_of(log.log());
    request.live = true;
    connection.run();
    EXPECT_TRUE(connection.a.session->want(request));
    connection.run();
  }

  void append() {
    log.append("live");
    author.hold(log, {{log.head(), log.head()}});
    connection.log_changed(author, log.log());
    connection.run();
  }

  LogBuilder log = LogBuilder("alice").append_many(10);
  TestPush push{log};
  TestPeer& author = push.author;
  TestPeer& relay = push.relay;
  TestConnection& connection = push.connection;
};

TEST_F(LivePair, NothingComesBackToWhoSentIt) {
  for (int round = 0; round < 30; ++round) append();
  EXPECT_EQ(relay.state(log.log()).held.count(), log.head()) << connection.why();
  EXPECT_EQ(connection.b.session->stats().entries_received, log.head());
  EXPECT_EQ(connection.a.session->stats().entries_received, 0U);
  EXPECT_EQ(connection.a.session->stats().payload_bytes_received, 0U);
}

TEST_F(LivePair, WhatGrowsInOrderNeedsNoComparison) {
  append();
  const std::uint64_t before = connection.bytes_moved;
  append();
  // The entry and its receipt, each in a record, and no question about either.
  EXPECT_LT(connection.bytes_moved - before, 700U);
}

TEST_F(LivePair, APayloadOfAnEntryThatCameFromElsewhereIsTaken) {
  const std::string large(limits::kPayloadInlineBytesMax + 1, 'x');
  log.append(large);
  const auto bare = log.unit({{log.head(), log.head()}});
  ASSERT_TRUE(store::ingest(author.store(), log.log(), bare, author.verifier));
  connection.log_changed(author, log.log());
  relay.hold(log, {{log.head(), log.head()}});
  connection.log_changed(relay, log.log());
  connection.run();
  EXPECT_EQ(author.state(log.log()).payloads.max(), log.head()) << connection.why();
}

TEST_F(LivePair, AReceiptComesAlsoWhereTheLastPieceChangedNothing) {
  log.append_many(2 * limits::kUnitEntriesMax);
  author.hold(log, {{11, log.head()}});
  relay.hold(log, {{11, log.head()}});  // from elsewhere, a moment before
  connection.log_changed(author, log.log());
  connection.run();
  const auto* receipt = connection.a.last<PeerHas>();
  ASSERT_NE(receipt, nullptr);
  EXPECT_EQ(receipt->held, (RangeSet{{1, log.head()}}));
}

TEST_F(LivePair, APeerThatDoesNotReadIsToldTheLastOfManyChanges) {
  const Session& session = *connection.b.session;
  connection.log_changed(relay, log.log());
  const std::size_t receipt_bytes = session.pending_output().size();
  ASSERT_NE(receipt_bytes, 0U);
  for (std::size_t n = 0; n < 2 * limits::kSessionOutputBytesMax / receipt_bytes; ++n) {
    connection.log_changed(relay, log.log());
  }
  EXPECT_LE(session.pending_output().size(), limits::kSessionOutputBytesMax + receipt_bytes);
  log.append("the last");
  relay.hold(log, {{log.head(), log.head()}});
  connection.log_changed(relay, log.log());
  connection.run();
  const auto* receipt = connection.a.last<PeerHas>();
  ASSERT_NE(receipt, nullptr) << connection.why();
  EXPECT_EQ(receipt->head, log.head());
}

TEST_F(LivePair, APeerThatDoesNotReadHearsOfAForkOnceThereIsRoom) {
  const Session& session = *connection.b.session;
  std::size_t bytes = 0;
  while (session.pending_output().size() != bytes || bytes == 0) {
    bytes = session.pending_output().size();
    connection.log_changed(relay, log.log());
  }
  const LogBuilder other = log.fork(2);
  relay.hold(other, {{1, 2}});
  ASSERT_EQ(relay.state(log.log()).cap, 2U);
  connection.log_changed(relay, log.log());
  EXPECT_EQ(session.pending_output().size(), bytes);
  connection.run();
  EXPECT_EQ(author.state(log.log()).cap, 2U) << connection.why();
}

TEST_F(LivePair, APayloadThatIsDeletedLaterIsWantedNoOtherWay) {
  append();
  const auto delete_last = [&](store::WriteTransaction& transaction) {
    const auto rest = transaction.delete_payloads(log.log(), {{log.head(), log.head()}}, 10'000);
    return rest ? Result<void>() : fail(rest.error());
  };
  ASSERT_TRUE(relay.store().update(delete_last));
  const std::size_t before = connection.a.seen.size();
  connection.log_changed(relay, log.log());
  connection.run();
  EXPECT_EQ(connection.a.seen.size(), before + 1) << "a have, and no other want";
}

TEST_F(LivePair, GoesOnForAsLongAsTheLogGrows) {
  for (int round = 0; round < 5000 && !HasFailure(); ++round) {
    append();
    ASSERT_FALSE(connection.a.session->ended()) << connection.why();
    ASSERT_FALSE(connection.b.session->ended()) << connection.why();
  }
  EXPECT_EQ(relay.state(log.log()).held.count(), log.head());
}

}  // namespace
}  // namespace culm::replication
