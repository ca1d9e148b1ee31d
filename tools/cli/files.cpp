#include "tools/cli/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/replication/host/file_reader.hpp"

#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

tl::unexpected<Failure> system_failure(int number) {
  return fail_with(error_system(Errc::kFileIo, number));
}

}  // namespace

std::string shown(std::string_view path) {
  return path == "-" ? "standard input" : preview(as_bytes(path), 200);
}

Outcome<Descriptor> open_input(const std::string& path) {
  if (path.empty()) return usage("a file name must not be empty");
  Descriptor file(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return system_failure(errno);
  if (S_ISDIR(status.st_mode)) return system_failure(EISDIR);
  return file;
}

Outcome<std::optional<Descriptor>> open_pipe(const std::string& path) {
  struct stat status = {};
  const bool is_pipe =
      ::stat(path.c_str(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
  if (!is_pipe) return std::optional<Descriptor>();
  Descriptor pipe(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (pipe.get() < 0) return system_failure(errno);
  return pipe;
}

bool can_be_read_again(const Descriptor& file) {
  struct stat status = {};
  return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::lseek(file.get(), 0, SEEK_CUR) == 0;
}

Outcome<Descriptor> make_nameless_file(const std::string& directory) {
  Descriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() >= 0) return file;
  // Not every file system has such files.
  std::string path = directory + "/culm-XXXXXX";
  Descriptor named(::mkostemp(path.data(), O_CLOEXEC));
  if (named.get() < 0) return system_failure(errno);
  ::unlink(path.c_str());
  return named;
}

Outcome<std::uint64_t> check_input(const std::string& path) {
  if (path.empty()) return usage("a file name must not be empty");
  struct stat status = {};
  if (path == "-") {
    const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY) return system_failure(EBADF);
    if (::fstat(STDIN_FILENO, &status) != 0) return system_failure(errno);
  } else if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) {
    return system_failure(errno);
  }
  if (S_ISDIR(status.st_mode)) return system_failure(EISDIR);
  return S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
}

bool has_input_now() {
  struct stat status = {};
  if (::fstat(STDIN_FILENO, &status) != 0) return false;
  if (S_ISREG(status.st_mode)) {
    const off_t at = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    return at >= 0 && at < status.st_size;
  }
  int bytes = 0;
  return (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) &&
         ::ioctl(STDIN_FILENO, FIONREAD, &bytes) == 0 && bytes > 0;
}

Outcome<Bytes> read_all(const Descriptor& file, std::uint64_t size_max, Errc too_large) {
  Bytes bytes;
  struct stat status = {};
  if (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    // A hint only: the file may change while it is read, and what was read is what counts.
    bytes.reserve(std::min(static_cast<std::uint64_t>(status.st_size), size_max) + 1);
  }
  while (true) {
    const std::size_t old_size = bytes.size();
    bytes.resize(std::max(bytes.capacity(), old_size + kReadBytes));
    CULM_TOOLS_TRY(const std::size_t got,
                   host::read_some(file, reinterpret_cast<char*>(bytes.data() + old_size),
                                   bytes.size() - old_size));
    bytes.resize(old_size + got);
    if (bytes.size() > size_max) return fail_with(Error{too_large});
    if (got == 0) return bytes;
  }
}

Outcome<Bytes> read_file(const std::string& path, std::uint64_t size_max, Errc too_large) {
  auto file = open_input(path);
  if (!file) return fail_with(std::move(file.error()).about(shown(path)));
  auto bytes = read_all(*file, size_max, too_large);
  if (!bytes) return fail_with(std::move(bytes.error()).about(shown(path)));
  return bytes;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

NewFile::NewFile(std::string path, Descriptor file, bool is_named)
    : path_(std::move(path)),
      file_(std::move(file)),
      out_(file_.get(), shown(path_)),
      is_named_(is_named) {}

Outcome<std::unique_ptr<NewFile>> NewFile::create(const std::string& path, unsigned mode) {
  if (path.empty()) return usage("a file name must not be empty");
  struct stat status = {};
  if (::lstat(path.c_str(), &status) == 0) {
    return fail_with(Failure(Error{Errc::kFileExists}).about(shown(path)));
  }
  // Without a name until it is complete, where the file system can: whatever ends this process
  // leaves no part behind.
  Descriptor nameless(::open(directory_of(path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
  if (nameless.get() >= 0) {
    return std::unique_ptr<NewFile>(new NewFile(path, std::move(nameless), false));
  }
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (file.get() < 0) {
    const Error error =
        errno == EEXIST ? Error{Errc::kFileExists} : error_system(Errc::kFileIo, errno);
    return fail_with(Failure(error).about(shown(path)));
  }
  return std::unique_ptr<NewFile>(new NewFile(path, std::move(file), true));
}

NewFile::~NewFile() {
  if (is_named_ && !is_complete_) ::unlink(path_.c_str());
}

Outcome<void> NewFile::write_now(ByteView bytes) {
  if (auto written = write_fully(file_.get(), as_text(bytes)); !written) {
    return fail_with(std::move(written.error()).about(shown(path_)));
  }
  return {};
}

Outcome<void> NewFile::complete() {
  CULM_TOOLS_CHECK(out_.flush());
  const auto failed = [this](const Error& error) {
    return fail_with(Failure(error).about(shown(path_)).as(Exit::kStore));
  };
  if (::fsync(file_.get()) != 0) return failed(error_system(Errc::kFileIo, errno));
  if (!is_named_) {
    const std::string nameless = "/proc/self/fd/" + std::to_string(file_.get());
    if (::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno != EEXIST) return failed(error_system(Errc::kFileIo, errno));
      return fail_with(Failure(Error{Errc::kFileExists}).about(shown(path_)));
    }
  }
  is_complete_ = true;
  const Descriptor parent(::open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() < 0 || ::fsync(parent.get()) != 0) {
    return failed(error_system(Errc::kFileIo, errno));
  }
  return {};
}

}  // namespace culm::tools
