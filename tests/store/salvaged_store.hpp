#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "culm/store/audit.hpp"
#include "culm/store/lmdb_kv.hpp"
#include "culm/store/salvage.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {

inline constexpr store::LmdbOptions kSmall{.map_size_bytes = std::size_t{1} << 24};
inline constexpr std::size_t kPage = 4096;

inline std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

/// Calls `run` so often, with a seed each, until one fails: with the same ones each time, unless
/// CULM_SEED names the first and CULM_RUNS says how many.
template <class Run>
void run_with_seeds(std::uint64_t runs, Run run) {
  const auto number_of = [](const char* variable, std::uint64_t otherwise) -> std::uint64_t {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  };
  const std::uint64_t first = number_of("CULM_SEED", 1);
  const std::uint64_t end = first + number_of("CULM_RUNS", runs);
  for (std::uint64_t seed = first; seed < end && !testing::Test::HasFailure(); ++seed) {
    TestRandom chance(seed);
    CULM_TRACE_SEED(chance);
    run(chance);
  }
}

struct PageRow {
  Bytes key;
  Bytes value;
};

/// A leaf as LMDB writes it, with as many of `rows` as have room; these are taken away.
inline std::string leaf_of(std::uint64_t number, std::vector<PageRow>& rows) {
  std::string page(kPage, '\0');
  const auto put = [&](std::size_t at, auto value) {
    std::memcpy(page.data() + at, &value, sizeof(value));
  };
  std::size_t lower = 16;
  std::size_t upper = kPage;
  while (!rows.empty()) {
    const auto& [key, value] = rows.back();
    const std::size_t size = (8 + key.size() + value.size() + 1) / 2 * 2;
    if (lower + 2 + size > upper) break;
    upper -= size;
    put(lower, static_cast<std::uint16_t>(upper));
    lower += 2;
    put(upper, static_cast<std::uint16_t>(value.size()));
    put(upper + 6, static_cast<std::uint16_t>(key.size()));
    page.replace(upper + 8, key.size(), text_of(key));
    page.replace(upper + 8 + key.size(), value.size(), text_of(value));
    rows.pop_back();
  }
  put(0, number);
  put(10, std::uint16_t{2});
  put(12, static_cast<std::uint16_t>(lower));
  put(14, static_cast<std::uint16_t>(upper));
  return page;
}

/// Two logs in a file whose pages are few, and known by what is written in them.
class SalvagedStore : public testing::Test {
 protected:
  void SetUp() override {
    open();
    for (const LogBuilder* const log : {&alice, &bob}) add(*log, up_to(20));
  }

  void open() {
    auto opened = store::LmdbKv::open(directory, kSmall).value();
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
  /// Gives the table another root, which is a leaf.
  static void lead(std::string& content, const std::string& table, std::uint64_t root) {
    const std::size_t main = page_of(content, "evidence");
    const std::string node = std::string(1, static_cast<char>(table.size())) + '\0' + table;
    const std::size_t name = content.find(node, main);
    ASSERT_LT(name, main + kPage);
    content.replace(name + node.size() + 6, 2, std::string("\1\0", 2));
    content.replace(name + node.size() + 40, sizeof(root), reinterpret_cast<const char*>(&root),
                    sizeof(root));
  }
  /// Appends the list of free pages, which has this one alone.
  static void add_free_list(std::string& content, std::uint64_t page) {
    const std::uint64_t number = content.size() / kPage;
    const std::uint64_t list[] = {1, page};
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(list);
    std::vector<PageRow> rows{{Bytes(bytes, bytes + 8), Bytes(bytes, bytes + sizeof(list))}};
    add_page(content, leaf_of(number, rows));
    for (std::size_t meta = 0; meta < 2; ++meta) {
      const std::uint64_t tree[] = {0, 1, 0, 1, number};  // pages of each kind, rows, root
      content.replace(meta * kPage + 46, 2, std::string("\1\0", 2));
      content.replace(meta * kPage + 48, sizeof(tree), reinterpret_cast<const char*>(tree),
                      sizeof(tree));
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
  LogState state(const LogBuilder& log) { return **store->read()->get_log(log.log()); }
  std::vector<LogKey> known() { return *store->read()->list_logs(); }

  SystemRandom random;
  CountingVerifier verifier;
  TempDir temp;
  std::string directory = temp.path("store");
  std::string path = directory + "/data.mdb";
  store::LmdbKv* kv = nullptr;
  std::unique_ptr<Store> store;
  std::vector<std::string> changes, logs, entries;  ///< of the store that was closed last
  LogBuilder alice = LogBuilder("alice").append_many(20);
  LogBuilder bob = LogBuilder("bob").append_many(20);
};

}  // namespace culm::test
