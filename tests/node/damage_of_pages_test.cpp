#include "culm/store/detail/schema.hpp"

#include "tests/node/damage_fixture.hpp"

// What damaged pages take of a log that a node serves. Spec: replication.md#units
namespace culm::node {
namespace {

using replication::Damaged;
using replication::DoneReason;
using replication::WantEnded;
using store::Table;
using test::LogBuilder;
using test::SimulatedNode;

/// Of its log a node looks at each fifth entry beforehand, from 3 on, and at the head.
class NodeDamageOfPages : public NodeDamage {
 protected:
  NodeDamageOfPages() { log.append_many(4000); }

  replication::WantRequest part(SeqNum first, SeqNum last) const {
    auto request = want();
    request.interest = {};
    request.interest.ranges = {{first, last}};
    return request;
  }
  void fetch(SimulatedNode& node, const replication::WantRequest& request) {
    const std::size_t before = node.count<WantEnded>();
    node.dial(relay, {.wants = {request}});
    ASSERT_TRUE(run([&] { return node.count<WantEnded>() > before; }));
  }
};

TEST_F(NodeDamageOfPages, APageThatAQuoteMeetsTakesNothingButWhatLiesInIt) {
  hold(relay);
  rot_page(relay, 3001, 3002);
  auto sized = part(2001, 4000);
  sized.quote_only = true;
  sized.payload_size_min = 1;
  auto budgeted = want();
  budgeted.budget_bytes = 200'000;
  SimulatedNode& stranger = network.add("stranger");
  for (const auto& request : {sized, budgeted}) {
    fetch(stranger, request);
    const replication::Quote quote = stranger.all<replication::Quoted>().back().quote;
    EXPECT_FALSE(quote.exact);
    EXPECT_GT(quote.entries, 1000U);
    EXPECT_LT(quote.entries, 3500U);
    EXPECT_LT(quote.wire_bytes, 250'000U);
    EXPECT_EQ(relay.count<Damaged>(), 0U);
  }
  reader.hold(log, {{1, 10}});
  ASSERT_TRUE(run([&] { return reader.holds(log.log(), {{1, 10}}); }));
  EXPECT_EQ(sync(reader, {&relay}).logs[0].error, Error{Errc::kPeerStore});
  EXPECT_TRUE(reader.state(log.log()).held.contains(RangeSet{{1, 3000}}));
  EXPECT_TRUE(reader.state(log.log()).held.contains(log.head()));
}

TEST_F(NodeDamageOfPages, WhatLiesBetweenRowsOfASampleIsReadWhereItIsNotMuch) {
  hold(relay);
  rot_page(relay, 122, 124);  // 121 is of the spine
  fetch(reader, want());
  const RangeSet held = reader.state(log.log()).held;
  EXPECT_TRUE(held.contains(RangeSet{{1, 121}}));
  EXPECT_TRUE(held.contains(log.head()));
}

TEST_F(NodeDamageOfPages, WhereAllOfALogWasReadNoSampleTakesMoreThanThatFound) {
  hold(relay);
  rot_page(relay, 10, 4700);  // too much to be read while somebody waits
  relay.node().damage_found(log.log(), {1, kSeqnumMax}, {{}, {{10, 4700}}, {}, number_in(relay)},
                            network.now());
  fetch(reader, want());
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 9}}));
}

TEST_F(NodeDamageOfPages, WhereNoHaveCanBeMadeForAPageWhatLiesBelowIsServed) {
  hold(relay);
  rot_entry(relay, log.head());
  rot_page(relay, log.head() - 1, log.head() - 1);
  fetch(reader, want());
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, log.head() - 2}}));
}

TEST_F(NodeDamageOfPages, OfRowsThatAStepReadsFarApartThoseBetweenAreNotTakenForUnreadable) {
  hold(relay);
  constexpr SeqNum kOfSpine = 3280;  // all above leads through it
  rot_page(relay, kOfSpine, kOfSpine);
  auto newest = want();
  newest.order = replication::Order::kNewestFirst;
  fetch(reader, newest);
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, kOfSpine - 1}}));
}

TEST_F(NodeDamageOfPages, DamageThatAQuoteMeetsAsItTriesABudgetIsToldAndDropped) {
  for (const bool is_page : {false, true}) {
    SCOPED_TRACE(is_page);
    hold(relay);
    is_page ? rot_page(relay, 40, 40) : rot_entry(relay, 40);  // of the spine
    auto budgeted = want();
    budgeted.budget_bytes = 100'000;
    budgeted.quote_only = true;
    const std::size_t before = relay.count<Damaged>();
    SimulatedNode& fresh = network.add(is_page ? "first" : "second");
    fetch(fresh, budgeted);
    const replication::Quote quote = fresh.all<replication::Quoted>().back().quote;
    ASSERT_EQ(relay.count<Damaged>(), before + 1);
    EXPECT_EQ(relay.all<Damaged>().back().seqnum, is_page ? 0U : 40U);
    EXPECT_TRUE(run([&] { return is_page || !relay.state(log.log()).held.contains(40); }));
    budgeted.quote_only = false;
    fetch(fresh, budgeted);
    EXPECT_EQ(fresh.state(log.log()).held, (RangeSet{{1, 39}}));
    EXPECT_EQ(quote.entries + quote.certificate_entries, 39U);
  }
}

TEST_F(NodeDamageOfPages, ALogIsLookedAtInFullWhateverWasAskedForInTheSameTurn) {
  hold(relay);
  rot_page(relay, 76, 77);
  std::vector<replication::WantRequest> wants;
  for (const std::string name : {"bob", "carol", "dave", "erin"}) {
    const LogBuilder other = LogBuilder(name).append_many(1024);
    relay.hold(other);
    ASSERT_TRUE(run([&] { return relay.holds(other.log(), {{1, other.head()}}); }));
    auto& quote = wants.emplace_back(want());
    quote.log = other.log();
    quote.quote_only = true;
  }
  wants.push_back(want());
  reader.dial(relay, {.wants = wants});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == wants.size(); }));
  EXPECT_TRUE(reader.state(log.log()).held.contains(RangeSet{{1, 75}}));
}

TEST_F(NodeDamageOfPages, AWantEndsAsDamagedWhereNobodyCanTellWhatWasLost) {
  hold(relay);
  const auto key = [](std::uint64_t number) {
    const auto row = store::detail::lost_row_key(number);
    return Bytes(row.begin(), row.end());
  };
  const store::MemoryPage page{Table::kMeta, key(0), key(UINT64_MAX)};
  ASSERT_TRUE(relay.start(relay.crash(), {.damaged = page}));
  for (const std::string name : {"first", "second"}) {
    SCOPED_TRACE(name);
    SimulatedNode& fresh = network.add(name);
    fresh.dial(relay, {.wants = {want()}});
    ASSERT_TRUE(run([&] { return fresh.count<WantEnded>() == 1; }));
    EXPECT_EQ(fresh.all<WantEnded>()[0].reason, DoneReason::kDamaged);
    EXPECT_TRUE(fresh.holds(log.log(), {{1, log.head()}}));
  }
}

TEST_F(NodeDamageOfPages, WhatCannotBeStoredForAPageIsDeniedToWhoOffersIt) {
  hold(relay);
  store::MemoryKv kv({}, relay.crash());
  const Bytes change = test::rows_of(kv, Table::kChanges).at(0).first;
  ASSERT_TRUE(
      relay.start(kv.image(), {.damaged = store::MemoryPage{Table::kChanges, change, change}}));
  relay.accepts = store::LogInterest{everything(), true};
  log.append_many(3);
  hold(author);
  const Instant begun = network.now();
  const LogReport pushed = sync(author, {&relay}, true).logs[0];
  EXPECT_LT(network.now() - begun, std::chrono::seconds(10));
  EXPECT_TRUE(is_denied_for_damage(pushed));
  EXPECT_EQ(pushed.error, Error{Errc::kPeerStore});
  EXPECT_EQ(relay.count<Damaged>(), 1U) << "the application is told";
}

TEST_F(NodeDamageOfPages, WhatCannotBeStoredForAPageIsToldAlsoOfALogThatWasAskedFor) {
  hold(relay);
  store::MemoryKv kv({}, relay.crash());
  const Bytes change = test::rows_of(kv, Table::kChanges).at(0).first;
  ASSERT_TRUE(
      relay.start(kv.image(), {.damaged = store::MemoryPage{Table::kChanges, change, change}}));
  log.append_many(3);
  hold(author);
  relay.dial(author, {.wants = {want(true)}});
  ASSERT_TRUE(run([&] { return relay.count<replication::Denied>() == 1; }));
  EXPECT_EQ(relay.count<Damaged>(), 1U);
}

TEST_F(NodeDamageOfPages, APageThatEachOfSeveralPushesMeetsIsToldOnceAndFailsEach) {
  hold(author);
  rot_page(author, 400, 420);
  relay.accepts = store::LogInterest{everything(), true};
  for (int n = 0; n < 3; ++n) {
    const LogReport pushed = sync(author, {&relay}, true).logs[0];
    EXPECT_EQ(pushed.error, Error{Errc::kStoreDamaged});
  }
  EXPECT_EQ(author.count<Damaged>(), 1U);
}

/// Reads as a page of another table in the place of one of `logs`.
class NodeDamageOfLogs : public NodeDamage {
 protected:
  static constexpr std::size_t kToldMax = 1024;
  static constexpr std::uint8_t kNoKey[] = {0};

  void damage(SimulatedNode& node) {
    node.hold(log);
    ASSERT_TRUE(run([&] { return node.holds(log.log(), {{1, log.head()}}); }));
    store::MemoryKv kv({}, node.crash());
    test::put_row(kv, Table::kLogs, kNoKey, kNoKey);
    ASSERT_TRUE(node.start(kv.image()));
  }
  /// Logs that are nowhere, each with another number.
  std::vector<LogKey> unknown(std::size_t count) {
    std::vector<LogKey> logs;
    for (std::size_t n = 0; n < count; ++n) {
      LogKey& key = logs.emplace_back();
      key.author.bytes[1] = static_cast<std::uint8_t>(named_ >> 8);
      key.author.bytes[2] = static_cast<std::uint8_t>(named_++);
      key.author.bytes[31] = 1;
    }
    return logs;
  }
  void ask(const SimulatedNode& of, std::size_t count) {
    while (count != 0) {
      const std::size_t some = std::min(count, limits::kWantsPerSessionMax);
      replication::WantRequest request = want();
      std::vector<replication::WantRequest> wants;
      for (const LogKey& key : unknown(some)) wants.emplace_back(request).log = key;
      const std::size_t before = reader.count<WantEnded>();
      reader.dial(of, {.wants = wants});
      ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == before + some; }));
      count -= some;
    }
  }

 private:
  std::size_t named_ = 0;
};

TEST_F(NodeDamageOfLogs, WhoAsksForAnyNumberOfLogsMakesTheNodeTellOfFew) {
  damage(relay);
  const Instant begun = network.now();
  ask(relay, kToldMax + 300);
  ASSERT_LT(network.now() - begun, std::chrono::minutes(1));
  EXPECT_EQ(relay.count<Damaged>(), kToldMax + 1);
  network.run(std::chrono::minutes(2));
  ask(relay, 1);
  EXPECT_EQ(relay.count<Damaged>(), kToldMax + 2) << "what was told long ago takes no room";
}

}  // namespace
}  // namespace culm::node
