#pragma once

#include <deque>

#include "culm/core/limits.hpp"
#include "culm/replication/event.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Says that nothing of the log is held.
[[nodiscard]] inline Have nothing_of(const LogKey& log) {
  Have have;
  have.log = log;
  return have;
}

/// That the store holds `held` of a log, which it serves, as one message can say it. A damaged head
/// is not said to be held; `events` tells of it.
[[nodiscard]] Result<Have> make_have(const store::ReadTransaction& transaction,
                                     const store::LogState& log, RangeSet held,
                                     std::deque<Event>& events);

/// At most the first `ranges_max` ranges of `set`: what a message can carry.
[[nodiscard]] RangeSet first_ranges(const RangeSet& set,
                                    std::size_t ranges_max = limits::kRangesPerMessageMax);

}  // namespace culm::replication
