#pragma once

#include <map>
#include <set>
#include <utility>

#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"

namespace culm::replication {

/// Damage that the sessions of a process have met, or looked for: what of it counts as held in the
/// store nobody is told to be held. Spec: replication.md#units
class KnownDamage {
 public:
  /// What cannot be read, nor dropped; of a log that cannot be read at all, everything.
  [[nodiscard]] RangeSet unreadable(const LogKey& log) const { return in(unreadable_, log); }
  /// What is being dropped.
  [[nodiscard]] RangeSet dropping(const LogKey& log) const { return in(dropping_, log); }
  /// Both.
  [[nodiscard]] RangeSet of(const LogKey& log) const { return unreadable(log) | dropping(log); }

  /// Whether somebody has looked, so that nobody need to again.
  [[nodiscard]] bool is_looked_for(const LogKey& log) const { return looked_.contains(log); }
  void looked(const LogKey& log) {
    constexpr std::size_t kLogsMax = 65'536;
    if (looked_.size() == kLogsMax) looked_.clear();
    looked_.insert(log);
  }
  void found_unreadable(const LogKey& log, const RangeSet& seqnums) {
    RangeSet& all = unreadable_[log];
    if (all.contains(seqnums)) return;
    all |= seqnums;
    grown_.insert(log);
  }
  /// Logs of which more was found unreadable since the last call.
  [[nodiscard]] std::set<LogKey> take_grown() { return std::exchange(grown_, {}); }
  void drops(const LogKey& log, SeqNum seqnum) { dropping_[log].insert(seqnum); }
  void dropped(const LogKey& log, SeqNum seqnum) { erase(dropping_, log, seqnum); }
  /// It may be dropped when it is met again.
  void forget(const LogKey& log, SeqNum seqnum) {
    erase(unreadable_, log, seqnum);
    looked_.erase(log);
  }
  /// The log is gone from the store.
  void forget(const LogKey& log) {
    unreadable_.erase(log);
    dropping_.erase(log);
    looked_.erase(log);
  }

 private:
  using Sets = std::map<LogKey, RangeSet>;
  static RangeSet in(const Sets& sets, const LogKey& log) {
    const auto found = sets.find(log);
    return found == sets.end() ? RangeSet() : found->second;
  }
  static void erase(Sets& sets, const LogKey& log, SeqNum seqnum) {
    const auto found = sets.find(log);
    if (found == sets.end()) return;
    found->second.erase(SeqRange{seqnum, seqnum});
    if (found->second.empty()) sets.erase(found);
  }

  Sets unreadable_;
  Sets dropping_;
  std::set<LogKey> looked_;
  std::set<LogKey> grown_;
};

}  // namespace culm::replication
