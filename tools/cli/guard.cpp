#include "tools/cli/guard.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

/// That does the work of this process.
std::atomic<pid_t> worker = 0;

/// What is left to be said when a signal has come; nothing is made then.
struct LastWords {
  std::array<char, 1024> text{};
  std::size_t size = 0;

  void set(const Context& context, const Failure& failure, std::string_view step) {
    size = ("culm: store " + shown(context.store_directory) + ": " + failure.message +
            "\n  next: " + std::string(step) + "\n")
               .copy(text.data(), text.size());
  }
  [[noreturn]] void say() const {
    static_cast<void>(!::write(STDERR_FILENO, text.data(), size));
    ::_exit(static_cast<int>(Exit::kStore));
  }
};
LastWords damaged;
LastWords full;
std::array<char, 512> directory{};

/// A page of a file that is mapped has no room on the disk, or is not in the file.
void end_at_bus_error(int /*number*/) {
  struct statvfs disk {};
  const bool is_known = ::statvfs(directory.data(), &disk) == 0;
  const auto left = ::geteuid() == 0 ? disk.f_bfree : disk.f_bavail;
  (is_known && left == 0 ? full : damaged).say();
}

}  // namespace

Outcome<void> guard_reading(const Context& context) {
  const std::string name = "store " + shown(context.store_directory);
  const pid_t parent = ::getpid();
  // One that comes until each knows what to do with it is kept.
  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t child = ::fork();
  if (child <= 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return about(name, Result<void>(fail(error_system(Errc::kStoreIo, errno))));
  if (child == 0) {
    // A signal for the parent is meant for this one.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(static_cast<int>(Exit::kInternal));
    return {};
  }
  // Ctrl-C reaches both, another signal perhaps this one alone; who works says what is done.
  worker = child;
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, [](int sent) { ::kill(worker, sent); });
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  if (number != SIGSEGV && number != SIGBUS && number != SIGABRT && number != SIGFPE) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  return fail_with(Failure(Error{Errc::kStoreDamaged}).about(name).next(kStoreIsLost));
}

void guard_writing(const Context& context) {
  damaged.set(context, Error{Errc::kStoreDamaged}, kStoreIsLost);
  const Failure no_room(Error{Errc::kStoreFull});
  full.set(context, no_room, no_room.step);
  context.store_directory.copy(directory.data(), directory.size() - 1);
  store::set_abort_handler(
      [](const char* /*directory*/, const char* /*assertion*/) { damaged.say(); });
  std::signal(SIGBUS, end_at_bus_error);
  std::signal(SIGSEGV, [](int /*number*/) { damaged.say(); });
}

void expect_damage() {
  std::signal(SIGABRT, [](int /*number*/) { damaged.say(); });
}

}  // namespace culm::tools
