#include "culm/store/audit.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

constexpr std::size_t kLarge = 2 * limits::kPayloadChunkBytes + 5;

/// Two logs of which everything is held that there can be: payloads large and small, a stage that
/// arrives, evidence, an interest, deleted payloads.
class ForgetLog : public testing::Test {
 protected:
  void SetUp() override {
    for (LogBuilder* const log : {&gone, &kept}) {
      log->append_many(4).append(long_text(kLarge)).append(long_text(kLarge)).append_many(2);
      ASSERT_TRUE(store.ingest(*log, up_to(8)));
    }
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      for (const LogBuilder* const log : {&gone, &kept}) {
        CULM_CHECK(transaction.delete_payloads(log->log(), {{2, 3}, {6, 6}}, 100));
        CULM_CHECK(transaction.undelete_payloads(log->log(), {{6, 6}}));
        CULM_TRY(const auto stage, transaction.begin_stage(log->log(), 6));
        const std::string part = long_text(limits::kPayloadChunkBytes);
        CULM_CHECK(transaction.put_stage_part(log->log(), *stage, 0, as_bytes(part)));
        CULM_CHECK(transaction.set_interest(log->log(), {{{{1, 5}}, 100}, true}));
      }
      return {};
    }));
    const auto branch = gone.fork(8).append_many(1);
    ASSERT_TRUE(store.ingest(branch, {{8, 8}}));
    ASSERT_NE(store.state(gone.log()).cap, 0U);
  }

  Result<void> forget() {
    return store->update(
        [&](WriteTransaction& transaction) { return transaction.forget(gone.log()); });
  }
  bool erase(std::size_t rows_max) { return erase(store, rows_max); }
  static bool erase(MemoryStore& from, std::size_t rows_max) {
    bool is_done = false;
    EXPECT_TRUE(from->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(is_done, transaction.erase_forgotten(rows_max));
      return {};
    }));
    return is_done;
  }
  std::size_t row_count() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < store::kTableCount; ++i) {
      count += rows_of(store.kv(), static_cast<Table>(i)).size();
    }
    return count;
  }
  void expect_unknown() {
    const auto transaction = *store->read();
    EXPECT_EQ(*transaction.find_log(gone.log()), nullptr);
    EXPECT_EQ(*transaction.list_logs(), std::vector{kept.log()});
    const auto changes = *transaction.changes(0, 100);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].log, kept.log());
    EXPECT_TRUE(audit_tables(transaction));
  }
  void expect_sound(const LogBuilder& log) {
    const auto transaction = *store->read();
    EXPECT_TRUE(audit_tables(transaction));
    EXPECT_TRUE(audit_log(transaction, store.state(log.log()), store.verifier)->is_sound());
  }

  MemoryStore store;
  LogBuilder gone{"gone"};
  LogBuilder kept{"kept"};
};

TEST_F(ForgetLog, LeavesNoRowOfItAndTouchesNoOther) {
  const LogState before = store.state(kept.log());
  const auto entries = rows_of(store.kv(), Table::kEntries).size();
  const auto chunks = rows_of(store.kv(), Table::kPayloads).size();
  ASSERT_TRUE(forget());
  expect_unknown();
  EXPECT_TRUE(*store->read()->has_forgotten());
  EXPECT_TRUE(erase(1000));
  expect_unknown();
  EXPECT_FALSE(*store->read()->has_forgotten());
  EXPECT_EQ(rows_of(store.kv(), Table::kEntries).size(), entries / 2);
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads).size(), chunks / 2);
  EXPECT_EQ(rows_of(store.kv(), Table::kEvidence).size(), 0U);
  for (const Table table : {Table::kMeta, Table::kLogs, Table::kChanges}) {
    EXPECT_EQ(rows_of(store.kv(), table).size(), 1U);
  }
  EXPECT_EQ(store.state(kept.log()), before);
  expect_sound(kept);
}

TEST_F(ForgetLog, GoesInStepsThatMayBeInterruptedAnywhere) {
  ASSERT_TRUE(forget());
  for (std::size_t rows = row_count(); !erase(3);) {
    const std::size_t left = row_count();
    EXPECT_LE(rows - left, 3U);
    rows = left;
    expect_unknown();
    MemoryStore crashed = store.reopened();
    EXPECT_TRUE(*crashed->read()->has_forgotten());
    EXPECT_TRUE(erase(crashed, 1000));
    EXPECT_FALSE(*crashed->read()->has_forgotten());
    EXPECT_EQ(rows_of(crashed.kv(), Table::kEntries).size(), 8U);
  }
  EXPECT_FALSE(*store->read()->has_forgotten());
  EXPECT_TRUE(erase(3));
  expect_sound(kept);
}

TEST_F(ForgetLog, WhatIsLeftIsCountedUntilItIsErased) {
  EXPECT_EQ(forgotten_bytes(*store->read()), 0U);
  const auto rows = row_count();
  ASSERT_TRUE(forget());
  EXPECT_GT(*forgotten_bytes(*store->read()), kLarge);
  EXPECT_LT(*forgotten_bytes(*store->read()), 2 * kLarge);
  EXPECT_TRUE(erase(1'000'000));
  EXPECT_LT(row_count(), rows);
  EXPECT_FALSE(*store->read()->has_forgotten());
  EXPECT_EQ(forgotten_bytes(*store->read()), 0U);
  expect_sound(kept);
}

TEST_F(ForgetLog, TheLogMayBecomeKnownAgainAlsoInBetween) {
  const std::uint64_t number = store.state(gone.log()).number;
  ASSERT_TRUE(forget());
  EXPECT_FALSE(erase(2));
  ASSERT_TRUE(store.ingest(gone, up_to(5)));
  const LogState again = store.state(gone.log());
  EXPECT_GT(again.number, number);
  EXPECT_EQ(again.held, up_to(5));
  EXPECT_EQ(again.cap, 0U);
  EXPECT_TRUE(again.deleted.empty());
  EXPECT_EQ(again.interest, store::LogInterest{});
  EXPECT_TRUE(erase(1000));
  EXPECT_EQ(store.state(gone.log()), again);
  expect_sound(gone);
  expect_sound(kept);
}

TEST_F(ForgetLog, ALogThatIsMadeAgainOfItsRowsTakesNoneOfThose) {
  ASSERT_TRUE(forget());
  EXPECT_FALSE(erase(2));
  ASSERT_TRUE(store.ingest(gone, up_to(5)));
  const std::uint64_t number = store.state(gone.log()).number;
  for (auto [key, value] : rows_of(store.kv(), Table::kLogs)) {
    if (store::detail::parse_log_row_key(key) != gone.log()) continue;
    value.back() ^= 1U;
    put_row(store.kv(), Table::kLogs, key, value);
  }
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(gone.log(), up_to(5)));
    return {};
  }));
  EXPECT_EQ(store.state(gone.log()).number, number);
  EXPECT_TRUE(erase(1000));
  EXPECT_EQ(store.state(gone.log()).held, up_to(5));
  expect_sound(gone);
}

TEST_F(ForgetLog, OfOneThatIsNotKnownNothingIsDone) {
  ASSERT_TRUE(forget());
  EXPECT_EQ(code_of(forget()), Errc::kLogUnknown);
  EXPECT_TRUE(erase(1000));
  EXPECT_EQ(code_of(forget()), Errc::kLogUnknown);
}

TEST_F(ForgetLog, WhatChangedInTheSameTransactionGoesToo) {
  LogBuilder fresh("fresh");
  fresh.append_many(3);
  const auto rows = row_count();
  auto unit = *check_unit(fresh.log(), fresh.unit(up_to(3)));
  unit.check_signatures({}, store.verifier, {});
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.ingest(unit));
    CULM_CHECK(transaction.forget(fresh.log()));
    EXPECT_EQ(*transaction.find_log(fresh.log()), nullptr);
    return {};
  }));
  EXPECT_TRUE(erase(1000));
  EXPECT_EQ(row_count(), rows);
  expect_sound(kept);
}

}  // namespace
}  // namespace culm::test
