#include "culm/core/limits.hpp"

#include "tests/node/sync_fixture.hpp"

namespace culm::node {
namespace {

TEST_F(SyncTest, OnceBringsALogAndSaysWhatCame) {
  author.hold(log);
  start(request_of({&author}));
  const SyncReport done = report();
  EXPECT_TRUE(is_here());
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  ASSERT_EQ(done.logs.size(), 1U);
  const LogReport& log_report = done.logs[0];
  EXPECT_EQ(log_report.outcome, LogOutcome::kComplete);
  EXPECT_EQ(log_report.entries, 300U);
  EXPECT_EQ(log_report.certificate_entries, 0U);
  EXPECT_EQ(log_report.payload_bytes, reader.state(log.log()).payload_bytes);
  EXPECT_EQ(log_report.head, 300U);
  EXPECT_EQ(log_report.peer_head, 300U);
  EXPECT_TRUE(log_report.missing.empty());
  EXPECT_TRUE(log_report.quote && log_report.quote->entries == 300);
  EXPECT_TRUE(log_report.whole_quote && log_report.whole_quote->entries == 300);
  ASSERT_EQ(done.peers.size(), 1U);
  EXPECT_TRUE(done.peers[0].peer);
  EXPECT_EQ(done.peers[0].stats.entries_received, 300U);
  EXPECT_EQ(done.stats.bytes_received, done.peers[0].stats.bytes_received);
  EXPECT_EQ(reader.state(log.log()).interest, (store::LogInterest{everything(), true}));
  EXPECT_TRUE(run([&] { return reader.node().sessions().empty(); })) << "it hangs up";

  start(request_of({&author}));
  const SyncReport again = report();
  EXPECT_EQ(again.outcome, SyncOutcome::kDone);
  EXPECT_EQ(again.logs[0].entries, 0U);
  EXPECT_TRUE(again.logs[0].whole_quote) << "also when nothing is missing";
}

TEST_F(SyncTest, WithoutAnInterestTheOneThatIsKeptCounts) {
  author.hold(log);
  auto part = request_of({&author});
  part.logs[0].interest = {{{10, 20}}, 0};
  part.logs[0].payloads = false;
  start(part);
  const SyncReport first = report();
  EXPECT_EQ(first.logs[0].entries, 11U);
  EXPECT_GT(first.logs[0].certificate_entries, 0U);
  const auto held = reader.state(log.log()).held;
  start(request_of({&author}));
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kComplete);
  EXPECT_EQ(reader.state(log.log()).held, held);
  EXPECT_TRUE(reader.state(log.log()).payloads.empty());
}

TEST_F(SyncTest, OnceManyLogsGoThroughOneSession) {
  const auto logs = logs_of(100);
  for (const LogBuilder& one : logs) author.hold(one);
  start(request_of(logs, {&author}));
  EXPECT_EQ(report().outcome, SyncOutcome::kDone);
  for (const LogBuilder& one : logs) EXPECT_TRUE(reader.holds(one.log(), {{1, 3}}));
  EXPECT_EQ(author.node().stats().accepted, 1U);
}

TEST_F(SyncTest, MoreLogsThanAPeerTakesInASessionGoThroughAnother) {
  const auto logs = logs_of(limits::kWantsPerSessionMax + 10);
  for (const LogBuilder& one : logs) reader.hold(one);
  author.accepts = store::LogInterest{everything(), true};
  auto request = request_of(logs, {&author});
  request.push = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  for (const LogReport& one : done.logs) EXPECT_TRUE(one.is_pushed);
  for (const LogBuilder& one : logs) EXPECT_TRUE(author.holds(one.log(), {{1, 3}}));
  EXPECT_EQ(author.node().stats().accepted, 2U);
}

TEST_F(SyncTest, AQuoteMovesNothing) {
  SimulatedNode& other = network.add("other");
  author.hold(log, {{1, 100}});
  other.hold(log);
  auto request = request_of({&author, &other});
  request.quote_only = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  ASSERT_TRUE(done.logs[0].quote);
  EXPECT_EQ(done.logs[0].quote->entries, 300U) << "of the peer that has most";
  ASSERT_TRUE(done.logs[0].whole_quote);
  EXPECT_EQ(done.logs[0].whole_quote->entries, 100U) << "of the first";
  EXPECT_TRUE(reader.state(log.log()).held.empty());
}

TEST_F(SyncTest, APushIsDoneWhenEveryPeerHoldsAll) {
  SimulatedNode& other = network.add("other");
  for (SimulatedNode* const node : {&author, &other}) {
    node->accepts = store::LogInterest{everything(), true};
  }
  reader.hold(log);
  auto request = request_of({&author, &other});
  request.push = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  EXPECT_TRUE(done.logs[0].is_pushed);
  EXPECT_TRUE(author.holds(log.log(), {{1, 300}}));
  EXPECT_TRUE(other.holds(log.log(), {{1, 300}}));
  EXPECT_EQ(told<SyncPushed>().size(), 2U);
  EXPECT_EQ(done.stats.entries_sent, 600U);
}

TEST_F(SyncTest, APushNamesThePayloadsThatAPeerDeletedAndTakesNoMore) {
  SimulatedNode& other = network.add("other");
  for (SimulatedNode* const node : {&author, &other}) {
    node->accepts = store::LogInterest{everything(), true};
    node->hold(log);
  }
  reader.hold(log);
  delete_payloads(author, {{1, 5}, {300, 300}});
  auto request = request_of({&author, &other});
  request.push = true;
  start(std::move(request));
  const SyncReport done = report(seconds(20));
  EXPECT_EQ(done.outcome, SyncOutcome::kDone) << "nothing that could still come is waited for";
  EXPECT_FALSE(done.logs[0].is_pushed);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial);
  ASSERT_EQ(done.logs[0].unconfirmed.size(), 1U);
  EXPECT_EQ(done.logs[0].unconfirmed[0].endpoint, author.endpoint());
  EXPECT_EQ(done.logs[0].unconfirmed[0].payloads, (RangeSet{{1, 5}, {300, 300}}));
  EXPECT_TRUE(done.logs[0].unconfirmed[0].entries.empty());
  EXPECT_EQ(why_not_done(done)->error.code, Errc::kPayloadNotHeld);
}

TEST_F(SyncTest, WhatAPeerHadNoRoomToConfirmIsNotSaidToBeLacking) {
  log.append_many(2 * limits::kRangesPerMessageMax);
  RangeSet odd;
  for (SeqNum n = 1; n <= log.head(); n += 2) odd.insert(n);
  reader.hold(log);
  delete_payloads(reader, RangeSet{{1, log.head()}} - odd);
  const auto transaction = *reader.store().read();
  SyncLog pushed(request_of({&author}).logs[0], 1);
  ASSERT_TRUE(pushed.begin(transaction, false));
  const RangeSet payloads = odd & RangeSet{{1, 2 * limits::kRangesPerMessageMax}};
  const std::vector<PeerReport> peers{{author.endpoint()}};
  for (const bool is_unsaid : {true, false}) {
    replication::PeerHas has{log.log(), log.head(), {{1, log.head()}}, payloads, {}};
    if (!is_unsaid) has.payloads.erase({1, 1});
    pushed.peer_has(0, has);
    const auto report = *pushed.conclude(transaction, peers);
    ASSERT_EQ(report.unconfirmed.size(), 1U);
    EXPECT_EQ(report.unconfirmed[0].is_unsaid, is_unsaid);
  }
}

TEST_F(SyncTest, PayloadsThatNoPeerHoldsKeepItFromBeingComplete) {
  author.hold(log);
  delete_payloads(author, {{9, 9}});
  start(request_of({&author}));
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{9, 9}}));
  EXPECT_TRUE(done.logs[0].payloads_left_out.empty());
}

TEST_F(SyncTest, APushNamesWhatIsNotHereAlsoToAPeerThatDidNotKnowTheLog) {
  author.hold(log);
  delete_payloads(author, {{9, 9}});
  start(request_of({&author}));
  EXPECT_EQ(report().logs[0].payloads_missing, (RangeSet{{9, 9}}));
  SimulatedNode& other = network.add("other");
  other.accepts = store::LogInterest{everything(), true};
  for (const bool is_known : {false, true}) {
    auto request = request_of({&other});
    request.push = true;
    start(std::move(request));
    const SyncReport done = report();
    EXPECT_TRUE(done.logs[0].is_pushed) << is_known;
    EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial) << is_known;
    EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{9, 9}})) << is_known;
  }
}

TEST_F(SyncTest, PayloadsOfASizeThatWasNotAskedForAreNamed) {
  author.hold(log.append(std::string(2000, 'x')).append("short"));
  auto request = request_of({&author});
  request.logs[0].payload_size_max = 1000;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_EQ(done.logs[0].payloads_missing, (RangeSet{{301, 301}}));
  EXPECT_EQ(done.logs[0].payloads_left_out, (RangeSet{{301, 301}}));
}

TEST_F(SyncTest, SeqnumsBeyondTheHeadThatWereNamedAreMissing) {
  author.hold(log);
  auto request = request_of({&author});
  request.logs[0].interest.ranges = {{5000, 5010}};
  start(request);
  const SyncReport none = report();
  EXPECT_EQ(none.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_EQ(none.logs[0].missing, (RangeSet{{5000, 5010}}));
  EXPECT_EQ(why_not_done(none)->error.code, Errc::kEntryNotHeld);
  request.logs[0].interest.ranges = {{298, 302}};
  start(request);
  EXPECT_EQ(report().logs[0].missing, (RangeSet{{301, 302}}));
  request.logs[0].interest.ranges = {{298, kSeqnumMax}};
  start(request);
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kComplete) << "an open end is the head";
}

TEST_F(SyncTest, SeqnumsBeyondTheHeadThatAreKeptAreNamedAndNotMissing) {
  author.hold(log);
  auto request = request_of({&author});
  request.logs[0].interest.ranges = {{298, 302}};
  start(request);
  EXPECT_EQ(report().logs[0].beyond_head, (RangeSet{{301, 302}}));
  request.logs[0].interest = {};
  start(request);
  const SyncReport kept = report();
  EXPECT_EQ(kept.logs[0].outcome, LogOutcome::kComplete);
  EXPECT_TRUE(kept.logs[0].missing.empty());
  EXPECT_EQ(kept.logs[0].beyond_head, (RangeSet{{301, 302}}));
  grow(author);
  start(request);
  EXPECT_EQ(report().logs[0].beyond_head, (RangeSet{{302, 302}}));
}

TEST_F(SyncTest, APushThatIsDeclinedEndsAndSaysSo) {
  reader.hold(log);
  auto request = request_of({&author});
  request.push = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  EXPECT_EQ(done.logs[0].offer_denied_by.at(0).reason, replication::DenyReason::kNotWanted);
  EXPECT_FALSE(done.logs[0].is_pushed);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kDenied);
}

TEST_F(SyncTest, ALogThatNobodyServesIsDenied) {
  start(request_of({&author}));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kDenied);
  EXPECT_EQ(done.logs[0].denied, replication::DenyReason::kNotServed);
  EXPECT_FALSE(*reader.store().read()->find_log(log.log())) << "it leaves no trace";
}

TEST_F(SyncTest, WithNobodyThereItEndsAndSaysWhy) {
  author.listens = false;
  start(request_of({&author}));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kNoPeer);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kUnfinished);
  ASSERT_TRUE(done.peers[0].error);
  EXPECT_EQ(done.peers[0].error->code, Errc::kNetwork);
  EXPECT_FALSE(done.peers[0].peer);
}

TEST_F(SyncTest, AnotherPeerThanWasMeantIsGivenUpAlsoLive) {
  author.hold(log);
  for (const bool live : {false, true}) {
    auto request = request_of({&author});
    request.peers[0].expected = reader.options.identity.public_key();
    request.live = live;
    start(std::move(request));
    const SyncReport done = report();
    EXPECT_EQ(done.outcome, SyncOutcome::kNoPeer);
    EXPECT_EQ(done.peers[0].error->code, Errc::kPeerUnexpected);
  }
}

TEST_F(SyncTest, EndsAtItsDeadlineWithWhatHasComeUntilThen) {
  author.hold(log);
  auto request = live(request_of({&author}));
  request.whole_max = seconds(3);
  start(std::move(request));
  EXPECT_EQ(report().outcome, SyncOutcome::kDeadline);
  EXPECT_EQ(report().took, seconds(3));
  EXPECT_TRUE(is_here());
}

TEST_F(SyncTest, EndsAtItsDeadlineWhateverThePeerDoes) {
  author.hold(log);
  auto request = request_of({&author});
  request.whole_max = seconds(3);
  start(std::move(request));
  network.mute(author);
  EXPECT_EQ(report().outcome, SyncOutcome::kDeadline);
  EXPECT_EQ(report().took, seconds(3));
  EXPECT_FALSE(is_here());
}

TEST_F(SyncTest, APeerThatFallsSilentIsWaitedForAsLongAsWasSaid) {
  author.hold(log);
  auto request = request_of({&author});
  request.idle_max = seconds(5);
  start(std::move(request));
  ASSERT_TRUE(run([&] { return !told<SyncConnected>().empty(); }));
  network.mute(author);
  const Instant began = network.now();
  EXPECT_EQ(report().outcome, SyncOutcome::kIdle);
  EXPECT_LT(network.now() - began, seconds(7));
  EXPECT_TRUE(run([&] { return reader.node().sessions().empty(); })) << "it hangs up";
}

TEST_F(SyncTest, WhatWasDeletedComesAgainIfSoAsked) {
  author.hold(log);
  reader.hold(log);
  delete_payloads(reader, {{5, 9}});
  ASSERT_TRUE(run([&] { return !is_here(); }));
  start(request_of({&author}));
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kComplete);
  EXPECT_FALSE(is_here());
  auto request = request_of({&author});
  request.undelete = true;
  start(std::move(request));
  EXPECT_EQ(report().outcome, SyncOutcome::kDone);
  EXPECT_TRUE(is_here());
}

TEST_F(SyncTest, WhatWasDeletedComesAgainAloneOfALogWithoutPayloads) {
  author.hold(log, {{1, log.head()}});
  reader.hold(log, {{1, log.head() - 1}});
  delete_payloads(reader, {{5, 9}, {20, 30}});
  ASSERT_TRUE(run([&] { return !is_here(); }));
  auto bare = request_of({&author});
  bare.logs[0].payloads = false;
  start(bare);
  ASSERT_EQ(report().logs[0].outcome, LogOutcome::kComplete);
  ASSERT_FALSE(reader.state(log.log()).interest.payloads);
  for (const bool is_quote : {true, false}) {
    auto request = request_of({&author});
    request.logs[0].interest.ranges = {{1, 25}};
    request.logs[0].payloads = false;
    request.undelete = true;
    request.quote_only = is_quote;
    start(std::move(request));
    const SyncReport came = report();
    EXPECT_EQ(came.logs[0].outcome, LogOutcome::kComplete);
    EXPECT_EQ(came.logs[0].payload_bytes == 0, is_quote);
    EXPECT_TRUE(!is_quote || came.logs[0].quote->payload_bytes > 0U);
  }
  const store::LogState state = reader.state(log.log());
  EXPECT_EQ(state.deleted, (RangeSet{{26, 30}}));
  EXPECT_EQ(state.payloads, (RangeSet{{1, 25}, {31, log.head() - 1}})) << "not that of the last";
  EXPECT_FALSE(state.interest.payloads) << "what was said of it stays";
}

TEST_F(SyncTest, WhatDoesNotComeAgainStaysDeleted) {
  author.hold(log);
  reader.hold(log);
  delete_payloads(reader, {{5, 9}});
  ASSERT_TRUE(run([&] { return !is_here(); }));
  author.listens = false;
  auto request = request_of({&author});
  request.undelete = true;
  start(std::move(request));
  EXPECT_NE(report().outcome, SyncOutcome::kDone);
  author.listens = true;
  start(request_of({&author}));
  EXPECT_EQ(report().outcome, SyncOutcome::kDone);
  EXPECT_FALSE(is_here());
}

TEST_F(SyncTest, AQuoteCountsWhatWouldComeAgain) {
  author.hold(log);
  reader.hold(log);
  delete_payloads(reader, {{5, 9}});
  ASSERT_TRUE(run([&] { return !is_here(); }));
  auto request = request_of({&author});
  request.quote_only = request.undelete = true;
  start(std::move(request));
  const SyncReport quoted = report();
  ASSERT_TRUE(quoted.logs[0].quote);
  EXPECT_GT(quoted.logs[0].quote->payload_bytes, 0U);
  EXPECT_FALSE(is_here());
}

TEST_F(SyncTest, WhatAPeerThatWentAwayHadAloneIsIncomplete) {
  SimulatedNode& other = network.add("other");
  const LogBuilder& longer = log.append_many(3000);
  author.hold(longer);
  other.hold(longer, {{1, 100}});
  network.link.bytes_per_second = 100'000;
  start(request_of({&author, &other}));
  ASSERT_TRUE(run([&] { return !told<SyncReceived>().empty(); }));
  author.listens = false;
  network.cut(author);
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kIncomplete);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kIncomplete);
  EXPECT_TRUE(done.logs[0].missing.contains(3300));
  EXPECT_TRUE(done.peers[0].error);
  EXPECT_FALSE(done.peers[1].error);
}

TEST_F(SyncTest, APeerThatIsLostBeforeItConfirmedAPushIsNotPassedOver) {
  SimulatedNode& other = network.add("other");
  author.accepts = store::LogInterest{everything(), true};
  other.listens = false;
  reader.hold(log);
  auto request = request_of({&author, &other});
  request.push = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kIncomplete);
  EXPECT_FALSE(done.logs[0].is_pushed);
  EXPECT_TRUE(author.holds(log.log(), {{1, 300}}));
}

TEST_F(SyncTest, WithEveryPeerLostItIsNeverDone) {
  author.accepts = store::LogInterest{everything(), true};
  author.hold(log, {{1, 100}});
  reader.hold(log);
  author.listens = false;
  auto quote = request_of({&author});
  quote.quote_only = true;
  start(std::move(quote));
  EXPECT_EQ(report().outcome, SyncOutcome::kNoPeer);
  author.listens = true;
  network.link.bytes_per_second = 1000;
  auto push = request_of({&author});
  push.push = true;
  start(std::move(push));
  ASSERT_TRUE(run([&] { return reader.node().stats().sessions.entries_sent > 100; }));
  author.listens = false;
  network.cut(author);
  EXPECT_EQ(report().outcome, SyncOutcome::kNoPeer);
}

TEST_F(SyncTest, WhatWasReceivedBeforeItIsStoppedIsInItsReport) {
  author.hold(log.append_many(5000));
  network.link.bytes_per_second = 1'000'000;
  network.commit_time = seconds(1);
  const SyncId id = start(request_of({&author}));
  const auto received = [&] { return reader.node().stats().sessions.entries_received; };
  ASSERT_TRUE(run([&] { return received() > 1000; }));
  reader.node().end_sync(id, network.now());
  reader.settle();
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kStopped);
  EXPECT_EQ(done.logs[0].entries, reader.state(log.log()).held.count());
  EXPECT_EQ(done.stats.entries_received, received());
  network.run(seconds(30));
  EXPECT_EQ(done.logs[0].entries, reader.state(log.log()).held.count());
}

TEST_F(SyncTest, OfALogThatIsNewHereNothingIsPushed) {
  author.hold(log);
  auto request = request_of({&author});
  request.push = true;
  request.logs[0].log = LogBuilder("nobody").log();
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  EXPECT_FALSE(done.logs[0].is_pushed);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kDenied);
}

TEST_F(SyncTest, AQuoteOfOnePeerIsEnough) {
  SimulatedNode& other = network.add("other");
  other.hold(log);
  auto request = request_of({&author, &other});
  request.quote_only = true;
  start(std::move(request));
  const SyncReport done = report();
  EXPECT_EQ(done.outcome, SyncOutcome::kDone);
  EXPECT_EQ(done.logs[0].outcome, LogOutcome::kComplete);
  EXPECT_EQ(done.logs[0].denied, replication::DenyReason::kNotServed);
}

TEST_F(SyncTest, LogsHaveTheirTurnsInOrder) {
  const auto logs = logs_of(60);
  for (const LogBuilder& one : logs) author.hold(one);
  network.link.bytes_per_second = 20'000;
  start(request_of(logs, {&author}));
  ASSERT_TRUE(run([&] { return reader.holds(logs[0].log(), {{1, 3}}); }));
  EXPECT_TRUE(reader.state(logs[40].log()).held.empty());
  network.run(2 * Sync::kTickEvery);
  ASSERT_FALSE(told<SyncProgress>().empty());
  const SyncProgress progress = told<SyncProgress>().back();
  EXPECT_GT(progress.stats.bytes_received, 0U);
  EXPECT_FALSE(progress.bytes_expected) << "of most nothing is known yet";
  EXPECT_EQ(report().outcome, SyncOutcome::kDone);
  EXPECT_TRUE(told<SyncProgress>().back().bytes_expected) << "near the end of each it is";
}

TEST_F(SyncTest, ABudgetEndsALogAndTheNextSyncGoesOn) {
  author.hold(log.append_many(3000));
  auto request = request_of({&author});
  request.logs[0].budget_bytes = 50'000;
  start(request);
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kBudget);
  EXPECT_FALSE(is_here());
  start(request_of({&author}));
  EXPECT_EQ(report().logs[0].outcome, LogOutcome::kComplete);
  EXPECT_TRUE(is_here());
}

TEST_F(SyncTest, NothingGoesOnForEverWithABudget) {
  auto request = request_of({&author});
  request.logs[0].budget_bytes = 50'000;
  EXPECT_TRUE(is_sound(request));
  request.live = true;
  EXPECT_FALSE(is_sound(request));
}

TEST_F(SyncTest, AForkIsToldWithWhereItIs) {
  LogBuilder other = log.fork(200);
  other.append_many(50);
  author.hold(log);
  SimulatedNode& relay = network.add("relay");
  relay.hold(other);
  start(request_of({&author}));
  EXPECT_EQ(report().logs[0].cap, 0U);
  start(request_of({&relay}));
  EXPECT_EQ(report().logs[0].cap, 200U);
  ASSERT_EQ(told<SyncForked>().size(), 1U);
  EXPECT_EQ(told<SyncForked>()[0].at, 200U);
  const RangeSet dropped = told<SyncForked>()[0].dropped;
  EXPECT_EQ(dropped.min(), 200U);
  EXPECT_EQ(dropped, report().logs[0].dropped);
  EXPECT_EQ(told<SyncForked>()[0].payloads_dropped, dropped);
  start(request_of({&relay}));
  EXPECT_EQ(report().logs[0].cap, 200U);
  EXPECT_TRUE(report().logs[0].dropped.empty()) << "was told before";
}

TEST_F(SyncTest, APushOfALogThatIsForkedFromItsFirstEntryOnIsOver) {
  const LogBuilder other = log.fork(1);
  reader.hold(log);
  SimulatedNode& relay = network.add("relay");
  relay.accepts = store::LogInterest{everything(), true};
  relay.hold(other);
  auto request = request_of({&relay});
  request.push = true;
  start(request);
  EXPECT_EQ(report().outcome, SyncOutcome::kDone);
  EXPECT_EQ(report().logs[0].cap, 1U);
  EXPECT_FALSE(report().logs[0].is_pushed);
}

TEST_F(SyncTest, OneThatIsEndedBeforeItBeganCallsNobody) {
  author.hold(log);
  auto request = request_of({&author});
  request.undelete = request.live = true;
  const SyncId id = start(std::move(request));
  reader.node().end_sync(id, network.now());
  reader.settle();
  EXPECT_EQ(report().outcome, SyncOutcome::kStopped);
  network.run(minutes(5));
  EXPECT_EQ(author.node().stats().accepted, 0U);
}

TEST_F(SyncTest, WhenANodeStopsThatReachedNobodyItEndsBefore) {
  author.listens = false;
  start(live(request_of({&author})));
  network.run(minutes(1));
  reader.node().stop(network.now());
  reader.settle();
  ASSERT_TRUE(run([&] { return reader.stopped; }));
  EXPECT_EQ(told<SyncEnded>().size(), 1U) << "the report comes before";
}

TEST_F(SyncTest, ManyQuotesOfAPeerThatIsSlowAreNotWaitedForForEver) {
  SimulatedNode& slow = network.add("slow");
  const auto logs = logs_of(100);
  for (const LogBuilder& one : logs) {
    author.hold(one);
    slow.hold(one);
  }
  auto request = request_of(logs, {&author, &slow});
  request.quote_only = true;
  start(std::move(request));
  ASSERT_TRUE(run([&] { return told<SyncConnected>().size() == 2; }));
  network.mute(slow);
  network.run(seconds(5));
  network.unmute();
  const SyncReport done = report();
  for (const LogReport& one : done.logs) {
    EXPECT_TRUE(one.quote && one.quote->entries == 3) << static_cast<int>(one.outcome);
  }
}

TEST_F(SyncTest, WhenTheNodeStopsItEndsBefore) {
  author.hold(log);
  start(live(request_of({&author})));
  ASSERT_TRUE(run([&] { return told<SyncCaughtUp>().size() == 1; }));
  reader.node().stop(network.now());
  reader.settle();
  EXPECT_EQ(report().outcome, SyncOutcome::kStopped);
  EXPECT_FALSE(reader.stopped);
  EXPECT_TRUE(run([&] { return reader.stopped; }));
  start(request_of({&author}));
  EXPECT_EQ(report(seconds(0)).outcome, SyncOutcome::kStopped);
}

}  // namespace
}  // namespace culm::node
