#pragma once

#include <algorithm>
#include <span>

#include "culm/feed/verify.hpp"

namespace culm::detail {

/// The entry `seqnum` of an ascending unit, or null. Constant time where the unit has no gaps from
/// `seqnum` on.
[[nodiscard]] inline const UnitEntry* find_entry(std::span<const UnitEntry> unit, SeqNum seqnum) {
  if (unit.empty() || seqnum > unit.back().entry.seqnum()) return nullptr;
  const SeqNum distance = unit.back().entry.seqnum() - seqnum;
  if (distance < unit.size()) unit = unit.subspan(unit.size() - 1 - distance);
  const auto seqnum_of = [](const UnitEntry& item) { return item.entry.seqnum(); };
  const auto found = unit.front().entry.seqnum() == seqnum
                         ? unit.begin()
                         : std::ranges::lower_bound(unit, seqnum, {}, seqnum_of);
  return found->entry.seqnum() == seqnum ? &*found : nullptr;
}

}  // namespace culm::detail
