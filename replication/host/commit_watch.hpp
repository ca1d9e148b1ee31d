#pragma once

#include <chrono>
#include <string>

#include "culm/core/time.hpp"
#include "culm/replication/host/descriptor.hpp"

namespace culm::host {

/// Hears of commits to a store, whichever process makes them. The system tells when something is
/// written in the store's directory; where it cannot, `wait` returns every 20 ms.
///
///   CommitWatch watch(directory);
///   while (true) {
///     look(store);
///     watch.wait(std::chrono::seconds(1));
///   }
///
/// Not thread-safe.
class CommitWatch {
 public:
  /// The longest wait, for what the system may have kept to itself.
  static constexpr Duration kWaitMax = std::chrono::seconds(1);

  /// From here on nothing is missed.
  explicit CommitWatch(const std::string& directory);

  /// Waits until there may have been a commit since the last call, or a signal came, and at most so
  /// long. Often there was none: look.
  void wait(Duration wait_max = kWaitMax);

 private:
  Descriptor events_;
  bool is_watching_;
  Duration pause_;
};

}  // namespace culm::host
