#include "tools/cli/guard.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

/// What is left to be said when a signal has come; nothing is made then.
std::array<char, 1024> last_words{};
std::size_t last_words_size = 0;

/// That does the work of this process.
std::atomic<pid_t> worker = 0;

void end_damaged() {
  static_cast<void>(!::write(STDERR_FILENO, last_words.data(), last_words_size));
  ::_exit(static_cast<int>(Exit::kStore));
}

}  // namespace

Outcome<void> guard_reading(const Context& context) {
  const std::string name = "store " + shown(context.store_directory);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
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
  const std::string text = "culm: store " + shown(context.store_directory) + ": " +
                           message(Error{Errc::kStoreDamaged}) +
                           "\n  next: " + std::string(kStoreIsLost) + "\n";
  last_words_size = text.copy(last_words.data(), last_words.size());
  store::set_abort_handler(
      [](const char* /*directory*/, const char* /*assertion*/) { end_damaged(); });
  std::signal(SIGBUS, [](int /*number*/) { end_damaged(); });
}

}  // namespace culm::tools
