#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"

#include "tests/node/sync_fixture.hpp"

namespace culm::node {
namespace {

TEST_F(SyncTest, LiveThePeerAfterOneThatDeclinesIsAsked) {
  SimulatedNode& other = network.add("other");
  other.hold(log);
  for (const bool first : {true, false}) {
    auto request = request_of(first ? std::vector<const SimulatedNode*>{&author, &other}
                                    : std::vector<const SimulatedNode*>{&other, &author});
    request.live = true;
    const SyncId id = start(std::move(request));
    const auto before = told<SyncCaughtUp>().size();
    ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() > before; }, seconds(2))) << first;
    reader.node().end_sync(id, network.now());
    reader.settle();
  }
  network.run(minutes(10));
  EXPECT_LE(told<SyncDenied>().size(), 1U);
}

TEST_F(SyncTest, LiveWithMoreLogsThanARelayHasSessionsForItDoesNotBegin) {
  SyncRequest request = live(request_of({}, {&author}));
  for (std::uint64_t i = 0; i <= kLiveLogsMax; ++i) {
    request.logs.emplace_back().log = {log.log().author, LogId{i}};
  }
  start(std::move(request));
  const SyncReport done = report(seconds(1));
  EXPECT_EQ(done.outcome, SyncOutcome::kFailed);
  EXPECT_EQ(done.error, Error{Errc::kBusy});
  EXPECT_TRUE(author.node().sessions().empty());
}

TEST_F(SyncTest, LiveItGoesOnUntilItIsEnded) {
  author.hold(log);
  auto request = live(request_of({&author}));
  const SyncId id = start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  EXPECT_EQ(told<SyncCaughtUp>()[0].head, 300U);
  for (int i = 0; i < 5; ++i) {
    grow(author);
    ASSERT_TRUE(run([&] { return is_here(); }));
    network.run(minutes(1));
  }
  std::uint64_t entries = 0;
  for (const SyncReceived& received : told<SyncReceived>()) entries += received.entries;
  EXPECT_EQ(entries, 305U);
  EXPECT_EQ(told<SyncReceived>().back().up_to, 305U);
  network.cut(author);
  grow(author);
  ASSERT_TRUE(run([&] { return is_here(); }));
  EXPECT_EQ(told<SyncDisconnected>().size(), 1U);
  EXPECT_EQ(told<SyncConnected>().size(), 2U);
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kStopped);
  EXPECT_EQ(done.logs[0].entries, 306U);
  EXPECT_TRUE(told<SyncProgress>().empty()) << "nobody knows how much there will be";
  EXPECT_TRUE(run([&] { return reader.node().sessions().empty(); }));
}

TEST_F(SyncTest, LiveWhatIsAppendedHereMeanwhileHasNotCome) {
  author.hold(log);
  const SyncId id = start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  const std::uint64_t came = reader.state(log.log()).payload_bytes;
  grow(reader);
  network.run(minutes(1));
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].head, 301U);
  EXPECT_EQ(done.logs[0].entries, 300U);
  EXPECT_EQ(done.logs[0].payload_bytes, came);
}

TEST_F(SyncTest, LiveMoreLogsThanASessionHasWantsForTakeSeveralSessions) {
  const auto logs = logs_of(limits::kWantsPerSessionMax + 10);
  for (const LogBuilder& one : logs) author.hold(one);
  start(live(request_of(logs, {&author})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == logs.size(); }));
  EXPECT_EQ(author.node().sessions().size(), 2U);
}

TEST_F(SyncTest, LiveALogThatIsNotServedYetIsAskedForAgain) {
  const SyncId id = start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return told<SyncDenied>().size() == 1; }));
  EXPECT_FALSE(told<SyncDenied>()[0].is_offer);
  author.hold(log);
  ASSERT_TRUE(run([&] { return is_here(); }));
  EXPECT_EQ(author.node().stats().accepted, 1U);
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete) << "what is served is not denied any more";
  EXPECT_FALSE(done.logs[0].denied);
}

TEST_F(SyncTest, LiveWhatNobodyServesIsDeniedInTheEnd) {
  const SyncId id = start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return told<SyncDenied>().size() == 1; }));
  reader.node().end_sync(id, network.now());
  reader.settle();
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kDenied);
}

TEST_F(SyncTest, LivePayloadsThatThePeerLacksAreNamed) {
  author.hold(log);
  delete_payloads(author, {{10, 20}});
  const SyncId id = start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  EXPECT_EQ(told<SyncCaughtUp>()[0].payloads_missing, (RangeSet{{10, 20}}));
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{10, 20}}));
}

TEST_F(SyncTest, APeerThatSaidNothingOfALogIsNamedAsSilent) {
  SimulatedNode& away = network.add("away");
  SimulatedNode& other = network.add("other");  // does not serve it
  away.listens = false;
  author.hold(log);
  delete_payloads(author, {{10, 20}});
  for (const bool is_live : {true, false}) {
    auto request = request_of({&author, &away, &other});
    request.live = is_live;
    const SyncId id = start(std::move(request));
    if (is_live) {
      network.run(seconds(5));
      reader.node().end_sync(id, network.now());
      reader.settle();
    }
    const SyncReport done = report();
    EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{10, 20}})) << is_live;
    EXPECT_EQ(done.logs[0].silent, (std::vector{away.endpoint()})) << is_live;
  }
}

TEST_F(SyncTest, LiveALogThatNobodyNamedIsLetGoOnceItIsForgotten) {
  LogBuilder other = logs_of(1)[0];
  for (SimulatedNode* const node : {&author, &reader}) {
    node->hold(log, {{1, 1}});
    node->hold(other);
  }
  auto request = live(request_of({&author}));
  request.logs.emplace_back().log = other.log();
  request.while_known = {log.log(), other.log()};
  request.push = true;
  const SyncId id = start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 2; }));
  forget(log.log());
  reader.node().log_forgotten(log.log(), network.now());
  reader.settle();
  author.hold(log);
  other.append("more");
  author.hold(other, {{4, 4}});
  ASSERT_TRUE(run([&] { return reader.holds(other.log(), {{1, 4}}); }));
  network.cut(author);
  network.run(minutes(5));
  EXPECT_FALSE(is_known(log.log()));
  ASSERT_EQ(told<SyncForgotten>().size(), 1U);
  EXPECT_EQ(told<SyncForgotten>()[0].log, log.log());
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  ASSERT_EQ(done.logs.size(), 1U);
  EXPECT_EQ(done.logs[0].log, other.log());
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete);
}

TEST_F(SyncTest, WhatIsUnderWayDoesNotBringAForgottenLogBack) {
  author.hold(log);
  reader.hold(log, {{1, 1}});
  auto request = live(request_of({&author}));
  request.while_known = {log.log()};
  start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 1; }));
  forget(log.log());
  // Before the sync hears of it, all that was asked for comes.
  network.run(seconds(5));
  EXPECT_NE(reader.node().stats().works, 0U);
  EXPECT_FALSE(is_known(log.log()));
  reader.node().log_forgotten(log.log(), network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone) << "no log is left";
  EXPECT_TRUE(done.logs.empty());
  EXPECT_FALSE(is_known(log.log()));
}

TEST_F(SyncTest, OnceALogThatIsForgottenMeanwhileIsNotWaitedFor) {
  const LogBuilder other = logs_of(1)[0];
  author.hold(log);
  author.hold(other);
  reader.hold(log, {{1, 1}});
  auto request = request_of({&author});
  request.logs.emplace_back().log = other.log();
  request.while_known = {log.log()};
  start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 1; }));
  forget(log.log());
  reader.node().log_forgotten(log.log(), network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  ASSERT_EQ(done.logs.size(), 1U);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete);
  EXPECT_FALSE(is_known(log.log()));
}

TEST_F(SyncTest, LiveAnotherPeerTakesOverFromOneThatGoesAway) {
  SimulatedNode& other = network.add("other");
  author.hold(log);
  other.hold(log);
  start(live(request_of({&author, &other})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  EXPECT_LE(reader.node().stats().sessions.entries_received, 310U) << "of one at a time";
  for (SimulatedNode* const lost : {&author, &other}) {
    SimulatedNode* const left = lost == &author ? &other : &author;
    lost->listens = false;
    network.cut(*lost);
    grow(*left);
    ASSERT_TRUE(run([&] { return is_here(); }, seconds(5))) << lost->name();
    lost->hold(log, {{log.head(), log.head()}});
    lost->listens = true;
    network.run(minutes(2));
  }
}

TEST_F(SyncTest, LiveAPeerThatHasMoreTakesOverFromOneThatIsQuiet) {
  SimulatedNode& other = network.add("other");
  author.hold(log);
  other.hold(log);
  start(live(request_of({&author, &other})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  for (int i = 0; i < 4; ++i) {
    network.run(minutes(5));            // nobody has to ask for it
    grow(i % 2 == 0 ? other : author);  // of the two only one hears of it
    ASSERT_TRUE(run([&] { return is_here(); }, seconds(2))) << i;
    (i % 2 == 0 ? author : other).hold(log, {{log.head(), log.head()}});
    network.run(seconds(1));
  }
}

TEST_F(SyncTest, LiveALogThatThePeerLearnsOfLaterComesSoon) {
  start(live(request_of({&author})));
  network.run(seconds(11) + milliseconds(500));  // so that it is not asked for just now
  author.hold(log);
  EXPECT_TRUE(run([&] { return is_here(); }, seconds(2)));
  grow(author);
  EXPECT_TRUE(run([&] { return is_here(); }, seconds(2)));
}

TEST_F(SyncTest, APeerSaysOnceThatALogHasChangedThatItWasAskedForAndNotOneThatIsNotForAll) {
  author.serves = false;
  reader.dial(author, {.wants = {{.log = log.log(), .interest = everything()}}});
  ASSERT_TRUE(run([&] { return reader.count<replication::Denied>() == 1; }));
  author.hold(log);
  network.run(seconds(5));
  EXPECT_EQ(reader.count<replication::PeerHas>(), 0U) << "it does not say that it holds it";
  author.serves = true;
  for (int i = 0; i < 3; ++i) {
    grow(author);
    network.run(seconds(1));
  }
  EXPECT_EQ(reader.count<replication::PeerHas>(), 1U);
  EXPECT_EQ(reader.all<replication::PeerHas>()[0].head, log.head() - 2);
}

TEST_F(SyncTest, LiveWhatOnlyAnotherPeerHoldsComesAtOnce) {
  SimulatedNode& other = network.add("other");
  SimulatedNode& third = network.add("third");  // does not serve it
  author.hold(log);
  other.hold(log);
  delete_payloads(author, {{1, 120}});
  delete_payloads(other, {{80, 300}});
  const SyncId id = start(live(request_of({&author, &third, &other})));
  network.run(seconds(3));
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 79}, {121, 300}}));
  const auto sent = reader.node().stats().sessions.bytes_sent;
  network.run(seconds(20));
  EXPECT_LE(reader.node().stats().sessions.bytes_sent, sent + 500) << "each is asked once";
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{80, 120}}));
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_TRUE(done.logs[0].silent.empty()) << "all were asked";
}

TEST_F(SyncTest, LiveEntriesThatOnlyAnotherPeerHoldsComeAtOnceWhoeverIsFirst) {
  SimulatedNode& other = network.add("other");
  const RangeSet newest = closure({{251, 300}}, 300);
  author.hold(log, newest);
  other.hold(log, {{1, 150}});
  for (const bool is_first : {true, false}) {
    SimulatedNode& away = is_first ? other : author;
    away.listens = false;
    const SyncId id = start(live(request_of({&author, &other})));
    ASSERT_TRUE(run([&] { return !told<SyncCaughtUp>().empty(); }));
    away.listens = true;
    const auto is_met = [&] { return reader.node().sessions().size() == 2; };
    ASSERT_TRUE(run(is_met)) << is_first;
    network.run(seconds(3));
    EXPECT_TRUE(reader.holds(log.log(), {{1, 150}, {251, 300}})) << is_first;
    reader.node().end_sync(id, network.now());
    reader.settle();
    EXPECT_EQ(report().logs[0].missing, (RangeSet{{151, 250}}) - newest) << is_first;
    forget(log.log());
    reader.synced.clear();
    ended_before = 0;
  }
}

TEST_F(SyncTest, LiveTheNewestOfAPeerThatLagsBehindAreNotWanted) {
  SimulatedNode& other = network.add("other");
  author.hold(log);
  other.hold(log, {{1, 150}});
  auto request = live(request_of({&author, &other}));
  request.logs[0].interest.newest = 10;
  other.listens = false;
  start(std::move(request));
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{291, 300}}); }));
  other.listens = true;
  network.run(minutes(3));
  EXPECT_EQ(told<SyncConnected>().size(), 2U);
  EXPECT_FALSE(reader.holds(log.log(), {{141, 150}}));
}

TEST_F(SyncTest, LiveAPeerThatComesAfterTheOthersDeclinedIsAskedAtOnce) {
  SimulatedNode& other = network.add("other");  // does not serve it
  author.hold(log);
  author.listens = false;
  start(live(request_of({&author, &other})));
  ASSERT_TRUE(run([&] { return !told<SyncDenied>().empty(); }));
  author.listens = true;
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 2; }));
  EXPECT_TRUE(run([&] { return is_here(); }, seconds(1)));
}

TEST_F(SyncTest, LiveAPeerThatHasNoRoomIsCalledAgain) {
  author.options.admission.sessions_max = 0;
  author.hold(log);
  start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return !told<SyncDisconnected>().empty(); }));
  EXPECT_FALSE(told<SyncDisconnected>()[0].is_given_up);
  network.run(minutes(5));
  EXPECT_TRUE(told<SyncEnded>().empty());
}

TEST_F(SyncTest, LiveTheNewestAreOthersOnceAForkIsKnown) {
  author.hold(log);
  auto request = live(request_of({&author}));
  request.logs[0].interest.newest = 5;
  start(std::move(request));
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{296, 300}}); }));
  const LogBuilder other = log.fork(200);
  author.hold(other, {{200, 200}});
  EXPECT_TRUE(run([&] { return reader.holds(log.log(), {{195, 199}}); }, seconds(5)));
}

/// As by another process, or by a commit that is on the disk although it failed.
TEST_F(SyncTest, LiveTheNewestAreOthersWhoeverRecordedTheFork) {
  author.hold(log, {{1, 4}});
  auto request = live(request_of({&author}));
  request.logs[0].interest.newest = 3;
  start(std::move(request));
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{2, 4}}); }));
  author.hold(log, {{5, 300}});
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{298, 300}}); }));
  const LogBuilder other = log.fork(200);
  const auto proven = ProvenDefect::derive(
      log.log(), make_evidence(std::vector{log.entry(200), other.entry(200)}), reader.verifier);
  for (SimulatedNode* const node : {&reader, &author}) {
    node->node().run([&](store::Store& store) {
      return store.update([&](store::WriteTransaction& writing) -> Result<void> {
        const auto recorded = writing.record_evidence(*proven);
        return recorded ? Result<void>() : Result<void>(fail(recorded.error()));
      });
    });
    node->settle();
  }
  EXPECT_TRUE(run([&] { return reader.holds(log.log(), {{197, 199}}); }, seconds(5)));
  EXPECT_EQ(told<SyncForked>().size(), 1U);
}

}  // namespace
}  // namespace culm::node
