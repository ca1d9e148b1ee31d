#include "culm/replication/node/node.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/codec.hpp"
#include "culm/replication/frame.hpp"
#include "culm/replication/secure_channel.hpp"

#include "tests/support/simulated_network.hpp"

namespace culm::node {
namespace {

using replication::CaughtUp;
using replication::Ended;
using replication::Established;
using replication::WantEnded;
using std::chrono::minutes;
using test::LogBuilder;
using test::milliseconds;
using test::seconds;
using test::SimulatedNetwork;
using test::SimulatedNode;

replication::WantRequest want_of(const LogKey& log, bool live = false) {
  replication::WantRequest request;
  request.log = log;
  request.interest = everything();
  request.live = live;
  return request;
}

/// A log of 30 MB: more than a session may send ahead.
LogBuilder large_log() {
  LogBuilder log("alice");
  for (int i = 0; i < 1000; ++i) log.append(std::string(30'000, 'x'));
  return log;
}

/// One that says hello and begins a message of so many bytes, which it never ends.
class Beginner {
 public:
  Beginner(SimulatedNetwork& network, SimulatedNode& node, std::uint8_t host, std::size_t bytes)
      : bytes_(bytes), random_(host), channel_(options(random_), random_) {
    connection_ = network.connect_raw(node, host, [this](ByteView wire) { received(wire); });
    flush();
  }

 private:
  static replication::SecureChannel::Options options(Random& random) {
    return {.role = replication::SecureChannel::Role::kInitiator,
            .identity = sealing::KeyPair::generate(random)};
  }
  void received(ByteView wire) {
    ASSERT_TRUE(channel_.receive(wire, heard_));
    if (channel_.established() && bytes_ != 0) {
      Bytes plaintext;
      Bytes hello;
      replication::encode(hello, replication::Hello{});
      replication::append_frame(plaintext, hello);
      append_bytes(plaintext, Bytes{0, 4, 0, 0});  // the length of a frame
      plaintext.resize(plaintext.size() + std::exchange(bytes_, 0));
      ASSERT_TRUE(channel_.send(plaintext));
    }
    flush();
  }
  void flush() {
    const ByteView output = channel_.pending_output();
    if (!output.empty()) connection_->say(output);
    channel_.output_sent(output.size());
  }

  std::size_t bytes_;
  test::TestRandom random_;
  replication::SecureChannel channel_;
  Bytes heard_;
  std::shared_ptr<test::RawConnection> connection_;
};

class NodeTest : public testing::Test {
 protected:
  bool run(const std::function<bool()>& done, Duration limit = minutes(1)) {
    return network.run_until(done, limit);
  }

  SimulatedNetwork network{1};
  SimulatedNode& author = network.add("author");
  SimulatedNode& reader = network.add("reader");
  LogBuilder log = LogBuilder("alice").append_many(300);
};

TEST_F(NodeTest, MovesALogFromOneStoreToAnother) {
  author.hold(log);
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
  EXPECT_EQ(reader.state(log.log()).interest, (store::LogInterest{everything(), true}));
}

TEST_F(NodeTest, ALogThatGrowsReachesAllWhoFollowItAlsoAcrossACut) {
  SimulatedNode& relay = network.add("relay");
  relay.accepts = store::LogInterest{everything(), true};
  author.hold(log);
  author.dial(relay, {.reconnect = true, .wants = {}, .offers = {log.log()}});
  SimulatedNode& other = network.add("other");
  ASSERT_TRUE(run([&] { return relay.holds(log.log(), {{1, log.head()}}); }));
  for (SimulatedNode* const node : {&reader, &other}) {
    node->dial(relay, {.reconnect = true, .wants = {want_of(log.log(), true)}});
  }
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() + other.count<CaughtUp>() == 2; }));
  for (int round = 0; round < 20; ++round) {
    if (round % 5 == 4) network.cut(relay);
    log.append("more");
    author.hold(log, {{log.head(), log.head()}});
    ASSERT_TRUE(run([&] {
      return reader.holds(log.log(), {{1, log.head()}}) &&
             other.holds(log.log(), {{1, log.head()}});
    })) << round;
  }
}

/// When a reader that called in vain for a while has caught up, and what it took.
std::tuple<Instant, std::size_t, std::uint64_t> play(std::uint64_t seed) {
  SimulatedNetwork network(seed);
  SimulatedNode& author = network.add("author");
  SimulatedNode& reader = network.add("reader");
  const LogBuilder log = LogBuilder("alice").append_many(100);
  author.hold(log);
  author.listens = false;
  reader.dial(author, {.reconnect = true, .wants = {want_of(log.log(), true)}});
  network.run(seconds(30));
  author.listens = true;
  EXPECT_TRUE(network.run_until([&] { return reader.count<CaughtUp>() == 1; }, minutes(2)));
  return {network.now(), reader.seen.size(), reader.node().stats().sessions.bytes_sent};
}

TEST(Node, ASeedReplaysToTheMicrosecond) {
  EXPECT_EQ(play(5), play(5));
  EXPECT_NE(play(5), play(6)) << "the pauses between calls are chance";
}

TEST_F(NodeTest, EndsAHandshakeThatDoesNotCome) {
  network.connect_silently(author);
  network.run(milliseconds(limits::kHandshakeTimeoutMs - 1));
  EXPECT_EQ(author.count<Ended>(), 0U);
  network.run(milliseconds(1));
  EXPECT_EQ(author.why_ended(), Errc::kHandshake);
}

TEST_F(NodeTest, EndsASessionWhosePeerTakesNothing) {
  log = large_log();
  author.hold(log);
  network.link.bytes_per_second = 1'000'000;
  reader.dial(author, {.wants = {want_of(log.log())}});
  const auto sent = [&] { return author.node().stats().sessions; };
  ASSERT_TRUE(run([&] { return sent().entries_sent > 0; }));
  network.block(reader);
  const Instant begin = network.now();
  ASSERT_TRUE(run([&] { return author.count<Ended>() == 1; }));
  EXPECT_EQ(author.why_ended(), Errc::kPeerSlow);
  EXPECT_GE(network.now() - begin, milliseconds(limits::kWriteStallTimeoutMs) - seconds(1));
  EXPECT_LE(network.now() - begin, milliseconds(limits::kWriteStallTimeoutMs) + seconds(1));
  // What was made of the log is what the network took and the session's output, no more.
  EXPECT_LE(sent().payload_bytes_sent,
            sent().bytes_sent + limits::kSessionOutputBytesMax + limits::kMessageBytesMax);
  EXPECT_LT(sent().entries_sent, 1000U);
}

TEST_F(NodeTest, EndsASessionWhosePeerFallsSilentWhileSomethingIsWanted) {
  log = large_log();
  author.hold(log);
  network.link.bytes_per_second = 1'000'000;
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.node().stats().sessions.entries_received > 0; }));
  network.mute(author);
  const Instant begin = network.now();
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }, minutes(5)));
  EXPECT_EQ(reader.why_ended(), Errc::kPeerStalled);
  EXPECT_GE(network.now() - begin, milliseconds(limits::kWantStallTimeoutMs) - seconds(1));
  EXPECT_LE(network.now() - begin, 2 * milliseconds(limits::kWantStallTimeoutMs));
}

TEST_F(NodeTest, PingsKeepAnIdleSessionUntilThePeerFallsSilent) {
  author.hold(log);
  reader.dial(author, {.wants = {want_of(log.log(), true)}});
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() == 1; }));
  network.run(minutes(10));
  EXPECT_EQ(reader.count<Ended>(), 0U) << "pings keep it";
  network.mute(author);
  network.run(milliseconds(limits::kIdleTimeoutMs - limits::kPingIntervalMs - 1000));
  EXPECT_EQ(reader.count<Ended>(), 0U);
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }, minutes(5)));
  EXPECT_EQ(reader.why_ended(), Errc::kPeerSilent);
}

TEST_F(NodeTest, TellsOfEachCallThatFindsNobodyAndGoesOn) {
  author.listens = false;
  reader.dial(author, {.reconnect = true});
  network.run(minutes(5));
  const std::size_t calls = reader.count<Ended>();
  EXPECT_EQ(reader.why_ended(), Errc::kNetwork);
  EXPECT_GE(calls, 10U);
  EXPECT_LE(calls, 20U);
  author.listens = true;
  EXPECT_TRUE(run([&] { return reader.count<Established>() == 1; }, minutes(2)));
}

TEST_F(NodeTest, ACallWithoutAnAnswerIsGivenUp) {
  const DialId dial = reader.node().dial({"nowhere", 1}, {});
  reader.settle();
  network.run(milliseconds(limits::kConnectTimeoutMs - 10));
  EXPECT_EQ(reader.count<Ended>(), 0U);
  network.run(milliseconds(20));
  EXPECT_EQ(reader.why_ended(), Errc::kTimeout);
  EXPECT_EQ(reader.dials_over, (std::vector<DialId>{dial}));
  EXPECT_FALSE(reader.node().next_deadline());
}

TEST_F(NodeTest, ADialThatHasEndedIsNotCalledAgainWhateverItsState) {
  const DialId in_session = reader.dial(author, {.reconnect = true});
  ASSERT_TRUE(run([&] { return reader.count<Established>() == 1; }));
  author.listens = false;
  const DialId waiting = reader.dial(author, {.reconnect = true});
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  const DialId calling = reader.node().dial({"nowhere", 1}, {.reconnect = true});
  reader.settle();
  network.run(seconds(1));
  const DialId held = reader.node().dial(author.endpoint(), {.reconnect = true});
  for (const DialId dial : {in_session, waiting, calling, held, held, DialId{99}}) {
    reader.node().end_dial(dial, network.now());
    reader.settle();
  }
  author.listens = true;
  network.run(minutes(10));
  EXPECT_EQ(reader.dials_over.size(), 4U);
  EXPECT_EQ(reader.count<Established>(), 1U);
  EXPECT_FALSE(reader.node().next_deadline());
  EXPECT_TRUE(author.node().sessions().empty());
}

TEST_F(NodeTest, EndedIsTheLastEventOfASession) {
  log = LogBuilder("alice").append_many(5000);
  author.hold(log);
  network.run(seconds(2));
  network.commit_time = seconds(1);
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.node().stats().sessions.entries_received > 0; }));
  network.mute(author);  // so that the connection is there until its limit
  reader.node().close_session(reader.seen.back().session.id, std::nullopt, network.now());
  reader.settle();
  network.run(minutes(1));
  ASSERT_EQ(reader.count<Ended>(), 1U);
  EXPECT_TRUE(std::holds_alternative<Ended>(reader.seen.back().event));
  EXPECT_FALSE(reader.state(log.log()).held.empty()) << "what came is kept";
}

TEST_F(NodeTest, ADialWaitsForTheTasksBeforeIt) {
  author.hold(log);
  network.commit_time = seconds(5);
  network.run(seconds(6));
  reader.node().run([&](store::Store& store) {
    return store.update([&](store::WriteTransaction& transaction) {
      return transaction.set_interest(log.log(), {{RangeSet{{7, 9}}, 0}, true});
    });
  });
  replication::WantRequest want = want_of(log.log());
  want.interest = {RangeSet{{1, 2}}, 0};
  reader.dial(author, {.wants = {want}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(log.log(), {{1, 2}, {7, 9}})) << "what is wanted heeds them";
}

TEST_F(NodeTest, TheInterestIsStoredWithTheFirstEntries) {
  author.hold(log);
  reader.on_commit = [&](const std::vector<LogKey>& /*changed*/) {
    const store::LogState state = reader.state(log.log());
    EXPECT_EQ(state.held.empty(), state.interest.entries.empty());
  };
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).interest.entries, everything());
  // Of a log that is here it grows as soon as somebody holds some of the log.
  replication::WantRequest bare = want_of(log.log());
  bare.payloads = false;
  reader.node().run([&](store::Store& store) {
    return store.update([&](store::WriteTransaction& transaction) {
      return transaction.set_interest(log.log(), {{RangeSet{{7, 9}}, 0}, false});
    });
  });
  reader.dial(author, {.wants = {bare}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 2; }));
  EXPECT_TRUE(run([&] { return reader.state(log.log()).interest.entries.ranges.contains(300); }));
}

TEST_F(NodeTest, AnOfferByItselfLeavesNothingBehind) {
  SimulatedNode& relay = network.add("relay");
  relay.accepts = store::LogInterest{everything(), true};
  int commits = 0;
  relay.on_commit = [&](const std::vector<LogKey>& changed) { commits += changed.empty() ? 0 : 1; };
  network.link.latency = milliseconds(100);
  // The author offers it and is gone before any of it has come.
  author.hold(log);
  author.dial(relay, {.wants = {}, .offers = {log.log()}});
  ASSERT_TRUE(run([&] { return relay.count<replication::OfferAccepted>() == 1; }));
  network.cut(relay);
  ASSERT_TRUE(run([&] { return relay.count<Ended>() == 1; }));
  network.run(seconds(1));
  EXPECT_EQ(commits, 0);
  EXPECT_FALSE(*relay.store().read()->find_log(log.log()));
  // One that brings something is kept.
  author.dial(relay, {.wants = {}, .offers = {log.log()}});
  ASSERT_TRUE(run([&] { return relay.holds(log.log(), {{1, log.head()}}); }));
  EXPECT_EQ(relay.state(log.log()).interest, (store::LogInterest{everything(), true}));
}

TEST_F(NodeTest, WhatFindsNoRoomGoesOnWhenThereIsSome) {
  SimulatedNode& other = network.add("other");
  const LogBuilder large = large_log();
  const LogBuilder small = LogBuilder("bob").append_many(300);
  author.hold(large, {{1, 200}});
  other.hold(small);
  reader.options.credit_bytes = limits::kCreditBytesMin;  // a message at a time
  network.commit_time = milliseconds(5);
  reader.dial(author, {.wants = {want_of(large.log())}});
  reader.dial(other, {.wants = {want_of(small.log())}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 2; }, minutes(5)));
  EXPECT_TRUE(reader.holds(large.log(), {{1, 200}}));
  EXPECT_TRUE(reader.holds(small.log(), {{1, small.head()}}));
}

TEST_F(NodeTest, WhoSendsNothingTakesNoCreditFromTheOthers) {
  SimulatedNode& relay = network.add("relay");
  relay.accepts = store::LogInterest{everything(), true};
  relay.options.credit_bytes = 4 * limits::kCreditBytesMin;
  for (int i = 0; i < 8; ++i) {
    SimulatedNode& idler = network.add("idler" + std::to_string(i));
    const LogBuilder one = LogBuilder("idler" + std::to_string(i)).append_many(1);
    idler.hold(one);
    idler.dial(relay, {.wants = {}, .offers = {one.log()}});
    ASSERT_TRUE(run([&] { return relay.holds(one.log(), {{1, 1}}); }));
  }
  author.hold(log);
  author.dial(relay, {.wants = {}, .offers = {log.log()}});
  EXPECT_TRUE(run([&] { return relay.holds(log.log(), {{1, log.head()}}); }, seconds(5)));
  EXPECT_EQ(relay.node().sessions().size(), 9U);
}

TEST_F(NodeTest, ATaskWaitsForNothingThatPeersBring) {
  const LogBuilder large = large_log();
  author.hold(large);
  network.commit_time = milliseconds(500);
  reader.dial(author, {.wants = {want_of(large.log())}});
  ASSERT_TRUE(run([&] { return reader.node().jobs_under_way() != 0; }));
  bool is_done = false;
  reader.node().run([&](store::Store& /*store*/) {
    is_done = true;
    return Result<void>();
  });
  reader.settle();
  EXPECT_TRUE(run([&] { return is_done; }, seconds(2))) << "two commits and its own";
}

TEST_F(NodeTest, BareConnectionsOfOneAddressDoNotShutOutWhoIsBehindIt) {
  author.hold(log);
  for (std::uint32_t i = 0; i < limits::kHandshakesPerAddress; ++i) {
    network.connect_silently(author);
  }
  reader.dial(author, {.wants = {want_of(log.log())}});
  // The attacker goes on while the handshake is under way, as fast as the header says it may.
  for (std::uint32_t i = 0; i + 1 < limits::kHandshakesPerAddress; ++i) {
    network.run(network.link.latency * 4 / limits::kHandshakesPerAddress);
    network.connect_silently(author);
  }
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }, seconds(5)));
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
  EXPECT_EQ(author.node().stats().displaced, limits::kHandshakesPerAddress);
}

TEST_F(NodeTest, BareConnectionsOfManyAddressesDoNotShutOutAnother) {
  author.options.admission.handshakes_max = 64;
  author.hold(log);
  const auto attack = [&] {
    for (std::uint32_t i = 0; i < 128; ++i) {
      network.connect_silently(author, static_cast<std::uint8_t>(2 + i % 20));
    }
  };
  attack();
  EXPECT_EQ(author.node().sessions().size(), 64U);
  reader.dial(author, {.wants = {want_of(log.log())}});
  for (int i = 0; i < 8; ++i) {
    network.run(network.link.latency / 2);
    attack();
  }
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }, seconds(5)));
}

TEST_F(NodeTest, AHandshakeThatIsDisplacedIsClosedAtOnceAndForgotten) {
  author.options.admission.handshakes_per_address_max = 2;
  for (int i = 0; i < 100; ++i) network.connect_silently(author);
  EXPECT_EQ(author.node().sessions().size(), 2U);
  EXPECT_EQ(author.count<Ended>(), 98U);
  EXPECT_EQ(author.why_ended(), Errc::kBusy);
}

TEST_F(NodeTest, WhoIsDisplacedDuringTheHandshakeHearsThatTheNodeIsFull) {
  author.options.admission.handshakes_per_address_max = 1;
  reader.dial(author);
  // It has called, and has no answer yet, when all places are taken again.
  ASSERT_TRUE(run([&] { return author.node().stats().accepted == 1; }));
  network.connect_silently(author);
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  EXPECT_EQ(reader.why_ended(), Errc::kPeerFull);
  EXPECT_EQ(author.node().stats().displaced, 1U);
}

TEST_F(NodeTest, WhoFindsNoRoomAfterTheHandshakeIsToldThatTheNodeIsBusy) {
  author.options.admission.sessions_max = 1;
  author.hold(log);
  SimulatedNode& first = network.add("first");
  first.dial(author, {.wants = {want_of(log.log(), true)}});
  ASSERT_TRUE(run([&] { return first.count<CaughtUp>() == 1; }));
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  EXPECT_EQ(reader.why_ended(), Errc::kPeerFull);
  EXPECT_EQ(reader.all<Ended>()[0].text, describe(Errc::kBusy));
  ASSERT_TRUE(run([&] { return author.count<Ended>() == 1; }));
  EXPECT_EQ(author.why_ended(), Errc::kBusy);
  EXPECT_EQ(author.count<Established>(), 1U) << "of who is refused only the end is told";
  EXPECT_EQ(author.node().stats().refused, 1U);
  EXPECT_EQ(first.count<Ended>(), 0U);
}

TEST_F(NodeTest, ANewcomerTakesThePlaceOfASessionThatIsOfNoUse) {
  author.options.admission.sessions_max = 1;
  author.hold(log);
  SimulatedNode& idle = network.add("idle");
  idle.dial(author);
  network.run(milliseconds(limits::kSessionUnwantedMs) + seconds(1));
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  ASSERT_TRUE(run([&] { return idle.count<Ended>() == 1; }));
  EXPECT_EQ(idle.all<Ended>()[0].text, describe(Errc::kBusy));
  EXPECT_EQ(author.node().stats().evicted, 1U);
}

TEST_F(NodeTest, WhoHasBroughtSomethingStaysWhoeverComes) {
  author.options.admission.sessions_max = 1;
  author.accepts = store::LogInterest{everything(), true};
  SimulatedNode& writer = network.add("writer");
  writer.hold(log);
  writer.dial(author, {.wants = {}, .offers = {log.log()}});
  ASSERT_TRUE(run([&] { return author.holds(log.log(), {{1, log.head()}}); }));
  network.run(2 * milliseconds(limits::kSessionQuietMs));
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  EXPECT_EQ(author.node().stats().refused, 1U);
  EXPECT_EQ(writer.count<Ended>(), 0U);
}

TEST_F(NodeTest, StopsOnceAllThatWasReceivedIsCommitted) {
  log = LogBuilder("alice").append_many(5000);
  author.hold(log);
  network.commit_time = seconds(10);
  network.run(seconds(20));
  reader.dial(author, {.wants = {want_of(log.log())}});
  const auto received = [&] { return reader.node().stats().sessions.entries_received; };
  ASSERT_TRUE(run([&] { return received() > 0; }));
  reader.node().stop(network.now());
  reader.settle();
  const std::uint64_t entries = received();
  ASSERT_TRUE(run([&] { return reader.stopped; }));
  EXPECT_EQ(reader.state(log.log()).held.count(), entries);
  EXPECT_FALSE(reader.node().next_deadline());
}

TEST_F(NodeTest, StopsWithinItsLimitAlthoughAPeerTakesNothing) {
  log = large_log();
  author.hold(log);
  network.link.bytes_per_second = 1'000'000;
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return author.node().stats().sessions.entries_sent > 0; }));
  network.block(reader);
  network.run(seconds(5));
  author.node().stop(network.now());
  author.settle();
  const Instant begin = network.now();
  ASSERT_TRUE(run([&] { return author.stopped; }));
  EXPECT_LE(network.now() - begin, milliseconds(limits::kCloseTimeoutMs));
  EXPECT_EQ(author.count<Ended>(), 1U);
}

TEST_F(NodeTest, OnceStoppedItRefusesWhatItIsAskedFor) {
  author.listens = false;
  const DialId waiting = reader.dial(author, {.reconnect = true});
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  reader.node().stop(network.now());
  reader.settle();
  ASSERT_TRUE(run([&] { return reader.stopped; }));
  EXPECT_EQ(reader.why_ended(), Errc::kPeerClosed);
  const DialId late = reader.dial(author);
  EXPECT_EQ(reader.dials_over, (std::vector<DialId>{waiting, late}));
  EXPECT_EQ(reader.count<Ended>(), 3U);
  const TaskId task = reader.node().run([](store::Store&) { return Result<void>(); });
  reader.settle();
  ASSERT_EQ(reader.tasks.back().first, task);
  EXPECT_EQ(reader.tasks.back().second.error().code, Errc::kStoreReadOnly);
  EXPECT_FALSE(reader.node().accepted({"10.0.0.9", 1}, {}, network.now()));
}

TEST_F(NodeTest, CallsForASessionOrADialThatIsNotThereDoNothing) {
  Node& node = reader.node();
  const Instant now = network.now();
  node.received(7, {}, now);
  node.receive_ended(7, now);
  node.sent(7, 0, now);
  node.send_failed(7, now);
  node.cancel(7, 1, now);
  node.close_session(7, std::nullopt, now);
  node.connect_failed(7, Error{Errc::kNetwork}, now);
  EXPECT_FALSE(node.connected(7, now));
  EXPECT_FALSE(node.wants_input(7));
  EXPECT_TRUE(node.pending_output(7).empty());
  EXPECT_EQ(node.want(7, want_of(log.log()), now).error().code, Errc::kPeerClosed);
  EXPECT_FALSE(node.next_action());
}

class BegunMessages : public NodeTest {
 protected:
  BegunMessages() { author.options.admission.sessions_max = 1000; }

  void come(std::size_t count) {
    for (; count > 0; --count) {
      const auto host = static_cast<std::uint8_t>(10 + beginners_.size() / 8);
      beginners_.push_back(std::make_unique<Beginner>(network, author, host, 200'000));
    }
  }
  /// Of those that have come.
  [[nodiscard]] std::size_t hung_up_on() const {
    const auto ended = author.all<Ended>();
    return static_cast<std::size_t>(std::ranges::count_if(
        ended, [](const Ended& one) { return one.error == Error{Errc::kPeerSlow}; }));
  }

 private:
  std::vector<std::unique_ptr<Beginner>> beginners_;
};

TEST_F(BegunMessages, MayTakeLongWhileThereIsRoom) {
  come(limits::kNodeInputBytes / 300'000);
  network.run(seconds(20));
  EXPECT_EQ(hung_up_on(), 0U);
  EXPECT_EQ(author.node().read_bytes_max(), limits::kReadBufferBytes);
  come(limits::kNodeInputBytes / 800'000);
  network.run(seconds(1));
  EXPECT_GT(hung_up_on(), 0U) << "those that have been on their way for long";
  EXPECT_LE(hung_up_on(), limits::kNodeInputBytes / 300'000);
}

TEST_F(BegunMessages, AreReadInSmallPiecesWhileThereIsLittleRoom) {
  come(limits::kNodeInputBytes / 220'000);
  network.run(seconds(1));
  EXPECT_EQ(hung_up_on(), 0U) << "all have come just now";
  EXPECT_EQ(author.node().read_bytes_max(), limits::kIdleBufferBytesMax);
  network.run(milliseconds(limits::kSlowMessageMs));
  EXPECT_GT(hung_up_on(), 0U) << "although nothing more has come";
  EXPECT_EQ(author.node().read_bytes_max(), limits::kReadBufferBytes);
}

TEST_F(BegunMessages, EndAtOnceWhereThereIsNoRoomAtAll) {
  author.hold(log);
  come(limits::kNodeInputBytes / 100'000);
  network.run(seconds(1));
  EXPECT_GT(hung_up_on(), limits::kNodeInputBytes / 300'000);
  reader.dial(author, {.wants = {want_of(log.log())}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

}  // namespace
}  // namespace culm::node
