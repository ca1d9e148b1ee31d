#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "culm/core/time.hpp"
#include "culm/store/detail/page_check.hpp"
#include "culm/store/detail/store_directory.hpp"
#include "culm/store/kv.hpp"

struct MDB_cursor;
struct MDB_env;
struct MDB_txn;

/// LMDB with owners and results. Only the sources beside this header see lmdb.h.
///
/// That no row is there is said where the pages on the way are sound, else kStoreDamaged; likewise
/// nothing is written over other pages. Without `leave_read`, some of them end the process.
///
/// Errors: a full map is kStoreFull without a number, a full disk kStoreFull with `errno`; damage
/// that LMDB notices is kStoreDamaged, a file of another LMDB format kStoreVersion, too many
/// readers kLimit, and everything else kStoreIo.
namespace culm::store::detail {

/// See `store::set_abort_handler`.
using AbortHandler = void (*)(const char* directory, const char* assertion);
void set_abort_handler(AbortHandler handler);

/// The table of that name in the file.
[[nodiscard]] std::optional<Table> table_named(std::string_view name) noexcept;

struct LmdbClose {
  void operator()(MDB_env* env) const noexcept;
  void operator()(MDB_txn* txn) const noexcept;
  void operator()(MDB_cursor* cursor) const noexcept;
};

class LmdbTxn;

/// Must end before its transaction, which does not move meanwhile.
class LmdbCursor {
 public:
  /// The first row whose key is not below `key`.
  [[nodiscard]] Result<std::optional<KvRow>> seek(ByteView key);
  /// The row after. Precondition: at a row.
  [[nodiscard]] Result<std::optional<KvRow>> next();
  /// The last row whose key is below `key`.
  [[nodiscard]] Result<std::optional<KvRow>> seek_before(ByteView key);

 private:
  friend class LmdbTxn;
  std::optional<KvRow> arrived(std::optional<KvRow> row);

  using Owner = std::unique_ptr<MDB_cursor, LmdbClose>;
  LmdbCursor(const LmdbTxn& txn, Table table, Owner cursor)
      : txn_(&txn), table_(table), cursor_(std::move(cursor)) {}

  const LmdbTxn* txn_;
  Table table_;
  Owner cursor_;
  ByteView key_;  ///< of the row that it is at
};

/// Undone when it ends, unless committed.
class LmdbTxn {
 public:
  [[nodiscard]] Result<std::optional<ByteView>> get(Table table, ByteView key) const;
  [[nodiscard]] Result<LmdbCursor> cursor(Table table) const;
  [[nodiscard]] Result<void> put(Table table, ByteView key, ByteView value);
  [[nodiscard]] Result<void> erase(Table table, ByteView key);
  [[nodiscard]] Result<KvSpace> space() const;
  /// The transaction is over, whatever comes back.
  [[nodiscard]] Result<void> commit();

 private:
  friend class LmdbCursor;
  friend class LmdbEnv;
  using Tables = std::array<unsigned int, kTableCount>;
  LmdbTxn(MDB_txn* txn, const Tables& tables, const PageMap& map, bool read_only)
      : txn_(txn), tables_(tables), writes_(!read_only), map_(&map), check_(map) {}
  /// By one of the calls of `PageCheck`.
  using Look = bool (PageCheck::*)(const Tree&, ByteView);
  [[nodiscard]] Result<void> check(Table table, ByteView key, Look look) const;
  [[nodiscard]] bool is_sound(Table table, ByteView key, Look look) const;
  [[nodiscard]] std::optional<Tree> find_tree(Table table) const;
  [[nodiscard]] std::optional<Commit> find_commit() const;
  [[nodiscard]] Result<void> check_free_pages() const;
  [[nodiscard]] unsigned int tree(Table table) const {
    return tables_[static_cast<std::size_t>(table)];
  }

  std::unique_ptr<MDB_txn, LmdbClose> txn_;
  Tables tables_;
  bool writes_;
  const PageMap* map_;
  mutable PageCheck check_;
  mutable std::array<std::optional<Tree>, kTableCount> trees_;  ///< as committed, once looked for
};

/// One environment with all tables open. Its transactions end before it does.
class LmdbEnv {
 public:
  /// `directory` is absolute. Fails with kStoreNotFound when opened for reading and the files or
  /// tables are not there; with kStoreLocked while others open it for all of `wait_max`.
  [[nodiscard]] static Result<LmdbEnv> open(const std::string& directory,
                                            std::size_t map_size_bytes, bool read_only,
                                            Duration wait_max);

  /// One in a file that nobody else knows of, without a lock.
  [[nodiscard]] static Result<LmdbEnv> open_alone(const std::string& file);

  /// Writes the rows that a transaction sees, row by row and thus without free pages and half full
  /// ones, to the empty file at `path`, as commit `transaction`; durable when it returns. Fails
  /// with kStoreDamaged where rows are not in order, or not as many as the tables count.
  [[nodiscard]] Result<void> copy_rows(const LmdbTxn& rows, const std::string& path,
                                       std::size_t transaction = 1) const;

  /// Nothing, if another process has grown the map: adopt its size, then try again.
  [[nodiscard]] Result<std::optional<LmdbTxn>> begin(bool read_only);

  [[nodiscard]] std::size_t map_size_bytes() const;
  /// Precondition: no transaction is open. A size of 0 adopts that of the file. After a failure
  /// nothing is mapped any more, and every later call fails.
  [[nodiscard]] Result<void> set_map_size_bytes(std::size_t bytes);

  /// Frees the slots of readers that died, so that the pages they saw can be used again.
  void check_readers();

  /// Numbers the last commit.
  [[nodiscard]] std::size_t last_transaction() const;
  /// `copy_rows` to a new file at `path`. Nobody commits meanwhile. The file may take the place of
  /// this one as long as
  /// `last_transaction` is what it returns: all else that the lock file says holds for it too.
  /// Fails with kStoreBusy when the map has to be adopted first.
  [[nodiscard]] Result<std::size_t> copy_compacted(const std::string& path);
  /// Whether another file has taken the place of this one.
  [[nodiscard]] bool is_replaced() const;
  /// Whether the file has lost its name: what is written to it is lost, or nobody finds it.
  [[nodiscard]] bool is_taken_away() const;
  /// Opens the file that has. Precondition: no transaction is open. Fails with kStoreLocked as
  /// `open`; after another failure nothing is mapped any more, and every later call fails.
  [[nodiscard]] Result<void> reopen();

 private:
  class RowCopy;
  explicit LmdbEnv(MDB_env* env) : env_(env) {}
  static Result<LmdbEnv> open_locked(OpeningLock lock, const std::string& directory,
                                     std::size_t map_size_bytes, bool read_only);
  static Result<LmdbEnv> open_file(const std::string& file, std::size_t map_size_bytes,
                                   unsigned int flags);
  Result<void> find_identity();
  Result<void> map_pages();
  Result<void> prepare(std::size_t map_size_bytes);
  Result<void> open_tables(bool read_only);
  Result<void> check_file_size();
  Result<LmdbTxn> begin_adopting(bool read_only);

  std::unique_ptr<MDB_env, LmdbClose> env_;
  std::unique_ptr<PageMap> map_ = std::make_unique<PageMap>();
  LmdbTxn::Tables tables_{};
  bool mapped_ = true;
  std::string directory_;
  bool read_only_ = false;
  Duration wait_max_{};
  dev_t device_ = 0;
  ino_t inode_ = 0;
  ino_t lock_inode_ = 0;
};

}  // namespace culm::store::detail
