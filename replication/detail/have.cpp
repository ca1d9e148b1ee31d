#include "culm/replication/detail/have.hpp"

namespace culm::replication {

Result<Have> make_have(const store::ReadTransaction& transaction, const store::LogState& log,
                       RangeSet held, std::deque<Event>& events) {
  Have have;
  have.log = log.log;
  for (; !held.empty(); held.erase(SeqRange{held.max(), held.max()})) {
    const auto head = transaction.get_entry(log, held.max());
    if (head) {
      have.head = held.max();
      have.head_hash = head->entry.hash();
      break;
    }
    if (store::damaged_entry(head.error()) != held.max()) return fail(head.error());
    events.push_back(Damaged{log.log, held.max()});
  }
  have.held = first_ranges(held);
  have.payloads = first_ranges(log.payloads & held);
  return have;
}

RangeSet first_ranges(const RangeSet& set, std::size_t ranges_max) {
  if (set.ranges().size() <= ranges_max) return set;
  RangeSet out;
  for (const SeqRange& range : set.ranges().first(ranges_max)) out.insert(range);
  return out;
}

}  // namespace culm::replication
