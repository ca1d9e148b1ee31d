#pragma once

#include <optional>

#include "culm/core/sealing.hpp"
#include "culm/core/types.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Who may do what: pure decisions of the host. Called from the thread of the session.
class Policy {
 public:
  virtual ~Policy() = default;

  /// Whether `peer` may learn of `log` and take it.
  [[nodiscard]] virtual bool may_read(const sealing::PeerKey& peer, const LogKey& log) = 0;

  /// What to keep of a log that `peer` offers; nothing to decline.
  [[nodiscard]] virtual std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& peer,
                                                                       const LogKey& log) = 0;
};

}  // namespace culm::replication
