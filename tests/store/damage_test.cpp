#include "culm/store/audit.hpp"
#include "culm/store/detail/rows.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

constexpr SeqNum kLargeAt = 12;
constexpr std::size_t kLarge = limits::kPayloadInlineBytesMax + 60'000;

/// Twenty entries are held; the row of one or the other rots. Where it is alone, it is one whose
/// successor leads to entry 1 by its lipmaalink too.
class DamagedStore : public testing::Test {
 protected:
  void SetUp() override {
    log.append_many(kLargeAt - 1).append(long_text(kLarge)).append_many(20 - kLargeAt);
    ASSERT_TRUE(store.ingest(log, up_to(20)));
    whole = state();
  }

  LogState state() { return store.state(log.log()); }

  void rot(Table table, std::size_t row) {
    auto [key, value] = rows_of(store.kv(), table).at(row);
    value[value.size() / 2] ^= 1U;
    put_row(store.kv(), table, key, value);
  }
  /// The last byte in front of the checksum, which is of the payload.
  void rot_payload(SeqNum n) { rot_from_behind(n, 1 + store::detail::kChecksumSizeBytes); }
  void rot_from_behind(SeqNum n, std::size_t place) {
    auto [key, value] = rows_of(store.kv(), Table::kEntries).at(static_cast<std::size_t>(n - 1));
    value[value.size() - place] ^= 1U;
    put_row(store.kv(), Table::kEntries, key, value);
  }
  Bytes store_id() {
    const Bytes meta = rows_of(store.kv(), Table::kMeta).back().second;
    return Bytes(meta.begin() + 1, meta.begin() + 17);
  }
  void rot_entry(SeqNum n) { rot(Table::kEntries, static_cast<std::size_t>(n - 1)); }
  void lose_entry(SeqNum n) {
    erase_row(store.kv(), Table::kEntries, store::detail::entry_row_key(whole.number, n));
  }

  /// What is dropped by one call.
  RangeSet drop(const RangeSet& seqnums) {
    RangeSet dropped;
    EXPECT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(dropped, transaction.drop_damaged(log.log(), seqnums));
      for (const auto& [of, lost] : transaction.dropped()) EXPECT_TRUE(dropped.contains(lost));
      return {};
    }));
    return dropped;
  }

  void expect_sound(std::uint64_t entries) {
    const auto transaction = *store->read();
    EXPECT_TRUE(audit_tables(transaction));
    const auto report = *audit_log(transaction, state(), store.verifier);
    EXPECT_EQ(report.first_fault, std::nullopt);
    EXPECT_EQ(report.entries, entries);
  }

  /// Held as if nothing had happened.
  void expect_whole() {
    LogState now = state();
    now.change = whole.change;
    now.verified = whole.verified;  // more is, of what came alone
    EXPECT_EQ(now, whole);
    expect_sound(20);
  }

  LogBuilder log = LogBuilder("alice");
  MemoryStore store;
  LogState whole;
};

TEST_F(DamagedStore, CountsADamagedOrLostEntryAsNotHeldAndKeepsTheOthers) {
  rot_entry(7);
  lose_entry(11);
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{7, 7}, {11, 11}}));
  EXPECT_EQ(state().held, up_to(20) - (RangeSet{{7, 7}, {11, 11}}));
  EXPECT_EQ(state().payloads, state().held);
  EXPECT_TRUE(state().held.contains(state().verified));
  EXPECT_GT(state().change, whole.change);
  EXPECT_EQ(code_of(store->read()->get_entry(state(), 7)), Errc::kEntryNotHeld);
  expect_sound(18);
}

TEST_F(DamagedStore, DropsNothingThatIsSound) {
  EXPECT_TRUE(drop(up_to(kSeqnumMax)).empty());
  EXPECT_EQ(state(), whole);
}

TEST_F(DamagedStore, KeepsAnEntryThatProvesItselfAndDropsThePayloadInItsRow) {
  rot_payload(7);   // a link of entry 8 leads to it
  rot_payload(20);  // none does, but it is signed
  const RangeSet rotten{{7, 7}, {20, 20}};
  EXPECT_EQ(drop(up_to(20)), rotten);
  EXPECT_EQ(state().held, up_to(20));
  EXPECT_EQ(state().payloads, up_to(20) - rotten);
  expect_sound(20);
  ASSERT_TRUE(store.ingest(log, up_to(20)));
  expect_whole();
}

TEST_F(DamagedStore, KeepsAllOfARowOfWhichOnlyTheChecksumIsDamaged) {
  rot_from_behind(7, 1);
  rot_from_behind(kLargeAt, 1);
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{7, 7}, {kLargeAt, kLargeAt}}));
  expect_whole();
}

TEST_F(DamagedStore, SaysWhatIsLostAndWhatIsNot) {
  rot_entry(3);
  rot_payload(7);
  rot_from_behind(9, 1);
  rot(Table::kPayloads, 1);
  const auto damage = *store->read()->find_damage(state(), up_to(20));
  EXPECT_EQ(damage.entries, (RangeSet{{3, 3}}));
  EXPECT_EQ(damage.payloads, (RangeSet{{7, 7}, {kLargeAt, kLargeAt}}));
  EXPECT_EQ(damage.rows, (RangeSet{{7, 7}, {9, 9}}));
}

TEST_F(DamagedStore, GetsAnotherIdWhereItLosesItsNewestEntryAndNotElse) {
  const Bytes before = store_id();
  rot_entry(7);
  rot_payload(20);
  drop(up_to(20));
  EXPECT_EQ(store_id(), before);
  rot_entry(19);  // of the rows that are left, the last
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{20, 20}}));
  EXPECT_NE(store_id(), before);
}

TEST_F(DamagedStore, DeletesAPayloadInADamagedRowAndKeepsTheEntry) {
  rot_payload(7);
  const auto done = store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{7, 7}}, 100));
    return {};
  });
  ASSERT_TRUE(done) << message(done.error());
  EXPECT_EQ(state().held, up_to(20));
  EXPECT_EQ(state().deleted, (RangeSet{{7, 7}}));
  expect_sound(20);
}

TEST_F(DamagedStore, TakesADroppedEntryAgain) {
  rot_entry(7);
  drop({{7, 7}});
  ASSERT_TRUE(store.ingest(log, {{7, 7}}));
  expect_whole();
}

TEST_F(DamagedStore, ReplacesADamagedRowByWhatIsIngestedOverIt) {
  rot_entry(7);
  lose_entry(8);
  const auto report = store.ingest(log, up_to(20));
  ASSERT_TRUE(report) << message(report.error());
  EXPECT_EQ(report->added, (RangeSet{{7, 8}}));
  expect_whole();
}

TEST_F(DamagedStore, DropsADamagedEntryThatANewOneLinksTo) {
  rot_entry(20);
  log.append_many(1);
  const auto report = store.ingest(log, {{21, 21}});
  ASSERT_TRUE(report) << message(report.error());
  EXPECT_EQ(state().held, (RangeSet{{1, 19}, {21, 21}}));
  ASSERT_TRUE(store.ingest(log, {{20, 20}}));
  expect_sound(21);
}

TEST_F(DamagedStore, DeletesPayloadsOverADamagedRowAndCompletes) {
  rot_entry(7);
  rot_entry(kLargeAt);
  RangeSet rest = up_to(20);
  for (int step = 0; !rest.empty(); ++step) {
    ASSERT_LT(step, 20);
    const auto done = store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(rest, transaction.delete_payloads(log.log(), rest, 4));
      return {};
    });
    ASSERT_TRUE(done) << message(done.error());
  }
  EXPECT_EQ(state().deleted, up_to(20));
  EXPECT_TRUE(state().payloads.empty());
  EXPECT_EQ(state().payload_bytes, 0U);
  EXPECT_EQ(state().held, up_to(20) - (RangeSet{{7, 7}, {kLargeAt, kLargeAt}}));
  EXPECT_TRUE(rows_of(store.kv(), Table::kStages).empty());
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
  expect_sound(18);
}

TEST_F(DamagedStore, DropsOnlyThePayloadWhereOneOfItsPartsIsDamaged) {
  rot(Table::kPayloads, 1);
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{kLargeAt, kLargeAt}}));
  EXPECT_EQ(state().held, up_to(20));
  EXPECT_EQ(state().payloads, up_to(20) - (RangeSet{{kLargeAt, kLargeAt}}));
  expect_sound(20);
  ASSERT_TRUE(store.ingest(log, {{kLargeAt, kLargeAt}}));
  expect_whole();
}

TEST_F(DamagedStore, DropsThePayloadWhoseStageIsDamaged) {
  rot(Table::kStages, 0);
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{kLargeAt, kLargeAt}}));
  expect_sound(20);
}

TEST_F(DamagedStore, LosesTheLargePayloadWithItsEntry) {
  rot_entry(kLargeAt);
  drop({{kLargeAt, kLargeAt}});
  EXPECT_TRUE(rows_of(store.kv(), Table::kStages).empty());
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
  expect_sound(19);
}

TEST_F(DamagedStore, PutsAPayloadOfAnEntryThatWasDamagedOnlyOnceThatIsHeldAgain) {
  rot_entry(7);
  const auto put = [&](WriteTransaction& transaction) -> Result<void> {
    const auto payload = log.payload(7);
    EXPECT_EQ(code_of(transaction.put_payload(log.log(), 7, payload, hash(payload))),
              Errc::kEntryNotHeld);
    EXPECT_EQ(transaction.dropped().at(log.log()), (RangeSet{{7, 7}}));
    return {};
  };
  ASSERT_TRUE(store->update(put));
  expect_sound(19);
}

TEST_F(DamagedStore, VisitsWhatIsSoundAndSaysWhatIsNot) {
  rot_entry(1);
  rot_entry(7);
  lose_entry(20);
  RangeSet seen;
  const auto damaged = store->read()->visit_sound_entries(
      state(), up_to(20), [&](const store::StoredEntry& stored) -> Result<bool> {
        seen.insert(stored.entry.seqnum());
        return true;
      });
  EXPECT_EQ(damaged, (RangeSet{{1, 1}, {7, 7}, {20, 20}}));
  EXPECT_EQ(seen, up_to(20) - (RangeSet{{1, 1}, {7, 7}, {20, 20}}));
}

TEST_F(DamagedStore, ALogWhoseStateIsDamagedFailsAlone) {
  auto other = LogBuilder("bob").append_many(3);
  ASSERT_TRUE(store.ingest(other, up_to(3)));
  for (auto [key, value] : rows_of(store.kv(), Table::kLogs)) {
    if (store::detail::parse_log_row_key(key) != log.log()) continue;
    value.back() ^= 1U;
    put_row(store.kv(), Table::kLogs, key, value);
  }
  EXPECT_EQ(code_of(store.ingest(log, up_to(20))), Errc::kStoreDamaged);
  EXPECT_EQ(code_of(store->read()->get_log(log.log())), Errc::kStoreDamaged);
  ASSERT_TRUE(store.ingest(other.append_many(1), up_to(4)));
}

TEST_F(DamagedStore, MakesTheStateOfALogAgainFromItsRows) {
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{3, 3}}, 100));
    return {};
  }));
  whole = state();
  rot_payload(7);
  rot(Table::kLogs, 0);
  ASSERT_EQ(code_of(store->read()->get_log(log.log())), Errc::kStoreDamaged);
  EXPECT_EQ(drop(up_to(20)), (RangeSet{{7, 7}}));
  LogState now = state();
  EXPECT_EQ(now.held, whole.held);
  EXPECT_EQ(now.payloads, whole.payloads - (RangeSet{{7, 7}}));
  EXPECT_EQ(now.deleted, (RangeSet{{3, 3}}));
  EXPECT_EQ(now.interest.entries, everything());
  expect_sound(20);
  ASSERT_TRUE(store.ingest(log.append_many(1), up_to(21)));
  EXPECT_EQ(state().payloads, up_to(21) - (RangeSet{{3, 3}}));
}

TEST_F(DamagedStore, WantsAllOfALogWhoseStateWasLostWithEntries) {
  const Interest newest{{}, 5};
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.set_interest(log.log(), {newest, true});
  }));
  lose_entry(3);
  lose_entry(20);
  rot(Table::kLogs, 0);
  LogState made = store->read()->restored_log(log.log())->state;
  drop({});
  made.change = state().change;
  const LogState now = state();
  EXPECT_EQ(now, made);
  EXPECT_EQ(now.held, up_to(19) - (RangeSet{{3, 3}}));
  EXPECT_EQ(now.interest.entries, everything());
  EXPECT_TRUE(now.deleted.empty());
}

TEST(DamagedStates, AreMadeAgainOfVeryManyLogsWithoutAReadOfAllForEach) {
  constexpr std::size_t kLogs = 500;
  MemoryStore store;
  std::vector<LogKey> logs;
  for (std::size_t n = 0; n < kLogs; ++n) {
    const LogBuilder log = LogBuilder("author " + std::to_string(n)).append_many(1);
    ASSERT_TRUE(store.ingest(log, up_to(1)));
    logs.push_back(log.log());
  }
  for (const LogKey& log : logs) {
    put_row(store.kv(), Table::kLogs, store::detail::log_row_key(log), store::detail::kLostState);
  }
  const std::uint64_t before = read_counts.steps;
  {
    const auto transaction = *store->read();
    for (const LogKey& log : logs) ASSERT_TRUE(transaction.restored_log(log));
  }
  for (const LogKey& log : logs) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.drop_damaged(log, {}));
      return {};
    }));
    ASSERT_EQ(store.state(log).held, up_to(1));
  }
  EXPECT_LT(read_counts.steps - before, kLogs * 50);
  EXPECT_TRUE(audit_tables(*store->read()));
}

TEST_F(DamagedStore, WhatOnlyALostStateToldOfIsPerhapsLostUntilItCame) {
  const auto find_lost = [&] { return *store->read()->find_lost(state()); };
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{3, 3}}, 100));
    return {};
  }));
  lose_entry(7);  // others lead past these
  lose_entry(11);
  put_row(store.kv(), Table::kLogs, store::detail::log_row_key(log.log()),
          store::detail::kLostState);
  drop({});
  EXPECT_TRUE(find_lost().sure().empty());
  EXPECT_EQ(find_lost().perhaps().entries, (RangeSet{{7, 7}, {11, 11}}));
  EXPECT_TRUE(state().deleted.contains(3) && find_lost().untold.contains(3));
  ASSERT_TRUE(store.ingest(log, {{7, 7}}));
  EXPECT_EQ(find_lost().perhaps().entries, (RangeSet{{11, 11}}));
  rot_entry(7);
  drop(up_to(20));
  EXPECT_EQ(find_lost().sure().entries, (RangeSet{{7, 7}}));
  EXPECT_EQ(find_lost().perhaps().entries, (RangeSet{{11, 11}}));
}

TEST_F(DamagedStore, ARowOfALogThatIsDamagedByItselfTookNoEntriesAlong) {
  lose_entry(7);
  rot(Table::kLogs, 0);
  drop({});
  EXPECT_TRUE(store->read()->find_lost(state())->empty());
}

TEST_F(DamagedStore, WhatWasLostWithTheStateDoesNotPassForDeleted) {
  rot_payload(7);
  rot_from_behind(9, 1);
  rot(Table::kStages, 0);
  rot(Table::kLogs, 0);
  drop(up_to(20));
  EXPECT_EQ(state().payloads, up_to(20) - (RangeSet{{7, 7}, {kLargeAt, kLargeAt}}));
  EXPECT_TRUE(state().deleted.empty());
  expect_sound(20);
  ASSERT_TRUE(store.ingest(log, up_to(20)));
  EXPECT_EQ(state().payloads, up_to(20));
}

TEST_F(DamagedStore, RemembersWhatWasLostUntilItCameWasDeletedOrIsWantedNoMore) {
  rot_entry(7);
  rot_payload(9);
  rot_payload(10);
  rot_entry(20);
  drop(up_to(20));
  const auto lost = [&] { return *store->read()->find_lost(state()); };
  EXPECT_EQ(lost(), (store::Lost{{{7, 7}, {20, 20}}, {{9, 10}}}));
  ASSERT_TRUE(store.ingest(log, {{7, 7}}));
  EXPECT_EQ(lost().entries, (RangeSet{{20, 20}}));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{9, 9}}, 100));
    return {};
  }));
  EXPECT_EQ(lost().payloads, (RangeSet{{10, 10}}));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.set_interest(log.log(), {{{{1, 8}}, 0}, true});
  }));
  EXPECT_TRUE(lost().empty());
  ASSERT_TRUE(
      store->update([&](WriteTransaction& transaction) { return transaction.forget(log.log()); }));
  for (const auto& [key, value] : rows_of(store.kv(), Table::kMeta)) {
    EXPECT_FALSE(as_text(key).starts_with("lost"));
  }
}

TEST_F(DamagedStore, CountsAsLostWhatEntriesLeadToAlsoWhereTheStateWasLostWithIt) {
  for (const bool is_state_lost : {false, true}) {
    lose_entry(4);
    if (is_state_lost) rot(Table::kLogs, 0);
    drop(up_to(20));
    EXPECT_EQ(store->read()->find_lost(state())->entries, (RangeSet{{4, 4}}));
    expect_sound(19);
    ASSERT_TRUE(store.ingest(log, up_to(20)));
    EXPECT_TRUE(store->read()->find_lost(state())->empty());
    expect_sound(20);
  }
}

TEST_F(DamagedStore, ALargePayloadOfWhichNothingIsLeftIsLostOnlyWhereItsRowsMayBe) {
  for (const bool are_pages_lost : {false, true}) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), {{kLargeAt, kLargeAt}}, 100));
      return {};
    }));
    ASSERT_TRUE(rows_of(store.kv(), Table::kStages).empty());
    if (!are_pages_lost) rot(Table::kLogs, 0);
    if (are_pages_lost) {
      put_row(store.kv(), Table::kLogs, store::detail::log_row_key(log.log()),
              store::detail::kLostState);
    }
    drop(up_to(20));
    EXPECT_EQ(state().deleted.contains(kLargeAt), !are_pages_lost);
    expect_sound(20);
  }
}

TEST_F(DamagedStore, AnEmptyPayloadWithTheHashOfAnotherIsNotThereAfterwardsEither) {
  EntryFields fields = log.next_fields("not empty");
  fields.payload_size = 0;
  log.append_fields(fields, "");
  const std::vector<UnitEntry> unit = log.unit({{21, 21}});
  ASSERT_TRUE(store::ingest(*store, log.log(), unit, store.verifier));
  ASSERT_FALSE(state().payloads.contains(21));
  rot(Table::kLogs, 0);
  drop(up_to(21));
  EXPECT_EQ(state().held, up_to(21));
  EXPECT_EQ(state().payloads, up_to(20));
}

}  // namespace
}  // namespace culm::test
