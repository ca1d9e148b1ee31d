#include "culm/replication/detail/have.hpp"

namespace culm::replication {

Result<Have> make_have(const store::ReadTransaction& transaction, const store::LogState& log) {
  Have have;
  have.log = log.log;
  have.head = log.head();
  if (have.head != 0) {
    CULM_TRY(const auto head, transaction.get_entry(log, have.head));
    have.head_hash = head.entry.hash();
  }
  have.held = first_ranges(log.served());
  have.payloads = first_ranges(log.payloads & log.served());
  return have;
}

RangeSet first_ranges(const RangeSet& set, std::size_t ranges_max) {
  if (set.ranges().size() <= ranges_max) return set;
  RangeSet out;
  for (const SeqRange& range : set.ranges().first(ranges_max)) out.insert(range);
  return out;
}

}  // namespace culm::replication
