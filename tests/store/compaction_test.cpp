#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "culm/store/detail/store_directory.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

// A compaction puts another file in the place of the store's, under those who have it open.
namespace culm::store {
namespace {

using test::ChildProcess;
using test::ParentLine;

constexpr LmdbOptions kWriter{.map_size_bytes = std::size_t{1} << 24};
constexpr LmdbOptions kReader{.map_size_bytes = std::size_t{1} << 24, .read_only = true};

Result<void> put(LmdbKv& kv, std::string_view key, std::string_view value) {
  CULM_TRY(auto transaction, kv.begin_write());
  CULM_CHECK(transaction->put(Table::kMeta, as_bytes(key), as_bytes(value)));
  return transaction->commit();
}

std::string get(LmdbKv& kv, std::string_view key) {
  const auto snapshot = kv.begin_read();
  if (!snapshot) return std::string(name(snapshot.error().code));
  const auto value = (*snapshot)->get(Table::kMeta, as_bytes(key)).value();
  return value ? std::string(as_text(*value)) : "-";
}

class Compaction : public ::testing::Test {
 protected:
  std::unique_ptr<LmdbKv> open(const LmdbOptions& options = kWriter) {
    return std::move(LmdbKv::open(store_, options)).value();
  }
  /// Two rows, and about 4 MB of free pages.
  std::unique_ptr<LmdbKv> open_with_free_pages() {
    auto kv = open();
    EXPECT_TRUE(put(*kv, "a", "1"));
    EXPECT_TRUE(put(*kv, "b", std::string(100'000, 'b')));
    EXPECT_TRUE(put(*kv, "c", std::string(4'000'000, 'c')));
    EXPECT_TRUE(put(*kv, "c", "-"));
    return kv;
  }
  [[nodiscard]] std::uint64_t size() const { return file_size_bytes(store_).value(); }
  [[nodiscard]] std::uint64_t free_bytes(LmdbKv& kv) const {
    return kv.begin_read().value()->space().value().free_bytes;
  }

  test::TempDir directory_;
  std::string store_ = directory_.path() + "/store";
};

TEST_F(Compaction, LeavesTheRowsAndNoFreePage) {
  const auto kv = open_with_free_pages();
  EXPECT_GT(free_bytes(*kv), 3'900'000U);
  const auto before = size();
  ASSERT_TRUE(kv->compact());
  EXPECT_LT(size(), before - 3'900'000U);
  EXPECT_EQ(free_bytes(*kv), 0U);
  EXPECT_EQ(get(*kv, "a"), "1");
  EXPECT_EQ(get(*kv, "b").size(), 100'000U);
  // Both parities of the number of the last commit, and commits behind them.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(put(*kv, "a", std::to_string(i)));
    ASSERT_TRUE(kv->compact());
    EXPECT_EQ(get(*kv, "a"), std::to_string(i));
    EXPECT_EQ(get(*kv, "b").size(), 100'000U);
  }
}

TEST_F(Compaction, IsSeenByProcessesThatHaveTheFileOpen) {
  auto kv = open_with_free_pages();
  kv.reset();
  ChildProcess reader([&](const ParentLine& parent) {
    const auto opened = LmdbKv::open(store_, kReader);
    auto snapshot = opened ? (*opened)->begin_read() : fail(Errc::kStoreIo);
    if (!snapshot) return 1;
    parent.tell();
    parent.await();
    // The snapshot stays, and so does one that is taken within it.
    const auto value = (*snapshot)->get(Table::kMeta, as_bytes("a"));
    if (!value || as_text(**value) != "1" || get(**opened, "b").size() != 100'000) return 2;
    snapshot->reset();
    if (get(**opened, "a") != "3") return 3;
    parent.tell();
    parent.await();
    return get(**opened, "a") == "5" ? 0 : 4;
  });
  ChildProcess writer([&](const ParentLine& parent) {
    const auto opened = LmdbKv::open(store_, kWriter);
    if (!opened || !put(**opened, "w", "1")) return 1;
    parent.tell();
    parent.await();
    if (!put(**opened, "a", "3")) return 2;
    parent.tell();
    parent.await();
    return get(**opened, "a") == "5" && put(**opened, "w", "2") ? 0 : 3;
  });
  ASSERT_TRUE(reader.await());
  ASSERT_TRUE(writer.await());
  kv = open();
  ASSERT_TRUE(kv->compact());
  ASSERT_TRUE(put(*kv, "a", "2"));
  writer.tell();
  ASSERT_TRUE(writer.await());
  reader.tell();
  ASSERT_TRUE(reader.await());
  EXPECT_EQ(get(*kv, "a"), "3");
  ASSERT_TRUE(kv->compact());
  ASSERT_TRUE(put(*kv, "a", "4"));
  ASSERT_TRUE(kv->compact());
  ASSERT_TRUE(put(*kv, "a", "5"));
  reader.tell();
  writer.tell();
  EXPECT_EQ(reader.join(), 0);
  EXPECT_EQ(writer.join(), 0);
  EXPECT_EQ(get(*kv, "w"), "2");
}

TEST_F(Compaction, IsForTheProcessThatMayWrite) {
  const auto kv = open_with_free_pages();
  ChildProcess other([&](const ParentLine& parent) {
    const auto opened = LmdbKv::open(store_, kWriter);
    if (!opened) return 1;
    parent.tell();
    parent.await();
    const auto refused = (*opened)->compact();
    if (refused || refused.error().code != Errc::kStoreLocked) return 2;
    parent.tell();
    parent.await();
    return get(**opened, "a") == "2" && (*opened)->compact() ? 0 : 3;
  });
  ASSERT_TRUE(other.await());
  {
    const auto lock = kv->lock_for_node();
    ASSERT_TRUE(lock);
    other.tell();
    ASSERT_TRUE(other.await());
    ASSERT_TRUE(kv->compact()) << "the node's own";
    ASSERT_TRUE(put(*kv, "a", "2"));
  }
  other.tell();
  EXPECT_EQ(other.join(), 0);
  EXPECT_EQ(get(*kv, "a"), "2");
}

TEST_F(Compaction, IsRefusedToWhoReadsAndUnderATransaction) {
  {
    const auto kv = open_with_free_pages();
    const auto snapshot = kv->begin_read().value();
    EXPECT_EQ(kv->compact().error().code, Errc::kStoreFull);
    EXPECT_FALSE(std::filesystem::exists(detail::copy_path(store_)));
  }
  EXPECT_EQ(open(kReader)->compact().error().code, Errc::kStoreReadOnly);
}

TEST_F(Compaction, LeavesNothingThatTheNextWriterDoesNotErase) {
  open_with_free_pages();
  std::ofstream(detail::copy_path(store_)) << "half a copy";
  open(kReader);
  EXPECT_TRUE(std::filesystem::exists(detail::copy_path(store_)));
  open();
  EXPECT_FALSE(std::filesystem::exists(detail::copy_path(store_)));
}

}  // namespace
}  // namespace culm::store
