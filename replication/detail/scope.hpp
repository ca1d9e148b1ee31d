#pragma once

#include "culm/core/result.hpp"

namespace culm::replication {

/// Whether an error concerns one log at most: no reason to end what else a session does.
[[nodiscard]] inline bool is_of_log(Errc code) { return ends(code) < Scope::kSession; }
[[nodiscard]] inline bool is_of_log(const Result<void>& result) {
  return !result && is_of_log(result.error().code);
}

[[nodiscard]] inline Result<void> unless_of_log(Result<void> result) {
  return is_of_log(result) ? Result<void>() : result;
}

}  // namespace culm::replication
