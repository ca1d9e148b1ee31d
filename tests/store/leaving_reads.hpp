#pragma once

#include <array>
#include <csignal>

#include "culm/store/lmdb_kv.hpp"

namespace culm::test {

/// As the programs of culm do.
class LeavingReads {
 public:
  LeavingReads() {
    struct sigaction action {};
    action.sa_flags = SA_NODEFER;
    action.sa_handler = [](int number) {
      store::leave_read();
      std::signal(number, SIG_DFL);
    };
    ::sigaction(SIGSEGV, &action, &before_[0]);
    ::sigaction(SIGBUS, &action, &before_[1]);
  }
  LeavingReads(const LeavingReads&) = delete;
  LeavingReads& operator=(const LeavingReads&) = delete;
  ~LeavingReads() {
    ::sigaction(SIGSEGV, &before_[0], nullptr);
    ::sigaction(SIGBUS, &before_[1], nullptr);
  }

 private:
  std::array<struct sigaction, 2> before_{};
};

}  // namespace culm::test
