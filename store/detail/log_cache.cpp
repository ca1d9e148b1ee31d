#include "culm/store/detail/log_cache.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

/// A shorter row is taken apart faster than it is found.
constexpr std::size_t kRowBytesMin = 512;
/// The version, the number and the last change lie in these.
constexpr std::size_t kFrontBytes = 24;

Result<SharedLogState> decode_row(const LogKey& log, ByteView key, ByteView row) {
  CULM_TRY(const ByteView body, unseal(Table::kLogs, key, row));
  CULM_TRY(auto state, decode_log(log, body));
  return std::make_shared<const LogState>(std::move(state));
}

std::size_t count_ranges(const LogState& state) {
  std::size_t count = 0;
  for (const RangeSet* set : {&state.held, &state.payloads, &state.verified, &state.deleted,
                              &state.interest.entries.ranges}) {
    count += set->ranges().size();
  }
  return count;
}

}  // namespace

Result<SharedLogState> LogCache::decode(const LogKey& log, ByteView key, ByteView row) {
  if (row.size() < kRowBytesMin) return decode_row(log, key, row);
  const Ends ends = ends_of(row);
  if (auto known = find(log, ends)) return known;
  CULM_TRY(auto state, decode_row(log, key, row));
  keep({ends, state, count_ranges(*state)});
  return state;
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
  auto out = std::ranges::copy(row.first(kFrontBytes), ends.begin()).out;
  out = std::ranges::copy(row.last(kChecksumSizeBytes), out).out;
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
