#include "culm/replication/node/fetch.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/simulated_network.hpp"

namespace culm::node {
namespace {

using std::chrono::minutes;
using test::LogBuilder;
using test::milliseconds;
using test::seconds;
using test::SimulatedNetwork;
using test::SimulatedNode;

/// Building it takes longer than all the tests.
const LogBuilder& long_log() {
  static const LogBuilder log = LogBuilder("alice").append_many(20'000);
  return log;
}

class FetchTest : public testing::Test {
 protected:
  FetchTest() { network.link.bytes_per_second = 100'000; }

  SimulatedNode& add_provider(const LogBuilder& log) {
    return add_provider(log, {{1, log.head()}});
  }
  SimulatedNode& add_provider(const LogBuilder& log, const RangeSet& held) {
    SimulatedNode& provider = network.add("provider " + std::to_string(providers.size() + 1));
    provider.hold(log, held);
    network.run(seconds(1));
    providers.push_back(&provider);
    return provider;
  }
  /// Asks all providers for the log.
  FetchId start(SimulatedNode& by, const LogBuilder& log, replication::WantRequest want = {}) {
    if (want.interest.empty()) want.interest = everything();
    want.log = log.log();
    FetchRequest request{std::move(want), {}};
    for (SimulatedNode* const provider : providers) request.from.push_back(by.dial(*provider));
    began = network.now();
    const FetchId id = by.node().fetch(std::move(request));
    by.settle();
    return id;
  }
  FetchId start(const LogBuilder& log, replication::WantRequest want = {}) {
    return start(reader, log, std::move(want));
  }
  bool run(Duration limit = minutes(5)) {
    return network.run_until([&] { return !reader.fetches_ended.empty(); }, limit);
  }
  [[nodiscard]] Duration took() const { return network.now() - began; }
  [[nodiscard]] FetchOutcome outcome() const { return reader.fetches_ended.at(0).outcome; }
  [[nodiscard]] std::uint64_t received() { return reader.node().stats().sessions.entries_received; }
  [[nodiscard]] std::uint64_t sent(std::size_t provider) {
    return providers[provider]->node().stats().sessions.entries_sent;
  }

  SimulatedNetwork network{1};
  SimulatedNode& reader = network.add("reader");
  std::vector<SimulatedNode*> providers;
  Instant began{};
};

TEST_F(FetchTest, TwoPeersBringALogInLittleMoreThanHalfTheTimeAndNothingTwice) {
  const LogBuilder& log = long_log();
  add_provider(log);
  start(log);
  ASSERT_TRUE(run());
  const Duration alone = took();
  ASSERT_EQ(outcome(), FetchOutcome::kComplete);

  add_provider(log);
  SimulatedNode& second = network.add("second reader");
  start(second, log);
  ASSERT_TRUE(network.run_until([&] { return !second.fetches_ended.empty(); }, minutes(5)));
  EXPECT_TRUE(second.holds(log.log(), {{1, log.head()}}));
  EXPECT_LE(took(), alone * 6 / 10);
  EXPECT_LE(second.node().stats().sessions.entries_received, log.head() * 105 / 100);
  EXPECT_GE(sent(1), log.head() / 3);
}

TEST_F(FetchTest, GoesOnWhereverAPeerFallsSilent) {
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log);
  for (const auto after : {milliseconds(0), milliseconds(30), milliseconds(100), milliseconds(1000),
                           milliseconds(4000)}) {
    SimulatedNode& one = network.add("reader " + std::to_string(after.count()));
    start(one, log);
    network.run(after);
    network.mute(*providers[1]);
    const bool done = network.run_until([&] { return !one.fetches_ended.empty(); }, minutes(1));
    ASSERT_TRUE(done) << after.count();
    EXPECT_EQ(one.fetches_ended[0].outcome, FetchOutcome::kComplete) << after.count();
    EXPECT_TRUE(one.holds(log.log(), {{1, log.head()}})) << after.count();
    network.unmute();
    network.cut(one);
    network.run(minutes(2));
  }
}

TEST_F(FetchTest, GoesOnWhereverAPeerDies) {
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log);
  for (const auto after : {milliseconds(0), milliseconds(30), milliseconds(100), milliseconds(1000),
                           milliseconds(4000)}) {
    SimulatedNode& one = network.add("reader " + std::to_string(after.count()));
    start(one, log);
    network.run(after);
    providers[1]->listens = false;
    network.cut(*providers[1]);
    ASSERT_TRUE(network.run_until([&] { return !one.fetches_ended.empty(); }, minutes(1)));
    EXPECT_EQ(one.fetches_ended[0].outcome, FetchOutcome::kComplete) << after.count();
    EXPECT_TRUE(one.holds(log.log(), {{1, log.head()}})) << after.count();
    EXPECT_LE(one.node().stats().sessions.entries_received, log.head() * 105 / 100);
    providers[1]->listens = true;
  }
}

TEST_F(FetchTest, ABudgetIsOneWhoeverBringsIt) {
  constexpr std::uint64_t kBudget = 500'000;
  replication::WantRequest want;
  want.budget_bytes = kBudget;
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log);
  for (const bool dies : {true, false}) {
    SimulatedNode& one = network.add(dies ? "reader of a dead" : "reader of a mute");
    start(one, log, want);
    const std::uint64_t before = sent(0);
    network.run(seconds(3));
    SimulatedNode& first = *providers[sent(0) != before ? 0 : 1];
    first.listens = false;
    dies ? network.cut(first) : network.mute(first);
    ASSERT_TRUE(network.run_until([&] { return !one.fetches_ended.empty(); }, minutes(1)));
    EXPECT_EQ(one.fetches_ended[0].outcome, FetchOutcome::kBudget);
    const std::uint64_t came = one.node().stats().sessions.bytes_received;
    EXPECT_LT(came, kBudget + kBudget / 50 + 1'500);
    EXPECT_GT(came, kBudget * 8 / 10);
    first.listens = true;
    network.unmute();
    network.cut(one);
    network.run(minutes(2));
  }
}

TEST_F(FetchTest, WhoForgesEntriesUsesUpTheBudgetOfNobodyElse) {
  class TakesAll final : public SignatureVerifier {
    Result<void> verify(const Author&, ByteView, const Signature&) override { return {}; }
  } takes_all;
  LogBuilder forged("alice");
  for (int i = 0; i < 300; ++i) forged.append_badly_signed();
  const LogBuilder log = LogBuilder("alice").append_many(300);
  SimulatedNode& forger = add_provider(log, {});
  forger.node().run([&](store::Store& store) -> Result<void> {
    CULM_CHECK(store::ingest(store, forged.log(), forged.unit({{1, 300}}, true), takes_all));
    return {};
  });
  forger.settle();
  network.run(seconds(1));
  replication::WantRequest want;
  want.budget_bytes = 20'000;
  for (const bool is_first : {true, false}) {
    SimulatedNode& one = network.add(is_first ? "reader of one" : "reader of two");
    if (!is_first) add_provider(log);
    start(one, log, want);
    ASSERT_TRUE(network.run_until([&] { return !one.fetches_ended.empty(); }, minutes(2)));
    const auto outcome = one.fetches_ended[0].outcome;
    EXPECT_EQ(outcome, is_first ? FetchOutcome::kNobody : FetchOutcome::kBudget);
    EXPECT_EQ(one.state(log.log()).held.count() > 50, !is_first);
  }
}

TEST_F(FetchTest, OfAScatteredSelectionOfPayloadsNoOthersCome) {
  const LogBuilder& log = long_log();
  SimulatedNode& provider = add_provider(log);
  RangeSet some;
  for (SeqNum n = 2; n <= 10'000; n += 2) some.insert({n, n});
  ASSERT_GT(some.ranges().size(), limits::kRangesPerMessageMax);
  reader.node().run([&](store::Store& store) -> Result<void> {
    CULM_CHECK(store::ingest(store, log.log(), log.unit({{1, log.head()}}), reader.verifier));
    return store.update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), some, SIZE_MAX));
      return {};
    });
  });
  reader.settle();
  network.run(seconds(1));
  replication::WantRequest want;
  want.undelete = some;
  want.bare = everything().ranges - some;
  start(log, want);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_EQ(reader.state(log.log()).payloads, some);
  std::uint64_t bytes = 0;
  for (const SeqRange range : some.ranges()) bytes += log.payload(range.first).size();
  EXPECT_EQ(provider.node().stats().sessions.payload_bytes_sent, bytes) << "nor are they sent";
}

TEST_F(FetchTest, PeersThatHoldPartsBringTheWhole) {
  const LogBuilder& log = long_log();
  add_provider(log, {{1, 7000}});
  add_provider(log, closure(RangeSet{{5000, 14'000}}, log.head()));
  add_provider(log, closure(RangeSet{{13'000, 20'000}}, log.head()));
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

TEST_F(FetchTest, APayloadThatOnePeerLacksComesFromAnother) {
  LogBuilder log("alice");
  for (int i = 0; i < 50; ++i) log.append(std::string(3 * limits::kPayloadInlineBytesMax, 'x'));
  network.link.bytes_per_second = 10'000'000;
  SimulatedNode& bare = add_provider(log, {});
  bare.node().run([&](store::Store& store) -> Result<void> {
    const auto unit = log.unit({{1, log.head()}});
    CULM_CHECK(store::ingest(store, log.log(), unit, bare.verifier));
    return {};
  });
  bare.settle();
  add_provider(log);
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

TEST_F(FetchTest, APayloadThatWasTakenWithoutIsFetchedLaterWithinItsSizes) {
  LogBuilder log("alice");
  for (std::size_t i = 1; i <= 60; ++i) log.append(std::string(i * 1000, 'x'));
  network.link.bytes_per_second = 10'000'000;
  add_provider(log);
  add_provider(log);
  replication::WantRequest want;
  want.payloads = false;
  start(log, want);
  ASSERT_TRUE(run());
  EXPECT_TRUE(reader.state(log.log()).payloads.empty());
  reader.fetches_ended.clear();
  want = {};
  want.payload_size_max = 40'000;
  start(log, want);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 40}}));
}

TEST_F(FetchTest, OneThatServesNothingIsPassedOver) {
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log).serves = false;
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
  EXPECT_LE(took(), seconds(30));
}

TEST_F(FetchTest, PeersThatTogetherHoldAPartAreCompleteWithIt) {
  const LogBuilder& log = long_log();
  const RangeSet low = closure(RangeSet{{1, 100}}, 100);
  const RangeSet high = closure(RangeSet{{19'000, 20'000}}, log.head());
  add_provider(log, low);
  add_provider(log, high);
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), low | high));
}

TEST_F(FetchTest, WhatALostPeerSaidItHoldsIsMissing) {
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log, {{1, 5000}});
  start(log);
  network.run(seconds(1));
  providers[0]->listens = false;
  network.cut(*providers[0]);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kNobody);
  EXPECT_TRUE(reader.fetches_ended[0].missing.contains(log.head()));
  EXPECT_TRUE(reader.holds(log.log(), {{1, 5000}}));
}

TEST_F(FetchTest, APayloadThatNobodyHoldsIsNotWaitedFor) {
  const LogBuilder& log = long_log();
  for (int i = 0; i < 2; ++i) {
    SimulatedNode& provider = add_provider(log, {});
    provider.node().run([&](store::Store& store) -> Result<void> {
      CULM_CHECK(store::ingest(store, log.log(), log.unit({{1, log.head()}}), provider.verifier));
      return {};
    });
    provider.settle();
  }
  network.run(seconds(2));
  start(log);
  network.run(seconds(2));
  providers[0]->listens = false;
  network.cut(*providers[0]);  // nor by one that is gone
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, log.head()}}));
}

/// A have names the lowest ranges alone.
TEST_F(FetchTest, PayloadsOfMoreRangesThanAMessageNamesAllCome) {
  const LogBuilder& log = long_log();
  network.link.bytes_per_second = 10'000'000;
  RangeSet odd;
  for (SeqNum n = 1; n <= log.head(); n += 2) odd.insert(n);
  SimulatedNode& provider = add_provider(log);
  provider.node().run([&](store::Store& store) -> Result<void> {
    for (RangeSet rest = {{1, log.head()}}; !rest.empty();) {
      CULM_TRY(rest, store.delete_payloads(log.log(), RangeSet{{1, log.head()}} - odd));
    }
    return {};
  });
  provider.settle();
  reader.node().run([&](store::Store& store) -> Result<void> {
    CULM_CHECK(store::ingest(store, log.log(), log.unit({{1, log.head()}}), reader.verifier));
    return {};
  });
  reader.settle();
  network.run(seconds(2));
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_EQ(reader.state(log.log()).payloads, odd);
}

/// Takes wants, and answers none.
class AskedOf final : public Fetch::Sessions {
 public:
  Result<replication::WantId> want(SessionId, const replication::WantRequest& request) override {
    wants.push_back(request);
    return static_cast<replication::WantId>(wants.size());
  }
  void cancel(SessionId, replication::WantId) override {}

  std::vector<replication::WantRequest> wants;
};

TEST_F(FetchTest, WhatIsTooMuchForAPeerIsAskedForInPartsBeforeItIsPassedOver) {
  const LogKey log = LogBuilder("alice").log();
  const RangeSet all{{1, 1'000'000}};
  AskedOf peer;
  FetchRequest request{{}, {1}};
  request.want.log = log;
  request.want.interest = everything();
  Fetch fetch(std::move(request));
  const auto advance = [&] { return *fetch.advance(reader.store(), peer, Instant{}); };
  fetch.session_began(1, 1);
  ASSERT_FALSE(advance());
  fetch.peer_has(1, {log, all.max(), all, all, {}});
  fetch.want_ended(1, 1, replication::DoneReason::kComplete);
  std::optional<FetchOutcome> outcome = advance();
  std::uint64_t least = all.count();
  for (int i = 0; i < 20 && !outcome; ++i) {
    least = peer.wants.back().interest.ranges.count();
    fetch.denied(1, {static_cast<replication::WantId>(peer.wants.size()), log,
                     replication::DenyReason::kBusy});
    outcome = advance();
  }
  EXPECT_LE(least, FetchPlanner::kSegmentEntriesMin);
  EXPECT_EQ(outcome, FetchOutcome::kNobody);
  EXPECT_EQ(fetch.denied(), replication::DenyReason::kBusy);
}

TEST_F(FetchTest, AHeadThatAPeerTookBackCountsOnlyWhereAllHaveLostSome) {
  using replication::DoneReason;
  constexpr SeqNum kClaimed = SeqNum{1} << 60U;
  const LogKey log = LogBuilder("alice").log();
  const RangeSet all{{1, 300}};
  for (const bool is_alone : {false, true}) {
    SCOPED_TRACE(is_alone);
    AskedOf peers;
    FetchRequest request{{}, {1}};
    if (!is_alone) request.from.push_back(2);
    request.want.log = log;
    request.want.interest.newest = 100;
    Fetch fetch(std::move(request));
    const auto advance = [&] { return *fetch.advance(reader.store(), peers, Instant{}); };
    fetch.session_began(1, 1);
    if (!is_alone) fetch.session_began(2, 2);
    ASSERT_FALSE(advance());
    fetch.peer_has(1, {log, kClaimed, {{kClaimed, kClaimed}}, {}, {}});
    fetch.want_ended(1, 1, DoneReason::kDamaged);
    fetch.peer_has(1, {log, 0, {}, {}, {}});
    if (is_alone) {
      EXPECT_EQ(advance(), FetchOutcome::kComplete);
      EXPECT_TRUE(fetch.is_damaged());
      EXPECT_EQ(fetch.damaged(), (std::set<DialId>{1}));
      EXPECT_EQ(fetch.head(), kClaimed);
      continue;
    }
    fetch.peer_has(2, {log, all.max(), all, all, {}});
    fetch.want_ended(2, 2, DoneReason::kComplete);
    ASSERT_FALSE(advance());
    ASSERT_EQ(peers.wants.size(), 3U) << "the newest that the other holds are asked for";
    EXPECT_EQ(fetch.missing(), (RangeSet{{201, 300}}));
    EXPECT_FALSE(fetch.is_damaged());
    EXPECT_EQ(fetch.damaged(), (std::set<DialId>{1}));
    EXPECT_EQ(fetch.head(), all.max());
  }
}

TEST_F(FetchTest, TheNewestOfALogThatGrowsMeanwhileCome) {
  LogBuilder log = LogBuilder("alice").append_many(3000);
  add_provider(log);
  replication::WantRequest want;
  want.interest.newest = 1000;
  start(log, want);
  for (int i = 0; i < 5; ++i) {
    network.run(milliseconds(20));
    log.append("more");
    providers[0]->hold(log, {{log.head(), log.head()}});
  }
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
}

TEST_F(FetchTest, PeersOnTwoBranchesBringWhatIsBelowTheFork) {
  const LogBuilder left = LogBuilder("alice").append_many(3000);
  const LogBuilder right = left.fork(2000).append_many(1000);
  add_provider(left);
  add_provider(right);
  for (const auto order : {replication::Order::kAscending, replication::Order::kNewestFirst}) {
    SimulatedNode& one = network.add("reader " + std::to_string(static_cast<int>(order)));
    replication::WantRequest want;
    want.order = order;
    start(one, left, want);
    ASSERT_TRUE(network.run_until([&] { return !one.fetches_ended.empty(); }, minutes(5)));
    EXPECT_TRUE(one.state(left.log()).held.contains(RangeSet{{1, 1999}}));
    EXPECT_TRUE(network.run_until([&] { return one.state(left.log()).cap == 2000; }, minutes(1)));
  }
}

TEST_F(FetchTest, ALogThatGrowsMeanwhileIsFetchedToWhereItWas) {
  LogBuilder log = LogBuilder("alice").append_many(3000);
  add_provider(log);
  add_provider(log);
  start(log);
  for (int i = 0; i < 200 && reader.fetches_ended.empty(); ++i) {
    log.append("more");
    for (SimulatedNode* const provider : providers) provider->hold(log, {{log.head(), log.head()}});
    network.run(milliseconds(50));
  }
  ASSERT_FALSE(reader.fetches_ended.empty());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), {{1, 3000}}));
}

TEST_F(FetchTest, MoreFetchesThanASessionHasWantsAllEnd) {
  network.link.bytes_per_second = 0;
  std::vector<LogBuilder> logs;
  for (std::uint64_t n = 0; n < 100; ++n) {
    logs.push_back(LogBuilder("alice", LogId{n}).append_many(3));
  }
  SimulatedNode& first = add_provider(logs[0]);
  SimulatedNode& second = add_provider(logs[0]);
  for (const LogBuilder& log : logs) {
    first.hold(log);
    second.hold(log);
  }
  network.run(seconds(5));
  const std::vector<DialId> dials{reader.dial(first), reader.dial(second)};
  for (const LogBuilder& log : logs) {
    replication::WantRequest want;
    want.log = log.log();
    want.interest = everything();
    reader.node().fetch({want, dials});
  }
  reader.settle();
  ASSERT_TRUE(
      network.run_until([&] { return reader.fetches_ended.size() == logs.size(); }, minutes(2)));
  for (const auto& ended : reader.fetches_ended) {
    EXPECT_EQ(ended.outcome, FetchOutcome::kComplete);
  }
  EXPECT_TRUE(reader.holds(logs.back().log(), {{1, 3}}));
}

TEST_F(FetchTest, TheNewestComeFromOnePeerAndFromTheNextIfItFallsSilent) {
  const LogBuilder& log = long_log();
  add_provider(log);
  add_provider(log);
  replication::WantRequest want;
  want.interest.newest = 5000;
  start(log, want);
  network.run(milliseconds(500));
  const std::size_t first = sent(0) > 0 ? 0 : 1;
  EXPECT_GT(sent(first), 0U);
  EXPECT_EQ(sent(1 - first), 0U);
  network.mute(*providers[first]);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kComplete);
  EXPECT_TRUE(reader.holds(log.log(), {{log.head() - 4999, log.head()}}));
}

TEST_F(FetchTest, WhatNobodyServesIsSaidToBeSo) {
  LogBuilder log = LogBuilder("alice").append_many(10);
  SimulatedNode& provider = add_provider(LogBuilder("bob").append_many(3));
  provider.listens = false;
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kNobody);
  provider.listens = true;
  reader.fetches_ended.clear();
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(outcome(), FetchOutcome::kNobody);
}

TEST_F(FetchTest, OnceEndedItAsksForNothingMore) {
  const LogBuilder& log = long_log();
  add_provider(log);
  const FetchId id = start(log);
  ASSERT_TRUE(network.run_until([&] { return received() > 0; }, seconds(10)));
  reader.node().end_fetch(id, network.now());
  reader.node().end_fetch(id, network.now());
  reader.settle();
  network.run(seconds(2));
  const auto before = received();
  network.run(seconds(30));
  EXPECT_EQ(received(), before);
  EXPECT_TRUE(reader.fetches_ended.empty());
}

TEST_F(FetchTest, WhatItWantsIsKept) {
  const LogBuilder log = LogBuilder("alice").append_many(10);
  add_provider(log);
  start(log);
  ASSERT_TRUE(run());
  EXPECT_EQ(reader.state(log.log()).interest, (store::LogInterest{everything(), true}));
}

}  // namespace
}  // namespace culm::node
