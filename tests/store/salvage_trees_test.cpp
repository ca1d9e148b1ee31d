#include <map>

#include "tests/store/leaving_reads.hpp"
#include "tests/store/salvaged_store.hpp"

/// What the trees of a damaged file lead to is there after it was written again.
namespace culm::test {
namespace {

using store::LmdbKv;

constexpr std::uint64_t kRuns = 150;

class SalvagedTrees : public SalvagedStore {
 protected:
  using All = std::map<std::pair<Table, Bytes>, Bytes>;

  void SetUp() override {
    bob.append(std::string(40'000, 'b')).append_many(10).append(std::string(70'000, 'c'));
    SalvagedStore::SetUp();
    add(alice, up_to(alice.head()));
    add(bob, up_to(bob.head()));
    for (std::size_t i = 0; i < store::kTableCount; ++i) {
      const auto table = Table{static_cast<std::uint8_t>(i)};
      if (table == Table::kChanges || table == Table::kMeta) continue;  // made again
      for (auto& [key, value] : rows_of(*kv, table)) all.emplace(std::pair(table, key), value);
    }
    whole = close();
  }

  /// Of the rows that were there, those that LMDB finds.
  All found() {
    const LeavingReads guard;
    All rows;
    store::LmdbOptions reader = kSmall;
    reader.read_only = true;
    const auto opened = LmdbKv::open(directory, reader);
    const auto reading = opened ? (*opened)->begin_read() : fail(opened.error());
    if (!reading) return rows;
    for (const auto& [place, value] : all) {
      const auto row = (*reading)->get(place.first, place.second);
      if (row && *row && equal(**row, value)) rows.emplace(place, value);
    }
    return rows;
  }
  bool has_all(const All& rows, Table table) const {
    return std::ranges::all_of(
        all, [&](const auto& row) { return row.first.first != table || rows.contains(row.first); });
  }

  void expect_kept(const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    const All before = found();
    if (before.empty()) return;
    salvage(content);
    store.reset();
    const All after = found();
    // A payload goes with its entry or stage, and blocks and evidence with a state.
    const bool are_others_due = has_all(before, Table::kEntries) && has_all(before, Table::kLogs) &&
                                has_all(before, Table::kStages);
    for (const auto& [place, value] : before) {
      const Table table = place.first;
      const bool is_due = are_others_due || table == Table::kEntries || table == Table::kLogs;
      EXPECT_TRUE(!is_due || after.contains(place)) << "of table " << static_cast<int>(table);
    }
  }
  static void flip(std::string& content, std::size_t at, int bit) {
    content[at] = static_cast<char>(content[at] ^ (1 << bit));
  }

  All all;
  std::string whole;
};

TEST_F(SalvagedTrees, LoseNothingToAFlippedBitInTheNumberOrTheKindOfAPage) {
  for (std::size_t page = 2 * kPage; page < whole.size(); page += kPage) {
    if (whole[page + 10] != 1 && whole[page + 10] != 2) continue;
    for (const auto& [at, bit] : {std::pair(0, 0), {0, 7}, {3, 1}, {10, 2}, {10, 6}, {14, 3}}) {
      SCOPED_TRACE("byte " + std::to_string(page) + "+" + std::to_string(at));
      std::string content = whole;
      flip(content, page + static_cast<std::size_t>(at), bit);
      ASSERT_NO_FATAL_FAILURE(salvage(content));
      store.reset();
      EXPECT_EQ(found().size(), all.size());
      if (HasFailure()) return;
    }
  }
}

TEST_F(SalvagedTrees, LoseNothingThatLmdbFindsAfterRandomDamageToAPage) {
  run_with_seeds(kRuns, [&](TestRandom& chance) {
    std::string content = whole;
    const std::size_t page = chance.between(2, whole.size() / kPage - 1) * kPage;
    switch (chance.below(5)) {
      case 0:
        flip(content, page + chance.below(16), static_cast<int>(chance.below(8)));
        break;
      case 1:
        flip(content, page + chance.below(64), static_cast<int>(chance.below(8)));
        break;
      case 2:
        flip(content, page + chance.below(kPage), static_cast<int>(chance.below(8)));
        break;
      case 3:
        content.replace(page + 2 * chance.below(8), 8, text_of(chance.bytes(8)));
        break;
      default:
        content.replace(page, kPage, text_of(chance.bytes(kPage)));
    }
    expect_kept(content);
  });
}

/// The stage of its payload is left, and says nothing of an entry that is not there.
TEST_F(SalvagedTrees, AreSoundWhereAStateAndAnEntryWithALargePayloadAreLost) {
  std::string content = whole;
  lose_page(content, page_of(content, logs.at(0)));
  lose_page(content, page_of(content, entries.back()));
  salvage(content);
  for (const LogBuilder* const log : {&alice, &bob}) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.drop_damaged(log->log(), {}));
      return {};
    }));
  }
  EXPECT_LT(state(bob).head(), bob.head());
  expect_sound();
}

TEST_F(SalvagedTrees, AreCompactedWithAllRowsWhereAPageHasTheNumberOfAnother) {
  std::string content = whole;
  flip(content, page_of(content, entries.at(0)), 0);
  std::ofstream(path, std::ios::binary) << content;
  open();
  ASSERT_TRUE(store->compact());
  store.reset();
  EXPECT_EQ(found().size(), all.size());
  EXPECT_EQ(store::count_damaged_pages(directory).value(), 0U);
}

}  // namespace
}  // namespace culm::test
