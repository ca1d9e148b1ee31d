#pragma once

#include <optional>

#include "culm/core/sealing.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/closure.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Who may do what: pure decisions of the host. Called from the thread of the session. For the
/// common answers there are `ReadOnlyPolicy` and `OpenPolicy`, and `host::SyncedLogs` for a node
/// that only syncs.
class Policy {
 public:
  virtual ~Policy() = default;

  /// Whether `peer` may learn of `log` and take it.
  [[nodiscard]] virtual bool may_read(const sealing::PeerKey& peer, const LogKey& log) = 0;

  /// What to keep of a log that `peer` offers; nothing to decline.
  [[nodiscard]] virtual std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& peer,
                                                                       const LogKey& log) = 0;

  /// Whether `log` may join a sync only through a dial of its own, before which peers are asked.
  [[nodiscard]] virtual bool must_ask(const LogKey& /*log*/) { return false; }
};

/// Everybody may read every log; nobody brings any.
class ReadOnlyPolicy : public Policy {
 public:
  [[nodiscard]] bool may_read(const sealing::PeerKey& /*peer*/, const LogKey& /*log*/) override {
    return true;
  }
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& /*peer*/,
                                                               const LogKey& /*log*/) override {
    return std::nullopt;
  }
};

/// Everybody may read every log, and bring any, which is kept whole: among peers that are trusted
/// with the disk.
class OpenPolicy final : public ReadOnlyPolicy {
 public:
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& /*peer*/,
                                                               const LogKey& /*log*/) override {
    return store::LogInterest{everything(), true};
  }
};

}  // namespace culm::replication
