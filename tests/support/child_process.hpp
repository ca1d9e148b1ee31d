#pragma once

#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

namespace culm::test {

/// The child's half of the talk with its parent.
class ParentLine {
 public:
  ParentLine(int in, int out) : in_(in), out_(out) {}
  void tell() const {
    const char byte = 0;
    if (::write(out_, &byte, 1) != 1) ::_exit(98);
  }
  void await() const {
    char byte = 0;
    if (::read(in_, &byte, 1) != 1) ::_exit(99);
  }

 private:
  int in_;
  int out_;
};

/// A forked child that runs `body(const ParentLine&)` and exits with the int it returns: 0 means
/// that the child is content. Fork before opening anything that must not be shared.
class ChildProcess {
 public:
  template <class Body>
  explicit ChildProcess(Body body) {
    int down[2];
    int up[2];
    if (::pipe(down) != 0 || ::pipe(up) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::close(down[1]);
      ::close(up[0]);
      ::_exit(body(ParentLine(down[0], up[1])));
    }
    ::close(down[0]);
    ::close(up[1]);
    out_ = down[1];
    in_ = up[0];
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (pid_ > 0) kill();
    ::close(in_);
    ::close(out_);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  void tell() const {
    const char byte = 0;
    if (::write(out_, &byte, 1) != 1) throw std::runtime_error("the child is gone");
  }
  /// False when the child ended without telling.
  [[nodiscard]] bool await() const {
    char byte = 0;
    return ::read(in_, &byte, 1) == 1;
  }

  /// The exit status, or -1 after a signal.
  int join() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// As kill -9 does.
  void kill() {
    ::kill(pid_, SIGKILL);
    join();
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

}  // namespace culm::test
