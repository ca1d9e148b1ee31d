#pragma once

#include "culm/core/result.hpp"

namespace culm::replication {

/// A row of one log that the own store cannot read: no reason to end what else a session does.
[[nodiscard]] inline bool is_damage(Errc code) {
  return code == Errc::kStoreDamaged || code == Errc::kStoreFormat;
}
[[nodiscard]] inline bool is_damage(const Result<void>& result) {
  return !result && is_damage(result.error().code);
}

[[nodiscard]] inline Result<void> unless_damage(Result<void> result) {
  return is_damage(result) ? Result<void>() : result;
}

}  // namespace culm::replication
