#include "culm/store/salvage.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "culm/store/audit.hpp"
#include "culm/store/detail/store_directory.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

namespace fs = std::filesystem;
using store::LmdbKv;

constexpr store::LmdbOptions kSmall{.map_size_bytes = std::size_t{1} << 24};
constexpr std::size_t kPage = 4096;

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

/// Two logs in a file whose pages are few, and known by what is written in them.
class SalvagedStore : public testing::Test {
 protected:
  void SetUp() override {
    open();
    for (const LogBuilder* const log : {&alice, &bob}) add(*log, up_to(20));
  }

  void open() {
    auto opened = LmdbKv::open(directory, kSmall).value();
    kv = opened.get();
    store = Store::open(std::move(opened), random).value();
  }
  void add(const LogBuilder& log, const RangeSet& members) {
    const auto added = store::ingest(*store, log.log(), log.unit(members, true), verifier);
    ASSERT_TRUE(added) << message(added.error());
  }
  void forget(const LogBuilder& log) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.forget(log.log()));
      CULM_TRY(const bool is_done, transaction.erase_forgotten(1000));
      EXPECT_TRUE(is_done);
      return {};
    }));
  }

  /// The file, whose free pages are empty; the store is closed behind it.
  std::string close() {
    EXPECT_TRUE(store->compact());
    changes = row_texts(Table::kChanges);
    logs = row_texts(Table::kLogs);
    entries = row_texts(Table::kEntries);
    store.reset();
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return std::move(content).str();
  }
  /// As they lie in a page.
  std::vector<std::string> row_texts(Table table) {
    std::vector<std::string> texts;
    for (const auto& [key, value] : rows_of(*kv, table)) {
      texts.push_back(text_of(key) + text_of(value));
    }
    return texts;
  }
  static std::size_t page_of(const std::string& content, const std::string& row) {
    const std::size_t found = content.find(row);
    EXPECT_NE(found, std::string::npos);
    EXPECT_EQ(content.find(row, found + 1), std::string::npos);
    return found / kPage * kPage;
  }
  /// Puts `page`, as it was elsewhere, at that place.
  static void put_page(std::string& content, std::size_t at, std::string page) {
    const std::uint64_t number = at / kPage;
    page.replace(0, sizeof(number), reinterpret_cast<const char*>(&number), sizeof(number));
    content.replace(at, kPage, page);
  }
  /// Appends a page that nothing leads to.
  static void add_page(std::string& content, const std::string& page) {
    const std::uint64_t number = content.size() / kPage;
    content.resize(content.size() + kPage);
    put_page(content, number * kPage, page);
    for (std::size_t meta = 0; meta < 2; ++meta) {
      content.replace(meta * kPage + 136, sizeof(number), reinterpret_cast<const char*>(&number),
                      sizeof(number));
    }
  }
  static void lose_page(std::string& content, std::size_t at) {
    content.replace(at, kPage, std::string(kPage, '\xff'));
  }

  void salvage(const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    {
      auto made = store::Salvage::begin(directory, random);
      ASSERT_TRUE(made) << message(made.error());
      ASSERT_TRUE(std::move(*made).finish());
    }
    open();
  }
  /// All but damaged states of logs, which are made again.
  void expect_sound() {
    const auto transaction = *store->read();
    const auto tables = store::audit_tables(transaction);
    EXPECT_TRUE(tables) << message(tables.error());
    const auto all = *transaction.list_logs();
    for (const LogKey& log : all) {
      const auto state = transaction.get_log(log);
      ASSERT_TRUE(state) << message(state.error());
      const auto report = *store::audit_log(transaction, **state, verifier);
      EXPECT_EQ(report.first_fault, std::nullopt);
    }
  }
  std::vector<LogKey> known() { return *store->read()->list_logs(); }

  SystemRandom random;
  CountingVerifier verifier;
  TempDir temp;
  std::string directory = temp.path("store");
  std::string path = directory + "/data.mdb";
  LmdbKv* kv = nullptr;
  std::unique_ptr<Store> store;
  std::vector<std::string> changes, logs, entries;  ///< of the store that was closed last
  LogBuilder alice = LogBuilder("alice").append_many(20);
  LogBuilder bob = LogBuilder("bob").append_many(20);
};

TEST_F(SalvagedStore, IsTheSameWhereNothingIsLost) {
  const auto id = store->id();
  std::string content = close();
  lose_page(content, page_of(content, changes.at(0)));
  salvage(content);
  EXPECT_EQ(store->id(), id);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, IsAnotherStoreWhereAStateMayBeOlder) {
  const std::string old = close();
  const std::string page = old.substr(page_of(old, logs.at(0)), kPage);
  open();
  const auto id = store->id();
  alice.append_many(1);
  add(alice, {{21, 21}});
  std::string content = close();
  lose_page(content, page_of(content, logs.at(0)));
  add_page(content, page);
  salvage(content);
  EXPECT_NE(store->id(), id);
  EXPECT_EQ((*store->read()->get_log(alice.log()))->head(), 20U);
  expect_sound();
}

TEST_F(SalvagedStore, KnowsNoForgottenLogAgain) {
  const std::string old = close();
  open();
  forget(bob);
  std::string content = close();
  lose_page(content, page_of(content, changes.at(0)));
  const auto& author = bob.log().author.bytes;
  const std::string gone(author.begin(), author.end());
  EXPECT_EQ(content.find(gone), std::string::npos) << "a compaction leaves nothing of it";
  // All pages of before that had anything of it, as if they had been left.
  for (std::size_t at = 2 * kPage; at < old.size(); at += kPage) {
    if (old.compare(at, kPage, std::string(kPage, '\0')) != 0)
      add_page(content, old.substr(at, kPage));
  }
  salvage(content);
  EXPECT_EQ(known(), std::vector{alice.log()});
  expect_sound();
}

TEST_F(SalvagedStore, TakesALeafThatABranchOfAnotherTableLeadsTo) {
  std::string content = close();
  // The root of `changes` becomes a copy of the leaf of `logs`, whose own place is lost.
  const std::size_t at = page_of(content, logs.at(0));
  put_page(content, page_of(content, changes.at(0)), content.substr(at, kPage));
  lose_page(content, at);
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, FindsALeafThatLiesWhereItsKeysDoNotBelong) {
  std::string content = close();
  std::map<std::size_t, std::size_t> rows;  // of each page
  for (const std::string& row : entries) ++rows[page_of(content, row)];
  const auto first = rows.begin();
  const auto same = std::find_if(std::next(first), rows.end(),
                                 [&](const auto& page) { return page.second == first->second; });
  ASSERT_NE(same, rows.end());
  put_page(content, first->first, content.substr(same->first, kPage));
  std::ofstream(path, std::ios::binary) << content;
  EXPECT_GT(store::count_damaged_pages(directory).value(), 0U);
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
}

TEST_F(SalvagedStore, IsNotMadeAnewWhereAnotherPageTookThePlaceOfItsRoot) {
  std::string content = close();
  const std::size_t root = page_of(content, "evidence");
  put_page(content, root, content.substr(page_of(content, logs.at(0)), kPage));
  std::ofstream(path, std::ios::binary) << content;
  store::LmdbOptions reader = kSmall;
  reader.read_only = true;
  for (const auto& options : {reader, kSmall}) {
    EXPECT_EQ(code_of(LmdbKv::open(directory, options)), Errc::kStoreDamaged);
  }
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, FindsNoDamageInALongerRunOfPagesThanAValueNeeds) {
  const std::string key = "key";
  const auto transaction = *kv->begin_write();
  for (const std::size_t pages : {std::size_t{5}, std::size_t{3}}) {
    ASSERT_TRUE(transaction->put(Table::kPayloads, as_bytes(key), Bytes(pages * kPage)));
  }
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(store::count_damaged_pages(directory).value(), 0U);
}

TEST_F(SalvagedStore, IsRidOfWhatAKilledSalvageLeftByTheNextThatWrites) {
  store.reset();
  fs::create_directory(directory + "/salvage");
  std::ofstream(directory + "/salvage/data.mdb") << "half of it";
  store::LmdbOptions reader = kSmall;
  reader.read_only = true;
  ASSERT_TRUE(LmdbKv::open(directory, reader));
  EXPECT_TRUE(fs::exists(directory + "/salvage"));
  open();
  EXPECT_FALSE(fs::exists(directory + "/salvage"));
}

/// Who is killed between the two steps of `finish` has taken the lock file away, and no more.
TEST_F(SalvagedStore, IsLockedByOneFileForAllWhoHaveItOpenAlsoWhereASalvageWasKilled) {
  store.reset();
  const auto put = [](LmdbKv& to, std::string_view key) -> Result<void> {
    CULM_TRY(const auto transaction, to.begin_write());
    CULM_CHECK(transaction->put(Table::kPayloads, as_bytes(key), as_bytes(key)));
    return transaction->commit();
  };
  const auto has = [](LmdbKv& in, std::string_view key) {
    const auto snapshot = in.begin_read();
    return snapshot && (*snapshot)->get(Table::kPayloads, as_bytes(key)).value().has_value();
  };
  ChildProcess idle([&](const ParentLine& parent) {
    const auto opened = LmdbKv::open(directory, kSmall);
    if (!opened || !put(**opened, "first")) return 1;
    parent.tell();
    parent.await();
    if (!put(**opened, "idle")) return 2;
    return has(**opened, "other") ? 0 : 3;
  });
  ASSERT_TRUE(idle.await());
  fs::remove(directory + "/lock.mdb");
  const auto other = std::move(LmdbKv::open(directory, kSmall)).value();
  ASSERT_TRUE(put(*other, "other"));
  idle.tell();
  EXPECT_EQ(idle.join(), 0);
  ASSERT_TRUE(put(*other, "last"));
  for (const char* const key : {"first", "other", "idle", "last"}) EXPECT_TRUE(has(*other, key));
}

}  // namespace
}  // namespace culm::test
