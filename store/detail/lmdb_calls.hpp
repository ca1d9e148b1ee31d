#pragma once

#include <cerrno>
#include <memory>
#include <optional>

#include <lmdb.h>
#include <sys/stat.h>

#include "culm/store/detail/lmdb.hpp"

/// LMDB's calls with results, for the sources of `LmdbEnv`.
namespace culm::store::detail {

inline constexpr unsigned int kFreeTree = 0;
inline constexpr unsigned int kMainTree = 1;
inline constexpr std::array<const char*, kTableCount> kTableNames{
    "meta", "logs", "entries", "payloads", "changes", "evidence", "stages", "sets"};
/// What a copy may need besides what it is a copy of.
inline constexpr std::size_t kRoomBytes = std::size_t{1} << 20U;

[[nodiscard]] Error error_of(int code);

[[nodiscard]] inline Result<void> result_of(int code) {
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return {};
}

/// LMDB says EIO both for the system's EIO and for a write that fell short, which is how a disk
/// fills up; only the former leaves its number in errno.
template <class Call>
[[nodiscard]] Result<void> written(Call call) {
  errno = 0;
  const int code = call();
  return result_of(code == EIO && errno != EIO ? ENOSPC : code);
}

/// The file as it is now.
struct Measure {
  int file = -1;
  struct stat status = {};
  MDB_stat pages{};
};

[[nodiscard]] inline Result<Measure> measure(MDB_env* env) {
  Measure measured;
  mdb_env_get_fd(env, &measured.file);
  mdb_env_stat(env, &measured.pages);
  if (::fstat(measured.file, &measured.status) == 0) return measured;
  return fail(error_system(Errc::kStoreIo, errno));
}

[[nodiscard]] inline MDB_val to_val(ByteView bytes) {
  return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())};  // LMDB never writes through it
}

[[nodiscard]] inline ByteView to_view(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

[[nodiscard]] Result<std::optional<KvRow>> move_to(MDB_cursor* cursor, MDB_cursor_op step,
                                                   MDB_val key = {});
[[nodiscard]] Result<std::unique_ptr<MDB_cursor, LmdbClose>> open_cursor(MDB_txn* txn,
                                                                         unsigned int tree);

template <class Visit>
[[nodiscard]] Result<void> walk(MDB_txn* txn, unsigned int tree, Visit visit) {
  CULM_TRY(const auto cursor, open_cursor(txn, tree));
  CULM_TRY(auto row, move_to(cursor.get(), MDB_FIRST));
  while (row) {
    CULM_CHECK(visit(*row));
    CULM_TRY(row, move_to(cursor.get(), MDB_NEXT));
  }
  return {};
}

}  // namespace culm::store::detail
