#pragma once

#include <cstdint>

#include "culm/feed/range_set.hpp"

/// Which entries must be held so that some of them can be proved to others, now and after the log
/// has grown. lip, up, z and path are those of lipmaa.hpp; pure, safe to call from any thread.
namespace culm {

/// Which entries a peer wants to keep. Spec: closure.md#closed
struct Interest {
  RangeSet ranges;
  /// The newest that many entries, whatever they are; 0 for none.
  std::uint64_t newest = 0;

  [[nodiscard]] bool empty() const noexcept { return ranges.empty() && newest == 0; }
  friend bool operator==(const Interest&, const Interest&) = default;
};

/// Every entry of a log.
[[nodiscard]] Interest everything();

/// The seqnums of `interest` that exist in a log whose head is `head`; empty for head 0.
[[nodiscard]] RangeSet resolve(const Interest& interest, SeqNum head);

/// K(wanted, head): the least closed set that holds `wanted` without what lies above `head`, that
/// is `wanted` and its certificate pools; empty for head 0. Costs O(ranges * log head), at most
/// |wanted| + 4 log head entries for each range. Spec: closure.md#closed
[[nodiscard]] RangeSet closure(const RangeSet& wanted, SeqNum head);

/// `wanted` and the head paths of all its members: what leads from them to entry 1. Costs as
/// `closure`.
[[nodiscard]] RangeSet with_head_paths(const RangeSet& wanted);

/// Whether `set` lies at or below `head` and holds lip(x) and up(x) (where up(x) <= head) of each
/// of its members. Costs as `closure`. Spec: closure.md#closed
[[nodiscard]] bool is_closed(const RangeSet& set, SeqNum head);

/// Members of `set` from which links inside of it lead down to entry 1. Costs O(ranges * log^2).
/// Spec: verification.md#anchored
[[nodiscard]] RangeSet anchored(const RangeSet& set);

/// Members of `held` whose up(x) <= head is not held: not yet part of a verified subset. `held` may
/// reach above `head`. Costs O(ranges * log^2 head). Spec: closure.md#loose
[[nodiscard]] RangeSet loose(const RangeSet& held, SeqNum head);

}  // namespace culm
