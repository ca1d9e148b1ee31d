#include "culm/store/detail/lmdb.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/limits.hpp"
#include "culm/store/detail/lmdb_calls.hpp"
#include "culm/store/detail/safe_read.hpp"
#include "culm/store/detail/store_directory.hpp"
#include "culm/store/detail/unlocked_read.hpp"

namespace culm::store::detail {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::uint32_t kPageBytesMax = 0x10000;
constexpr int kMetaLooksMax = 100;

std::atomic<AbortHandler> abort_handler = nullptr;

/// LMDB calls abort when this returns.
void tell_assertion(MDB_env* env, const char* assertion) {
  leave_read();
  const char* path = "?";
  mdb_env_get_path(env, &path);
  if (const AbortHandler handler = abort_handler) return handler(path, assertion);
  std::fprintf(stderr, "culm: store %s is damaged\n", path);
}

/// LMDB divides by the size of a page, whatever either meta page says it is. What is wrong with
/// them besides it finds itself.
Result<void> check_page_bytes(const std::string& directory) {
  const int file = ::open((directory + "/data.mdb").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return {};
  std::array<std::uint8_t, kMetaBytes> meta{};
  const auto read = [&](std::uint32_t at) {
    return ::pread(file, meta.data(), meta.size(), off_t{at}) == std::ssize(meta) &&
           number_at<std::uint32_t>(meta, kMetaMagicAt) == kMetaMagic;
  };
  bool is_sound = true;
  if (read(0)) {
    const std::uint32_t bytes = page_bytes_of(meta);
    is_sound = std::has_single_bit(bytes) && bytes >= kMetaBytes && bytes <= kPageBytesMax &&
               (!read(bytes) || page_bytes_of(meta) == bytes);
  }
  ::close(file);
  return is_sound ? Result<void>() : fail(Errc::kStoreDamaged);
}

/// Whether both lie in one page, where nothing can be between them that LMDB did not see.
bool are_near(ByteView one, ByteView two) {
  const auto page_of = [](ByteView key) {
    return reinterpret_cast<std::uintptr_t>(key.data()) / kPageBytes;
  };
  return page_of(one) == page_of(two);
}

/// Runs what reads pages, and makes nothing.
template <class Read>
Result<void> result_of_reading(Read read) {
  return result_of(read_safely(MDB_CORRUPTED, read));
}

}  // namespace

Error error_of(int code) {
  switch (code) {
    case MDB_MAP_FULL:
      return {Errc::kStoreFull};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return error_system(Errc::kStoreFull, code);
    case ENOENT:
    case MDB_NOTFOUND:
      return {Errc::kStoreNotFound};
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
      return {Errc::kStoreBusy};
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      return {Errc::kStoreVersion};
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_BAD_DBI:  // none is ever dropped
    case MDB_CURSOR_FULL:
    case MDB_BAD_TXN:  // what is asked for after one of these
      return {Errc::kStoreDamaged};
    default:
      return code > 0 ? error_system(Errc::kStoreIo, code) : Error{Errc::kStoreIo};
  }
}

Result<std::optional<KvRow>> move_to(MDB_cursor* cursor, MDB_cursor_op step, MDB_val key) {
  MDB_val value{};
  const int code = read_safely(
      MDB_CORRUPTED, [&] { return mdb_cursor_get(cursor, &key, &value, step); }, key, value);
  CULM_CHECK(unless_overwritten(mdb_cursor_txn(cursor)));
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return KvRow{to_view(key), to_view(value)};
}

Result<std::unique_ptr<MDB_cursor, LmdbClose>> open_cursor(MDB_txn* txn, unsigned int tree) {
  // The first use of a tree reads where it begins; that done, nothing but memory is needed.
  MDB_stat ignored{};
  const auto read = result_of_reading([&] { return mdb_stat(txn, tree, &ignored); });
  CULM_CHECK(unless_overwritten(txn));
  CULM_CHECK(read);
  MDB_cursor* cursor = nullptr;
  CULM_CHECK(result_of(mdb_cursor_open(txn, tree, &cursor)));
  return std::unique_ptr<MDB_cursor, LmdbClose>(cursor);
}

std::optional<Table> table_named(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kTableNames, name);
  if (found == kTableNames.end()) return std::nullopt;
  return Table{static_cast<std::uint8_t>(found - kTableNames.begin())};
}

void LmdbClose::operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
void LmdbClose::operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
void LmdbClose::operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }

Result<std::optional<KvRow>> LmdbCursor::seek(ByteView key) {
  CULM_TRY(const auto row, move_to(cursor_.get(), MDB_SET_RANGE, to_val(key)));
  if (!row || !equal(row->key, key))
    CULM_CHECK(txn_->check(table_, key, &PageCheck::is_sound_after));
  return arrived(row);
}

Result<std::optional<KvRow>> LmdbCursor::next() {
  CULM_TRY(const auto row, move_to(cursor_.get(), MDB_NEXT));
  if (!row || !are_near(row->key, key_)) {
    CULM_CHECK(txn_->check(table_, key_, &PageCheck::is_sound_after));
  }
  return arrived(row);
}

Result<std::optional<KvRow>> LmdbCursor::seek_before(ByteView key) {
  CULM_TRY(const auto at, move_to(cursor_.get(), MDB_SET_RANGE, to_val(key)));
  CULM_TRY(const auto row, move_to(cursor_.get(), at ? MDB_PREV : MDB_LAST));
  CULM_CHECK(txn_->check(table_, key, &PageCheck::is_sound_before));
  return arrived(row);
}

std::optional<KvRow> LmdbCursor::arrived(std::optional<KvRow> row) {
  if (row) key_ = row->key;
  return row;
}

/// Of the last commit before it where it writes: what it changed itself is not in the file.
std::optional<Commit> LmdbTxn::find_commit() const {
  return map_->find_commit(mdb_txn_id(txn_.get()) - (writes_ ? 1 : 0));
}

std::optional<Tree> LmdbTxn::find_tree(Table table) const {
  const auto commit = find_commit();
  MDB_val name = to_val(as_bytes(kTableNames[static_cast<std::size_t>(table)]));
  MDB_val tree{};
  if (commit && !check_.is_sound_at(commit->main, to_view(name))) return std::nullopt;
  if (mdb_get(txn_.get(), kMainTree, &name, &tree) != MDB_SUCCESS) return std::nullopt;
  if (tree.mv_size != kTreeBytes) return std::nullopt;
  return read_tree(to_view(tree));
}

bool LmdbTxn::is_sound(Table table, ByteView key, Look look) const {
  auto& tree = trees_[static_cast<std::size_t>(table)];
  if (!tree) tree = find_tree(table);
  return tree && (check_.*look)(*tree, key);
}

Result<void> LmdbTxn::check(Table table, ByteView key, Look look) const {
  auto checked =
      result_of_reading([&] { return is_sound(table, key, look) ? MDB_SUCCESS : MDB_CORRUPTED; });
  if (!checked) CULM_CHECK(unless_overwritten(txn_.get()));
  return checked;
}

Result<void> LmdbTxn::check_free_pages() const {
  return result_of_reading([&] {
    const auto commit = find_commit();
    return !commit || check_.is_sound_list(commit->free) ? MDB_SUCCESS : MDB_CORRUPTED;
  });
}

Result<std::optional<ByteView>> LmdbTxn::get(Table table, ByteView key) const {
  MDB_val wanted = to_val(key);
  MDB_val value{};
  const int code = read_safely(
      MDB_CORRUPTED, [&] { return mdb_get(txn_.get(), tree(table), &wanted, &value); }, value);
  CULM_CHECK(unless_overwritten(txn_.get()));
  if (code == MDB_NOTFOUND) {
    CULM_CHECK(check(table, key, &PageCheck::is_sound_at));
    return std::nullopt;
  }
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return to_view(value);
}

Result<LmdbCursor> LmdbTxn::cursor(Table table) const {
  CULM_TRY(auto cursor, open_cursor(txn_.get(), tree(table)));
  return LmdbCursor(*this, table, std::move(cursor));
}

// A write cannot be left half way: what it will read is looked at before.
Result<void> LmdbTxn::put(Table table, ByteView key, ByteView value) {
  CULM_CHECK(check(table, key, &PageCheck::is_sound_to_put));
  MDB_val key_val = to_val(key);
  MDB_val value_val = to_val(value);
  return written([&] { return mdb_put(txn_.get(), tree(table), &key_val, &value_val, 0); });
}

Result<void> LmdbTxn::erase(Table table, ByteView key) {
  CULM_CHECK(check(table, key, &PageCheck::is_sound_to_erase));
  MDB_val key_val = to_val(key);
  return written([&] {
    const int code = mdb_del(txn_.get(), tree(table), &key_val, nullptr);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
  });
}

Result<KvSpace> LmdbTxn::space() const {
  CULM_TRY(const Measure measured, measure(mdb_txn_env(txn_.get())));
  std::uint64_t page_bytes = 0;
  const auto bytes_of = [&](unsigned int tree) -> Result<std::uint64_t> {
    MDB_stat pages{};
    const auto read = result_of_reading([&] { return mdb_stat(txn_.get(), tree, &pages); });
    CULM_CHECK(unless_overwritten(txn_.get()));
    CULM_CHECK(read);
    page_bytes = pages.ms_psize;
    return page_bytes * (pages.ms_branch_pages + pages.ms_leaf_pages + pages.ms_overflow_pages);
  };
  KvSpace space;
  space.file_bytes = static_cast<std::uint64_t>(measured.status.st_size);
  CULM_TRY(std::uint64_t used, bytes_of(kFreeTree));
  CULM_TRY(const std::uint64_t of_main, bytes_of(kMainTree));
  used += of_main + kMetaPages * page_bytes;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    CULM_TRY(space.table_bytes[i], bytes_of(tables_[i]));
    used += space.table_bytes[i];
  }
  space.free_bytes = space.file_bytes - std::min(space.file_bytes, used);
  return space;
}

Result<void> LmdbTxn::commit() {
  return written([&] { return mdb_txn_commit(txn_.release()); });
}

Result<LmdbEnv> LmdbEnv::open(const std::string& directory, std::size_t map_size_bytes,
                              bool read_only, Duration wait_max) {
  CULM_TRY(auto lock, OpeningLock::take(directory, wait_max));
  CULM_TRY(auto env, open_locked(std::move(lock), directory, map_size_bytes, read_only));
  env.wait_max_ = wait_max;
  return env;
}

Result<LmdbEnv> LmdbEnv::open_locked(OpeningLock lock, const std::string& directory,
                                     std::size_t map_size_bytes, bool read_only) {
  MDB_env* created = nullptr;
  CULM_CHECK(result_of(mdb_env_create(&created)));
  LmdbEnv env(created);
  env.directory_ = directory;
  env.read_only_ = read_only;
  const unsigned int flags = MDB_NOTLS | (read_only ? flags_to_read(directory) : 0U);
  CULM_CHECK(env.prepare(map_size_bytes));
  {
    const OpeningLock opening(std::move(lock));
    CULM_CHECK(check_page_bytes(directory));
    CULM_CHECK(written([&] { return mdb_env_open(created, directory.c_str(), flags, 0600); }));
    env.lock_inode_ = lock_file_number(directory);
  }
  env.check_readers();
  CULM_CHECK(env.find_identity());
  CULM_CHECK(env.map_pages());
  CULM_CHECK(env.check_file_size());
  CULM_CHECK(env.open_tables(read_only));
  return env;
}

Result<void> LmdbEnv::prepare(std::size_t map_size_bytes) {
  MDB_env* const env = env_.get();
  CULM_CHECK(result_of(mdb_env_set_mapsize(env, map_size_bytes / kPageBytes * kPageBytes)));
  CULM_CHECK(result_of(mdb_env_set_maxdbs(env, kTableCount)));
  CULM_CHECK(result_of(mdb_env_set_maxreaders(env, limits::kReadersMax)));
  return result_of(mdb_env_set_assert(env, tell_assertion));
}

Result<LmdbEnv> LmdbEnv::open_file(const std::string& file, std::size_t map_size_bytes,
                                   unsigned int flags) {
  MDB_env* created = nullptr;
  CULM_CHECK(result_of(mdb_env_create(&created)));
  LmdbEnv env(created);
  CULM_CHECK(env.prepare(map_size_bytes));
  flags |= MDB_NOTLS | MDB_NOSUBDIR | MDB_NOLOCK;
  CULM_CHECK(written([&] { return mdb_env_open(created, file.c_str(), flags, 0600); }));
  CULM_CHECK(env.map_pages());
  return env;
}

Result<LmdbEnv> LmdbEnv::open_alone(const std::string& file) {
  struct stat status = {};
  if (::stat(file.c_str(), &status) != 0) return fail(error_system(Errc::kStoreIo, errno));
  CULM_TRY(auto env, open_file(file, static_cast<std::size_t>(status.st_size) + kRoomBytes, 0));
  CULM_CHECK(env.open_tables(false));
  return env;
}

Result<LmdbTxn> LmdbEnv::begin_adopting(bool read_only) {
  CULM_TRY(auto begun, begin(read_only));
  if (!begun) {
    CULM_CHECK(set_map_size_bytes(0));
    CULM_TRY(begun, begin(read_only));
  }
  if (!begun) return fail(Errc::kStoreIo);
  return *std::move(begun);
}

Result<void> LmdbEnv::open_tables(bool read_only) {
  CULM_TRY(LmdbTxn txn, begin_adopting(read_only));
  bool is_new = false;
  MDB_stat main{};
  mdb_stat(txn.txn_.get(), kMainTree, &main);
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto open = [&](unsigned int flags) {
      return mdb_dbi_open(txn.txn_.get(), kTableNames[i], flags, &tables_[i]);
    };
    const auto make = [&] { return written([&] { return open(MDB_CREATE); }); };
    auto opened = is_new ? make() : result_of_reading([&] { return open(0); });
    const bool is_missing = !opened && opened.error().code == Errc::kStoreNotFound;
    // An earlier version had fewer tables; it stays as it is.
    if (is_missing && i > 0) return fail(Errc::kStoreVersion);
    if (is_missing && main.ms_entries != 0) return fail(Errc::kStoreDamaged);
    if (is_missing && !read_only) {
      is_new = true;
      opened = make();
    }
    CULM_CHECK(opened);
  }
  return txn.commit();  // also of a reading transaction: aborting it would close the tables
}

/// To touch a page beyond the end of the file is death, so a file that was cut is refused. It may
/// be shorter than it counts: the last pages may be free and never written. All others were.
Result<void> LmdbEnv::check_file_size() {
  CULM_TRY(const auto begun, begin_adopting(true));
  MDB_txn* const txn = begun.txn_.get();
  CULM_TRY(const Measure measured, measure(env_.get()));
  const auto in_file = static_cast<std::size_t>(measured.status.st_size) / measured.pages.ms_psize;
  const auto is_there = [&](std::size_t root) { return root == kNoPage || root < in_file; };

  const auto commit = begun.find_commit();
  // Without it others have committed since; they work on a file that is whole.
  if (!commit || commit->last_page < in_file) return {};
  if (!is_there(commit->free.root) || !is_there(commit->main.root))
    return fail(Errc::kStoreDamaged);
  const auto check_root = [&](const KvRow& table) -> Result<void> {
    if (table.value.size() != kTreeBytes || !is_there(read_tree(table.value).root)) {
      return fail(Errc::kStoreDamaged);
    }
    return {};
  };
  CULM_CHECK(walk(txn, kMainTree, check_root));

  MDB_stat free{};
  CULM_CHECK(result_of(mdb_stat(txn, kFreeTree, &free)));
  // Where its list has pages besides the root, these might lie beyond the end themselves.
  if (free.ms_depth > 1 || free.ms_overflow_pages != 0) return {};
  std::size_t missing = commit->last_page + 1 - in_file;
  const auto count = [&](const KvRow& row) -> Result<void> {
    for (std::size_t at = sizeof(std::size_t); at < row.value.size(); at += sizeof(std::size_t)) {
      const std::size_t page = number_at<std::size_t>(row.value, at);
      if (page >= in_file && page <= commit->last_page && missing != 0) --missing;
    }
    return {};
  };
  CULM_CHECK(walk(txn, kFreeTree, count));
  if (missing != 0) return fail(Errc::kStoreDamaged);
  return {};
}

Result<std::optional<LmdbTxn>> LmdbEnv::begin(bool read_only) {
  if (!mapped_) return fail(Errc::kStoreIo);
  const unsigned int flags = read_only ? MDB_RDONLY : 0U;
  MDB_txn* txn = nullptr;
  // Between a look at one and at the other another process may have committed.
  CULM_CHECK(result_of_reading([&] {
    for (int looks = 0; looks < kMetaLooksMax; ++looks) {
      if (map_->are_metas_sound()) return MDB_SUCCESS;
      std::this_thread::yield();
    }
    return MDB_CORRUPTED;
  }));
  int code = mdb_txn_begin(env_.get(), nullptr, flags, &txn);
  if (code == MDB_READERS_FULL) {
    check_readers();
    code = mdb_txn_begin(env_.get(), nullptr, flags, &txn);
  }
  if (code == MDB_MAP_RESIZED) return std::nullopt;
  if (code != MDB_SUCCESS) return fail(error_of(code));
  LmdbTxn begun(txn, tables_, *map_, read_only);
  if (!read_only) CULM_CHECK(begun.check_free_pages());
  return begun;
}

std::size_t LmdbEnv::map_size_bytes() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_mapsize;
}

Result<void> LmdbEnv::set_map_size_bytes(std::size_t bytes) {
  const int code = mdb_env_set_mapsize(env_.get(), bytes / kPageBytes * kPageBytes);
  const auto mapped =
      code == MDB_SUCCESS ? map_pages() : Result<void>(fail(error_system(Errc::kStoreIo, code)));
  mapped_ = mapped.has_value();
  return mapped;
}

Result<void> LmdbEnv::map_pages() {
  int file = -1;
  MDB_stat pages{};
  mdb_env_get_fd(env_.get(), &file);
  mdb_env_stat(env_.get(), &pages);
  *map_ = PageMap();
  CULM_TRY(*map_, PageMap::map(file, map_size_bytes(), pages.ms_psize));
  return {};
}

Result<void> LmdbEnv::find_identity() {
  CULM_TRY(const Measure measured, measure(env_.get()));
  device_ = measured.status.st_dev;
  inode_ = measured.status.st_ino;
  return {};
}

bool LmdbEnv::is_replaced() const {
  const auto named = find_data_file(directory_);
  return named && (named->st_ino != inode_ || named->st_dev != device_ ||
                   lock_file_number(directory_) != lock_inode_);
}

bool LmdbEnv::is_taken_away() const { return !find_data_file(directory_); }

Result<void> LmdbEnv::reopen() {
  if (!mapped_) return fail(Errc::kStoreIo);
  const Duration wait_max = wait_max_;
  CULM_TRY(auto lock, OpeningLock::take(directory_, wait_max));
  const std::size_t map_size = map_size_bytes();
  // Two at once would lose each other's locks.
  env_.reset();
  mapped_ = false;
  CULM_TRY(*this, open_locked(std::move(lock), directory_, map_size, read_only_));
  wait_max_ = wait_max;
  return {};
}

std::size_t LmdbEnv::last_transaction() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_last_txnid;
}

void set_abort_handler(AbortHandler handler) { abort_handler = handler; }

void LmdbEnv::check_readers() {
  int dead = 0;
  mdb_reader_check(env_.get(), &dead);
}

}  // namespace culm::store::detail
