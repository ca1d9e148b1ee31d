#include "culm/store/kv.hpp"

#include <atomic>
#include <future>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "culm/store/lmdb_kv.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/temp_dir.hpp"

// What every Kv must do: one suite, run on each of them.
namespace culm::store {
namespace {

class LmdbBackend {
 public:
  std::unique_ptr<Kv> open() { return open_with(std::size_t{1} << 26); }
  std::unique_ptr<Kv> open_small() { return open_with(std::size_t{1} << 18); }
  void close(std::unique_ptr<Kv> kv) { kv.reset(); }

 private:
  std::unique_ptr<Kv> open_with(std::size_t map_size_bytes) {
    auto kv = LmdbKv::open(directory_.path(), {.map_size_bytes = map_size_bytes});
    return kv ? *std::move(kv) : nullptr;
  }

  test::TempDir directory_;
};

class MemoryBackend {
 public:
  std::unique_ptr<Kv> open() { return std::make_unique<MemoryKv>(MemoryOptions{}, image_); }
  std::unique_ptr<Kv> open_small() {
    return std::make_unique<MemoryKv>(MemoryOptions{.full_after_bytes = 1 << 16}, image_);
  }
  void close(std::unique_ptr<Kv> kv) { image_ = static_cast<MemoryKv&>(*kv).image(); }

 private:
  MemoryImage image_;
};

template <class Backend>
class KvTest : public ::testing::Test {
 protected:
  KvTest() : kv_(backend_.open()) {}

  void reopen() {
    backend_.close(std::move(kv_));
    kv_ = backend_.open();
    ASSERT_TRUE(kv_);
  }

  std::unique_ptr<KvReadTransaction> read() { return std::move(kv_->begin_read()).value(); }
  std::unique_ptr<KvWriteTransaction> write() { return std::move(kv_->begin_write()).value(); }

  void put_committed(std::initializer_list<std::pair<std::string_view, std::string_view>> rows) {
    auto transaction = write();
    for (const auto& [key, value] : rows) put(*transaction, key, value);
    ASSERT_TRUE(transaction->commit());
  }

  static void put(KvWriteTransaction& transaction, std::string_view key, std::string_view value) {
    ASSERT_TRUE(transaction.put(Table::kEntries, as_bytes(key), as_bytes(value)));
  }
  static void erase(KvWriteTransaction& transaction, std::string_view key) {
    ASSERT_TRUE(transaction.erase(Table::kEntries, as_bytes(key)));
  }

  // The value, or "-" when there is none.
  static std::string get(const KvReadTransaction& transaction, std::string_view key,
                         Table table = Table::kEntries) {
    const auto value = transaction.get(table, as_bytes(key)).value();
    return value ? std::string(as_text(*value)) : "-";
  }
  std::string get_now(std::string_view key) { return get(*read(), key); }

  // "key=value", or "-".
  static std::string show(const Result<std::optional<KvRow>>& row) {
    if (!row.value()) return "-";
    return std::string(as_text((*row)->key)) + "=" + std::string(as_text((*row)->value));
  }

  static std::vector<std::string> rows(const KvReadTransaction& transaction,
                                       std::string_view from) {
    std::vector<std::string> out;
    const auto cursor = transaction.cursor(Table::kEntries).value();
    for (auto row = cursor->seek(as_bytes(from)); row.value(); row = cursor->next()) {
      out.push_back(show(row));
    }
    return out;
  }

  Backend backend_;
  std::unique_ptr<Kv> kv_;
};

using Backends = ::testing::Types<LmdbBackend, MemoryBackend>;
struct BackendNames {
  template <class Backend>
  static std::string GetName(int /*index*/) {
    return std::is_same_v<Backend, LmdbBackend> ? "Lmdb" : "Memory";
  }
};
TYPED_TEST_SUITE(KvTest, Backends, BackendNames);

TYPED_TEST(KvTest, GetsWhatWasPutAndNothingElse) {
  this->put_committed({{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(this->get_now("a"), "1");
  EXPECT_EQ(this->get_now("b"), "2");
  EXPECT_EQ(this->get_now("ab"), "-");
  EXPECT_EQ(this->get_now("c"), "-");
}

TYPED_TEST(KvTest, KeepsTablesApart) {
  auto transaction = this->write();
  for (std::uint8_t table = 0; table < kTableCount; ++table) {
    const Bytes value{table};
    ASSERT_TRUE(transaction->put(static_cast<Table>(table), as_bytes("key"), value));
  }
  ASSERT_TRUE(transaction->erase(Table::kPayloads, as_bytes("key")));
  ASSERT_TRUE(transaction->commit());
  const auto snapshot = this->read();
  EXPECT_EQ(this->get(*snapshot, "key", Table::kPayloads), "-");
  EXPECT_EQ(this->get(*snapshot, "key", Table::kMeta), std::string(1, '\0'));
  EXPECT_EQ(this->get(*snapshot, "key", Table::kEvidence), std::string(1, '\5'));
}

TYPED_TEST(KvTest, SortsKeysBytewise) {
  this->put_committed({{"\xff", "5"}, {"b", "4"}, {"ab", "3"}, {"a", "2"}, {"\x01", "1"}});
  EXPECT_EQ(this->rows(*this->read(), "\x01"),
            (std::vector<std::string>{"\x01=1", "a=2", "ab=3", "b=4", "\xff=5"}));
}

TYPED_TEST(KvTest, SeeksTheFirstKeyNotBelow) {
  this->put_committed({{"b", "1"}, {"d", "2"}});
  const auto snapshot = this->read();
  const auto cursor = snapshot->cursor(Table::kEntries).value();
  EXPECT_EQ(this->show(cursor->seek(as_bytes("a"))), "b=1");
  EXPECT_EQ(this->show(cursor->seek(as_bytes("b"))), "b=1");
  EXPECT_EQ(this->show(cursor->next()), "d=2");
  EXPECT_EQ(this->show(cursor->next()), "-");
  EXPECT_EQ(this->show(cursor->seek(as_bytes("c"))), "d=2");
  EXPECT_EQ(this->show(cursor->seek(as_bytes("e"))), "-");
}

TYPED_TEST(KvTest, SeeksTheLastKeyBelow) {
  this->put_committed({{"b", "1"}, {"d", "2"}});
  const auto snapshot = this->read();
  const auto cursor = snapshot->cursor(Table::kEntries).value();
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("z"))), "d=2");
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("d"))), "b=1");
  EXPECT_EQ(this->show(cursor->next()), "d=2");
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("c"))), "b=1");
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("b"))), "-");
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("a"))), "-");
}

TYPED_TEST(KvTest, FindsNothingInAnEmptyTable) {
  const auto snapshot = this->read();
  const auto cursor = snapshot->cursor(Table::kEntries).value();
  EXPECT_EQ(this->show(cursor->seek(as_bytes("a"))), "-");
  EXPECT_EQ(this->show(cursor->seek_before(as_bytes("a"))), "-");
}

TYPED_TEST(KvTest, ReplacesValuesOfAnyLength) {
  this->put_committed({{"a", "short"}, {"b", "2"}});
  const std::string large(100'000, 'x');
  this->put_committed({{"a", large}});
  EXPECT_EQ(this->get_now("a"), large);
  this->put_committed({{"a", "s"}});
  EXPECT_EQ(this->get_now("a"), "s");
  EXPECT_EQ(this->get_now("b"), "2");
}

TYPED_TEST(KvTest, TellsAnEmptyValueFromNone) {
  auto transaction = this->write();
  ASSERT_TRUE(transaction->put(Table::kEntries, as_bytes("a"), {}));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(this->get_now("a"), "");
  EXPECT_EQ(this->get_now("b"), "-");
  EXPECT_EQ(this->rows(*this->read(), "a"), (std::vector<std::string>{"a="}));
}

TYPED_TEST(KvTest, TakesTheLongestKey) {
  const std::string key(kKeyBytesMax, 'k');
  this->put_committed({{key, "1"}, {key.substr(1), "2"}});
  EXPECT_EQ(this->get_now(key), "1");
  EXPECT_EQ(this->get_now(key.substr(1)), "2");
}

TYPED_TEST(KvTest, ErasesWhatIsThereAndMindsNothingElse) {
  this->put_committed({{"a", "1"}, {"b", "2"}});
  auto transaction = this->write();
  this->erase(*transaction, "a");
  this->erase(*transaction, "a");
  this->erase(*transaction, "never");
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(this->get_now("a"), "-");
  EXPECT_EQ(this->get_now("b"), "2");
}

TYPED_TEST(KvTest, SeesItsOwnWritesBeforeAnybodyElse) {
  this->put_committed({{"a", "1"}});
  auto transaction = this->write();
  this->put(*transaction, "a", "2");
  this->put(*transaction, "b", "3");
  EXPECT_EQ(this->rows(*transaction, "a"), (std::vector<std::string>{"a=2", "b=3"}));
  EXPECT_EQ(this->rows(*this->read(), "a"), (std::vector<std::string>{"a=1"}));
}

TYPED_TEST(KvTest, UndoesWhatIsNotCommitted) {
  this->put_committed({{"a", "1"}});
  {
    auto transaction = this->write();
    this->put(*transaction, "a", "2");
    this->put(*transaction, "b", "3");
    this->erase(*transaction, "a");
  }
  EXPECT_EQ(this->rows(*this->read(), "a"), (std::vector<std::string>{"a=1"}));
}

TYPED_TEST(KvTest, SnapshotsDoNotMove) {
  this->put_committed({{"a", "1"}, {"b", "1"}});
  const auto before = this->read();
  const auto cursor = before->cursor(Table::kEntries).value();
  ASSERT_EQ(this->show(cursor->seek(as_bytes("a"))), "a=1");
  {
    auto transaction = this->write();
    this->put(*transaction, "a", "2");
    this->erase(*transaction, "b");
    this->put(*transaction, "c", "2");
    ASSERT_TRUE(transaction->commit());
  }
  const auto after = this->read();
  EXPECT_EQ(this->show(cursor->next()), "b=1");
  EXPECT_EQ(this->show(cursor->next()), "-");
  EXPECT_EQ(this->rows(*before, "a"), (std::vector<std::string>{"a=1", "b=1"}));
  EXPECT_EQ(this->rows(*after, "a"), (std::vector<std::string>{"a=2", "c=2"}));
}

TYPED_TEST(KvTest, FindsExactlyTheCommittedAfterReopening) {
  this->put_committed({{"a", "1"}, {"b", "2"}});
  {
    auto transaction = this->write();
    this->put(*transaction, "c", "3");
  }
  this->reopen();
  EXPECT_EQ(this->rows(*this->read(), "a"), (std::vector<std::string>{"a=1", "b=2"}));
  this->put_committed({{"d", "4"}});
  this->reopen();
  EXPECT_EQ(this->get_now("d"), "4");
}

TYPED_TEST(KvTest, CursorsGoOnAfterWritesOfTheirTransaction) {
  this->put_committed({{"a", "1"}, {"c", "3"}, {"e", "5"}});
  auto transaction = this->write();
  {
    const auto cursor = transaction->cursor(Table::kEntries).value();
    ASSERT_EQ(this->show(cursor->seek(as_bytes("a"))), "a=1");
    this->erase(*transaction, "a");
    this->put(*transaction, "b", "2");
    EXPECT_EQ(this->show(cursor->next()), "b=2");
    this->put(*transaction, "a", "0");
    EXPECT_EQ(this->show(cursor->next()), "c=3");
    this->erase(*transaction, "e");
    EXPECT_EQ(this->show(cursor->next()), "-");
  }
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(this->rows(*this->read(), "a"), (std::vector<std::string>{"a=0", "b=2", "c=3"}));
}

TYPED_TEST(KvTest, GrowsWhenFullAndTakesTheWholeTransactionThen) {
  this->backend_.close(std::move(this->kv_));
  this->kv_ = this->backend_.open_small();
  this->put_committed({{"before", "1"}});
  const std::string value(1000, 'v');
  const auto write_all = [&]() -> Result<void> {
    auto transaction = this->write();
    for (int i = 0; i < 1000; ++i) {
      CULM_CHECK(transaction->put(Table::kEntries, as_bytes(std::to_string(i)), as_bytes(value)));
    }
    return transaction->commit();
  };
  int grown = 0;
  auto result = write_all();
  for (; !result && grown < 10; ++grown) {
    ASSERT_EQ(result.error().code, Errc::kStoreFull);
    EXPECT_EQ(this->get_now("0"), "-");
    EXPECT_EQ(this->get_now("before"), "1");
    ASSERT_TRUE(this->kv_->grow());
    result = write_all();
  }
  EXPECT_TRUE(result);
  EXPECT_GE(grown, 1);
  EXPECT_EQ(this->get_now("999"), value);
  this->reopen();
  EXPECT_EQ(this->get_now("0"), value);
  EXPECT_EQ(this->get_now("before"), "1");
}

TYPED_TEST(KvTest, DoesNotGrowUnderATransactionOfTheSameThread) {
  const auto snapshot = this->read();
  EXPECT_EQ(this->kv_->grow().error().code, Errc::kStoreFull);
}

TYPED_TEST(KvTest, GrowsAfterTheReadersOfOtherThreads) {
  this->put_committed({{"a", "1"}});
  auto snapshot = this->read();
  auto grown = std::async(std::launch::async, [&] { return this->kv_->grow(); });
  // Whether or not the other thread waits already: this one may begin more, being inside.
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(this->get_now("a"), "1");
  this->put_committed({{"a", "2"}});
  EXPECT_EQ(this->get(*snapshot, "a"), "1");
  snapshot.reset();
  EXPECT_TRUE(grown.get());
  EXPECT_EQ(this->get_now("a"), "2");
}

TYPED_TEST(KvTest, WritersOfManyThreadsTakeTurns) {
  this->put_committed({{"n", std::string(1, '\0')}});
  const auto count_up = [&] {
    for (int i = 0; i < 10; ++i) {
      auto transaction = this->write();
      std::string n = this->get(*transaction, "n");
      n[0] = static_cast<char>(n[0] + 1);
      this->put(*transaction, "n", n);
      ASSERT_TRUE(transaction->commit());
    }
  };
  std::thread one(count_up);
  std::thread two(count_up);
  one.join();
  two.join();
  EXPECT_EQ(this->get_now("n"), std::string(1, '\24'));
}

TYPED_TEST(KvTest, ReadersOfOtherThreadsSeeWholeCommits) {
  this->put_committed({{"a", "0"}, {"b", "0"}});
  std::atomic<bool> done = false;
  const auto look = [&] {
    while (!done) {
      const auto snapshot = this->read();
      ASSERT_EQ(this->get(*snapshot, "a"), this->get(*snapshot, "b"));
    }
  };
  std::thread one(look);
  std::thread two(look);
  for (int i = 1; i <= 50; ++i) {
    const std::string value = std::to_string(i);
    this->put_committed({{"a", value}, {"b", value}});
  }
  done = true;
  one.join();
  two.join();
}

// Writes, undoes, reopens and walks at random, beside a std::map that does the same.
TYPED_TEST(KvTest, AgreesWithAMap) {
  constexpr std::uint32_t kSeed = 20240611;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const auto below = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
  const auto some_key = [&] {
    return std::string(1 + below(2), static_cast<char>('a' + below(3))) +
           std::to_string(below(150));
  };
  std::map<std::string, std::string> model;
  for (int round = 0; round < 40; ++round) {
    auto changed = model;
    auto transaction = this->write();
    {
      const auto cursor = transaction->cursor(Table::kEntries).value();
      std::string at;  // the cursor's key; empty: at no row
      for (int step = 0; step < 300; ++step) {
        const std::string key = some_key();
        const auto what = below(10);
        if (what < 3) {
          const std::string value(below(600), static_cast<char>('A' + below(26)));
          this->put(*transaction, key, value);
          changed[key] = value;
        } else if (what < 5) {
          const std::string victim = !at.empty() && below(2) == 0 ? at : key;
          this->erase(*transaction, victim);
          changed.erase(victim);
        } else {
          auto expected = changed.end();
          std::string shown;
          if (what < 8 && !at.empty()) {
            expected = changed.upper_bound(at);
            shown = this->show(cursor->next());
          } else if (what == 9) {
            expected = changed.lower_bound(key);
            expected = expected == changed.begin() ? changed.end() : std::prev(expected);
            shown = this->show(cursor->seek_before(as_bytes(key)));
          } else {
            expected = changed.lower_bound(key);
            shown = this->show(cursor->seek(as_bytes(key)));
          }
          at = expected == changed.end() ? "" : expected->first;
          ASSERT_EQ(shown, at.empty() ? "-" : at + "=" + expected->second);
        }
      }
    }
    if (below(3) != 0) {
      ASSERT_TRUE(transaction->commit());
      model = std::move(changed);
    }
    transaction.reset();
    if (below(8) == 0) this->reopen();
    std::vector<std::string> expected;
    for (const auto& [key, value] : model) expected.push_back(key + "=" + value);
    ASSERT_EQ(this->rows(*this->read(), "a"), expected);
  }
}

}  // namespace
}  // namespace culm::store
