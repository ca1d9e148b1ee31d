#include "tests/node/damage_fixture.hpp"

// What a node does about damaged rows in its store. Spec: damage.md#damage
namespace culm::node {
namespace {

using replication::CaughtUp;
using replication::Damaged;
using replication::Denied;
using replication::DoneReason;
using replication::Ended;
using replication::WantEnded;
using std::chrono::minutes;
using store::Table;
using test::LogBuilder;
using test::SimulatedNode;

TEST_F(NodeDamage, ServesWhatIsSoundAndCountsTheRottenRowAsNotHeld) {
  hold(relay);
  rot_entry(relay, 7);
  reader.dial(relay, {.wants = {want()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).held, all_but(7));
  EXPECT_EQ(reader.count<Denied>(), 0U);
  EXPECT_EQ(reader.count<Ended>(), 0U);
  EXPECT_EQ(relay.state(log.log()).held, all_but(7));
  ASSERT_EQ(relay.count<Damaged>(), 1U) << "the application is told once";
  EXPECT_EQ(relay.all<Damaged>()[0].seqnum, 7U);
}

TEST_F(NodeDamage, ServesAnEntryWhosePayloadIsDamagedAndWhatHangsOnIt) {
  hold(relay);
  rot(relay, Table::kEntries, 4 - 1, 1 + 8);  // the payload, in front of the checksum
  reader.dial(relay, {.wants = {want()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, log.head()}}));
  EXPECT_EQ(reader.state(log.log()).payloads, all_but(4));
  EXPECT_EQ(reader.all<replication::PeerHas>().back().payloads, all_but(4));
}

TEST_F(NodeDamage, SaysBeforeTheEndOfAWantWhatCannotBeSent) {
  hold(relay);
  rot_entry(relay, 5);  // entry 6 leads to it alone, and entry 7 to that
  reader.dial(relay, {.wants = {want()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  const RangeSet sent = all_but(5) - RangeSet{{6, 7}};
  EXPECT_EQ(reader.state(log.log()).held, sent);
  EXPECT_EQ(reader.all<replication::PeerHas>().front().held, (RangeSet{{1, log.head()}}));
  EXPECT_EQ(reader.all<replication::PeerHas>().back().held, sent);
  reader.dial(relay, {.wants = {want()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 2; }));
  EXPECT_EQ(reader.all<replication::PeerHas>().back().held, sent);
}

TEST_F(NodeDamage, AWantEndsAsDamagedToWhoLacksWhatWasLostUntilItIsBack) {
  hold(author);
  for (const SeqNum lost : {SeqNum{7}, log.head()}) {
    SCOPED_TRACE(lost);
    hold(relay);
    rot_entry(relay, lost);
    const auto last_of = [&](SimulatedNode& node) {
      const std::size_t before = node.count<WantEnded>();
      node.dial(relay, {.wants = {want()}});
      EXPECT_TRUE(run([&] { return node.count<WantEnded>() > before; }));
      return node.all<WantEnded>().back().reason;
    };
    SimulatedNode& fresh = network.add("reader of " + std::to_string(lost));
    EXPECT_EQ(last_of(fresh), DoneReason::kDamaged);
    EXPECT_EQ(last_of(fresh), DoneReason::kDamaged) << "though it is held no longer";
    EXPECT_EQ(last_of(author), DoneReason::kComplete) << "who holds all";
    hold(relay);
    EXPECT_EQ(last_of(fresh), DoneReason::kComplete);
    EXPECT_TRUE(fresh.holds(log.log(), {{1, log.head()}}));
  }
}

TEST_F(NodeDamage, FetchesADroppedEntryAgainFromThePeerThatItIsWantedFrom) {
  hold(author);
  hold(relay);
  rot_entry(relay, 7);
  relay.dial(author, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return relay.count<CaughtUp>() == 1; }));
  reader.dial(relay, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{1, log.head()}}); }));
  EXPECT_TRUE(relay.holds(log.log(), {{1, log.head()}}));
  EXPECT_EQ(relay.count<Damaged>(), 1U);
}

TEST_F(NodeDamage, ServesNothingThatHangsOnALostEntryAloneUntilItIsBack) {
  hold(relay);
  rot_entry(relay, 4);  // of the spine: all above leads through it
  reader.dial(relay, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 3}}));
  EXPECT_EQ(reader.count<Denied>() + reader.count<Ended>(), 0U);
  relay.hold(log, {{4, 4}});
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{1, log.head()}}); }));
}

TEST_F(NodeDamage, ADamagedHeadIsNotSaidToBeHeld) {
  hold(relay);
  rot_entry(relay, log.head());
  reader.dial(relay, {.wants = {want()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).held, all_but(log.head()));
  EXPECT_EQ(reader.all<replication::PeerHas>().at(0).head, log.head() - 1);
}

TEST_F(NodeDamage, ServesTheNewestFirstAlsoWhereTheirProofHasAGap) {
  hold(relay);
  rot_entry(relay, 7);
  auto newest = want();
  newest.order = replication::Order::kNewestFirst;
  reader.dial(relay, {.wants = {newest}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.state(log.log()).held, all_but(7));
}

TEST_F(NodeDamage, TakesAUnitWhoseLinksLeadToADamagedEntryAndThenThatOne) {
  hold(relay);
  rot_entry(relay, log.head());
  log.append_many(1);
  hold(author);
  relay.dial(author, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return relay.holds(log.log(), {{1, log.head()}}); }));
  EXPECT_EQ(relay.count<Ended>(), 0U);
}

TEST_F(NodeDamage, FetchesAgainWhatATaskOfTheHostHasDropped) {
  hold(author);
  hold(reader);
  rot_entry(reader, 7);
  reader.dial(author, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() == 1; }));
  reader.node().run([this](store::Store& store) {
    return store.update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), {{7, 7}}, SIZE_MAX));
      return {};
    });
  });
  reader.settle();
  ASSERT_TRUE(run([&] { return !reader.state(log.log()).held.contains(7); }));
  EXPECT_TRUE(run([&] { return reader.state(log.log()).held.contains(7); }));
}

TEST_F(NodeDamage, WhatCouldNotBeDroppedIsNotHeldHoweverLongThatLasts) {
  hold(relay);
  rot_entry_for_good(relay, 7);
  const auto fetch = [&] {
    const std::size_t before = reader.count<WantEnded>();
    reader.dial(relay, {.wants = {want()}});
    return run([&] { return reader.count<WantEnded>() > before; });
  };
  ASSERT_TRUE(fetch());
  ASSERT_TRUE(fetch());
  network.run(minutes(3));
  ASSERT_TRUE(fetch());
  EXPECT_EQ(reader.state(log.log()).held, all_but(7));
  EXPECT_EQ(reader.all<replication::PeerHas>().back().held, all_but(7));
  EXPECT_EQ(relay.count<Damaged>(), 1U) << "the application is told once";
}

TEST_F(NodeDamage, AllThatASearchHasFoundIsDroppedOrNotHeldHoweverMuchItIs) {
  constexpr SeqNum kFirst = 3001;
  constexpr SeqNum kLast = 3300;
  log.append_many(4200);
  hold(author);
  hold(relay);
  store::MemoryKv kv({}, relay.crash());
  const auto rows = test::rows_of(kv, Table::kEntries);
  for (SeqNum n = kFirst; n <= kLast; ++n) {
    auto [key, value] = rows.at(static_cast<std::size_t>(n - 1));
    value[value.size() / 2] ^= 1U;
    test::put_row(kv, Table::kEntries, key, value);
  }
  const store::MemoryImage damaged = kv.image();
  const RangeSet lost{{kFirst, kLast}};
  const SeqRange all{1, kSeqnumMax};
  for (const std::uint64_t failing : {0U, 1U}) {
    SCOPED_TRACE(failing);
    SimulatedNode& node = network.add(failing == 0 ? "drops" : "fails");
    ASSERT_TRUE(node.start(damaged, {.fail_operation = failing}));
    node.accepts = store::LogInterest{everything(), true};
    node.node().damage_found(log.log(), all, {lost, {}, {}, number_in(node)}, network.now());
    node.settle();
    EXPECT_EQ(node.count<Damaged>(), lost.count());
    network.run(minutes(3));
    const bool is_dropped = failing == 0;
    EXPECT_EQ((node.state(log.log()).held & lost).empty(), is_dropped);
    EXPECT_EQ(sync(author, {&node}, true).logs[0].is_pushed, is_dropped);
    EXPECT_EQ(node.count<Damaged>(), lost.count());
  }
}

TEST_F(NodeDamage, WhatASearchFoundAndASessionHasDroppedMeanwhileIsSaidOnce) {
  hold(author);
  hold(relay);
  rot_entry(relay, 7);
  sync(reader, {&relay});
  ASSERT_TRUE(run([&] { return !relay.state(log.log()).held.contains(7); }));
  relay.node().damage_found(log.log(), {1, 64}, {{{7, 7}}, {}, {}, number_in(relay)},
                            network.now());
  relay.settle();
  EXPECT_EQ(relay.count<Damaged>(), 1U);
}

TEST_F(NodeDamage, WhatASearchCouldReadIsUnreadableNoLonger) {
  hold(author);
  hold(relay);
  relay.accepts = store::LogInterest{everything(), true};
  const SeqRange all{1, kSeqnumMax};
  for (const bool is_readable : {false, true}) {
    const RangeSet lost = is_readable ? RangeSet() : RangeSet{{400, 420}};
    relay.node().damage_found(log.log(), all, {{}, lost, {}, number_in(relay)}, network.now());
    relay.settle();
    EXPECT_EQ(sync(author, {&relay}, true).logs[0].is_pushed, is_readable);
  }
  sync(reader, {&relay});
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

TEST_F(NodeDamage, WhatASearchFoundOfALogThatWasForgottenIsNotSaidOfTheNextOne) {
  hold(author);
  hold(relay);
  relay.accepts = store::LogInterest{everything(), true};
  const std::uint64_t number = number_in(relay);
  relay.node().run([this](store::Store& store) {
    return store.update(
        [this](store::WriteTransaction& transaction) { return transaction.forget(log.log()); });
  });
  relay.settle();
  ASSERT_TRUE(run([&] { return relay.state(log.log()).held.empty(); }));
  relay.node().log_forgotten(log.log(), network.now());
  hold(relay);
  ASSERT_NE(number_in(relay), number);
  const RangeSet lost{{400, 420}};
  relay.node().damage_found(log.log(), {1, kSeqnumMax}, {lost, lost, {}, number}, network.now());
  relay.settle();
  EXPECT_EQ(relay.count<Damaged>(), 0U);
  EXPECT_TRUE(sync(author, {&relay}, true).logs[0].is_pushed);
}

TEST_F(NodeDamage, APushOfWhatCannotBeDroppedEndsAtOnceWithTheRestAndSaysWhy) {
  hold(author);
  rot_entry_for_good(author, 400);
  relay.accepts = store::LogInterest{everything(), true};
  for (const bool is_known : {false, true}) {
    SCOPED_TRACE(is_known);
    const Instant begun = network.now();
    const LogReport pushed = sync(author, {&relay}, true).logs[0];
    EXPECT_LT(network.now() - begun, std::chrono::seconds(10));
    EXPECT_EQ(pushed.outcome, LogOutcome::kFailed);
    ASSERT_TRUE(pushed.error);
    EXPECT_EQ(fault(pushed.error->code), Fault::kOwnStore);
    EXPECT_TRUE(relay.state(log.log()).held.contains(log.head()));
  }
}

TEST_F(NodeDamage, APushIsWholeWhereWhatCouldNotBeDroppedIsInTheEnd) {
  hold(author);
  const auto transaction = *author.store().read();
  SyncLog pushed(want(), 1);
  ASSERT_TRUE(pushed.begin(transaction, false));
  const RangeSet all{{1, log.head()}};
  pushed.not_dropped({{7, 8}}, Error{Errc::kStoreIo});
  pushed.peer_has(0, {log.log(), log.head(), all, all, {}});
  const std::vector<PeerReport> peers(1);
  EXPECT_EQ(pushed.conclude(transaction, peers)->outcome, LogOutcome::kFailed);
  pushed.were_dropped({{7, 8}});  // and came again
  const LogReport report = *pushed.conclude(transaction, peers);
  EXPECT_NE(report.outcome, LogOutcome::kFailed);
  EXPECT_TRUE(report.is_pushed);
}

TEST_F(NodeDamage, APushWhoseFirstEntryCannotBeDroppedEndsAtOnceAsWell) {
  hold(author);
  rot_entry_for_good(author, 1);
  relay.accepts = store::LogInterest{everything(), true};
  const Instant begun = network.now();
  const LogReport pushed = sync(author, {&relay}, true).logs[0];
  EXPECT_LT(network.now() - begun, std::chrono::seconds(10));
  EXPECT_EQ(pushed.outcome, LogOutcome::kFailed);
}

TEST_F(NodeDamage, APayloadThatWasDamagedMidwayComesWithTheNextDial) {
  constexpr std::size_t kParts = 40;
  log.append(std::string(kParts * limits::kPayloadChunkBytes, 'x'));
  hold(relay);
  rot(relay, Table::kPayloads, kParts - 5);
  reader.dial(relay, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() == 1; }));
  EXPECT_EQ(relay.count<Damaged>(), 1U);
  hold(relay);
  log.append("behind it");
  hold(relay);
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{log.head(), log.head()}}); }));
  EXPECT_EQ(reader.count<Ended>(), 0U) << "nobody is blamed for it";
  reader.dial(relay, {.wants = {want()}});
  EXPECT_TRUE(run([&] { return reader.holds(log.log(), {{1, log.head()}}); }));
}

TEST_F(NodeDamage, WhoGotMuchOfAPayloadThatIsDamagedBehindHearsOfIt) {
  constexpr std::size_t kParts = 40;
  log.append(std::string(kParts * limits::kPayloadChunkBytes, 'x'));
  hold(relay);
  rot(relay, Table::kPayloads, kParts - 5);
  const SyncReport got = sync(reader, {&relay});
  EXPECT_EQ(got.logs[0].error, Error{Errc::kPeerStore});
  EXPECT_EQ(got.logs[0].payloads_missing, (RangeSet{{log.head(), log.head()}}));
}

TEST_F(NodeDamage, APushOfAPayloadThatIsDamagedMidwayEndsOnceItIsDropped) {
  constexpr std::size_t kParts = 40;
  log.append(std::string(kParts * limits::kPayloadChunkBytes, 'x'));
  hold(author);
  rot(author, Table::kPayloads, kParts / 2);
  relay.accepts = store::LogInterest{everything(), true};
  const Instant begun = network.now();
  const SyncReport report = sync(author, {&relay}, true);
  EXPECT_EQ(report.outcome, SyncOutcome::kDone);
  EXPECT_LT(network.now() - begun, std::chrono::seconds(5));
  EXPECT_EQ(report.logs[0].payloads_missing, (RangeSet{{log.head(), log.head()}}));
  EXPECT_TRUE(report.logs[0].is_pushed) << "the rest";
}

TEST_F(NodeDamage, ALogWhoseStateIsDamagedFailsAlone) {
  const LogBuilder other = LogBuilder("bob").append_many(10);
  hold(relay);
  relay.hold(other);
  ASSERT_TRUE(run([&] { return relay.holds(other.log(), {{1, 10}}); }));
  const bool is_first = log.log() < other.log();
  rot(relay, Table::kLogs, is_first ? 0 : 1);
  auto other_want = want();
  other_want.log = other.log();
  reader.dial(relay, {.wants = {want(), other_want}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 2; }));
  const auto ended = reader.all<WantEnded>();
  const auto is_damaged = [](const auto& one) { return one.reason == DoneReason::kDamaged; };
  EXPECT_EQ(std::ranges::count_if(ended, is_damaged), 1);
  EXPECT_TRUE(reader.holds(other.log(), {{1, 10}}));
  EXPECT_EQ(reader.count<Ended>(), 0U);
}

TEST_F(NodeDamage, ADialGoesOnWithoutALogWhoseStateIsDamagedHere) {
  const LogBuilder other = LogBuilder("bob").append_many(10);
  hold(author);
  author.hold(other);
  hold(reader);
  rot(reader, Table::kLogs, 0);
  auto other_want = want();
  other_want.log = other.log();
  reader.dial(author, {.wants = {want(), other_want}, .offers = {log.log()}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(other.log(), {{1, 10}}));
  EXPECT_EQ(reader.count<Ended>(), 0U);
  const auto denied = reader.all<Denied>();
  ASSERT_EQ(denied.size(), 2U) << "the offer and the want";
  EXPECT_EQ(denied[0].error, Error{Errc::kStoreDamaged});
}

TEST_F(NodeDamage, ASyncFailsTheLogWhoseStateIsDamagedHereAndNoOther) {
  const LogBuilder other = LogBuilder("bob").append_many(10);
  hold(author);
  author.hold(other);
  hold(reader);
  rot(reader, Table::kLogs, 0);
  for (const bool push : {false, true}) {
    SCOPED_TRACE(push);
    SyncRequest request;
    for (const LogKey& key : {log.log(), other.log()}) request.logs.emplace_back().log = key;
    request.peers.push_back({author.endpoint()});
    request.push = push;
    reader.synced.clear();
    reader.node().sync(std::move(request), network.now());
    reader.settle();
    ASSERT_TRUE(run([&] {
      return !reader.synced.empty() && std::holds_alternative<SyncEnded>(reader.synced.back());
    }));
    const SyncReport report = std::get<SyncEnded>(reader.synced.back()).report;
    EXPECT_EQ(report.error, std::nullopt);
    ASSERT_EQ(report.logs.size(), 2U);
    EXPECT_EQ(report.logs[0].outcome, LogOutcome::kFailed);
    EXPECT_EQ(report.logs[0].error, Error{Errc::kStoreDamaged});
    EXPECT_EQ(report.logs[1].outcome, LogOutcome::kComplete);
    const auto why = why_not_done(report);
    ASSERT_TRUE(why && why->log != nullptr);
    EXPECT_EQ(why->error.code, Errc::kStoreDamaged);
  }
  EXPECT_TRUE(reader.holds(other.log(), {{1, 10}}));
}

TEST_F(NodeDamage, ASyncIsPartialWhereThePeerHasLostSomeOfIt) {
  hold(author);
  for (const SeqNum lost : {SeqNum{1}, log.head()}) {
    SCOPED_TRACE(lost);
    hold(relay);
    rot_entry(relay, lost);
    SimulatedNode& fresh = network.add("reader of " + std::to_string(lost));
    for (const bool is_known : {false, true}) {
      SCOPED_TRACE(is_known);
      const SyncReport report = sync(fresh, {&relay});
      EXPECT_EQ(report.outcome, SyncOutcome::kDone);
      EXPECT_EQ(report.logs[0].outcome, LogOutcome::kPartial);
      EXPECT_EQ(report.logs[0].error, Error{Errc::kPeerStore});
      EXPECT_EQ(report.logs[0].whole_quote, std::nullopt);
      const bool is_taken_back = lost == 1 && !is_known;  // it was said to be there
      EXPECT_EQ(report.logs[0].missing, is_taken_back ? RangeSet({{1, log.head()}}) : RangeSet());
      const auto why = why_not_done(report);
      ASSERT_TRUE(why);
      EXPECT_EQ(why->error.code, Errc::kPeerStore);
    }
    EXPECT_EQ(sync(author, {&relay}).logs[0].outcome, LogOutcome::kComplete) << "it has all";
  }
}

TEST_F(NodeDamage, ASyncOfPeersThatLostDifferentThingsGoesOnAsLongAsThatBringsMore) {
  // Entry 7 leads to 6 alone, and that to 5: one brings what the other needs to send the next.
  hold(relay);
  hold(author);
  for (const SeqNum lost : {5U, 7U}) rot_entry(relay, lost);
  rot_entry(author, 6);
  for (const std::string name : {"first", "second"}) {  // the second meets what is known
    SCOPED_TRACE(name);
    SimulatedNode& fresh = network.add(name);
    const LogReport told = sync(fresh, {&relay, &author}).logs[0];
    EXPECT_TRUE(fresh.holds(log.log(), {{1, log.head()}}));
    EXPECT_EQ(told.outcome, LogOutcome::kComplete);
    EXPECT_EQ(told.error, std::nullopt);
  }
}

TEST_F(NodeDamage, ASyncOfPeersThatLostDifferentThingsIsPartialOnlyWhereSomeIsMissing) {
  struct Case {
    SeqNum lost_by_one;
    SeqNum lost_by_other;
    bool is_whole;
  };
  const SeqNum head = log.head();
  for (const auto& [one, two, is_whole] :
       {Case{5, 9, true}, Case{1, head, true}, Case{7, 7, false}, Case{head, head, false}}) {
    SCOPED_TRACE(std::to_string(one) + " and " + std::to_string(two));
    hold(relay);
    hold(author);
    rot_entry(relay, one);
    rot_entry(author, two);
    for (const std::string name : {"first", "second"}) {  // the second meets what is known
      SCOPED_TRACE(name);
      SimulatedNode& fresh =
          network.add(name + " of " + std::to_string(one) + " and " + std::to_string(two));
      if (name == "second") {
        sync(network.add("scout of one " + fresh.name()), {&relay});
        sync(network.add("scout of other " + fresh.name()), {&author});
      }
      const LogReport told = sync(fresh, {&relay, &author}).logs[0];
      EXPECT_EQ(fresh.holds(log.log(), {{1, head}}), is_whole);
      EXPECT_EQ(told.outcome, is_whole ? LogOutcome::kComplete : LogOutcome::kPartial);
      EXPECT_EQ(told.error, is_whole ? std::nullopt : std::optional(Error{Errc::kPeerStore}));
      EXPECT_TRUE(!is_whole || told.missing.empty());
    }
  }
}

TEST_F(NodeDamage, NothingIsConfirmedOfALogWhileItsDamageCannotBeDropped) {
  hold(author);
  hold(relay);
  rot_entry_for_good(relay, 7);
  relay.accepts = store::LogInterest{everything(), true};
  EXPECT_FALSE(sync(author, {&relay}, true).logs[0].is_pushed);
  const LogReport refused = sync(author, {&relay}, true).logs[0];
  EXPECT_FALSE(refused.is_pushed);
  EXPECT_TRUE(is_denied_for_damage(refused));
  EXPECT_EQ(refused.error, Error{Errc::kPeerStore});
  EXPECT_EQ(relay.count<Damaged>(), 1U);
  ASSERT_TRUE(relay.state(log.log()).held.contains(7));
}

TEST_F(NodeDamage, APushLooksForDamageBeforeItIsConfirmedAndMendsIt) {
  hold(author);
  hold(relay);
  rot_entry(relay, 7);
  relay.accepts = store::LogInterest{everything(), true};
  EXPECT_TRUE(sync(author, {&relay}, true).logs[0].is_pushed);
  EXPECT_EQ(relay.count<Damaged>(), 1U);
  EXPECT_TRUE(relay.holds(log.log(), {{1, log.head()}}));
  sync(reader, {&relay});
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

TEST_F(NodeDamage, NothingIsConfirmedOfALogWithADamagedPageAndTheRestIsServed) {
  hold(author);
  for (const bool is_read_before : {false, true}) {
    SCOPED_TRACE(is_read_before);
    SimulatedNode& damaged = network.add(is_read_before ? "first" : "second");
    hold(damaged);
    rot_page(damaged, 400, 420);
    damaged.accepts = store::LogInterest{everything(), true};
    const RangeSet lost{{400, 420}};
    SimulatedNode& fresh = network.add(is_read_before ? "third" : "fourth");
    const auto read = [&] {
      const LogReport report = sync(fresh, {&damaged}).logs[0];
      EXPECT_EQ(report.outcome, LogOutcome::kPartial);
      EXPECT_EQ(report.error, Error{Errc::kPeerStore});
      EXPECT_TRUE((fresh.state(log.log()).held & lost).empty());
      EXPECT_TRUE(fresh.state(log.log()).held.contains(RangeSet{{1, 399}}));
    };
    if (is_read_before) read();
    for (int n = 0; n < 2; ++n) {
      const LogReport pushed = sync(author, {&damaged}, true).logs[0];
      EXPECT_FALSE(pushed.is_pushed);
      EXPECT_TRUE(is_denied_for_damage(pushed));
      EXPECT_EQ(pushed.error, Error{Errc::kPeerStore});
      ASSERT_EQ(pushed.unconfirmed.size(), 1U);
      EXPECT_TRUE(pushed.unconfirmed[0].entries.contains(lost));
    }
    if (!is_read_before) read();
    EXPECT_EQ(damaged.count<Damaged>(), 1U);
  }
}

TEST_F(NodeDamage, WhereAPageIsFoundDamagedWhileAWantIsServedTheRestStillComes) {
  log.append_many(4000);  // more than are looked at before
  hold(relay);
  rot_page(relay, 3001, 3002);
  const LogReport report = sync(reader, {&relay}).logs[0];
  EXPECT_EQ(report.outcome, LogOutcome::kPartial);
  EXPECT_EQ(report.error, Error{Errc::kPeerStore});
  EXPECT_TRUE(reader.state(log.log()).held.contains(RangeSet{{1, 3000}}));
  EXPECT_TRUE(reader.state(log.log()).held.contains(log.head()));
  relay.accepts = store::LogInterest{everything(), true};
  hold(author);
  EXPECT_FALSE(sync(author, {&relay}, true).logs[0].is_pushed);
}

TEST_F(NodeDamage, AQuoteOfALogThatCannotBeReadSaysThatItIsDamaged) {
  hold(relay);
  rot_page(relay, 1, log.head());
  auto quote = want();
  quote.quote_only = true;
  reader.dial(relay, {.wants = {quote}});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_EQ(reader.all<WantEnded>()[0].reason, DoneReason::kDamaged);
  EXPECT_EQ(reader.all<replication::PeerHas>().back().held, RangeSet());
  EXPECT_EQ(reader.count<Denied>(), 0U);
}

TEST_F(NodeDamage, ALogIsLookedAtOnceHoweverOftenItIsPushed) {
  hold(author);
  hold(relay);
  relay.accepts = store::LogInterest{everything(), true};
  std::vector<std::uint64_t> rows;
  for (int n = 0; n < 3; ++n) {
    log.append_many(1);
    hold(author);
    const std::uint64_t before = test::read_counts.entries_found;
    EXPECT_TRUE(sync(author, {&relay}, true).logs[0].is_pushed);
    rows.push_back(test::read_counts.entries_found - before);
  }
  EXPECT_GE(rows[0], 800U);
  EXPECT_LT(rows[1], 100U);
  EXPECT_LT(rows[2], 100U);
}

TEST_F(NodeDamage, APushOfWhatLeadsToNothingEndsAtOnceAndSaysWhich) {
  hold(author);
  rot_entry(author, 1);
  relay.accepts = store::LogInterest{everything(), true};
  SyncRequest request;
  request.logs.emplace_back().log = log.log();
  request.peers.push_back({relay.endpoint()});
  request.push = true;
  author.node().sync(request, network.now());
  author.settle();
  ASSERT_TRUE(run([&] { return author.state(log.log()).held == all_but(1); }));
  author.synced.clear();
  author.node().sync(std::move(request), network.now());
  author.settle();
  ASSERT_TRUE(network.run_until(
      [&] {
        return !author.synced.empty() && std::holds_alternative<SyncEnded>(author.synced.back());
      },
      std::chrono::seconds(5)));
  const SyncReport report = std::get<SyncEnded>(author.synced.back()).report;
  EXPECT_EQ(report.outcome, SyncOutcome::kDone);
  EXPECT_EQ(report.logs[0].outcome, LogOutcome::kPartial);
  EXPECT_EQ(report.logs[0].cut_off, all_but(1));
}

}  // namespace
}  // namespace culm::node
