#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/core/sealing.hpp"
#include "culm/core/types.hpp"

namespace culm::replication {

/// Whose want brings a payload.
struct Claimer {
  std::uint64_t session = 0;
  std::optional<sealing::PeerKey> peer{};
};

/// What all sessions of a node know together of payloads that come in parts, so that no peer goes
/// on with parts of others that it should leave alone: those that a want is bringing now, and those
/// of a payload that the parts of several did not make. Not thread-safe: one for each I/O thread.
/// Spec: replication.md#units
class ArrivingPayloads {
 public:
  static constexpr std::size_t kSpoiltMax = limits::kStagesMax;

  // Payloads that wants are bringing: meanwhile nobody goes on with what others have brought of
  // them, but the same peer in another session, as the one before may be a dead one.
  void claim(const LogKey& log, SeqNum seqnum, const Claimer& claimer) {
    claims_.emplace(std::pair(log, seqnum), claimer);
  }
  void give_back(const LogKey& log, SeqNum seqnum, std::uint64_t session) {
    const auto [first, last] = claims_.equal_range({log, seqnum});
    const auto mine =
        std::find_if(first, last, [&](const auto& row) { return row.second.session == session; });
    if (mine != last) claims_.erase(mine);
  }
  [[nodiscard]] bool is_claimed(const LogKey& log, SeqNum seqnum, const Claimer& by) const {
    const auto [first, last] = claims_.equal_range({log, seqnum});
    return std::any_of(first, last, [&](const auto& row) {
      return row.second.session == by.session || !by.peer || row.second.peer != by.peer;
    });
  }
  /// Whether a want of the same session brings it.
  [[nodiscard]] bool is_claimed_by(const LogKey& log, SeqNum seqnum, std::uint64_t session) const {
    const auto [first, last] = claims_.equal_range({log, seqnum});
    return std::any_of(first, last, [&](const auto& row) { return row.second.session == session; });
  }

  /// The parts of several peers did not make this payload: each goes on with its own. Of more than
  /// kSpoiltMax the one that was marked longest ago is forgotten.
  void mark_spoilt(const LogKey& log, SeqNum seqnum) {
    const std::pair payload(log, seqnum);
    if (!spoilt_.insert(payload).second) std::erase(marked_, payload);
    marked_.push_back(payload);
    if (marked_.size() <= kSpoiltMax) return;
    spoilt_.erase(marked_.front());
    marked_.pop_front();
  }
  [[nodiscard]] bool is_spoilt(const LogKey& log, SeqNum seqnum) const {
    return spoilt_.contains({log, seqnum});
  }

 private:
  std::multimap<std::pair<LogKey, SeqNum>, Claimer> claims_;
  std::set<std::pair<LogKey, SeqNum>> spoilt_;
  std::deque<std::pair<LogKey, SeqNum>> marked_;  ///< the same, as they were marked
};

}  // namespace culm::replication
