#include "tools/cli/guard.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/cli/files.hpp"

namespace culm::tools {

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
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  if (number != SIGSEGV && number != SIGBUS && number != SIGABRT && number != SIGFPE) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  return fail_with(Failure(Error{Errc::kStoreDamaged})
                       .about(name)
                       .next("take its logs again from peers, into another store (culm sync)"));
}

}  // namespace culm::tools
