#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/message.hpp"

namespace culm::replication {

/// What the peer said that it holds of logs, until these can be compared: of each what it said
/// last, without payloads. Where that finds no room only its highest ranges, one at least, which
/// still show a fork, if not where it begins.
class PostponedHaves {
 public:
  static constexpr std::size_t kRangesMax = 4 * limits::kRangesPerMessageMax;

  /// Whether nothing was kept of the log before.
  bool put(const Have& have) {
    const bool is_new = !take(have.log);
    const auto& ranges = have.held.ranges();
    const std::size_t room = kRangesMax - std::min(ranges_, kRangesMax);
    const std::size_t count = std::min(ranges.size(), std::max<std::size_t>(room, 1));
    Have& kept = haves_[have.log];
    kept.log = have.log;
    kept.head = have.head;
    kept.head_hash = have.head_hash;
    for (const SeqRange& range : ranges.last(count)) kept.held.insert(range);
    ranges_ += count;
    return is_new;
  }

  [[nodiscard]] std::optional<Have> take(const LogKey& log) {
    auto found = haves_.extract(log);
    if (!found) return std::nullopt;
    ranges_ -= found.mapped().held.ranges().size();
    return std::move(found.mapped());
  }

  /// That are kept, of all logs.
  [[nodiscard]] std::size_t ranges() const noexcept { return ranges_; }

 private:
  std::map<LogKey, Have> haves_;
  std::size_t ranges_ = 0;
};

}  // namespace culm::replication
