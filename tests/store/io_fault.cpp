#include "tests/store/io_fault.hpp"

#include <array>
#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace culm::test {
namespace {

constexpr std::size_t kPageBytes = 4096;

IoFault active = IoFault::kNone;
int active_number = 0;
int injected = 0;

bool inject(IoFault fault) {
  if (active != fault) return false;
  ++injected;
  errno = active_number;
  return true;
}

}  // namespace

IoFaultScope::IoFaultScope(IoFault fault, int number) {
  active = fault;
  active_number = number;
}

IoFaultScope::~IoFaultScope() { active = IoFault::kNone; }

int io_faults_injected() { return injected; }

}  // namespace culm::test

using culm::test::inject;
using culm::test::IoFault;

extern "C" {

int fdatasync(int descriptor) {
  if (inject(IoFault::kSync)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}

int fsync(int descriptor) {
  if (inject(IoFault::kDirectorySync)) return -1;
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

int link(const char* from, const char* to) noexcept {
  if (inject(IoFault::kLink)) return -1;
  return ::linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

// A meta page is written in part, all others whole; what tells of a lock is no page.
ssize_t pwrite(int descriptor, const void* data, std::size_t size, off_t offset) {
  if (offset == 0 && size < culm::test::kPageBytes) {
    return ::syscall(SYS_pwrite64, descriptor, data, size, offset);
  }
  const bool page = size % culm::test::kPageBytes == 0;
  if (inject(page ? IoFault::kDataWrite : IoFault::kMetaWrite)) return -1;
  if (page && inject(IoFault::kShortWrite)) {
    errno = 0;
    size /= 2;
  }
  return ::syscall(SYS_pwrite64, descriptor, data, size, offset);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  if (inject(IoFault::kDataWrite)) return -1;
  if (inject(IoFault::kShortWrite)) {
    errno = 0;
    count = 1;
  }
  return ::syscall(SYS_writev, descriptor, parts, count);
}

}  // extern "C"
