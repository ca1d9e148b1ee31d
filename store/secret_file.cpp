#include "culm/store/secret_file.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/sealing.hpp"

namespace culm::store {
namespace {

tl::unexpected<Error> io_failure() { return fail(error_system(Errc::kFileIo, errno)); }

/// A descriptor that is closed in the end.
class File {
 public:
  explicit File(int number) noexcept : number_(number) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const noexcept { return number_; }

 private:
  int number_;
};

std::string directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<void> check_access(const struct stat& status) {
  if (status.st_uid != ::geteuid()) return fail(Errc::kKeyFileOwner);
  if ((status.st_mode & 077U) != 0) return fail(Errc::kKeyFileShared);
  return {};
}

Result<void> write_all(int file, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io_failure();
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  if (::fsync(file) != 0) return io_failure();
  return {};
}

/// Where the file system has no files without a name.
Result<void> write_named(const std::string& path, ByteView secret) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0 && errno == EEXIST) return fail(Errc::kFileExists);
  if (file.get() < 0) return io_failure();
  auto written = ::fchmod(file.get(), 0600) == 0 ? write_all(file.get(), secret) : io_failure();
  if (!written) ::unlink(path.c_str());
  return written;
}

}  // namespace

Result<Bytes> read_secret_file(const std::string& path, std::size_t size_max,
                               bool (*well_formed)(ByteView)) {
  // Without waiting for the other end of a FIFO, and without following a link to who knows where.
  const File file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ELOOP) return fail(Errc::kKeyFileLink);
    if (errno == ENOENT || errno == ENOTDIR) return fail(Errc::kKeyFileMissing);
    return io_failure();
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return io_failure();
  if (!S_ISREG(status.st_mode)) return fail(Errc::kKeyFileKind);
  Bytes bytes(size_max + 1);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const auto failure = io_failure();
      sealing::wipe(bytes);
      return failure;
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  // Who may read it is no question of a file that holds no secret.
  const bool is_one = size <= size_max && well_formed(ByteView(bytes).first(size));
  const auto access = is_one ? check_access(status) : fail(Errc::kKeyFileFormat);
  if (!access) {
    sealing::wipe(bytes);
    return fail(access.error());
  }
  bytes.resize(size);
  return bytes;
}

Result<void> write_secret_file(const std::string& path, ByteView secret) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) == 0) return fail(Errc::kFileExists);
  const std::string directory = directory_of(path);
  // Without a name until it is whole: whatever ends this process leaves no part behind.
  const File nameless(::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (nameless.get() >= 0) {
    if (::fchmod(nameless.get(), 0600) != 0) return io_failure();  // whatever the umask
    CULM_CHECK(write_all(nameless.get(), secret));
    const std::string link = "/proc/self/fd/" + std::to_string(nameless.get());
    if (::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST) return fail(Errc::kFileExists);
      return io_failure();
    }
  } else {
    CULM_CHECK(write_named(path, secret));
  }
  const File parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0 && ::fsync(parent.get()) == 0) return {};
  const auto failure = io_failure();
  ::unlink(path.c_str());
  return failure;
}

}  // namespace culm::store
