#include "culm/store/detail/log_cache.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

/// A shorter row that has no blocks is taken apart faster than it is found.
constexpr std::size_t kRowBytesMin = 512;
/// The version, the number and the last change lie in these.
constexpr std::size_t kFrontBytes = 24;

std::size_t count_ranges(const LogState& state) {
  std::size_t count = 0;
  for (const RangeSet* set : sets_of(state)) count += set->ranges().size();
  return count;
}

}  // namespace

Result<UpperState> LogCache::decode(const KvReadTransaction& kv, const LogKey& log, ByteView row,
                                    SeqNum from) {
  const Ends ends = ends_of(row);
  if (row.size() >= kRowBytesMin) {
    if (auto known = find(log, ends)) return UpperState{std::move(known)};
  }
  CULM_TRY(LogRow opened, open_log(log, row));
  if (opened.has_blocks() && row.size() < kRowBytesMin) {
    if (auto known = find(log, ends)) return UpperState{std::move(known)};
  }
  if (from != 0 && opened.may_be_read_in_part())
    return read_upper_sets(kv, std::move(opened), from);
  CULM_TRY(LogState read, read_sets(kv, std::move(opened)));
  auto state = std::make_shared<const LogState>(std::move(read));
  if (is_kept(*state, row)) keep({ends, state, count_ranges(*state)});
  return UpperState{std::move(state)};
}

void LogCache::keep(const LogState& state, ByteView row) {
  keep({ends_of(row), std::make_shared<const LogState>(state), count_ranges(state)});
}

bool LogCache::is_kept(const LogState& state, ByteView row) {
  return row.size() >= kRowBytesMin || std::ranges::any_of(sets_of(state), [](const RangeSet* set) {
           return set->ranges().size() > limits::kRangesPerRowMax;
         });
}

void LogCache::hold_back(const LogKey& log, SeqNum from) {
  const std::lock_guard lock(mutex_);
  held_back_.insert_or_assign(log, HeldBack{from});
  held_back_count_ = held_back_.size();
}

void LogCache::release(const LogKey& log) {
  const std::lock_guard lock(mutex_);
  held_back_.erase(log);
  held_back_count_ = held_back_.size();
}

SharedLogState LogCache::shown(SharedLogState state) {
  if (held_back_count_ == 0) return state;
  const std::lock_guard lock(mutex_);
  const auto found = held_back_.find(state->log);
  if (found == held_back_.end()) return state;
  HeldBack& held_back = found->second;
  if (held_back.whole != state) {
    LogState copy = *state;
    copy.held_back = held_back.from;
    held_back.shown = std::make_shared<const LogState>(std::move(copy));
    held_back.whole = std::move(state);
  }
  return held_back.shown;
}

LogCache::Ends LogCache::ends_of(ByteView row) {
  Ends ends{};
  const std::size_t front = std::min(row.size(), kFrontBytes);
  std::ranges::copy(row.first(front), ends.begin());
  const std::size_t checksum = std::min(row.size(), kChecksumSizeBytes);
  auto out = ends.begin() + kFrontBytes;
  out = std::ranges::copy(row.last(checksum), out).out;
  std::ranges::copy(to_big_endian(row.size()), out);
  return ends;
}

SharedLogState LogCache::find(const LogKey& log, const Ends& ends) {
  const std::lock_guard lock(mutex_);
  const auto found = by_log_.find(log);
  if (found == by_log_.end() || found->second->ends != ends) return nullptr;
  latest_.splice(latest_.begin(), latest_, found->second);
  return found->second->state;
}

void LogCache::keep(Kept kept) {
  const std::lock_guard lock(mutex_);
  const LogKey& log = kept.state->log;
  if (const auto found = by_log_.find(log); found != by_log_.end()) forget(found->second);
  ranges_ += kept.ranges;
  latest_.push_front(std::move(kept));
  by_log_.emplace(log, latest_.begin());
  while (ranges_ > limits::kCachedRangesMax && latest_.size() > 1) forget(std::prev(latest_.end()));
}

void LogCache::forget(Latest::iterator kept) {
  ranges_ -= kept->ranges;
  by_log_.erase(kept->state->log);
  latest_.erase(kept);
}

}  // namespace culm::store::detail
