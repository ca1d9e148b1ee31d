#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "culm/store/lmdb_kv.hpp"

#include "tests/store/leaving_reads.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/temp_dir.hpp"

// Pages of which LMDB makes sense, or runs into nowhere, though they are not what was written.
namespace culm::store {
namespace {

constexpr std::size_t kPage = 4096;
constexpr int kRows = 3000;
constexpr LmdbOptions kSmall{.map_size_bytes = std::size_t{1} << 24};

std::string key_of(int i) { return "row" + std::to_string(10000 + i); }
std::string value_of(int i) { return std::string(static_cast<std::size_t>(20 + i % 40), 'v'); }

class UnsoundPages : public ::testing::Test {
 protected:
  UnsoundPages() {
    const auto kv = LmdbKv::open(store_, kSmall).value();
    auto writing = *kv->begin_write();
    for (int i = 0; i < kRows; ++i) {
      EXPECT_TRUE(writing->put(Table::kLogs, as_bytes(key_of(i)), as_bytes(value_of(i))));
    }
    EXPECT_TRUE(writing->put(Table::kLogs, as_bytes("large"), Bytes(3 * kPage, 1)));
    EXPECT_TRUE(writing->commit());
    std::ifstream in(file_, std::ios::binary);
    good_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }

  /// Random bytes, in every other page behind a header of which LMDB thinks well.
  std::string spoilt(std::size_t page) {
    std::string bytes(kPage, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.below(256));
    if (page % 2 == 0) return bytes;
    const std::size_t nodes = 1 + random_.below(60);
    const auto put = [&](std::size_t at, std::size_t number) {
      const auto value = static_cast<std::uint16_t>(number);
      std::memcpy(bytes.data() + at, &value, sizeof(value));
    };
    put(10, 2);
    put(12, 16 + 2 * nodes);
    put(14, 2000);
    for (std::size_t i = 0; i < nodes; ++i) put(16 + 2 * i, 2000 + random_.below(1000) * 2);
    return bytes;
  }

  void write(const std::string& content) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << content;
  }

  /// Each page in turn; the store is open before.
  void for_each_unsound_page(const std::function<void(LmdbKv&)>& act) {
    for (std::size_t page = 2; page < good_.size() / kPage; ++page) {
      SCOPED_TRACE(page);
      write(good_);
      const auto kv = LmdbKv::open(store_, kSmall).value();
      std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(page * kPage));
      file << spoilt(page) << std::flush;
      act(*kv);
    }
  }

  static bool is_damage(const Error& error) { return error.code == Errc::kStoreDamaged; }

  test::TestRandom random_{7};
  test::TempDir temp_;
  std::string store_ = temp_.path("store");
  std::string file_ = store_ + "/data.mdb";
  std::string good_;
  test::LeavingReads leaving_;
};

TEST_F(UnsoundPages, NeverSayThatARowIsNotThere) {
  int damaged = 0;
  for_each_unsound_page([&](LmdbKv& kv) {
    const auto reading = kv.begin_read();
    if (!reading) return;
    const auto cursor = (*reading)->cursor(Table::kLogs);
    for (int i = 0; cursor && i < kRows; i += 7) {
      const std::string key = key_of(i);
      const auto value = (*reading)->get(Table::kLogs, as_bytes(key));
      ASSERT_TRUE(value ? value->has_value() : is_damage(value.error())) << key;
      if (!value) ++damaged;
      const auto at = (*cursor)->seek(as_bytes(key));
      ASSERT_TRUE(at ? at->has_value() && equal((*at)->key, as_bytes(key)) : is_damage(at.error()));
      const auto before = (*cursor)->seek_before(as_bytes(key + "a"));
      ASSERT_TRUE(before ? before->has_value() : is_damage(before.error())) << key;
    }
  });
  EXPECT_GT(damaged, 100);
}

TEST_F(UnsoundPages, EndNoWalkEarly) {
  for_each_unsound_page([&](LmdbKv& kv) {
    const auto reading = kv.begin_read();
    if (!reading) return;
    const auto cursor = (*reading)->cursor(Table::kLogs);
    if (!cursor) return;
    auto row = (*cursor)->seek(as_bytes("row"));
    bool has_last = false;
    while (row && *row) {
      has_last = has_last || equal((**row).key, as_bytes(key_of(kRows - 1)));
      row = (*cursor)->next();
    }
    ASSERT_TRUE(row ? has_last : is_damage(row.error()));
  });
}

TEST_F(UnsoundPages, TakeNoRowThatNobodyFindsAndEndNoWriter) {
  int refused = 0;
  for_each_unsound_page([&](LmdbKv& kv) {
    auto writing = kv.begin_write();
    if (!writing) {
      ASSERT_TRUE(is_damage(writing.error()));
      ++refused;
      return;
    }
    for (int i = 0; i < kRows; i += 3) {
      const std::string key = key_of(i) + "+";
      const auto put = (*writing)->put(Table::kLogs, as_bytes(key), as_bytes(value_of(i)));
      const auto erased = put ? (*writing)->erase(Table::kLogs, as_bytes(key_of(i))) : put;
      if (!erased) {
        ASSERT_TRUE(is_damage(erased.error()));
        ++refused;
        return;
      }
    }
    const auto erased = (*writing)->erase(Table::kLogs, as_bytes("large"));
    if (!erased) ++refused;
    if (!erased || !(*writing)->commit()) return;
    // What it changed lies in no page that is unsound.
    const auto reading = std::move(kv.begin_read()).value();
    for (int i = 0; i < kRows; i += 3) {
      const std::string key = key_of(i) + "+";
      const auto found = reading->get(Table::kLogs, as_bytes(key));
      ASSERT_TRUE(found && *found) << key;
    }
  });
  EXPECT_GT(refused, 30);
}

TEST_F(UnsoundPages, EndNoTransactionWhereThePagesThatAllBeginsWithAreLost) {
  for (const std::size_t page : {0U, 1U}) {
    SCOPED_TRACE(page);
    write(good_);
    const auto kv = LmdbKv::open(store_, kSmall).value();
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(page * kPage));
    file << spoilt(0) << std::flush;
    EXPECT_EQ(kv->begin_read().error().code, Errc::kStoreDamaged);
    EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreDamaged);
    write(good_);
    EXPECT_TRUE(kv->begin_read()) << "the file is there again";
  }
}

TEST_F(UnsoundPages, EndNobodyWhereTheFileIsCut) {
  for (const std::size_t pages : {0U, 1U, 2U, 5U}) {
    SCOPED_TRACE(pages);
    write(good_);
    const auto kv = LmdbKv::open(store_, kSmall).value();
    std::filesystem::resize_file(file_, pages * kPage);
    const auto reading = kv->begin_read();
    const auto found = reading ? (*reading)->get(Table::kLogs, as_bytes(key_of(1500)))
                               : Result<std::optional<ByteView>>(fail(reading.error()));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::kStoreDamaged);
    const auto writing = kv->begin_write();
    EXPECT_EQ(writing.error().code, Errc::kStoreDamaged);
  }
}

}  // namespace
}  // namespace culm::store
