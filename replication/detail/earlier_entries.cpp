#include "culm/replication/detail/earlier_entries.hpp"

#include <iterator>

namespace culm::replication {

void EarlierEntries::add(std::span<const UnitEntry> unit, std::size_t place) {
  while (!unit.empty()) {
    const SeqNum first = unit.front().entry.seqnum();
    std::size_t count = 1;
    while (count < unit.size() && unit[count].entry.seqnum() == first + count) ++count;
    put(first, Run{first + (count - 1), place, unit.data()});
    unit = unit.subspan(count);
  }
}

std::optional<EarlierEntries::Found> EarlierEntries::find(SeqNum seqnum) const {
  const auto next = runs_.upper_bound(seqnum);
  if (next == runs_.begin()) return std::nullopt;
  const auto& [first, run] = *std::prev(next);
  if (run.last < seqnum) return std::nullopt;
  return Found{run.place, run.entries + (seqnum - first)};
}

void EarlierEntries::put(SeqNum first, const Run& run) {
  const auto end = run.last == kSeqnumMax ? runs_.end() : cut(run.last + 1);
  const auto next = runs_.erase(cut(first), end);
  runs_.emplace_hint(next, first, run);
}

EarlierEntries::Runs::iterator EarlierEntries::cut(SeqNum seqnum) {
  const auto next = runs_.lower_bound(seqnum);
  if (next == runs_.begin()) return next;
  auto& [first, run] = *std::prev(next);
  if (run.last < seqnum) return next;
  const Run rest{run.last, run.place, run.entries + (seqnum - first)};
  run.last = seqnum - 1;
  return runs_.emplace_hint(next, seqnum, rest);
}

}  // namespace culm::replication
