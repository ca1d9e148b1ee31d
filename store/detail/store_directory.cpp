#include "culm/store/detail/store_directory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <sstream>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "culm/store/detail/file_number.hpp"

namespace culm::store::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kDataFile = "/data.mdb";
constexpr std::string_view kCopyFile = "/data.mdb.new";
constexpr std::string_view kLockFile = "/writer.lock";
constexpr std::string_view kLmdbLockFile = "/lock.mdb";
constexpr std::string_view kClaimFile = "/staging.lock";
constexpr std::string_view kReserveFile = "/reserve";
constexpr std::string_view kOriginFile = "/origin";
/// A transaction that deletes one payload writes some thirty pages, and the state of its log.
constexpr off_t kReserveBytes = off_t{512} << 10;
constexpr int kLockAttemptsMax = 8;
/// The system waits either not at all or for ever, so a bounded wait has to ask again.
constexpr Duration kLockRetryInterval = std::chrono::milliseconds(1);

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Error error_of_system(int number) {
  switch (number) {
    case ENOENT:
      return {Errc::kStoreNotFound};
    case ENOSPC:
    case EDQUOT:
      return error_system(Errc::kStoreFull, number);
    default:
      return error_system(Errc::kStoreIo, number);
  }
}

tl::unexpected<Error> fail_system() { return fail(error_of_system(errno)); }

std::string path_in(const std::string& directory, std::string_view name) {
  return std::string(directory).append(name);
}

// Locks of the open file, not of the process: these also exclude each other within a process, are
// not lost when some other descriptor is closed, and can be asked about without taking them.
struct flock whole_file(short type) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  return range;
}

struct flock one_byte(std::uint64_t number) {
  struct flock range = whole_file(F_WRLCK);
  range.l_start = static_cast<off_t>(number);
  range.l_len = 1;
  return range;
}

Result<void> try_lock(int descriptor, struct flock range) {
  if (::fcntl(descriptor, F_OFD_SETLK, &range) == 0) return {};
  if (errno == EAGAIN || errno == EACCES) return fail(Errc::kStoreLocked);
  return fail_system();
}

// Of writer.lock. Who wants to write queues, waits for the turn, and then lets the next one queue:
// so who writes without end, and asks again at once, comes after who waited meanwhile. A node locks
// all of the file, and alone what lies behind the two.
constexpr std::uint64_t kTurnByte = 0;
constexpr std::uint64_t kQueueByte = 1;
constexpr std::uint64_t kNodeByte = 2;

bool is_same_file(int descriptor, const std::string& path) {
  struct stat opened = {};
  struct stat named = {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

bool write_pid(int opened) {
  const std::string text = std::to_string(::getpid()) + "\n";
  const auto size = static_cast<off_t>(text.size());
  return ::write(opened, text.data(), text.size()) == size && ::ftruncate(opened, size) == 0;
}

// A claim of the parent does not bind a forked child, which may open the store again.
struct Claim {
  dev_t device;
  ino_t inode;
  pid_t process;
  friend bool operator==(const Claim&, const Claim&) = default;
};

struct Claims {
  std::mutex mutex;
  std::vector<Claim> taken;
};

// The one global of the module, because what it guards, POSIX file locks, belongs to the process.
Claims& claims() {
  static Claims instance;
  return instance;
}

}  // namespace

Result<bool> make_directory(const std::string& directory) {
  std::error_code error;
  const bool is_made = std::filesystem::create_directories(directory, error);
  if (error) return fail(error_of_system(error.value()));
  return is_made;
}

void drop_unmade(const std::string& directory, bool with_it) noexcept {
  const auto lock = WriterLock::take(directory, LockFor::kNode, {});
  if (!lock || has_data_file(directory).value_or(true)) return;
  for (const std::string_view file : {kDataFile, kLmdbLockFile, kLockFile}) {
    ::unlink(path_in(directory, file).c_str());
  }
  if (with_it) ::rmdir(directory.c_str());
}

Result<void> sync_directory(const std::string& directory) {
  for (const std::string_view place : {"/.", "/.."}) {
    const Descriptor opened(
        ::open(path_in(directory, place).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // A parent that may be passed but not read cannot be synced; its owner has to.
    if (opened.get() < 0 && errno == EACCES && place == "/..") continue;
    if (opened.get() < 0 || ::fsync(opened.get()) != 0) return fail_system();
  }
  return {};
}

std::optional<std::string> find_odd_file(const std::string& directory) {
  for (const std::string_view name :
       {kDataFile, kCopyFile, kLockFile, kLmdbLockFile, kClaimFile, kReserveFile, kOriginFile}) {
    struct stat status = {};
    const std::string path = path_in(directory, name);
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return path;
  }
  return std::nullopt;
}

Result<void> check_files(const std::string& directory) {
  if (find_odd_file(directory)) return fail(error_system(Errc::kStoreIo, EINVAL));
  return {};
}

Result<bool> has_data_file(const std::string& directory) {
  struct stat status = {};
  if (::stat(path_in(directory, kDataFile).c_str(), &status) == 0) {
    if (status.st_size > 0) return true;
    // Who dies while he makes a store leaves an empty file, but gets no further.
    const bool was_made = ::access(path_in(directory, kReserveFile).c_str(), F_OK) == 0;
    if (was_made) return fail(Errc::kStoreDamaged);
    return false;
  }
  if (errno == ENOENT) return false;
  return fail_system();
}

std::optional<struct stat> find_data_file(const std::string& directory) noexcept {
  struct stat status = {};
  if (::stat(path_in(directory, kDataFile).c_str(), &status) != 0) return std::nullopt;
  return status;
}

ino_t lock_file_number(const std::string& directory) noexcept {
  struct stat status = {};
  return ::stat(path_in(directory, kLmdbLockFile).c_str(), &status) == 0 ? status.st_ino : 0;
}

bool can_lock(const std::string& directory) noexcept {
  const std::string file = path_in(directory, kLmdbLockFile);
  const bool is_there = ::faccessat(AT_FDCWD, file.c_str(), F_OK, AT_EACCESS) == 0;
  const char* const path = is_there ? file.c_str() : directory.c_str();
  return ::faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
}

std::string copy_path(const std::string& directory) { return path_in(directory, kCopyFile); }
std::string salvage_path(const std::string& directory) { return path_in(directory, "/salvage"); }

void drop_copies(const std::string& directory) noexcept {
  ::unlink(copy_path(directory).c_str());
  std::error_code error;
  std::filesystem::remove_all(salvage_path(directory), error);
}

Result<OpeningLock> OpeningLock::take(const std::string& directory, Duration wait_max) {
  const auto end = Clock::now() + wait_max;
  OpeningLock lock(::open(path_in(directory, "/.").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.descriptor_ < 0 && errno == EACCES) return lock;
  if (lock.descriptor_ < 0) return fail_system();
  while (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) return fail_system();
    if (Clock::now() >= end) return fail(Errc::kStoreLocked);
    std::this_thread::sleep_for(kLockRetryInterval);
  }
  return lock;
}

std::optional<long> OpeningLock::holder(const std::string& directory) {
  struct stat status = {};
  if (::stat(directory.c_str(), &status) != 0) return std::nullopt;
  std::ostringstream wanted;  // MAJOR:MINOR:INODE
  wanted << std::hex << std::setfill('0') << std::setw(2) << major(status.st_dev) << ':'
         << std::setw(2) << minor(status.st_dev) << ':' << std::dec << status.st_ino;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string ignored;
    std::string file;
    long pid = 0;
    words >> number >> kind >> ignored >> ignored >> pid >> file;
    if (kind == "FLOCK" && file == wanted.str()) return pid;
  }
  return std::nullopt;
}

OpeningLock::OpeningLock(OpeningLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

OpeningLock::~OpeningLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> replace_data_file(const std::string& directory, Duration wait_max,
                               LockFile lock_file) {
  CULM_TRY(const auto lock, OpeningLock::take(directory, wait_max));
  carry_number_over(directory, copy_path(directory));
  if (lock_file == LockFile::kGoes) ::unlink(path_in(directory, kLmdbLockFile).c_str());
  if (::rename(copy_path(directory).c_str(), path_in(directory, kDataFile).c_str()) != 0) {
    return fail_system();
  }
  return sync_directory(directory);
}

bool is_network_filesystem(std::uint64_t type) noexcept {
  // From linux/magic.h, and from the kernel's own sources where that lacks them.
  constexpr auto kTypes = std::to_array<std::uint64_t>({
      0x6969,      // nfs
      0x517B,      // smb
      0xFF534D42,  // cifs
      0xFE534D42,  // smb2
      0x01021997,  // 9p
      0x65735546,  // fuse
      0x5346414F,  // afs
      0x6B414653,  // kafs
      0x73757245,  // coda
      0x564C,      // ncp
      0x00C36400,  // ceph
      0x0BD00BD0,  // lustre
      0x01161970,  // gfs2
      0x7461636F,  // ocfs2
      0x47504653,  // gpfs
  });
  return std::ranges::find(kTypes, type) != kTypes.end();
}

Result<void> check_filesystem(const std::string& directory) {
  struct statfs status = {};
  if (::statfs(directory.c_str(), &status) != 0) return fail_system();
  // f_type is signed on some machines, and the numbers have 32 bits.
  if (is_network_filesystem(static_cast<std::uint32_t>(status.f_type))) {
    return fail(error_system(Errc::kStoreIo, EREMOTE));
  }
  return {};
}

std::optional<std::size_t> disk_size_bytes(const std::string& directory) {
  struct statvfs status = {};
  if (::statvfs(directory.c_str(), &status) != 0 || status.f_blocks == 0) return std::nullopt;
  return std::size_t{status.f_blocks} * status.f_frsize;
}

void keep_reserve(const std::string& directory) {
  const std::string path = path_in(directory, kReserveFile);
  struct stat status = {};
  if (::stat(path.c_str(), &status) == 0 && status.st_size >= kReserveBytes) return;
  const Descriptor opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (opened.get() < 0) return;
  if (::posix_fallocate(opened.get(), 0, kReserveBytes) != 0) ::unlink(path.c_str());
}

bool release_reserve(const std::string& directory) {
  return ::unlink(path_in(directory, kReserveFile).c_str()) == 0;
}

Result<DirectoryClaim> DirectoryClaim::take(const std::string& directory) {
  struct stat status = {};
  if (::stat(directory.c_str(), &status) != 0) return fail_system();
  const Claim claim{status.st_dev, status.st_ino, ::getpid()};
  const std::lock_guard lock(claims().mutex);
  auto& taken = claims().taken;
  if (std::ranges::find(taken, claim) != taken.end()) return fail(Errc::kStoreLocked);
  taken.push_back(claim);
  return DirectoryClaim(claim.device, claim.inode, claim.process);
}

DirectoryClaim::DirectoryClaim(DirectoryClaim&& other) noexcept
    : device_(other.device_),
      inode_(other.inode_),
      process_(other.process_),
      held_(std::exchange(other.held_, false)) {}

DirectoryClaim::~DirectoryClaim() {
  if (!held_) return;
  const std::lock_guard lock(claims().mutex);
  std::erase(claims().taken, Claim{device_, inode_, process_});
}

Result<ClaimLock> ClaimLock::take(const std::string& directory, std::uint64_t number) {
  const std::string path = path_in(directory, kClaimFile);
  ClaimLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.descriptor_ < 0) return fail_system();
  CULM_CHECK(try_lock(lock.descriptor_, one_byte(number)));
  return lock;
}

bool ClaimLock::is_held(const std::string& directory, std::uint64_t number) {
  const Descriptor opened(::open(path_in(directory, kClaimFile).c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.get() < 0) return errno != ENOENT;
  auto range = one_byte(number);
  return ::fcntl(opened.get(), F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

ClaimLock::ClaimLock(ClaimLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

ClaimLock::~ClaimLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

static Result<int> lock_file(const std::string& directory, const struct flock& range) {
  const std::string path = path_in(directory, kLockFile);
  for (int attempt = 0; attempt < kLockAttemptsMax; ++attempt) {
    Descriptor opened(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (opened.get() < 0) return fail_system();
    CULM_CHECK(try_lock(opened.get(), range));
    // Somebody may have removed or replaced the file since it was opened; a lock on a file that
    // has no name keeps nobody out.
    if (is_same_file(opened.get(), path)) return opened.release();
  }
  return fail(Errc::kStoreLocked);
}

static std::optional<long> holder_of(const std::string& directory, std::uint64_t byte) {
  const Descriptor opened(
      ::open(path_in(directory, kLockFile).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto range = one_byte(byte);
  if (opened.get() < 0 || ::fcntl(opened.get(), F_OFD_GETLK, &range) != 0 ||
      range.l_type == F_UNLCK) {
    return std::nullopt;
  }
  std::array<char, 32> text{};
  const ssize_t size = ::pread(opened.get(), text.data(), text.size(), 0);
  long pid = 0;
  if (size <= 0 || std::from_chars(text.data(), text.data() + size, pid).ec != std::errc{}) {
    return std::nullopt;
  }
  return pid;
}

/// Tries again until `end`, while no node holds the lock.
template <class Try>
static auto wait_for(const std::string& directory, Clock::time_point end, Try attempt) {
  auto done = attempt();
  while (!done && done.error().code == Errc::kStoreLocked && Clock::now() < end &&
         !holder_of(directory, kNodeByte)) {
    std::this_thread::sleep_for(kLockRetryInterval);
    done = attempt();
  }
  return done;
}

Result<WriterLock> WriterLock::take(const std::string& directory, LockFor use, Duration wait_max) {
  const auto wanted = use == LockFor::kNode ? whole_file(F_WRLCK) : one_byte(kTurnByte);
  auto queue = one_byte(kQueueByte);
  const auto end = Clock::now() + wait_max;
  CULM_TRY(const int queued, wait_for(directory, end, [&] { return lock_file(directory, queue); }));
  WriterLock lock(queued);
  CULM_CHECK(wait_for(directory, end, [&] { return try_lock(queued, wanted); }));
  if (!write_pid(queued)) return fail_system();
  queue.l_type = F_UNLCK;
  if (use == LockFor::kTransaction) CULM_CHECK(try_lock(queued, queue));
  return lock;
}

std::optional<long> WriterLock::holder(const std::string& directory) {
  return holder_of(directory, kTurnByte);
}

WriterLock::WriterLock(int descriptor) : descriptor_(descriptor), process_(::getpid()) {}

WriterLock::WriterLock(WriterLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), process_(other.process_) {}

WriterLock::~WriterLock() {
  if (descriptor_ < 0) return;
  // A forked child shares the lock: it must not end it, nor keep it alive for the holder.
  auto range = whole_file(F_UNLCK);
  if (process_ == ::getpid()) ::fcntl(descriptor_, F_OFD_SETLK, &range);
  ::close(descriptor_);
}

}  // namespace culm::store::detail
