#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/stat.h>
#include <sys/types.h>

#include "culm/core/result.hpp"
#include "culm/core/time.hpp"

/// The store's directory as the operating system sees it: who may open it, and what lies below it.
namespace culm::store::detail {

/// Makes the directory, and those above it, where they are missing; whether it was.
/// Fails with kStoreIo or kStoreFull.
[[nodiscard]] Result<bool> make_directory(const std::string& directory);

/// Takes back what there is of a store that could not be made, and the directory if `with_it`.
/// Nothing where somebody else is making it, or has.
void drop_unmade(const std::string& directory, bool with_it) noexcept;

/// Makes the names in the directory, and its own, durable. Fails with kStoreIo.
[[nodiscard]] Result<void> sync_directory(const std::string& directory);

/// What has the name of a file of the store and is no regular file: its path.
[[nodiscard]] std::optional<std::string> find_odd_file(const std::string& directory);
/// Fails with kStoreIo (EINVAL) where there is such: to open a pipe waits for its other end.
[[nodiscard]] Result<void> check_files(const std::string& directory);

/// Whether there is a data file and something in it. Fails with kStoreIo, and with kStoreDamaged
/// where it is empty and was not once.
[[nodiscard]] Result<bool> has_data_file(const std::string& directory);

/// What the system says of the data file; nothing when there is none.
[[nodiscard]] std::optional<struct stat> find_data_file(const std::string& directory) noexcept;

/// The inode of LMDB's lock file; 0 when there is none.
[[nodiscard]] ino_t lock_file_number(const std::string& directory) noexcept;
/// Whether this user may lock what LMDB reads, which takes writing to its lock file.
[[nodiscard]] bool can_lock(const std::string& directory) noexcept;

/// Where a compaction writes what will take the place of the data file.
[[nodiscard]] std::string copy_path(const std::string& directory);
/// Where the store is written again whose file has damaged pages.
[[nodiscard]] std::string salvage_path(const std::string& directory);
/// Erases what was left in either by who was killed. Precondition: neither is under way.
void drop_copies(const std::string& directory) noexcept;

/// Held while the files are opened, and while the data file is replaced: what LMDB opens and what
/// it locks must belong together, and who is killed while it makes the lock file must not leave it
/// half made to another that waits there. Short.
class OpeningLock {
 public:
  /// Waits at most `wait_max`, as who has it may have been stopped; fails with kStoreLocked then,
  /// and with kStoreIo. Of a directory that this process may not read nothing is held.
  [[nodiscard]] static Result<OpeningLock> take(const std::string& directory, Duration wait_max);

  /// The pid of the process that holds it now, where the system tells.
  [[nodiscard]] static std::optional<long> holder(const std::string& directory);

  OpeningLock(OpeningLock&& other) noexcept;
  OpeningLock& operator=(OpeningLock&&) = delete;
  ~OpeningLock();

 private:
  explicit OpeningLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

/// Puts the copy in the place of the data file, durably. Where it fails with kStoreIo it may have
/// happened. Waits and fails besides as `OpeningLock`.
/// LMDB's lock file goes on to number the commits of the new one, or goes with the old: first, so
/// that who is killed behind that leaves the old file to those who lock another file by then.
enum class LockFile : std::uint8_t { kStays, kGoes };
[[nodiscard]] Result<void> replace_data_file(const std::string& directory, Duration wait_max,
                                             LockFile lock_file = LockFile::kStays);

/// Whether a file system with this number in statfs(2) is shared with other machines, or may be.
[[nodiscard]] bool is_network_filesystem(std::uint64_t type) noexcept;

/// Fails with kStoreIo (EREMOTE) on a network file system, with kStoreNotFound where no directory
/// is.
[[nodiscard]] Result<void> check_filesystem(const std::string& directory);

/// Size of the whole file system, free or not, in bytes; nothing if it does not say.
[[nodiscard]] std::optional<std::size_t> disk_size_bytes(const std::string& directory);

/// Keeps some disk space in a file of its own, unless that is there or has no room. On a full disk
/// deletion has to write before it frees anything.
void keep_reserve(const std::string& directory);
/// Gives it up; whether there was some.
[[nodiscard]] bool release_reserve(const std::string& directory);

/// Keeps a process from opening one environment twice: closing either one would drop the file
/// locks by which LMDB knows that the process lives.
class DirectoryClaim {
 public:
  /// Fails with kStoreLocked while this process holds another claim, under whatever path; with
  /// kStoreNotFound where no directory is.
  [[nodiscard]] static Result<DirectoryClaim> take(const std::string& directory);

  DirectoryClaim(DirectoryClaim&& other) noexcept;
  DirectoryClaim& operator=(DirectoryClaim&&) = delete;
  ~DirectoryClaim();

 private:
  DirectoryClaim(dev_t device, ino_t inode, pid_t process)
      : device_(device), inode_(inode), process_(process), held_(true) {}

  dev_t device_;
  ino_t inode_;
  pid_t process_;
  bool held_;
};

/// That the process which claimed a number lives: a lock on the byte at that place of the file
/// staging.lock. Ends with this object or with the process, however it ends.
class ClaimLock {
 public:
  /// Fails with kStoreLocked while it is held already, with kStoreIo. `number` is below 2^63.
  [[nodiscard]] static Result<ClaimLock> take(const std::string& directory, std::uint64_t number);
  /// Also true where that cannot be found out. Disturbs nobody.
  [[nodiscard]] static bool is_held(const std::string& directory, std::uint64_t number);

  ClaimLock(ClaimLock&& other) noexcept;
  ClaimLock& operator=(ClaimLock&&) = delete;
  ~ClaimLock();

 private:
  explicit ClaimLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

enum class LockFor : std::uint8_t { kTransaction, kNode };

/// The right to write, held through a lock on the file writer.lock, which then names the pid: for
/// one transaction, or by a node, as long as it runs. Unlike LMDB's own lock it can be waited for
/// with an end. Ends with this object or with the process, however it ends.
class WriterLock {
 public:
  /// Queues behind those that wait. Waits at most `wait_max` in all; fails with kStoreLocked then,
  /// or at once when a node holds it.
  [[nodiscard]] static Result<WriterLock> take(const std::string& directory, LockFor use,
                                               Duration wait_max);

  /// The pid of the process that holds the lock now. Disturbs nobody.
  [[nodiscard]] static std::optional<long> holder(const std::string& directory);

  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&&) = delete;
  ~WriterLock();

 private:
  explicit WriterLock(int descriptor);

  int descriptor_;
  pid_t process_;
};

}  // namespace culm::store::detail
