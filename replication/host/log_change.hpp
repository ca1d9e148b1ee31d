#pragma once

#include <cstddef>
#include <span>
#include <variant>
#include <vector>

#include "culm/core/result.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/store/log_state.hpp"

namespace culm::host {

/// What is let go of a log, or wanted of it from then on.
struct LogChange {
  struct DeletePayloads {
    RangeSet seqnums;

    friend bool operator==(const DeletePayloads&, const DeletePayloads&) = default;
  };
  struct Forget {
    friend bool operator==(const Forget&, const Forget&) = default;
  };

  LogKey log;
  std::variant<DeletePayloads, store::LogInterest, Forget> what;

  friend bool operator==(const LogChange&, const LogChange&) = default;
};

/// Logs that these forget.
[[nodiscard]] inline std::vector<LogKey> find_forgotten(std::span<const LogChange> changes) {
  std::vector<LogKey> logs;
  for (const LogChange& change : changes) {
    if (std::holds_alternative<LogChange::Forget>(change.what)) logs.push_back(change.log);
  }
  return logs;
}

/// What came of changes that were made together.
struct ChangedLogs {
  std::size_t count = 0;   ///< of those before the first that was refused
  Result<void> outcome{};  ///< why one was refused, or the store failed
};

}  // namespace culm::host
