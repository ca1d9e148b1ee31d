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
  [[nodiscard]] RangeSet unreadable(const LogKey& log) const {
    return in(unreadable_, log) | in(undropped_, log);
  }
  /// Whether that is for damaged pages, also in part.
  [[nodiscard]] bool has_bad_pages(const LogKey& log) const { return unreadable_.contains(log); }
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
    set(unreadable_, log, in(unreadable_, log) | seqnums);
  }
  /// All of `part` was read, but for these.
  void found_readable(const LogKey& log, const SeqRange& part, const RangeSet& but) {
    set(unreadable_, log, (in(unreadable_, log) - RangeSet{part}) | but);
  }
  /// Logs of which other entries are unreadable than at the last call.
  [[nodiscard]] std::set<LogKey> take_changed() { return std::exchange(changed_, {}); }
  void drops(const LogKey& log, SeqNum seqnum) { dropping_[log].insert(seqnum); }
  /// Until a later call says that it is done they are unreadable.
  void drop_finished(const LogKey& log, const RangeSet& seqnums, bool is_done) {
    const RangeSet before = in(undropped_, log);
    set(undropped_, log, is_done ? before - seqnums : before | seqnums);
    const auto found = dropping_.find(log);
    if (found == dropping_.end()) return;
    found->second -= seqnums;
    if (found->second.empty()) dropping_.erase(found);
  }
  /// The log is gone from the store.
  void forget(const LogKey& log) {
    unreadable_.erase(log);
    undropped_.erase(log);
    dropping_.erase(log);
    looked_.erase(log);
  }

 private:
  using Sets = std::map<LogKey, RangeSet>;
  static RangeSet in(const Sets& sets, const LogKey& log) {
    const auto found = sets.find(log);
    return found == sets.end() ? RangeSet() : found->second;
  }
  void set(Sets& sets, const LogKey& log, RangeSet to) {
    if (to == in(sets, log)) return;
    changed_.insert(log);
    if (to.empty()) {
      sets.erase(log);
    } else {
      sets[log] = std::move(to);
    }
  }

  Sets unreadable_;  ///< for damaged pages
  Sets undropped_;   ///< rows
  Sets dropping_;
  std::set<LogKey> looked_;
  std::set<LogKey> changed_;
};

}  // namespace culm::replication
