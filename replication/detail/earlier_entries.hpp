#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>

#include "culm/feed/verify.hpp"

namespace culm::replication {

/// The entries of the units that one session brought of one log, the latest at each seqnum: what
/// links of units behind them may lead to before anything is committed. Newest first, a link may
/// lead into any unit before, and a peer may send very many small ones. So this is a tree, of runs:
/// a unit in ascending order costs one place in it, and no entry more than one.
class EarlierEntries {
 public:
  struct Found {
    std::size_t place = 0;  ///< as it was given to `add`
    const UnitEntry* entry = nullptr;
  };

  /// `unit` ascends, and lives as long as this; `place` is the caller's name for it.
  void add(std::span<const UnitEntry> unit, std::size_t place);

  [[nodiscard]] std::optional<Found> find(SeqNum seqnum) const;

 private:
  struct Run {
    SeqNum last = 0;
    std::size_t place = 0;
    const UnitEntry* entries = nullptr;  ///< from the first of the run on
  };
  using Runs = std::map<SeqNum, Run>;  // by the first seqnum

  void put(SeqNum first, const Run& run);
  /// Where a run leads over `seqnum`, makes it two. Returns the first run from `seqnum` on.
  Runs::iterator cut(SeqNum seqnum);

  Runs runs_;
};

}  // namespace culm::replication
