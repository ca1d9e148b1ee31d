#include "culm/store/store.hpp"

#include <algorithm>

#include "culm/store/lmdb_kv.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

using store::LogInterest;

TEST(StoreOpen, GivesEachNewStoreAnIdThatStays) {
  MemoryStore store;
  const auto id = store->id();
  EXPECT_NE(id, store::StoreId{});
  TestRandom other(2);
  const auto second = Store::open(std::make_unique<store::MemoryKv>(), other);
  EXPECT_NE((*second)->id(), id);
  EXPECT_EQ(store.reopened()->id(), id);
}

TEST(StoreOpen, SaysWhetherItHasMadeTheStore) {
  MemoryStore store;
  EXPECT_TRUE(store->was_made());
  EXPECT_FALSE(store.reopened()->was_made());
}

TEST(StoreOpen, RefusesAStoreThatLostItsMetaRow) {
  MemoryStore store;
  ASSERT_TRUE(store.ingest(LogBuilder().append_many(3), up_to(3)));
  erase_row(store.kv(), Table::kMeta, store::detail::meta_row_key());
  TestRandom random(1);
  const auto again = Store::open(
      std::make_unique<store::MemoryKv>(store::MemoryOptions{}, store.kv().image()), random);
  EXPECT_EQ(code_of(again), Errc::kStoreDamaged);
}

TEST(StoreOpen, RefusesAnotherVersionByName) {
  for (const std::uint8_t version : {std::uint8_t{2}, std::uint8_t{4}}) {
    MemoryStore store;
    put_sealed(store.kv(), Table::kMeta, store::detail::meta_row_key(), {version, 1, 2, 3});
    TestRandom random(1);
    const auto again = Store::open(
        std::make_unique<store::MemoryKv>(store::MemoryOptions{}, store.kv().image()), random);
    EXPECT_EQ(code_of(again), Errc::kStoreVersion);
  }
}

TEST(StoreOpen, FindsNoStoreInAnEmptyDirectoryOpenForReading) {
  const TempDir directory;
  const std::size_t map_size = 1 << 20;
  ASSERT_TRUE(store::LmdbKv::open(directory.path(), {.map_size_bytes = map_size}));
  auto kv = store::LmdbKv::open(directory.path(), {.map_size_bytes = map_size, .read_only = true});
  TestRandom random(1);
  EXPECT_EQ(code_of(Store::open(*std::move(kv), random)), Errc::kStoreNotFound);
}

sealing::PeerKey peer_key(std::uint8_t n) {
  sealing::PeerKey key;
  key.bytes.fill(n);
  return key;
}

void remember(MemoryStore& store, const std::string& address,
              const std::optional<sealing::PeerKey>& key) {
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) {
      return transaction.remember_peer(address, key);
    }));
  }
}

TEST(StoreOpen, RemembersWherePeersWereAndWhoAndNotTooMany) {
  MemoryStore store;
  EXPECT_TRUE(store->read()->known_peers()->empty());
  std::vector<store::KnownPeer> expected;
  for (std::uint8_t n = 0; n < 20; ++n) {
    const std::string address = "127.0.0.1:" + std::to_string(n);
    remember(store, address, peer_key(n));
    expected.push_back({address, {peer_key(n)}});
    if (expected.size() > store::kKnownPeersMax) expected.erase(expected.begin());
  }
  EXPECT_EQ(*store->read()->known_peers(), expected);
  for (const store::KnownPeer& peer : std::vector(expected)) {
    for (int times = 0; times < 2; ++times) {
      ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) {
        return transaction.forget_peer(peer.address);
      }));
    }
    expected.erase(expected.begin());
    EXPECT_EQ(*store->read()->known_peers(), expected);
  }
}

TEST(StoreOpen, RemembersAllWhoAnsweredAtAnAddressAndNotTooMany) {
  MemoryStore store;
  remember(store, "relay.example:1", std::nullopt);
  remember(store, "relay.example:2", peer_key(1));
  std::vector<store::KnownPeer> expected;
  expected.push_back({"relay.example:1", {}});
  expected.push_back({"relay.example:2", {peer_key(1)}});
  EXPECT_EQ(*store->read()->known_peers(), expected);
  for (std::uint8_t n = 2; n < 9; ++n) {
    remember(store, "relay.example:1", peer_key(n));
    expected[0].keys.push_back(peer_key(n));
    auto& keys = expected[0].keys;
    if (keys.size() > store::kPeerKeysMax) keys.erase(keys.begin());
    EXPECT_EQ(*store->read()->known_peers(), expected);
  }
}

TEST(StoreOpen, ReadsTheAddressesThatAnOlderProgramKept) {
  MemoryStore store;
  remember(store, "relay.example:1", peer_key(1));
  remember(store, "relay.example:2", peer_key(2));
  erase_row(store.kv(), Table::kMeta, store::detail::peer_keys_row_key());
  std::vector<store::KnownPeer> expected(2);
  expected[0].address = "relay.example:1";
  expected[1].address = "relay.example:2";
  EXPECT_EQ(*store->read()->known_peers(), expected);
  remember(store, "relay.example:2", peer_key(3));
  expected[1].keys.push_back(peer_key(3));
  EXPECT_EQ(*store->read()->known_peers(), expected);
}

TEST(StoreIngest, ShowsNothingThatIsHeldBack) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(20);
  const LogKey key = log.log();
  ASSERT_TRUE(store.ingest(log, up_to(3)));
  store->hold_back(key, 4);
  ASSERT_TRUE(store.ingest(log, up_to(20)));
  {
    const LogState state = store.state(key);
    EXPECT_EQ(state.held, up_to(20)) << "it is stored";
    EXPECT_EQ(state.served(), up_to(3));
    EXPECT_EQ(state.head(), 3U);
    EXPECT_FALSE(state.serves(4));
  }
  ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) -> Result<void> {
    EXPECT_EQ(transaction.get_log(key).value()->head(), 20U) << "who writes sees all";
    return {};
  }));
  store->hold_back(key, 10);
  EXPECT_EQ(store.state(key).served(), up_to(9));
  store->release(key);
  EXPECT_EQ(store.state(key).served(), up_to(20));
}

TEST(StoreIngest, KeepsEntriesWithTheirPayloads) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(20);
  const auto report = store.ingest(log, up_to(20));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->added, up_to(20));
  EXPECT_EQ(report->payloads_added, up_to(20));
  EXPECT_EQ(report->signatures_checked, 1U);
  EXPECT_FALSE(report->defect);

  const auto transaction = *store->read();
  const LogState state = **transaction.get_log(log.log());
  EXPECT_EQ(state.held, up_to(20));
  EXPECT_EQ(state.payloads, up_to(20));
  EXPECT_EQ(state.verified, (RangeSet{{20, 20}}));
  EXPECT_EQ(state.served(), up_to(20));
  EXPECT_EQ(state.head(), 20U);
  std::uint64_t payload_bytes = 0;
  for (SeqNum n = 1; n <= 20; ++n) {
    const auto stored = transaction.get_entry(state, n);
    ASSERT_TRUE(stored);
    EXPECT_TRUE(equal(stored->entry.bytes(), log.bytes(n)));
    ASSERT_TRUE(stored->inline_payload);
    EXPECT_TRUE(equal(*stored->inline_payload, log.payload(n)));
    payload_bytes += log.payload(n).size();
  }
  EXPECT_EQ(state.payload_bytes, payload_bytes);
  EXPECT_FALSE(*transaction.find_entry(state, 21));
  EXPECT_EQ(code_of(transaction.get_entry(state, 21)), Errc::kEntryNotHeld);
}

TEST(StoreIngest, TheSameAgainChangesNothing) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(5);
  ASSERT_TRUE(store.ingest(log, up_to(5)));
  const LogState before = store.state(log.log());
  const auto operations = store.kv().operations();
  const auto report = store.ingest(log, up_to(5));
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->added.empty());
  EXPECT_TRUE(report->payloads_added.empty());
  EXPECT_EQ(store.state(log.log()), before);
  EXPECT_EQ(store.kv().operations(), operations + 1) << "the commit alone";
}

TEST(StoreIngest, WritesOneRowPerEntryAndTheStateOncePerTransaction) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(200);
  std::vector<CheckedUnit> units;
  for (SeqNum n = 1; n <= 200; n += 10) units.push_back(checked(log, {{n, n + 9}}, true));
  const auto operations = store.kv().operations();
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    for (const CheckedUnit& unit : units) CULM_CHECK(transaction.ingest(unit));
    EXPECT_EQ(transaction.get_log(log.log()).value()->held, up_to(200)) << "seen before the commit";
    return {};
  }));
  const int state_change_meta_commit = 4;
  EXPECT_EQ(store.kv().operations(), operations + 200 + state_change_meta_commit);
}

TEST(StoreIngest, RefusesAUnitWhole) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(9);
  ASSERT_TRUE(store.ingest(log, up_to(3)));
  const LogState before = store.state(log.log());
  auto unit = log.unit({{4, 9}}, true);
  const EntryBuffer forged = log.forged(9);
  unit.back() = unit_entry(forged);
  EXPECT_EQ(code_of(store.ingest(log.log(), unit)), Errc::kEntrySignature);
  EXPECT_EQ(store.state(log.log()), before);
  EXPECT_EQ(rows_of(store.kv(), Table::kEntries).size(), 3U);
}

TEST(StoreIngest, ARefusedUnitLeavesTheOthersOfItsTransaction) {
  MemoryStore store;
  const auto log = LogBuilder("alice").append_many(9);
  const auto first = checked(log, up_to(3));
  const auto unanchored = checked(log, {{7, 7}});
  const auto next = checked(log, {{4, 5}});
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.ingest(first));
    EXPECT_EQ(code_of(transaction.ingest(unanchored)), Errc::kUnitUnanchored);
    CULM_CHECK(transaction.ingest(next));
    return {};
  }));
  EXPECT_EQ(store.state(log.log()).held, up_to(5));
}

TEST(StoreIngest, ALogOfWhichNothingWasKeptStaysUnknown) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(9);
  const auto unit = checked(log, {{7, 7}});
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    EXPECT_FALSE(transaction.ingest(unit));
    EXPECT_FALSE(*transaction.find_log(log.log()));
    EXPECT_EQ(code_of(transaction.delete_payloads(log.log(), up_to(3), 10)), Errc::kLogUnknown);
    return {};
  }));
  EXPECT_FALSE(*store->read()->find_log(log.log()));
  EXPECT_EQ(code_of(store->read()->get_log(log.log())), Errc::kLogUnknown);
  EXPECT_TRUE(store->read()->list_logs()->empty());
}

TEST(StoreIngest, AFailedBodyLeavesNothing) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(9);
  const auto unit = checked(log, up_to(9));
  EXPECT_EQ(code_of(store->update([&](WriteTransaction& transaction) -> Result<void> {
              CULM_CHECK(transaction.ingest(unit));
              return fail(Errc::kTimeout);
            })),
            Errc::kTimeout);
  EXPECT_FALSE(*store->read()->find_log(log.log()));
}

TEST(StoreIngest, RemembersTheEndOfTheLogAndRefusesWhatFollows) {
  MemoryStore store;
  auto log = LogBuilder().append_many(3).end();
  ASSERT_TRUE(store.ingest(log, up_to(4)));
  EXPECT_EQ(store.state(log.log()).end_of_log, 4U);
  log.append("too late");
  EXPECT_EQ(code_of(store.ingest(log, {{5, 5}})), Errc::kLogEnded);
}

TEST(StoreIngest, FullCheckingVerifiesEveryEntry) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(7);
  ASSERT_TRUE(store.ingest(log.log(), log.unit(up_to(7)), {.full = true}));
  EXPECT_EQ(store.state(log.log()).verified, up_to(7));
}

TEST(StoreFork, IsRecordedAndCapsTheLog) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(9);
  const auto branch = log.fork(6).append_many(3);
  ASSERT_TRUE(store.ingest(log, up_to(7)));
  const auto report = store.ingest(branch, {{5, 8}});
  ASSERT_TRUE(report);
  ASSERT_TRUE(report->defect);
  EXPECT_EQ(*report->defect, (Defect{DefectKind::kFork, 6}));
  EXPECT_TRUE(report->added.empty());

  const LogState state = store.state(log.log());
  EXPECT_EQ(state.cap, 6U);
  EXPECT_EQ(state.held, up_to(7)) << "rows stay";
  EXPECT_EQ(state.served(), up_to(5));
  EXPECT_EQ(state.head(), 5U);
  const auto evidence = *store->read()->evidence(state);
  ASSERT_EQ(evidence.size(), 1U);
  EXPECT_EQ(evidence[0], make_evidence(std::vector{log.entry(6), branch.entry(6)}));
  EXPECT_EQ(code_of(store.ingest(log, {{8, 9}})), Errc::kLogCapped);
}

TEST(StoreFork, ItsPayloadsGoToNeitherBranch) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(9);
  const auto branch = log.fork(6).append_many(3);
  ASSERT_TRUE(store.ingest(log, up_to(7), false));
  const auto report = store.ingest(branch, {{4, 8}});
  ASSERT_TRUE(report && report->defect);
  EXPECT_EQ(report->payloads_added, (RangeSet{{4, 5}}));
  EXPECT_EQ(store.state(log.log()).payloads, (RangeSet{{4, 5}}));
  EXPECT_EQ(code_of(store->update([&](WriteTransaction& transaction) {
              return transaction.begin_stage(log.log(), 7).map([](auto) {});
            })),
            Errc::kLogCapped);
}

TEST(StoreFork, EvidenceSurvivesAndOnlyALowerOneCounts) {
  MemoryStore first;
  const auto log = LogBuilder().append_many(9);
  const auto at = [&](SeqNum n) {
    return make_evidence(std::vector{log.entry(n), log.fork(n).entry(n)});
  };
  std::optional<Defect> defect;
  const auto record = [&](MemoryStore& store, const Evidence& evidence) -> Result<void> {
    CULM_TRY(const auto proven, ProvenDefect::derive(log.log(), evidence, store.verifier));
    return store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(defect, transaction.record_evidence(proven));
      return {};
    });
  };
  ASSERT_TRUE(record(first, at(5)));
  ASSERT_TRUE(defect);
  MemoryStore store = first.reopened();
  EXPECT_EQ(store.state(log.log()).cap, 5U) << "of a log that nothing else is known of";
  ASSERT_TRUE(record(store, at(7)));
  EXPECT_FALSE(defect);
  ASSERT_TRUE(record(store, at(5)));
  EXPECT_FALSE(defect);
  ASSERT_TRUE(record(store, at(3)));
  EXPECT_EQ(defect, (Defect{DefectKind::kFork, 3}));
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.cap, 3U);
  EXPECT_EQ(*store->read()->evidence(state), (std::vector{at(3), at(5)}));
  EXPECT_EQ(code_of(record(store, make_evidence(std::vector{log.entry(1), log.entry(2)}))),
            Errc::kEvidence);
  ASSERT_TRUE(store.ingest(log, up_to(9)));
  EXPECT_EQ(store.state(log.log()).held, up_to(2)) << "below the cap only";
}

TEST(StoreChanges, NameEachLogOnceInTheOrderOfItsLastChange) {
  MemoryStore store;
  const auto a = LogBuilder("a").append_many(3);
  const auto b = LogBuilder("b").append_many(3);
  const auto c = LogBuilder("c").append_many(3);
  EXPECT_EQ(*store->read()->last_change(), 0U);
  for (const LogBuilder* log : {&a, &b, &c}) ASSERT_TRUE(store.ingest(*log, up_to(1)));
  ASSERT_TRUE(store.ingest(a, up_to(2)));
  ASSERT_TRUE(store.ingest(b, up_to(1)));  // nothing new
  const auto transaction = *store->read();
  using Change = ReadTransaction::Change;
  EXPECT_EQ(*transaction.last_change(), 4U);
  EXPECT_EQ(*transaction.changes(0, 10),
            (std::vector<Change>{{2, b.log()}, {3, c.log()}, {4, a.log()}}));
  EXPECT_EQ(*transaction.changes(0, 2), (std::vector<Change>{{2, b.log()}, {3, c.log()}}));
  EXPECT_EQ(*transaction.changes(3, 10), (std::vector<Change>{{4, a.log()}}));
  EXPECT_TRUE(transaction.changes(4, 10)->empty());
  EXPECT_TRUE(transaction.changes(UINT64_MAX, 10)->empty());
  EXPECT_EQ(transaction.get_log(a.log()).value()->change, 4U);
}

// With `WatchedKv` a second look at what lies in the row fails.
TEST(StoreLogs, OfManyRangesAreTakenApartOnceForEachChange) {
  MemoryStore store;
  const auto log = LogBuilder("alice").append_many(1000);
  ASSERT_TRUE(store.ingest(log, up_to(1000)));
  RangeSet odd;
  for (SeqNum n = 1; n <= 1000; n += 2) odd.insert(n);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const RangeSet rest, transaction.delete_payloads(log.log(), odd, 10'000));
    return rest.empty() ? Result<void>() : fail(Errc::kLimit);
  }));
  const auto state = *store->read()->get_log(log.log());
  EXPECT_EQ(state->deleted, odd);
  EXPECT_EQ(*store->read()->get_log(log.log()), state) << "the same, not an equal one";

  const auto checked = store::check_held(*store, log.log(), {}, 1000, store.verifier);
  ASSERT_TRUE(checked);
  ASSERT_TRUE(store->update(
      [&](WriteTransaction& transaction) { return transaction.mark_verified(*checked); }));
  const auto marked = *store->read()->get_log(log.log());
  EXPECT_EQ(marked->verified, up_to(1000)) << "which is no change of the log, and yet seen";
  EXPECT_EQ(marked->change, state->change);
  EXPECT_NE(state->verified, up_to(1000)) << "a state does not change with the store";
}

TEST(StoreLogs, AreFoundByPrefix) {
  MemoryStore store;
  std::vector<LogKey> logs;
  for (const auto* seed : {"a", "b", "c", "d"}) {
    for (const std::uint64_t id : {0U, 7U}) {
      const auto log = LogBuilder(seed, LogId{id}).append_many(1);
      ASSERT_TRUE(store.ingest(log, up_to(1)));
      logs.push_back(log.log());
    }
  }
  std::ranges::sort(logs);
  const auto transaction = *store->read();
  EXPECT_EQ(*transaction.list_logs(), logs);
  EXPECT_EQ(transaction.list_logs({}, 3)->size(), 3U);
  const std::string hex = to_hex(logs[4].author.bytes);
  for (const std::size_t digits : {7U, 8U, 64U}) {
    EXPECT_EQ(*transaction.list_logs(hex.substr(0, digits)), (std::vector{logs[4], logs[5]}));
  }
  EXPECT_TRUE(transaction.list_logs(hex + "0")->empty());
  EXPECT_EQ(code_of(transaction.list_logs("xy")), Errc::kHexFormat);
}

TEST(StoreInterest, IsKeptAndMakesALogKnown) {
  MemoryStore first;
  const LogKey log = LogBuilder().log();
  const LogInterest interest{{{{5, 9}, {12, kSeqnumMax}}, 100}, false};
  const auto set = [&] {
    return first->update(
        [&](WriteTransaction& transaction) { return transaction.set_interest(log, interest); });
  };
  ASSERT_TRUE(set());
  MemoryStore store = first.reopened();
  EXPECT_EQ(store.state(log).interest, interest);
  EXPECT_EQ(store.state(log).change, 1U);
  ASSERT_TRUE(set());
  EXPECT_EQ(first.state(log).change, 1U) << "the same again is no change";
}

TEST(StoreInterest, IsLimited) {
  MemoryStore store;
  LogInterest interest;
  for (SeqNum n = 1; n <= limits::kRangesPerLogMax + 1; ++n) interest.entries.ranges.insert(2 * n);
  const auto set = [&] {
    return code_of(store->update([&](WriteTransaction& transaction) {
      return transaction.set_interest(LogBuilder().log(), interest);
    }));
  };
  EXPECT_EQ(set(), Errc::kRangesTooMany);
  interest.entries.ranges.erase({1, 2});
  EXPECT_EQ(set(), Errc{});
}

TEST(StoreVisit, GoesThroughTheHeldOnesAscending) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(40);
  const RangeSet held = closure({{17, 19}, {30, 30}}, 40);
  ASSERT_TRUE(store.ingest(log, held));
  const LogState state = store.state(log.log());
  RangeSet seen;
  const auto transaction = *store->read();
  ASSERT_TRUE(transaction.visit_entries(state, {{10, 35}}, [&](const store::StoredEntry& stored) {
    EXPECT_TRUE(seen.empty() || seen.max() < stored.entry.seqnum());
    seen.insert(stored.entry.seqnum());
    EXPECT_TRUE(stored.inline_payload);
    return Result<bool>(true);
  }));
  EXPECT_EQ(seen, (held & RangeSet{{10, 35}}));
  int calls = 0;
  const auto stop_at_3 = [&](const store::StoredEntry&) { return Result<bool>(++calls < 3); };
  EXPECT_TRUE(transaction.visit_entries(state, up_to(40), stop_at_3));
  EXPECT_EQ(calls, 3);
  const auto fail_at_2 = [&](const store::StoredEntry&) -> Result<bool> {
    if (--calls == 1) return fail(Errc::kTimeout);
    return true;
  };
  EXPECT_EQ(code_of(transaction.visit_entries(state, up_to(40), fail_at_2)), Errc::kTimeout);
}

TEST(StoreUpdate, GrowsAFullStoreAndRepeats) {
  MemoryStore store({.full_after_bytes = 2000});
  const auto log = LogBuilder().append_many(100);
  const auto unit = checked(log, up_to(100), true);
  int runs = 0;
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    ++runs;
    CULM_CHECK(transaction.ingest(unit));
    return {};
  }));
  EXPECT_GT(runs, 2);
  EXPECT_EQ(store.state(log.log()).held, up_to(100));
}

TEST(StoreUpdate, SaysWhenThereIsNoRoomAndGoesOnAfterwards) {
  MemoryStore store({.full_after_bytes = 3000, .may_grow = false});
  const auto log = LogBuilder().append_many(100);
  ASSERT_TRUE(store.ingest(log, up_to(2)));
  const LogState before = store.state(log.log());
  EXPECT_EQ(code_of(store.ingest(log, up_to(100))), Errc::kStoreFull);
  EXPECT_EQ(store.state(log.log()), before);
  EXPECT_TRUE(store.ingest(log, up_to(3)));
}

TEST(StoreRead, SeesOneMoment) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(5);
  ASSERT_TRUE(store.ingest(log, up_to(2)));
  const auto before = *store->read();
  ASSERT_TRUE(store.ingest(log, up_to(5)));
  EXPECT_EQ(before.get_log(log.log()).value()->held, up_to(2));
  EXPECT_EQ(store->read()->get_log(log.log()).value()->held, up_to(5));
}

}  // namespace
}  // namespace culm::test
