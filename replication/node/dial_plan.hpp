#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/core/time.hpp"

namespace culm::node {

/// Numbers the dials of a node, from 1.
using DialId = std::uint64_t;

/// Whom to call and when.
///
///   held --release--> waiting --due--> calling --connected--> in session
///                        ^               |                        |
///                        '-- its delay --+------------------------'    over, unless it reconnects
///
/// A call that takes longer than limits::kConnectTimeoutMs is late and given up. From one call to
/// the next the delay doubles, up to limits::kRedialDelayMsMax, and half of it is chance: so the
/// peers of a node that comes back do not all call at once. A session that lasted as long as the
/// longest delay makes it short again, one that ends at once does not: or a peer that accepts and
/// hangs up would be called without a pause.
class DialPlan {
 public:
  /// `random` must outlive the plan.
  explicit DialPlan(Random& random) : random_(random) {}

  /// A new dial, held until it is released.
  void add(DialId dial, bool reconnects);
  /// From now on it may be called. Nothing happens if it was removed.
  void release(DialId dial, Instant now);
  void remove(DialId dial) { dials_.erase(dial); }

  /// Dials to be called now; they are under way from here on.
  [[nodiscard]] std::vector<DialId> take_due(Instant now);
  /// Calls that took too long; say `over` of each.
  [[nodiscard]] std::vector<DialId> late(Instant now) const;
  /// A call that is under way is late from then on.
  void extend(DialId dial, Instant end);
  /// The call came through. Precondition: it was under way.
  void connected(DialId dial);
  /// A call has failed, or its session has ended after `lasted`. Whether it will be called again;
  /// else it is removed.
  [[nodiscard]] bool over(DialId dial, Duration lasted, Instant now);

  [[nodiscard]] bool is_calling(DialId dial) const;
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  enum class State { kHeld, kWaiting, kCalling, kInSession };
  struct Dial {
    bool reconnects = false;
    State state = State::kHeld;
    Instant at{};  ///< when it is due, or late
    std::uint32_t delay_ms_max = 0;
  };

  [[nodiscard]] Duration next_delay(Dial& dial);

  Random& random_;
  std::map<DialId, Dial> dials_;
};

}  // namespace culm::node
