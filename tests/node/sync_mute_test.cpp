// Of several peers, one that says nothing.
#include "tests/node/sync_fixture.hpp"

namespace culm::node {
namespace {

TEST_F(SyncTest, OneThatIgnoresAPushKeepsNoLogFromTheOthers) {
  SimulatedNode& silent = network.add("silent");
  author.accepts = silent.accepts = store::LogInterest{everything(), true};
  const auto logs = logs_of(20);
  for (const LogBuilder& one : logs) reader.hold(one);
  auto request = request_of(logs, {&author, &silent});
  request.push = true;
  start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 2; }));
  network.mute(silent);
  const SyncReport done = report();
  EXPECT_NE(done.outcome, SyncOutcome::kDone);
  for (const LogBuilder& one : logs) EXPECT_TRUE(author.holds(one.log(), {{1, 3}}));
}

TEST_F(SyncTest, WhoIsMuteIsPassedOverWithinTheTimeThatASyncMayBeIdle) {
  SimulatedNode& mute = network.add("mute");
  author.hold(log);
  network.mute(mute);
  for (const bool is_quote : {false, true}) {
    auto request = request_of({&mute, &author});
    request.idle_max = seconds(3);
    request.quote_only = is_quote;
    start(std::move(request));
    const SyncReport done = report();
    EXPECT_EQ(done.outcome, SyncOutcome::kDone);
    EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete);
    EXPECT_EQ(done.logs[0].silent, (std::vector{mute.endpoint()}));
    EXPECT_FALSE(why_not_done(done));
    EXPECT_LT(done.took, seconds(3));
  }
  EXPECT_TRUE(is_here());
}

class OneThatStopsTest : public SyncTest {
 protected:
  /// Of a sync of which a peer stops after a second and, where it `answers` again, goes on while
  /// the other still brings what it owes.
  std::vector<Endpoint> find_silent(bool answers) {
    network.link.bytes_per_second = 100'000;
    for (SimulatedNode* const node : {&author, &stops}) node->hold(longer);
    auto request = request_of({&longer, 1}, {&author, &stops});
    request.idle_max = minutes(1);
    start(std::move(request));
    network.run(seconds(1));
    network.block(stops);
    network.run(seconds(9));
    if (answers) network.unblock();
    const SyncReport done = report();
    EXPECT_EQ(done.outcome, SyncOutcome::kDone);
    EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete);
    EXPECT_FALSE(done.peers[1].error);
    EXPECT_EQ(is_unanswered(done, done.peers[1]), !answers);
    EXPECT_FALSE(is_unanswered(done, done.peers[0]));
    return done.logs[0].silent;
  }

  SimulatedNode& stops = network.add("stops");
  LogBuilder longer = LogBuilder("alice").append_many(20'000);
};

TEST_F(OneThatStopsTest, IsNamed) {
  EXPECT_EQ(find_silent(false), (std::vector{stops.endpoint()}));
}

TEST_F(OneThatStopsTest, AndAnswersAgainIsNotNamed) { EXPECT_TRUE(find_silent(true).empty()); }

TEST_F(SyncTest, OneThatIsMuteHoldsUpNoPushOfManyLogsAndIsNamed) {
  SimulatedNode& mute = network.add("mute");
  author.accepts = store::LogInterest{everything(), true};
  const auto logs = logs_of(200);
  for (const LogBuilder& one : logs) reader.hold(one);
  network.mute(mute);
  auto request = request_of(logs, {&author, &mute});
  request.push = true;
  request.idle_max = seconds(4);
  start(std::move(request));
  const SyncReport done = report();
  for (const LogBuilder& one : logs) EXPECT_TRUE(author.holds(one.log(), {{1, 3}}));
  EXPECT_EQ(done.outcome, SyncOutcome::kIncomplete);
  EXPECT_LT(done.took, seconds(15)) << "it is waited for once";
  EXPECT_EQ(mute.node().stats().accepted, 1U);
  const auto why = why_not_done(done);
  ASSERT_TRUE(why && why->peer != nullptr);
  EXPECT_EQ(why->peer->endpoint, mute.endpoint());
  EXPECT_FALSE(done.logs[199].is_pushed);
  ASSERT_EQ(done.logs[199].unconfirmed.size(), 1U);
  EXPECT_EQ(done.logs[199].unconfirmed[0].endpoint, mute.endpoint());
}

TEST_F(SyncTest, OneThatCeasesToAnswerIsNotCalledForOtherLogs) {
  SimulatedNode& silent = network.add("silent");
  author.accepts = silent.accepts = store::LogInterest{everything(), true};
  const auto logs = logs_of(200);
  for (const LogBuilder& one : logs) reader.hold(one);
  auto request = request_of(logs, {&author, &silent});
  request.push = true;
  request.idle_max = minutes(1);
  start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 2; }));
  network.mute(silent);
  const SyncReport done = report();
  for (const LogBuilder& one : logs) EXPECT_TRUE(author.holds(one.log(), {{1, 3}}));
  EXPECT_LE(silent.node().stats().accepted, 2U) << "not for each group";
  EXPECT_EQ(why_not_done(done)->peer->endpoint, silent.endpoint());
}

TEST_F(SyncTest, NamesWhatIsMissingWhereItIsEndedBefore) {
  author.hold(log);
  const RangeSet all{{1, log.head()}};
  for (const bool has_entries : {false, true}) {
    SCOPED_TRACE(has_entries);
    auto request = request_of({&author});
    request.logs[0].interest = everything();
    if (has_entries) {
      request.logs[0].payloads = false;
      start(request);
      EXPECT_EQ(report().logs[0].outcome, LogOutcome::kComplete);
      request.logs[0].payloads = true;
    }
    request.idle_max = seconds(3);
    const std::size_t said = reader.count<replication::PeerHas>();
    start(std::move(request));
    ASSERT_TRUE(run([&] { return reader.count<replication::PeerHas>() > said; }));
    network.mute(author);
    const SyncReport ended = report();
    EXPECT_EQ(ended.outcome, SyncOutcome::kIdle);
    EXPECT_EQ(ended.logs[0].outcome, LogOutcome::kUnfinished);
    EXPECT_EQ(ended.logs[0].missing, has_entries ? RangeSet() : all);
    EXPECT_EQ(ended.logs[0].payloads_missing, has_entries ? all : RangeSet());
    network.unmute();
  }
}

}  // namespace
}  // namespace culm::node
