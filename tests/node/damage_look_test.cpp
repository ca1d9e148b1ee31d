#include "culm/replication/node/damage_look.hpp"

#include "tests/node/damage_fixture.hpp"

// What a sync looks at before it says that nothing is missing. Spec: damage.md#damage
namespace culm::node {
namespace {

using replication::Damaged;
using store::Table;

TEST_F(NodeDamage, ASyncTakesAgainWhatIsDamagedHere) {
  hold(author);
  hold(reader);
  rot_entry(reader, 7);
  rot(reader, Table::kEntries, 4 - 1, 1 + 8);  // the payload, in front of the checksum
  const SyncReport report = sync(reader, {&author});
  EXPECT_EQ(report.logs[0].outcome, LogOutcome::kComplete);
  EXPECT_EQ(report.logs[0].entries, 1U);
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
  EXPECT_EQ(reader.count<Damaged>(), 2U) << "the application is told";
  EXPECT_EQ(report.stats.entries_received, 1U);
  EXPECT_EQ(sync(reader, {&author}).stats.entries_received, 0U);
}

TEST_F(NodeDamage, ASyncTakesAgainALargePayloadThatIsDamagedHere) {
  constexpr std::size_t kParts = 40;
  log.append(std::string(kParts * limits::kPayloadChunkBytes, 'x'));
  hold(author);
  hold(reader);
  rot(reader, Table::kPayloads, kParts - 5);
  const SyncReport report = sync(reader, {&author});
  EXPECT_EQ(report.logs[0].outcome, LogOutcome::kComplete);
  EXPECT_EQ(report.logs[0].payload_bytes, kParts * limits::kPayloadChunkBytes);
  EXPECT_TRUE(reader.holds(log.log(), {{1, log.head()}}));
}

TEST_F(NodeDamage, ASyncThatNobodyCanMendSaysWhatIsMissing) {
  hold(author);
  hold(relay);
  hold(reader);
  rot_entry(relay, 7);
  rot_entry(reader, 7);
  const LogReport lost = sync(reader, {&relay}).logs[0];
  EXPECT_EQ(lost.outcome, LogOutcome::kPartial);
  EXPECT_EQ(lost.missing, (RangeSet{{7, 7}}));
}

TEST_F(NodeDamage, ASyncFailsWhereWhatIsWantedIsDamagedHereAndCannotBeDropped) {
  hold(author);
  hold(reader);
  rot_page(reader, 400, 420);
  const LogReport of_page = sync(reader, {&author}).logs[0];
  EXPECT_EQ(of_page.outcome, LogOutcome::kFailed);
  EXPECT_EQ(of_page.error, Error{Errc::kStoreDamaged});
  hold(relay);
  rot_entry_for_good(relay, 7);
  EXPECT_EQ(sync(relay, {&author}).logs[0].outcome, LogOutcome::kFailed);
}

TEST_F(NodeDamage, LiveASyncFailsInTheEndWhereWhatIsWantedIsDamagedHereAndCannotBeDropped) {
  hold(author);
  hold(reader);
  rot_page(reader, 400, 420);
  SyncRequest request;
  request.live = true;
  request.logs.emplace_back().log = log.log();
  request.peers.push_back({author.endpoint()});
  const SyncId id = reader.node().sync(std::move(request), network.now());
  reader.settle();
  const auto is_caught_up = [](const auto& event) {
    return std::holds_alternative<SyncCaughtUp>(event);
  };
  ASSERT_TRUE(run([&] { return std::ranges::any_of(reader.synced, is_caught_up); }));
  reader.node().end_sync(id, network.now());
  reader.settle();
  ASSERT_TRUE(run([&] { return std::holds_alternative<SyncEnded>(reader.synced.back()); }));
  const LogReport report = std::get<SyncEnded>(reader.synced.back()).report.logs[0];
  EXPECT_EQ(report.outcome, LogOutcome::kFailed);
  EXPECT_EQ(report.error, Error{Errc::kStoreDamaged});
}

TEST_F(NodeDamage, ASyncLooksAtWhatIsNamedAndOtherwiseAtASample) {
  log = test::LogBuilder("alice").append_many(5000);
  hold(author);
  hold(reader);
  test::TestRandom random(1);
  replication::KnownDamage known;
  std::uint64_t rows = 0;
  const auto look = [&](const RangeSet& named) {
    SyncRequest request;
    request.logs.emplace_back().log = log.log();
    request.logs.back().interest.ranges = named;
    const std::uint64_t before = test::read_counts.entries_found;
    auto found = DamageLook(reader.store(), random, known).look(request);
    rows = test::read_counts.entries_found - before;
    return found;
  };
  for (const RangeSet& named : {RangeSet(), RangeSet{{1, 4000}}, RangeSet{{7, 7}}}) {
    EXPECT_TRUE(look(named).empty());
    EXPECT_LE(rows, DamageLook::kRowsOfLogMax);
    EXPECT_GE(rows, DamageLook::kRowsOfLogMax * 3 / 4);
  }
  rot_entry(reader, 301);
  const auto found = look({{301, 302}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].damage.rows, (RangeSet{{301, 301}}));
  known.looked(log.log());
  EXPECT_TRUE(look({}).empty());
  EXPECT_EQ(rows, 0U) << "somebody has looked";
  EXPECT_EQ(look({{301, 302}}).size(), 1U);
}

TEST_F(NodeDamage, ASyncReadsNoMoreOfPayloadsHoweverMuchLiesInRows) {
  constexpr std::uint64_t kRows = DamageLook::kBytesMax / limits::kPayloadInlineBytesMax;
  log = test::LogBuilder("alice");
  for (std::uint64_t n = 0; n < kRows + 100; ++n) {
    log.append(std::string(limits::kPayloadInlineBytesMax, 'x'));
  }
  hold(reader);
  rot_entry(reader, log.head() - 3);
  test::TestRandom random(1);
  replication::KnownDamage known;
  SyncRequest request;
  request.logs.emplace_back().log = log.log();
  std::size_t met = 0;
  for (int n = 0; n < 8; ++n) {
    const std::uint64_t before = test::read_counts.entries_found;
    met += DamageLook(reader.store(), random, known).look(request).size();
    EXPECT_LE(test::read_counts.entries_found - before, kRows + DamageLook::kSliceRows);
    EXPECT_FALSE(known.is_looked_for(log.log()));
  }
  EXPECT_GT(met, 0U) << "it is not always the last ones that are left out";
}

}  // namespace
}  // namespace culm::node
