#include <algorithm>

#include "culm/store/audit.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

constexpr std::size_t kLarge = limits::kPayloadInlineBytesMax + 20'000;

constexpr std::uint8_t kVersion = store::detail::kFormatVersion;

/// Three logs; of one a large payload, deleted ones, and a fork; of one a set of many ranges.
struct Content {
  LogBuilder alice = LogBuilder("alice").append_many(5).append(long_text(kLarge)).append_many(8);
  LogBuilder branch = alice.fork(12).append_many(1);
  LogBuilder bob = LogBuilder("bob").append_many(4).end();
  LogBuilder carol = LogBuilder("carol").append_many(2);

  /// Each other payload of carol's is deleted.
  Result<void> delete_many(MemoryStore& store, std::size_t ranges) const {
    RangeSet seqnums;
    for (SeqNum n = 1; n <= ranges; ++n) seqnums.insert(2 * n);
    CULM_CHECK(store.ingest(carol, up_to(2)));
    return store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(carol.log(), seqnums, 100));
      return {};
    });
  }

  Result<void> write(MemoryStore& store) const {
    CULM_CHECK(store.ingest(bob, up_to(3)));
    CULM_CHECK(store.ingest(alice, up_to(10)));
    const auto narrow = [this](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(alice.log(), {{2, 4}}, 100));
      return transaction.set_interest(alice.log(), {everything(), true});
    };
    CULM_CHECK(store->update(narrow));
    CULM_CHECK(store.ingest(alice, up_to(13)));
    const auto forked = store.ingest(branch, {{12, 13}});
    if (!forked && forked.error().code != Errc::kLogCapped) return fail(forked.error());
    CULM_CHECK(store.ingest(bob, up_to(5)));
    return delete_many(store, 700);
  }
};

/// The first error when everything is read and audited.
std::optional<Error> read_all(MemoryStore& store, const Content& content) {
  if (!store.is_open()) return Error{Errc::kStoreDamaged};
  const auto look = [&]() -> Result<void> {
    CULM_TRY(const auto transaction, store->read());
    CULM_CHECK(audit_tables(transaction));
    CULM_CHECK(transaction.changes(0, 100));
    for (const LogBuilder* log : {&content.alice, &content.bob, &content.carol}) {
      CULM_TRY(const auto shared, transaction.get_log(log->log()));
      const LogState& state = *shared;
      CULM_CHECK(transaction.evidence(state));
      CULM_CHECK(transaction.visit_entries(
          state, up_to(kSeqnumMax), [](const store::StoredEntry&) { return Result<bool>(true); }));
      for (const SeqRange range : state.payloads.ranges()) {
        for (SeqNum n = range.first; n <= range.last; ++n) {
          CULM_CHECK(payload_of(transaction, state, n));
        }
      }
      CULM_TRY(const auto report, audit_log(transaction, state, store.verifier));
      if (!report.is_sound()) return fail(*report.first_fault);
    }
    return {};
  };
  const auto result = look();
  if (result) return std::nullopt;
  return result.error();
}

class StoreDamage : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(content.write(original));
    ASSERT_EQ(read_all(original, content), std::nullopt);
  }

  /// What reading everything says after `change` was made to the rows.
  template <class Change>
  std::optional<Error> after(Change change) {
    {
      store::MemoryKv kv({}, original.kv().image());
      change(kv);
      image = kv.image();
    }
    MemoryStore store({}, image);
    return read_all(store, content);
  }

  Content content;
  MemoryStore original;
  store::MemoryImage image;
};

constexpr Table kTables[] = {Table::kMeta,    Table::kLogs,     Table::kEntries, Table::kPayloads,
                             Table::kChanges, Table::kEvidence, Table::kStages,  Table::kSets};

TEST_F(StoreDamage, AFlippedBitInAnyRowIsNoticed) {
  TestRandom random(7);
  CULM_TRACE_SEED(random);
  for (const Table table : kTables) {
    const Rows rows = rows_of(original.kv(), table);
    ASSERT_FALSE(rows.empty());
    for (const auto& [key, value] : rows) {
      for (int flips = 0; flips < 20; ++flips) {
        Bytes damaged = value;
        const std::uint64_t bit = random.below(8 * value.size());
        damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
        const auto error =
            after([&, &row_key = key](store::Kv& kv) { put_row(kv, table, row_key, damaged); });
        ASSERT_TRUE(error) << static_cast<int>(table) << " bit " << bit;
        EXPECT_EQ(error->code, Errc::kStoreDamaged);
      }
    }
  }
}

TEST_F(StoreDamage, ACutOrEmptyRowIsNoticed) {
  for (const Table table : kTables) {
    const auto [key, value] = rows_of(original.kv(), table).front();
    for (const std::size_t size : {std::size_t{0}, std::size_t{8}, value.size() - 1}) {
      const auto error = after([&, &row_key = key, &row_value = value](store::Kv& kv) {
        put_row(kv, table, row_key, ByteView(row_value).first(size));
      });
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code, Errc::kStoreDamaged);
    }
  }
}

TEST_F(StoreDamage, ALostRowIsNoticedInEachTable) {
  for (const Table table : kTables) {
    for (const auto& row : rows_of(original.kv(), table)) {
      const auto error = after([&](store::Kv& kv) { erase_row(kv, table, row.first); });
      ASSERT_TRUE(error) << static_cast<int>(table) << " " << to_hex(row.first);
      EXPECT_TRUE(error->code == Errc::kStoreDamaged || error->code == Errc::kLogUnknown);
    }
  }
}

TEST_F(StoreDamage, ALostEntryIsNamed) {
  const auto error = after([&](store::Kv& kv) {
    const auto number = original.state(content.alice.log()).number;
    erase_row(kv, Table::kEntries, store::detail::entry_row_key(number, 7));
  });
  EXPECT_EQ(error, error_for(Errc::kStoreDamaged, 7));
}

TEST_F(StoreDamage, SwappedRowsAreNoticedInEachTable) {
  for (const Table table : kTables) {
    const Rows rows = rows_of(original.kv(), table);
    if (rows.size() < 2) continue;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const auto error = after([&](store::Kv& kv) {
        put_row(kv, table, rows[i].first, rows[i - 1].second);
        put_row(kv, table, rows[i - 1].first, rows[i].second);
      });
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code, Errc::kStoreDamaged);
    }
  }
}

TEST_F(StoreDamage, ARowThatNobodyKnowsOfIsNoticed) {
  for (const std::uint64_t number : {1U, 2U, 3U, 4U}) {
    const auto entry = after([&](store::Kv& kv) {
      put_sealed(kv, Table::kEntries, store::detail::entry_row_key(number, 100), {kVersion, 0, 0});
    });
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->code, Errc::kStoreDamaged);
    const auto chunk = after([&](store::Kv& kv) {
      put_sealed(kv, Table::kPayloads, store::detail::chunk_row_key(number + 1, 0), {kVersion, 5});
    });
    ASSERT_TRUE(chunk);
    EXPECT_EQ(chunk->code, Errc::kStoreDamaged);
    const auto stage = after([&](store::Kv& kv) {
      put_sealed(kv, Table::kStages, store::detail::stage_row_key(number, 100, 1),
                 {kVersion, 0, 0});
    });
    ASSERT_TRUE(stage);
    EXPECT_EQ(stage->code, Errc::kStoreDamaged);
    for (const std::size_t set : {0U, 3U, 9U}) {
      const auto block = after([&](store::Kv& kv) {
        put_sealed(kv, Table::kSets, store::detail::set_row_key(number, set, 9000),
                   {kVersion, 0, 0});
      });
      ASSERT_TRUE(block);
      EXPECT_EQ(block->code, Errc::kStoreDamaged);
    }
  }
}

TEST_F(StoreDamage, AnOlderVersionOfARowIsNoticed) {
  // The same content once more, keeping every version of every row.
  MemoryStore store;
  std::vector<Rows> versions;
  const auto keep = [&] {
    for (const Table table : kTables) versions.push_back(rows_of(store.kv(), table));
  };
  ASSERT_TRUE(store.ingest(content.bob, up_to(3)));
  ASSERT_TRUE(store.ingest(content.alice, up_to(10)));
  ASSERT_TRUE(content.delete_many(store, 300));
  keep();
  ASSERT_TRUE(content.write(store));
  int tried = 0;
  for (std::size_t i = 0; i < std::size(kTables); ++i) {
    const Rows now = rows_of(store.kv(), kTables[i]);
    for (const auto& old : versions[i]) {
      const auto same_key = std::ranges::find(now, old.first, &Rows::value_type::first);
      if (same_key != now.end() && same_key->second == old.second) continue;
      MemoryStore changed({}, store.kv().image());
      put_row(changed.kv(), kTables[i], old.first, old.second);
      const auto error = read_all(changed, content);
      ASSERT_TRUE(error) << i << " " << to_hex(old.first);
      EXPECT_EQ(error->code, Errc::kStoreDamaged);
      ++tried;
    }
  }
  EXPECT_GE(tried, 1 + 3 + 3 + 2 + 1) << "meta, logs, deleted payloads, old changes, a block";
}

TEST(StoreFailure, AtEachOperationLeavesAStoreThatGoesOn) {
  const Content content;
  MemoryStore good;
  ASSERT_TRUE(content.write(good));
  const std::uint64_t operations = good.kv().operations();
  ASSERT_GT(operations, 40U);
  for (const bool lands : {false, true}) {
    // 3: making the store is a put and a commit.
    for (std::uint64_t n = 3; n <= operations; ++n) {
      SCOPED_TRACE("operation " + std::to_string(n) + (lands ? " lands" : ""));
      MemoryStore failing({.fail_operation = n, .failed_commit_lands = lands});
      const auto failed = content.write(failing);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().code, Errc::kStoreIo);
      MemoryStore store = failing.reopened();
      ASSERT_TRUE(store.is_open());
      for (const LogBuilder* log : {&content.alice, &content.bob, &content.carol}) {
        const auto transaction = *store->read();
        ASSERT_TRUE(audit_tables(transaction));
        const auto state = *transaction.find_log(log->log());
        if (!state) continue;
        const auto report = audit_log(transaction, *state, store.verifier);
        ASSERT_TRUE(report && report->is_sound());
      }
      ASSERT_TRUE(content.write(store));
      ASSERT_EQ(read_all(store, content), std::nullopt);
      for (const LogBuilder* log : {&content.alice, &content.bob, &content.carol}) {
        LogState state = store.state(log->log());
        LogState wanted = good.state(log->log());
        state.change = wanted.change;  // takes another number of steps
        EXPECT_EQ(state, wanted);
      }
    }
  }
}

TEST(StoreFailure, OneThatTheBodyPassesOverCommitsNothing) {
  const auto log = LogBuilder().append_many(3);
  MemoryStore good;
  ASSERT_TRUE(good.ingest(log, up_to(3)));
  // The payload of 1 is gone already when the row of 2 cannot be written.
  MemoryStore store({.fail_operation = 2}, good.kv().image());
  const auto done = store->update([&](WriteTransaction& transaction) -> Result<void> {
    EXPECT_EQ(code_of(transaction.delete_payloads(log.log(), up_to(3), 10)), Errc::kStoreIo);
    return {};
  });
  EXPECT_EQ(code_of(done), Errc::kStoreIo);
  MemoryStore again = store.reopened();
  EXPECT_TRUE(payload_of(*again->read(), again.state(log.log()), 1));
}

TEST(StoreFailure, OfTheFirstWriteLeavesNoHalfStore) {
  for (const std::uint64_t n : {1U, 2U}) {
    auto kv = std::make_unique<store::MemoryKv>(store::MemoryOptions{.fail_operation = n});
    auto* const raw = kv.get();
    store::MemoryImage image = raw->image();
    TestRandom random(1);
    const auto opened = Store::open(std::move(kv), random);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::kStoreIo);
    EXPECT_TRUE(MemoryStore({}, image).is_open());
  }
}

}  // namespace
}  // namespace culm::test
