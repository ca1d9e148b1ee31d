#include "culm/store/check.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

using store::IngestAttempt;

/// One attempt in a transaction of its own.
IngestAttempt attempt(MemoryStore& store, const CheckedUnit& unit,
                      const AcceptOptions& options = {}) {
  IngestAttempt attempt;
  EXPECT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(attempt, transaction.ingest(unit, options));
    return {};
  }));
  return attempt;
}

class StoreCheck : public testing::Test {
 protected:
  LogBuilder log{std::move(LogBuilder("alice").append_many(20))};
  LogBuilder branch = log.fork(5);
  MemoryStore store;
};

// Every store of these tests tells its verifier when it writes; see `is_writing`.
TEST_F(StoreCheck, NoSignatureIsCheckedInsideOfAnUpdate) {
  ASSERT_TRUE(store.ingest(log.log(), log.unit({{1, 8}}, true), {.full = true}));
  EXPECT_EQ(store.verifier.checks, 8U);
  ASSERT_TRUE(store.ingest(log, {{9, 20}}));
  EXPECT_EQ(store.verifier.checks, 9U);
  const auto report = store.ingest(branch, {{5, 5}});
  ASSERT_TRUE(report && report->defect);
  EXPECT_EQ(report->defect->at, 5U);
  bool is_update = false;
  ASSERT_TRUE(store->update([&](WriteTransaction&) -> Result<void> {
    is_update = is_writing;
    return {};
  }));
  EXPECT_TRUE(is_update && !is_writing) << "else this test shows nothing";
}

TEST_F(StoreCheck, NoPayloadOfAUnitIsHashedInsideOfAnUpdate) {
  auto unit = *store::check(*store, log.log(), log.unit({{1, 1}}, true), store.verifier);
  // To hash it once more would be noticed.
  const ByteView payload = *unit.entries()[0].payload;
  *const_cast<std::uint8_t*>(payload.data()) ^= 1U;
  const auto first = attempt(store, unit);
  ASSERT_TRUE(first.report);
  EXPECT_EQ(first.report->payloads_added, (RangeSet{{1, 1}}));
}

TEST_F(StoreCheck, AnAttemptWithoutItsVerdictsChangesNothing) {
  ASSERT_TRUE(store.ingest(log, up_to(4)));
  const LogState before = store.state(log.log());
  auto unit = *check_unit(log.log(), log.unit({{5, 9}}, true));
  const auto first = attempt(store, unit);
  EXPECT_FALSE(first.report);
  ASSERT_EQ(first.missing.size(), 1U);
  EXPECT_EQ(first.missing[0].hash, log.hash(9));
  EXPECT_EQ(store.state(log.log()), before);
  unit.check_missing(first.missing, store.verifier);
  const auto second = attempt(store, unit);
  ASSERT_TRUE(second.report);
  EXPECT_EQ(second.report->added, (RangeSet{{5, 9}}));
}

TEST_F(StoreCheck, AForkWithWhatIsHeldUnverifiedIsProvedAtTheSecondAttempt) {
  ASSERT_TRUE(store.ingest(log, up_to(8)));  // of which 8 alone is verified
  auto unit = *store::check(*store, log.log(), branch.unit({{5, 5}}), store.verifier);
  const auto first = attempt(store, unit);
  EXPECT_FALSE(first.report);
  ASSERT_EQ(first.missing.size(), 2U);
  unit.check_missing(first.missing, store.verifier);
  const auto second = attempt(store, unit);
  ASSERT_TRUE(second.report && second.report->defect);
  EXPECT_EQ(*second.report->defect, (Defect{DefectKind::kFork, 5}));
  EXPECT_TRUE(store.state(log.log()).verified.contains(5));
}

TEST_F(StoreCheck, WhatChangedBetweenCheckAndCommitIsHeeded) {
  auto unit = *store::check(*store, log.log(), branch.unit(up_to(5)), store.verifier);
  ASSERT_TRUE(store.ingest(log, up_to(8)));
  const auto first = attempt(store, unit);
  EXPECT_FALSE(first.report) << "5 of the log was not checked";
  unit.check_missing(first.missing, store.verifier);
  EXPECT_EQ(attempt(store, unit).report->defect->at, 5U);
}

TEST_F(StoreCheck, LooksUpLinkTargetsThatAreHeld) {
  ASSERT_TRUE(store.ingest(log, up_to(8)));
  const auto transaction = *store->read();
  const LogState state = **transaction.get_log(log.log());
  store::HeldTargets targets(transaction, &state);
  EXPECT_EQ(*targets.find(8), log.hash(8));
  EXPECT_EQ(*targets.find(9), std::nullopt);
  EXPECT_EQ(*store::HeldTargets(transaction, nullptr).find(8), std::nullopt);
}

TEST_F(StoreCheck, SignaturesThatNoUnitNeededAreCheckedStepByStep) {
  ASSERT_TRUE(store.ingest(log, up_to(8)));  // of which 8 alone is verified
  const LogState before = store.state(log.log());
  const auto first = *store::check_held(*store, log.log(), {}, 3, store.verifier);
  EXPECT_EQ(first.good(), up_to(3));
  const auto second = *store::check_held(*store, log.log(), up_to(3), 100, store.verifier);
  EXPECT_EQ(second.good(), (RangeSet{{4, 7}}));
  for (const auto* step : {&first, &second}) {
    ASSERT_TRUE(store->update(
        [&](WriteTransaction& transaction) { return transaction.mark_verified(*step); }));
  }
  const LogState after = store.state(log.log());
  EXPECT_EQ(after.verified, up_to(8));
  EXPECT_EQ(after.change, before.change) << "nobody gets another answer by it";
  EXPECT_TRUE(store::check_held(*store, log.log(), {}, 100, store.verifier)->empty());
  const LogBuilder bob("bob");
  EXPECT_EQ(code_of(store::check_held(*store, bob.log(), {}, 1, store.verifier)),
            Errc::kLogUnknown);
}

TEST_F(StoreCheck, ABadSignatureThatIsVouchedForIsFoundAndNotMarked) {
  LogBuilder careless("careless");
  careless.append_many(3).append_badly_signed().append_many(2);
  ASSERT_TRUE(store.ingest(careless, up_to(6), false));
  const auto checked = *store::check_held(*store, careless.log(), {}, 100, store.verifier);
  EXPECT_EQ(checked.good(), (RangeSet{{1, 3}, {5, 5}}));
  EXPECT_EQ(checked.bad(), (RangeSet{{4, 4}}));
  ASSERT_TRUE(store->update(
      [&](WriteTransaction& transaction) { return transaction.mark_verified(checked); }));
  EXPECT_EQ(store.state(careless.log()).verified, (RangeSet{{1, 3}, {5, 6}}));
  EXPECT_TRUE(store::check_held(*store, careless.log(), checked.bad(), 9, store.verifier)->empty());
}

/// Makes what is verified of the log as many ranges as there may be, all of them far above its
/// entries, where no link leads from.
void fill_verified(MemoryStore& store, const LogKey& log) {
  LogState state = store.state(log);
  constexpr SeqNum kFar = 1'000'000;
  state.held.insert({kFar, 2 * kFar});
  state.verified = {};
  for (SeqNum n = kFar; state.verified.ranges().size() < limits::kRangesPerLogMax; n += 2) {
    state.verified.insert(n);
  }
  put_state(store.kv(), state);
}

TEST_F(StoreCheck, MarksThatWouldBeTooManyAreLeftOutAndTheUnitIsKept) {
  ASSERT_TRUE(store.ingest(log, up_to(10)));
  fill_verified(store, log.log());
  const auto report = store.ingest(log, {{11, 12}});
  ASSERT_TRUE(report) << name(report.error().code);
  EXPECT_EQ(report->added, (RangeSet{{11, 12}}));
  EXPECT_FALSE(store.state(log.log()).verified.contains(12));
}

TEST_F(StoreCheck, MarksOfAStepThatWouldBeTooManyAreLeftOut) {
  ASSERT_TRUE(store.ingest(log, up_to(10)));
  fill_verified(store, log.log());
  const auto checked = *store::check_held(*store, log.log(), {}, 5, store.verifier);
  EXPECT_EQ(checked.good(), up_to(5));
  ASSERT_TRUE(store->update(
      [&](WriteTransaction& transaction) { return transaction.mark_verified(checked); }));
  EXPECT_FALSE(store.state(log.log()).verified.contains(1));
}

}  // namespace
}  // namespace culm::test
