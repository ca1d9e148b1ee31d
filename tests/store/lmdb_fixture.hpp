#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "culm/store/lmdb_kv.hpp"

#include "tests/support/temp_dir.hpp"

namespace culm::store {

inline constexpr LmdbOptions kWriter{.map_size_bytes = std::size_t{1} << 24};
inline constexpr LmdbOptions kReader{.map_size_bytes = std::size_t{1} << 24, .read_only = true};

inline Result<void> put(LmdbKv& kv, std::string_view key, std::string_view value) {
  CULM_TRY(auto transaction, kv.begin_write());
  CULM_CHECK(transaction->put(Table::kMeta, as_bytes(key), as_bytes(value)));
  return transaction->commit();
}

inline std::string get(LmdbKv& kv, std::string_view key) {
  const auto snapshot = kv.begin_read();
  if (!snapshot) return std::string(name(snapshot.error().code));
  const auto value = (*snapshot)->get(Table::kMeta, as_bytes(key)).value();
  return value ? std::string(as_text(*value)) : "-";
}

class LmdbKvTest : public ::testing::Test {
 protected:
  std::unique_ptr<LmdbKv> open(const LmdbOptions& options = kWriter) {
    return std::move(LmdbKv::open(store_, options)).value();
  }
  Error refusal(const LmdbOptions& options) {
    const auto kv = LmdbKv::open(store_, options);
    return kv ? Error{} : kv.error();
  }
  void overwrite(std::streamoff offset, std::string_view bytes) const {
    std::fstream file(store_ + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
  }

  test::TempDir temp_;
  std::string store_ = temp_.path("deep/store");
};

}  // namespace culm::store
