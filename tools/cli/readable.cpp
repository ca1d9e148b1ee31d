#include "tools/cli/readable.hpp"

namespace culm::tools {

Outcome<RangeSet> visit_readable(const store::Store& store, const LogKey& log,
                                 const RangeSet& seqnums,
                                 const std::function<void(const store::StoredEntry&)>& visit) {
  RangeSet unreadable;
  for (RangeSet rest = seqnums; !rest.empty();) {
    // Of a damaged page LMDB's transaction may give nothing more.
    CULM_TOOLS_TRY(const auto transaction, store.read());
    CULM_TOOLS_TRY(const auto state, transaction.get_log(log));
    rest &= state->held;
    RangeSet read;
    const auto visited = transaction.visit_sound_entries(
        *state, rest, [&](const store::StoredEntry& stored) -> Result<bool> {
          read.insert(SeqRange{stored.entry.seqnum(), stored.entry.seqnum()});
          visit(stored);
          return true;
        });
    if (visited) return unreadable | *visited;
    if (visited.error().code != Errc::kStoreDamaged) return fail_with(visited.error());
    const RangeSet unread = rest - read;
    const SeqNum last = read.empty() ? 0 : read.max();
    const SeqNum next = unread.smallest_from(last + 1);
    if (next == 0) return unreadable | unread;
    unreadable |= unread & RangeSet{{1, next}};
    rest.erase(SeqRange{1, next});
  }
  return unreadable;
}

}  // namespace culm::tools
