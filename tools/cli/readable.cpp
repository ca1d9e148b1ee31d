#include "tools/cli/readable.hpp"

#include "culm/store/audit.hpp"
#include "culm/store/salvage.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/store_access.hpp"

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

std::optional<Failure> find_damage(const Context& context,
                                   const store::ReadTransaction& transaction) {
  const auto sound = store::audit_tables(transaction);
  if (!sound) return Failure(sound.error()).about("tables of the store");
  const auto pages = store::count_damaged_pages(context.store_directory);
  if (!pages || *pages == 0) return std::nullopt;
  Failure failure(Error{Errc::kStoreDamaged});
  failure.message +=
      ": " + human_count(*pages) + (*pages == 1 ? " page" : " pages") + " of its file";
  return std::move(failure).about(named(context));
}

}  // namespace culm::tools
