#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/session.hpp"

#include "tests/support/hostile_peer.hpp"
#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::HostilePeer;
using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::want_of;

TEST(SessionFork, BothSidesLearnOfAForkWithoutAnybodyBlamed) {
  const LogBuilder left = LogBuilder("alice").append_many(30);
  const LogBuilder right = left.fork(20).append_many(15);
  TestPeer a(1);
  TestPeer b(2);
  a.hold(left);
  b.hold(right);
  TestConnection connection(a, b, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
  connection.run();

  EXPECT_EQ(a.state(left.log()).cap, 20U);
  EXPECT_EQ(b.state(left.log()).cap, 20U);
  EXPECT_FALSE(connection.a.session->ended());
  EXPECT_FALSE(connection.b.session->ended());
}

TEST(SessionFork, AWantEndsOnlyOnceTheLogWasCompared) {
  const LogBuilder left = LogBuilder("alice").append_many(20);
  const LogBuilder right = left.fork(20).append_many(1);
  TestPeer a(1);
  TestPeer b(2);
  a.hold(left);
  b.hold(right);
  TestConnection connection(a, b, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
  connection.run();

  bool evidence_came = false;
  bool ended = false;
  for (const Event& event : connection.a.seen) {
    evidence_came = evidence_came || std::holds_alternative<WorkReceived>(event);
    ended = ended || std::holds_alternative<WantEnded>(event);
    EXPECT_TRUE(evidence_came || !ended) << "a host that hangs up now never learns of the fork";
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(a.state(left.log()).cap, 20U);
}

TEST(SessionFork, AComparisonFindsAForkBelowEqualLookingWindows) {
  const LogBuilder left = LogBuilder("alice").append_many(200);
  const LogBuilder right = left.fork(77).append_many(100);
  TestPeer a(1);
  TestPeer b(2);
  a.hold(left, closure({{60, 90}}, 200));
  b.hold(right, closure({{70, 95}}, 150));
  TestConnection connection(a, b, 3);
  auto request = want_of(left.log(), {RangeSet{{10, 12}}, 0});
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  EXPECT_EQ(a.state(left.log()).cap, 77U);
  EXPECT_EQ(b.state(left.log()).cap, 77U);
}

TEST(SessionFork, WhoKnowsOfItTellsBothWhoWantsAndWhoProvides) {
  const LogBuilder left = LogBuilder("alice").append_many(30);
  const LogBuilder right = left.fork(21);
  for (const bool is_collector_told : {true, false}) {
    TestPeer knows(1);
    TestPeer learns(2);
    knows.hold(left);
    knows.hold(right, {{21, 21}});
    learns.hold(left);
    ASSERT_EQ(knows.state(left.log()).cap, 21U);
    TestPeer& dialer = is_collector_told ? learns : knows;
    TestConnection connection(dialer, is_collector_told ? knows : learns, 3);
    ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
    connection.run();
    EXPECT_EQ(learns.state(left.log()).cap, 21U) << is_collector_told << connection.why();
  }
}

// Found by the simulator, seed 4161171705.
TEST(SessionFork, WhoDeniedTheLogIsToldOnceItServesIt) {
  const LogBuilder left = LogBuilder("alice").append_many(30);
  const LogBuilder right = left.fork(21);
  TestPeer reader(1);
  TestPeer relay(2);
  TestConnection connection(reader, relay, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
  connection.run();
  EXPECT_EQ(connection.a.count<Denied>(), 1U);

  reader.hold(left);
  reader.hold(right, {{21, 21}});
  ASSERT_EQ(reader.state(left.log()).cap, 21U);
  connection.log_changed(reader, left.log());
  connection.run();
  relay.hold(left);
  ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
  connection.run();
  EXPECT_EQ(relay.state(left.log()).cap, 21U) << connection.why();
}

TEST(SessionFork, WhoIsDeniedForNowIsToldOfALogThatItHolds) {
  const LogBuilder left = LogBuilder("alice").append_many(30);
  const LogBuilder right = left.fork(21);
  TestPeer reader(1);
  TestPeer relay(2);
  reader.hold(left);
  relay.hold(left);
  relay.hold(right, {{21, 21}});
  relay.credit.charge_ranges(limits::kServedRangesNode);  // others have many wants open
  RangeSet scattered;
  for (SeqNum n = 40; scattered.ranges().size() < 1000; n += 2) scattered.insert(n);
  TestConnection connection(reader, relay, 3);
  for (std::uint64_t n = 0; n < limits::kLogsNamedPerSessionMax; ++n) {  // all that it remembers
    LogKey other = left.log();
    other.log_id = LogId{1000 + n};
    connection.a.session->cancel(*connection.a.session->want(want_of(other)));
  }
  connection.run();
  ASSERT_TRUE(connection.a.session->want(want_of(left.log(), {scattered, 0})));
  connection.run();
  ASSERT_EQ(connection.a.count<Denied>(), 1U);
  EXPECT_EQ(reader.state(left.log()).cap, 21U) << connection.why();
}

TEST(SessionFork, WhoProvidesOneLogMoreThanIsRememberedIsToldOfIt) {
  TestPeer reader(1);
  HostilePeer provider(reader);
  provider.say_hello();
  for (std::uint64_t n = 0; n < limits::kLogsNamedPerSessionMax; ++n) {
    LogKey other = LogBuilder("alice").log();
    other.log_id = LogId{1000 + n};
    const WantId want = *provider.session().want(want_of(other));
    Have have;
    have.log = other;
    provider.say(have);
    provider.session().cancel(want);
  }
  const LogBuilder left = LogBuilder("alice").append_many(30);
  reader.hold(left);
  ASSERT_TRUE(provider.session().want(want_of(left.log())));
  provider.say_have(left);
  ASSERT_EQ(provider.heard<DefectFound>(), 0U);
  reader.hold(left.fork(21), {{21, 21}});
  provider.session().log_changed(left.log());
  provider.tick(Instant{});
  EXPECT_EQ(provider.heard<DefectFound>(), 1U);
  EXPECT_FALSE(provider.verdict());
}

// Found by the simulator, seed 1036223857.
TEST(SessionFork, AnOfferedLogIsStillWantedBelowTheCapThatItWasRefusedFor) {
  const LogBuilder log = LogBuilder("alice").append_many(30);
  TestPeer author(1);
  TestPeer relay(2);
  relay.accepts = store::LogInterest{everything(), true};
  relay.hold(log, closure({{15, 21}}, 21));
  relay.hold(log.fork(21), {{21, 21}});
  author.hold(log, closure({{15, 30}}, 30));
  TestConnection connection(author, relay, 3);
  ASSERT_TRUE(connection.a.session->offer(log.log()));
  connection.run();
  ASSERT_EQ(connection.b.count<Denied>(), 1U) << "of 22-30, which were under way";
  ASSERT_EQ(author.state(log.log()).cap, 21U) << connection.why();

  author.hold(log, {{5, 12}});
  connection.log_changed(author, log.log());
  connection.run();
  EXPECT_TRUE(relay.state(log.log()).served().contains(RangeSet{{5, 12}})) << connection.why();
}

TEST(SessionFork, AnOfferedLogIsNotWantedAgainWhileThePolicyDeclinesIt) {
  const LogBuilder log = LogBuilder("alice").append_many(30);
  const LogBuilder below = LogBuilder("alice").append_many(20);
  const store::LogInterest all{everything(), true};
  TestPeer relay(1);
  relay.accepts = all;
  relay.hold(log, {{1, 21}});
  relay.hold(log.fork(21), {{21, 21}});
  HostilePeer author(relay);
  author.say_hello();
  author.say(Offer{log.log(), log.head()});
  author.say_have(log);
  author.say_unit(1, log, {{22, 30}}, {});
  ASSERT_EQ(author.heard<Deny>(), 1U) << "it lies above the fork";
  for (const bool is_accepted : {false, true}) {
    relay.accepts = is_accepted ? std::optional(all) : std::nullopt;
    author.say_have(below);
    EXPECT_EQ(author.heard<Want>(), is_accepted ? 2U : 1U);
  }
}

TEST(SessionFork, TheLargePayloadOfAnEntryThatIsCutOffEndsNothing) {
  const std::string large(limits::kPayloadInlineBytesMax + 1, 'x');
  const LogBuilder base = LogBuilder("alice").append_many(20);
  LogBuilder left = base;
  left.append("left").append(large);
  LogBuilder right = base;
  right.append("right");
  TestPeer a(1);
  TestPeer b(2);
  a.hold(right);
  b.hold(left);
  TestConnection connection(a, b, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(base.log())));
  connection.run();
  EXPECT_EQ(a.state(base.log()).cap, 21U);
  EXPECT_EQ(b.state(base.log()).cap, 21U);
  EXPECT_FALSE(connection.a.session->ended()) << connection.why();
}

TEST(SessionFork, AnEntryThatItsAuthorSignedBadlyIsServedToNobodyAsTheLast) {
  const LogBuilder log = LogBuilder("alice").append_many(3).append_badly_signed().append_many(1);
  const LogBuilder other = LogBuilder("bob").append_many(3);
  TestPeer provider(1);
  TestPeer reader(2);
  provider.hold(log);  // attested by entry 5
  provider.hold(other);
  TestConnection connection(reader, provider, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(log.log(), {{{4, 4}}, 0})));
  ASSERT_TRUE(connection.a.session->want(want_of(other.log())));
  connection.run();
  EXPECT_TRUE(reader.state(log.log()).held.empty());
  ASSERT_EQ(connection.a.count<Denied>(), 1U);
  EXPECT_EQ(connection.a.last<Denied>()->reason, DenyReason::kNotServed);
  EXPECT_EQ(reader.state(other.log()).held.count(), 3U) << "other wants go on";
  EXPECT_FALSE(connection.a.session->ended()) << connection.why();
}

TEST(SessionFork, ABadlySignedEntryBelowTheLastIsNoSinkToBlameTheProviderFor) {
  // 8 is attested by 9. A reader of 8 gets 13 as well, but nothing that links to 8.
  const LogBuilder log = LogBuilder("alice").append_many(7).append_badly_signed().append_many(5);
  TestPeer provider(1);
  TestPeer reader(2);
  provider.hold(log, {{1, 1}, {4, 4}, {8, 9}, {13, 13}});
  TestConnection connection(reader, provider, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(log.log(), {{{8, 8}}, 0})));
  connection.run();
  ASSERT_EQ(connection.a.count<Denied>(), 1U);
  EXPECT_EQ(connection.a.last<Denied>()->reason, DenyReason::kNotServed);
  EXPECT_FALSE(connection.a.session->ended()) << connection.why();
}

TEST(SessionFork, AWindowOfTheNewestStaysUpWhenTheHeadFalls) {
  const LogBuilder log = LogBuilder("alice").append_many(60);
  TestPeer relay(1);
  TestPeer reader(2);
  relay.hold(log);
  TestConnection connection(reader, relay, 3);
  auto request = want_of(log.log(), {RangeSet{}, 10});
  request.live = true;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  relay.hold(log.fork(30), {{30, 30}});
  connection.log_changed(relay, log.log());
  connection.run();
  EXPECT_EQ(reader.state(log.log()).cap, 30U);
  EXPECT_FALSE(connection.a.session->ended()) << connection.why();
  EXPECT_FALSE(connection.b.session->ended());
}

TEST(SessionFork, ThePayloadOfTheOtherBranchIsNobodysFault) {
  const std::string large(limits::kPayloadInlineBytesMax + 1, 'x');
  const LogBuilder base = LogBuilder("alice").append_many(6);
  LogBuilder left = base;
  left.append(large + "left");
  LogBuilder right = base;
  right.append(large + "right");
  TestPeer reader(1);
  TestPeer provider(2);
  reader.hold(left, {{1, 6}});
  const auto bare = left.unit({{7, 7}});
  ASSERT_TRUE(store::ingest(reader.store(), left.log(), bare, reader.verifier));
  provider.hold(right);
  TestConnection connection(reader, provider, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(base.log())));
  connection.run();
  EXPECT_FALSE(connection.a.session->ended()) << connection.why();
  EXPECT_EQ(reader.state(base.log()).cap, 7U);
  EXPECT_EQ(provider.state(base.log()).cap, 7U);
}

/// The author signs 7 badly and vouches for it with 8, and gives others 7' and 8'.
TEST(SessionFork, NobodyIsBlamedForABranchOnABadSignature) {
  const LogBuilder log = LogBuilder("alice").append_many(6).append_badly_signed().append_many(1);
  const LogBuilder right = log.fork(7, "other").append_many(1);
  TestPeer provider(1);
  TestPeer reader(2);
  provider.hold(log);
  reader.hold(right, {{1, 1}, {4, 4}, {8, 8}});
  for (std::uint64_t round = 0; round < 4; ++round) {
    TestConnection connection(reader, provider, 3 + round);
    ASSERT_TRUE(connection.a.session->want(want_of(log.log(), {{{1, 8}}, 0})));
    connection.run();
    EXPECT_FALSE(connection.a.session->ended()) << connection.why();
    EXPECT_FALSE(connection.b.session->ended()) << connection.why();
  }
  EXPECT_EQ(reader.state(log.log()).cap, 8U);
  EXPECT_EQ(provider.state(log.log()).cap, 8U);
}

}  // namespace
}  // namespace culm::replication
