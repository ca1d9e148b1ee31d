#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "culm/core/limits.hpp"
#include "culm/core/time.hpp"
#include "culm/store/kv.hpp"

namespace culm::store {

struct LmdbOptions {
  /// Address space to reserve, not disk space. `grow` doubles it when it is full; sanitizers and
  /// valgrind want it small. Never less than the file is used, whatever is said here.
  std::size_t map_size_bytes = limits::kMapSizeBytesDefault;
  /// Works beside a node in another process.
  bool read_only = false;
  /// Makes the directory and its files if they are missing; has no effect on `read_only`.
  bool create = true;
  /// Opens on NFS, CIFS, 9p, FUSE and the like, where locks and shared maps cannot be relied upon.
  bool allow_network_filesystem = false;
  /// How long to write waits for writes of other processes, each time, and to open for those that
  /// are opening it.
  Duration wait_max = std::chrono::milliseconds(limits::kNodeLockWaitMs);
};

/// The pid of the process that writes to the store in `directory` now, or has a node there.
[[nodiscard]] std::optional<long> lock_holder(const std::string& directory);
/// The pid of the process that is opening that store now, where the system tells. It takes no time,
/// unless that process was stopped: then nobody else can open it.
[[nodiscard]] std::optional<long> find_opener(const std::string& directory);

/// What has the name of a file of that store and is no regular file, as a directory or a pipe: its
/// path. While it is there the store cannot be opened.
[[nodiscard]] std::optional<std::string> find_odd_file(const std::string& directory);

/// How long the file of the store in `directory` is. Fails with kStoreNotFound.
[[nodiscard]] Result<std::uint64_t> file_size_bytes(const std::string& directory);
/// What a compaction that runs there has written so far, by whichever process; 0 where none does.
[[nodiscard]] std::uint64_t compacted_bytes(const std::string& directory);

/// Called when LMDB has found the store in `directory` damaged in a way that it cannot go on with.
/// It aborts the process when the handler returns; without a handler it names the store on stderr
/// before. Safe to set from any thread, before any store is opened.
using AbortHandler = void (*)(const char* directory, const char* assertion);
void set_abort_handler(AbortHandler handler);

/// For the handler of a SIGSEGV or a SIGBUS that the system sent, set with SA_NODEFER: where this
/// thread reads a row of a store, the read fails with kStoreDamaged, and this does not return.
void leave_read();

class NodeLock;

/// A `Kv` in an LMDB environment: one directory with data.mdb, lock.mdb, writer.lock, and a reserve
/// of disk space that writing needs to make room on a full disk. Any number
/// of processes write, one transaction at a time, until one of them locks the others out for its
/// node. A commit that returned success survives a crash of the process and of the machine.
/// Spec: store.md#files
class LmdbKv final : public Kv {
 public:
  /// Fails with kStoreNotFound; with kStoreLocked, unless `read_only`, as `begin_write`, or while
  /// this process has the same directory open already, even for reading, or another is opening it
  /// for all of `wait_max`; with kStoreVersion or
  /// kStoreDamaged when the file is not one of ours; with kStoreDamaged when it was cut short of
  /// what it must hold; with kStoreFull or kStoreIo (EREMOTE: a network file system;
  /// EINVAL: see `find_odd_file`).
  [[nodiscard]] static Result<std::unique_ptr<LmdbKv>> open(const std::string& directory,
                                                            const LmdbOptions& options = {});
  ~LmdbKv() override;

  /// In a forked child every `begin_` fails with kStoreLocked: open again there. So it
  /// does where another file is in the place of this one, as `open`.
  [[nodiscard]] Result<std::unique_ptr<KvReadTransaction>> begin_read() override;
  /// Waits for writers of other processes as well. Fails with kStoreLocked when one needs longer
  /// than `wait_max`, and at once while a node of another process runs; with kStoreNotFound where
  /// the store was removed or moved, of a node's also where another is in its place: what is
  /// written then would be confirmed, and lost. The transaction ends in the thread that began it.
  [[nodiscard]] Result<std::unique_ptr<KvWriteTransaction>> begin_write() override;
  /// Doubles the map, up to the size of the disk. Fails with kStoreReadOnly when opened for
  /// reading, and with kStoreFull when it was the disk that was full.
  [[nodiscard]] Result<void> grow() override;
  /// Copies what is held and renames the copy to data.mdb. Processes that have the store open go
  /// over to it with their next transaction; those that would write meanwhile fail with
  /// kStoreLocked. Waits as `lock_for_node` for a write that is under way, unless this process runs
  /// the node. Spec: store.md#compaction
  [[nodiscard]] Result<void> compact() override;
  /// By a lock on a file, which a process loses with its life.
  [[nodiscard]] Result<KvClaim> claim() override;
  [[nodiscard]] bool is_claimed(std::uint64_t number) override;
  [[nodiscard]] bool release_reserve() override;
  void keep_reserve() override;

  /// Frees what readers held that died without ending their snapshots, in any process; the store
  /// grows while they are remembered. Done by `open`; worth a call each minute.
  void check_readers();

  /// Writes a consistent copy of data.mdb, as `begin_read` sees it, to an empty file. Fails as
  /// that, and with kStoreFull or kStoreIo where the file cannot be written.
  [[nodiscard]] Result<void> copy_to(const std::string& file);

  /// Keeps other processes from writing, because a node has to hear of each change. Waits at most
  /// `wait_max` for a write that is under way elsewhere, then fails with kStoreLocked; at once when
  /// a node runs there, or one of this process. Precondition: this thread holds no write
  /// transaction.
  [[nodiscard]] Result<NodeLock> lock_for_node(Duration wait_max = kNodeLockWaitMax);
  static constexpr Duration kNodeLockWaitMax = std::chrono::milliseconds(limits::kNodeLockWaitMs);

 private:
  friend class NodeLock;
  struct State;
  class Cursor;
  class Transaction;
  explicit LmdbKv(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

/// That only this process writes to a store; ends when destroyed, after a write that is under way.
/// Outlived by its `LmdbKv`. Destroyed in a thread that holds no write transaction.
class NodeLock {
 public:
  NodeLock(NodeLock&& other) noexcept;
  NodeLock& operator=(NodeLock&&) = delete;
  ~NodeLock();

 private:
  friend LmdbKv;
  explicit NodeLock(LmdbKv::State* state) : state_(state) {}

  LmdbKv::State* state_;
};

}  // namespace culm::store
