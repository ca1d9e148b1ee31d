#include "culm/store/detail/lmdb.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/limits.hpp"
#include "culm/store/detail/safe_read.hpp"
#include "culm/store/detail/store_directory.hpp"

namespace culm::store::detail {
namespace {

constexpr std::array<const char*, kTableCount> kTableNames{
    "meta", "logs", "entries", "payloads", "changes", "evidence", "stages", "sets"};
constexpr std::size_t kPageBytes = 4096;
/// What a copy may need besides what it is a copy of.
constexpr std::size_t kRoomBytes = std::size_t{1} << 20U;

std::atomic<AbortHandler> abort_handler = nullptr;

/// LMDB calls abort when this returns.
void tell_assertion(MDB_env* env, const char* assertion) {
  leave_read();
  const char* path = "?";
  mdb_env_get_path(env, &path);
  if (const AbortHandler handler = abort_handler) return handler(path, assertion);
  std::fprintf(stderr, "culm: store %s is damaged\n", path);
}

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
    case MDB_CURSOR_FULL:
    case MDB_BAD_TXN:  // what is asked for after one of these
      return {Errc::kStoreDamaged};
    default:
      return code > 0 ? error_system(Errc::kStoreIo, code) : Error{Errc::kStoreIo};
  }
}

Result<void> result_of(int code) {
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return {};
}

// LMDB says EIO both for the system's EIO and for a write that fell short, which is how a disk
// fills up; only the former leaves its number in errno.
template <class Call>
Result<void> written(Call call) {
  errno = 0;
  const int code = call();
  return result_of(code == EIO && errno != EIO ? ENOSPC : code);
}

MDB_val to_val(ByteView bytes) {
  return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())};  // LMDB never writes through it
}

ByteView to_view(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

Result<std::optional<KvRow>> move_to(MDB_cursor* cursor, MDB_cursor_op step, MDB_val key = {}) {
  MDB_val value{};
  const int code = read_safely(
      MDB_CORRUPTED, [&] { return mdb_cursor_get(cursor, &key, &value, step); }, key, value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return KvRow{to_view(key), to_view(value)};
}

// The parts of LMDB's file format that it has no call for. Numbers are the machine's own.
constexpr std::size_t kMetaPages = 2;
constexpr std::size_t kMetaBytes = 152;
constexpr std::size_t kMetaMapBytesAt = 32;
constexpr std::size_t kMetaFreeAt = 40;
constexpr std::size_t kMetaMainAt = 88;
constexpr std::size_t kMetaLastPageAt = 136;
constexpr std::size_t kMetaTransactionAt = 144;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::uint16_t kLeaf = 2;
constexpr std::size_t kTreeBytes = 48;
constexpr std::size_t kTreeDepthAt = 6;
constexpr std::size_t kTreeRootAt = 40;
constexpr std::size_t kNoPage = SIZE_MAX;
constexpr unsigned int kFreeTree = 0;
constexpr unsigned int kMainTree = 1;

/// What a transaction sees of the file.
struct Meta {
  std::size_t free_root;
  std::size_t main_root;
  std::size_t last_page;
};

/// The file as it is now.
struct Measure {
  int file = -1;
  struct stat status = {};
  MDB_stat pages{};
};

Result<Measure> measure(MDB_env* env) {
  Measure measured;
  mdb_env_get_fd(env, &measured.file);
  mdb_env_stat(env, &measured.pages);
  if (::fstat(measured.file, &measured.status) == 0) return measured;
  return fail(error_system(Errc::kStoreIo, errno));
}

std::size_t number_at(ByteView bytes, std::size_t offset) {
  std::size_t number = 0;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

Result<std::optional<Meta>> find_meta(int file, std::size_t page_bytes, std::size_t transaction) {
  for (std::size_t i = 0; i < kMetaPages; ++i) {
    std::array<std::uint8_t, kMetaBytes> bytes{};
    const auto offset = static_cast<off_t>(i * page_bytes);
    if (::pread(file, bytes.data(), bytes.size(), offset) != std::ssize(bytes)) {
      return fail(Errc::kStoreDamaged);
    }
    if (number_at(bytes, kMetaTransactionAt) != transaction) continue;
    return Meta{number_at(bytes, kMetaFreeAt + kTreeRootAt),
                number_at(bytes, kMetaMainAt + kTreeRootAt), number_at(bytes, kMetaLastPageAt)};
  }
  return std::nullopt;
}

void put_number(std::array<std::uint8_t, kMetaBytes>& bytes, std::size_t offset,
                std::size_t number) {
  std::memcpy(bytes.data() + offset, &number, sizeof(number));
}

struct Numbering {
  std::size_t now;          ///< of the last commit
  std::size_t transaction;  ///< what it is to be
  std::size_t map_bytes;
};

/// Who will use a copy goes on from another number than that of its last commit: so that one gets
/// it, and the one before is the same. The list of free pages goes by the old numbers: it is
/// emptied, and the few pages that the copy's own commits left are lost in it.
Result<void> renumber(int file, std::size_t page_bytes, const Numbering& numbers) {
  std::array<std::uint8_t, kMetaBytes> meta{};
  const auto place = [&](std::size_t number) {
    return static_cast<off_t>(number % kMetaPages * page_bytes);
  };
  if (::pread(file, meta.data(), meta.size(), place(numbers.now)) != std::ssize(meta) ||
      number_at(meta, kMetaTransactionAt) != numbers.now) {
    return fail(Errc::kStoreDamaged);
  }
  std::fill(meta.begin() + kMetaFreeAt + kTreeDepthAt, meta.begin() + kMetaMainAt, 0);
  put_number(meta, kMetaFreeAt + kTreeRootAt, kNoPage);
  put_number(meta, kMetaMapBytesAt, numbers.map_bytes);
  for (const std::size_t number : {numbers.transaction - 1, numbers.transaction}) {
    put_number(meta, 0, number % kMetaPages);
    put_number(meta, kMetaTransactionAt, number);
    if (::pwrite(file, meta.data(), meta.size(), place(number)) != std::ssize(meta)) {
      return fail(error_system(Errc::kStoreIo, errno));
    }
  }
  // A page that was not needed in the end was not written.
  const auto size = static_cast<off_t>((number_at(meta, kMetaLastPageAt) + 1) * page_bytes);
  if (::ftruncate(file, size) != 0 || ::fsync(file) != 0) {
    return fail(error_system(Errc::kStoreIo, errno));
  }
  return {};
}

template <class Visit>
Result<void> walk(MDB_txn* txn, unsigned int tree, Visit visit) {
  MDB_cursor* opened = nullptr;
  CULM_CHECK(result_of(mdb_cursor_open(txn, tree, &opened)));
  const std::unique_ptr<MDB_cursor, LmdbClose> cursor(opened);
  CULM_TRY(auto row, move_to(opened, MDB_FIRST));
  while (row) {
    CULM_CHECK(visit(*row));
    CULM_TRY(row, move_to(opened, MDB_NEXT));
  }
  return {};
}

/// In pages that no list has, who looks for lost rows must find none, nor damage: empty leaves.
Result<void> clear_free_pages(MDB_txn* txn, int file, std::size_t page_bytes) {
  Bytes leaf(page_bytes);
  const std::uint16_t header[] = {kLeaf, kHeaderBytes, static_cast<std::uint16_t>(page_bytes)};
  std::memcpy(leaf.data() + kHeaderBytes - sizeof(header), header, sizeof(header));
  // A record is a count, and so many numbers of pages.
  return walk(txn, kFreeTree, [&](const KvRow& row) -> Result<void> {
    for (std::size_t i = number_at(row.value, 0); i > 0; --i) {
      const std::size_t page = number_at(row.value, i * sizeof(std::size_t));
      std::memcpy(leaf.data(), &page, sizeof(page));
      if (::pwrite(file, leaf.data(), page_bytes, static_cast<off_t>(page * page_bytes)) < 0) {
        return fail(error_system(Errc::kStoreIo, errno));
      }
    }
    return {};
  });
}

}  // namespace

std::optional<Table> table_named(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kTableNames, name);
  if (found == kTableNames.end()) return std::nullopt;
  return Table{static_cast<std::uint8_t>(found - kTableNames.begin())};
}

void LmdbClose::operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
void LmdbClose::operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
void LmdbClose::operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }

Result<std::optional<KvRow>> LmdbCursor::seek(ByteView key) {
  return move_to(cursor_.get(), MDB_SET_RANGE, to_val(key));
}

Result<std::optional<KvRow>> LmdbCursor::next() { return move_to(cursor_.get(), MDB_NEXT); }

Result<std::optional<KvRow>> LmdbCursor::seek_before(ByteView key) {
  CULM_TRY(const auto at, seek(key));
  return move_to(cursor_.get(), at ? MDB_PREV : MDB_LAST);
}

Result<std::optional<ByteView>> LmdbTxn::get(Table table, ByteView key) const {
  MDB_val wanted = to_val(key);
  MDB_val value{};
  const int code = read_safely(
      MDB_CORRUPTED, [&] { return mdb_get(txn_.get(), tree(table), &wanted, &value); }, value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return to_view(value);
}

Result<LmdbCursor> LmdbTxn::cursor(Table table) const {
  MDB_cursor* cursor = nullptr;
  CULM_CHECK(result_of(mdb_cursor_open(txn_.get(), tree(table), &cursor)));
  return LmdbCursor(cursor);
}

Result<void> LmdbTxn::put(Table table, ByteView key, ByteView value) {
  MDB_val key_val = to_val(key);
  MDB_val value_val = to_val(value);
  return written([&] { return mdb_put(txn_.get(), tree(table), &key_val, &value_val, 0); });
}

Result<void> LmdbTxn::erase(Table table, ByteView key) {
  MDB_val key_val = to_val(key);
  return written([&] {
    const int code = mdb_del(txn_.get(), tree(table), &key_val, nullptr);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
  });
}

Result<KvSpace> LmdbTxn::space() const {
  CULM_TRY(const Measure measured, measure(mdb_txn_env(txn_.get())));
  const std::uint64_t page_bytes = measured.pages.ms_psize;
  const auto bytes_of = [&](unsigned int tree) -> std::uint64_t {
    MDB_stat pages{};
    mdb_stat(txn_.get(), tree, &pages);
    return page_bytes * (pages.ms_branch_pages + pages.ms_leaf_pages + pages.ms_overflow_pages);
  };
  KvSpace space;
  space.file_bytes = static_cast<std::uint64_t>(measured.status.st_size);
  std::uint64_t used = bytes_of(kFreeTree) + bytes_of(kMainTree);
  used += kMetaPages * page_bytes;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    space.table_bytes[i] = bytes_of(tables_[i]);
    used += space.table_bytes[i];
  }
  space.free_bytes = space.file_bytes - std::min(space.file_bytes, used);
  return space;
}

Result<void> LmdbTxn::commit() {
  return written([&] { return mdb_txn_commit(txn_.release()); });
}

Result<LmdbEnv> LmdbEnv::open(const std::string& directory, std::size_t map_size_bytes,
                              bool read_only) {
  MDB_env* created = nullptr;
  CULM_CHECK(result_of(mdb_env_create(&created)));
  LmdbEnv env(created);
  env.directory_ = directory;
  env.read_only_ = read_only;
  const unsigned int flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0U);
  CULM_CHECK(env.prepare(map_size_bytes));
  {
    CULM_TRY(const auto lock, OpeningLock::take(directory));
    CULM_CHECK(written([&] { return mdb_env_open(created, directory.c_str(), flags, 0600); }));
    env.lock_inode_ = lock_file_number(directory);
  }
  env.check_readers();
  CULM_CHECK(env.find_identity());
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
  return env;
}

Result<LmdbEnv> LmdbEnv::open_alone(const std::string& file) {
  struct stat status = {};
  if (::stat(file.c_str(), &status) != 0) return fail(error_system(Errc::kStoreIo, errno));
  CULM_TRY(auto env, open_file(file, static_cast<std::size_t>(status.st_size) + kRoomBytes, 0));
  CULM_CHECK(env.open_tables(false));
  return env;
}

/// Rows in the order of their keys fill the pages. Commits only bound the memory: none is durable.
class LmdbEnv::RowCopy {
 public:
  RowCopy(const LmdbTxn& from, LmdbEnv& to) : from_(from), to_(to) {}

  Result<void> run() {
    CULM_CHECK(begin());
    for (std::size_t i = 0; i < kTableCount; ++i) {
      CULM_CHECK(written([&] {
        return mdb_dbi_open(txn_->txn_.get(), kTableNames[i], MDB_CREATE, &to_.tables_[i]);
      }));
    }
    txn_->tables_ = to_.tables_;
    for (std::size_t i = 0; i < kTableCount; ++i) CULM_CHECK(copy(i));
    return txn_->commit();
  }

 private:
  Result<void> begin() {
    CULM_TRY(auto begun, to_.begin(false));
    if (!begun) return fail(Errc::kStoreIo);
    txn_.emplace(*std::move(begun));
    return {};
  }

  /// A damaged tree shows by its count or its order, or leads in circles and fills the map.
  Result<void> copy(std::size_t table) {
    MDB_stat counted{};
    mdb_stat(from_.txn_.get(), from_.tables_[table], &counted);
    CULM_CHECK(begin_table(table));
    std::size_t rows = 0;
    CULM_CHECK(walk(from_.txn_.get(), from_.tables_[table], [&](const KvRow& row) {
      ++rows;
      return append(table, row);
    }));
    end_.reset();
    if (rows != counted.ms_entries) return fail(Errc::kStoreDamaged);
    return {};
  }

  Result<void> begin_table(std::size_t table) {
    MDB_cursor* end = nullptr;
    CULM_CHECK(result_of(mdb_cursor_open(txn_->txn_.get(), to_.tables_[table], &end)));
    end_.reset(end);
    return {};
  }

  Result<void> append(std::size_t table, const KvRow& row) {
    if (step_bytes_ >= kStepBytes) {
      end_.reset();
      CULM_CHECK(txn_->commit());
      CULM_CHECK(begin());
      CULM_CHECK(begin_table(table));
      step_bytes_ = 0;
    }
    step_bytes_ += row.key.size() + row.value.size();
    MDB_val key = to_val(row.key);
    MDB_val value = to_val(row.value);
    return written([&] {
      const int code = mdb_cursor_put(end_.get(), &key, &value, MDB_APPEND);
      const bool is_damage =
          code == MDB_KEYEXIST || code == MDB_BAD_VALSIZE || code == MDB_MAP_FULL;
      return is_damage ? MDB_CORRUPTED : code;
    });
  }

  static constexpr std::size_t kStepBytes = std::size_t{8} << 20U;

  const LmdbTxn& from_;
  LmdbEnv& to_;
  std::optional<LmdbTxn> txn_;
  std::unique_ptr<MDB_cursor, LmdbClose> end_;
  std::size_t step_bytes_ = 0;
};

Result<void> LmdbEnv::copy_rows(const LmdbTxn& rows, const std::string& path,
                                std::size_t transaction) const {
  CULM_TRY(const Measure from, measure(env_.get()));
  // Two pages in a row hold more than one did.
  const std::size_t room = 3 * static_cast<std::size_t>(from.status.st_size) + kRoomBytes;
  CULM_TRY(auto copy, open_file(path, room, MDB_NOSYNC));
  CULM_CHECK(RowCopy(rows, copy).run());
  CULM_TRY(const Measure to, measure(copy.env_.get()));
  CULM_TRY(const auto reading, copy.begin_adopting(true));
  CULM_CHECK(clear_free_pages(reading.txn_.get(), to.file, to.pages.ms_psize));
  return renumber(to.file, to.pages.ms_psize,
                  {copy.last_transaction(), transaction, map_size_bytes()});
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
      return written(
          [&] { return mdb_dbi_open(txn.txn_.get(), kTableNames[i], flags, &tables_[i]); });
    };
    auto opened = open(is_new ? MDB_CREATE : 0U);
    const bool is_missing = !opened && opened.error().code == Errc::kStoreNotFound;
    // An earlier version had fewer tables; it stays as it is.
    if (is_missing && i > 0) return fail(Errc::kStoreVersion);
    if (is_missing && main.ms_entries != 0) return fail(Errc::kStoreDamaged);
    if (is_missing && !read_only) {
      is_new = true;
      opened = open(MDB_CREATE);
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

  CULM_TRY(const auto meta, find_meta(measured.file, measured.pages.ms_psize, mdb_txn_id(txn)));
  // Without it others have committed since; they work on a file that is whole.
  if (!meta || meta->last_page < in_file) return {};
  if (!is_there(meta->free_root) || !is_there(meta->main_root)) return fail(Errc::kStoreDamaged);
  const auto check_root = [&](const KvRow& table) -> Result<void> {
    if (table.value.size() != kTreeBytes || !is_there(number_at(table.value, kTreeRootAt))) {
      return fail(Errc::kStoreDamaged);
    }
    return {};
  };
  CULM_CHECK(walk(txn, kMainTree, check_root));

  MDB_stat free{};
  CULM_CHECK(result_of(mdb_stat(txn, kFreeTree, &free)));
  // Where its list has pages besides the root, these might lie beyond the end themselves.
  if (free.ms_depth > 1 || free.ms_overflow_pages != 0) return {};
  std::size_t missing = meta->last_page + 1 - in_file;
  const auto count = [&](const KvRow& row) -> Result<void> {
    for (std::size_t at = sizeof(std::size_t); at < row.value.size(); at += sizeof(std::size_t)) {
      const std::size_t page = number_at(row.value, at);
      if (page >= in_file && page <= meta->last_page && missing != 0) --missing;
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
  int code = mdb_txn_begin(env_.get(), nullptr, flags, &txn);
  if (code == MDB_READERS_FULL) {
    check_readers();
    code = mdb_txn_begin(env_.get(), nullptr, flags, &txn);
  }
  if (code == MDB_MAP_RESIZED) return std::nullopt;
  if (code != MDB_SUCCESS) return fail(error_of(code));
  return LmdbTxn(txn, tables_);
}

std::size_t LmdbEnv::map_size_bytes() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_mapsize;
}

Result<void> LmdbEnv::set_map_size_bytes(std::size_t bytes) {
  const int code = mdb_env_set_mapsize(env_.get(), bytes / kPageBytes * kPageBytes);
  if (code == MDB_SUCCESS) return {};
  mapped_ = false;
  return fail(error_system(Errc::kStoreIo, code));
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
  const std::size_t map_size = map_size_bytes();
  // Two at once would lose each other's locks.
  env_.reset();
  mapped_ = false;
  CULM_TRY(*this, open(directory_, map_size, read_only_));
  return {};
}

std::size_t LmdbEnv::last_transaction() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_last_txnid;
}

Result<std::size_t> LmdbEnv::copy_compacted(const std::string& path) {
  // Held to the end; also settles what a process that died had committed half.
  CULM_TRY(const auto writing, begin(false));
  if (!writing) return fail(Errc::kStoreBusy);
  const std::size_t last = mdb_txn_id(writing->txn_.get()) - 1;
  CULM_TRY(const Measure from, measure(env_.get()));
  const int copy = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (copy < 0) return fail(error_of(errno));
  const bool is_owned = ::fchmod(copy, from.status.st_mode & 07777U) == 0 &&
                        ::fchown(copy, from.status.st_uid, from.status.st_gid) == 0;
  const int number = errno;
  ::close(copy);
  const auto done = is_owned ? copy_rows(*writing, path, last)
                             : Result<void>(fail(error_system(Errc::kStoreIo, number)));
  if (!done) ::unlink(path.c_str());
  CULM_CHECK(done);
  return last;
}

void set_abort_handler(AbortHandler handler) { abort_handler = handler; }

void LmdbEnv::check_readers() {
  int dead = 0;
  mdb_reader_check(env_.get(), &dead);
}

}  // namespace culm::store::detail
