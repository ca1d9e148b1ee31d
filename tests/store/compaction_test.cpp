#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "culm/store/detail/store_directory.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/store/lmdb_fixture.hpp"
#include "tests/support/child_process.hpp"

// A compaction puts another file in the place of the store's, under those who have it open.
namespace culm::store {
namespace {

using test::ChildProcess;
using test::ParentLine;

class Compaction : public LmdbKvTest {
 protected:
  /// Two rows, and about 4 MB of free pages.
  std::unique_ptr<LmdbKv> open_with_free_pages(const LmdbOptions& options = kWriter) {
    auto kv = open(options);
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

TEST_F(Compaction, IsRefusedWhileAnotherOpensTheStoreForTooLong) {
  LmdbOptions options = kWriter;
  options.wait_max = Duration(0);
  const auto kv = open_with_free_pages(options);
  {
    const auto opening = detail::OpeningLock::take(store_, Duration(0));
    ASSERT_TRUE(opening);
    EXPECT_EQ(kv->compact().error().code, Errc::kStoreLocked);
    EXPECT_FALSE(std::filesystem::exists(detail::copy_path(store_)));
    EXPECT_TRUE(put(*kv, "a", "2")) << "nothing was replaced";
  }
  EXPECT_TRUE(kv->compact());
  EXPECT_EQ(get(*kv, "a"), "2");
}

/// Rows of which each second has shrunk, more of them than one commit of a copy takes.
class CompactionOfRows : public Compaction {
 protected:
  static constexpr std::uint64_t kRows = 10'000;

  static std::string value(std::uint64_t n, std::size_t size) {
    std::string text = "row " + std::to_string(n) + " ";
    text.resize(size, 'x');
    return text;
  }
  static std::size_t size_of(std::uint64_t n) { return n % 2 == 0 ? 1300 : 600; }

  void put_all(LmdbKv& kv, std::size_t (*bytes)(std::uint64_t)) {
    auto transaction = kv.begin_write().value();
    for (std::uint64_t n = 0; n < kRows; ++n) {
      ASSERT_TRUE(
          transaction->put(Table::kEntries, to_big_endian(n), as_bytes(value(n, bytes(n)))));
    }
    ASSERT_TRUE(transaction->commit());
  }
  std::unique_ptr<LmdbKv> open_with_rows() {
    auto kv = open({.map_size_bytes = std::size_t{1} << 27});
    put_all(*kv, [](std::uint64_t /*n*/) -> std::size_t { return 1300; });
    put_all(*kv, size_of);
    return kv;
  }
  void expect_all(LmdbKv& kv) {
    const auto snapshot = kv.begin_read().value();
    for (std::uint64_t n = 0; n < kRows; ++n) {
      const auto found = snapshot->get(Table::kEntries, to_big_endian(n)).value();
      ASSERT_TRUE(found && as_text(*found) == value(n, size_of(n))) << n;
    }
  }
  static std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return std::move(content).str();
  }
};

TEST_F(CompactionOfRows, LeavesNoPageHalfFull) {
  constexpr std::uint64_t kBytes = kRows / 2 * (1300 + 600);
  auto kv = open_with_rows();
  EXPECT_GT(size(), 14 * kBytes / 10);
  ASSERT_TRUE(kv->compact());
  EXPECT_LT(size(), 11 * kBytes / 10);
  EXPECT_LT(free_bytes(*kv), size() / 100);
  expect_all(*kv);
  const auto compacted = size();
  // What is written then uses the pages of the new file again, whatever the copy's commits left.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put(*kv, "a", std::string(static_cast<std::size_t>(100 * i), 'a')));
  }
  EXPECT_LT(size(), compacted + 1'000'000);
  kv.reset();
  kv = open();
  expect_all(*kv);
  ASSERT_TRUE(kv->compact());
  EXPECT_LT(size(), compacted + 100'000);
  expect_all(*kv);
}

TEST_F(CompactionOfRows, RefusesAFileWhosePagesAreNotInOrder) {
  constexpr std::size_t kPageBytes = 4096;
  constexpr std::size_t kPageNumberBytes = 8;
  open_with_rows().reset();
  const std::string path = store_ + "/data.mdb";
  std::string content = read_file(path);
  const auto find_page = [&](std::uint64_t n, std::size_t from) {
    const auto found = content.find("row " + std::to_string(n) + " xxx", from);
    return found == std::string::npos ? found : found / kPageBytes * kPageBytes;
  };
  // The page in use, and those that were before.
  const std::string other = content.substr(find_page(7'000, 0), kPageBytes);
  for (auto page = find_page(3'000, 0); page != std::string::npos;
       page = find_page(3'000, page + kPageBytes)) {
    content.replace(page + kPageNumberBytes, kPageBytes - kPageNumberBytes, other,
                    kPageNumberBytes);
  }
  std::ofstream(path, std::ios::binary) << content;
  const auto kv = open();
  EXPECT_EQ(kv->compact().error().code, Errc::kStoreDamaged);
  EXPECT_TRUE(read_file(path) == content);
  EXPECT_FALSE(std::filesystem::exists(detail::copy_path(store_)));
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
