#include "culm/feed/range_set.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "culm/core/assert.hpp"

namespace culm {
namespace {

bool is_range(SeqRange range) { return range.first >= 1 && range.first <= range.last; }

/// Whether nothing lies between the end of `range` and `n`; n >= 1.
bool reaches(SeqRange range, SeqNum n) { return range.last >= n - 1; }

/// The first range of `ranges` that ends at `n` or later.
template <class Ranges>
auto find_range(Ranges& ranges, SeqNum n) {
  return std::ranges::lower_bound(ranges, n, {}, &SeqRange::last);
}

/// `find_range` from `at` on, in steps that double: where a short set meets one of very many
/// ranges, those in between cost nothing.
template <class At>
At skip_to(At at, At end, SeqNum n) {
  std::ptrdiff_t step = 1;
  while (step < end - at && at[step].last < n) {
    at += step;
    step *= 2;
  }
  return std::ranges::lower_bound(at, at + std::min(step + 1, end - at), n, {}, &SeqRange::last);
}

/// So few are taken in or out one by one.
constexpr std::size_t kFewRanges = 4;

/// A number from 1 on, taken from the front of `text`.
std::optional<SeqNum> take_seqnum(std::string_view& text) {
  SeqNum n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc{} || n == 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return n;
}

std::optional<SeqRange> parse_range(std::string_view text) {
  const auto first = take_seqnum(text);
  if (!first) return std::nullopt;
  if (text.empty()) return SeqRange{*first, *first};
  if (text == "-") return SeqRange{*first, kSeqnumMax};
  if (text[0] != '-') return std::nullopt;
  text.remove_prefix(1);
  const auto last = take_seqnum(text);
  if (!last || !text.empty() || *last < *first) return std::nullopt;
  return SeqRange{*first, *last};
}

}  // namespace

const RangeSet::Ranges RangeSet::Shared::none;

RangeSet::Ranges& RangeSet::Shared::own() {
  if (owned_ == nullptr) {
    owned_ = new Owned;
  } else if (owned_->owners.load(std::memory_order_acquire) != 1) {
    auto* const copy = new Owned;
    const Ranges& ranges = owned_->ranges;
    copy->ranges.reserve(ranges.size() + ranges.size() / 16 + 1);
    copy->ranges.assign(ranges.begin(), ranges.end());
    release();
    owned_ = copy;
  }
  return owned_->ranges;
}

void RangeSet::Shared::set(Ranges ranges) {
  auto* const owned = ranges.empty() ? nullptr : new Owned{.ranges = std::move(ranges)};
  release();
  owned_ = owned;
}

void RangeSet::Shared::release() noexcept {
  if (owned_ != nullptr && owned_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete owned_;
  }
}

RangeSet::RangeSet(std::initializer_list<SeqRange> ranges) {
  for (const SeqRange range : ranges) insert(range);
}

Result<RangeSet> RangeSet::from_canonical(std::vector<SeqRange> ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (!is_range(ranges[i])) return fail(Errc::kRange);
    if (i > 0 && reaches(ranges[i - 1], ranges[i].first)) return fail(Errc::kRangeOrder);
  }
  RangeSet set;
  set.ranges_.set(std::move(ranges));
  return set;
}

bool RangeSet::contains(SeqNum n) const noexcept {
  const Ranges& ranges = ranges_.get();
  const auto range = find_range(ranges, n);
  return range != ranges.end() && range->first <= n;
}

bool RangeSet::contains(const RangeSet& other) const noexcept {
  const Ranges& ranges = ranges_.get();
  auto mine = ranges.begin();
  for (const SeqRange range : other.ranges_.get()) {
    mine = std::lower_bound(mine, ranges.end(), range.last,
                            [](SeqRange a, SeqNum n) { return a.last < n; });
    if (mine == ranges.end() || mine->first > range.first) return false;
  }
  return true;
}

std::uint64_t RangeSet::count() const noexcept {
  std::uint64_t sum = 0;
  for (const SeqRange range : ranges_.get()) sum += range.last - range.first + 1;
  return sum;
}

SeqNum RangeSet::min() const {
  CULM_ASSERT(!empty());
  return ranges_.get().front().first;
}

SeqNum RangeSet::max() const {
  CULM_ASSERT(!empty());
  return ranges_.get().back().last;
}

SeqNum RangeSet::largest_up_to(SeqNum n) const noexcept {
  const Ranges& ranges = ranges_.get();
  const auto range = find_range(ranges, n);
  if (range != ranges.end() && range->first <= n) return n;
  return range == ranges.begin() ? 0 : std::prev(range)->last;
}

SeqNum RangeSet::smallest_from(SeqNum n) const noexcept {
  const Ranges& ranges = ranges_.get();
  const auto range = find_range(ranges, n);
  return range == ranges.end() ? 0 : std::max(range->first, n);
}

void RangeSet::insert(SeqRange range) {
  CULM_ASSERT(is_range(range));
  Ranges& ranges = ranges_.own();
  if (ranges.empty() || !reaches(ranges.back(), range.first)) {
    ranges.push_back(range);
    return;
  }
  // All ranges from `begin` to `end` overlap or touch the new one and become one with it.
  auto begin = range.first >= ranges.back().first ? std::prev(ranges.end())
                                                  : find_range(ranges, range.first - 1);
  auto end = begin;
  while (end != ranges.end() && reaches(range, end->first)) ++end;
  if (begin == end) {
    ranges.insert(begin, range);
    return;
  }
  begin->first = std::min(begin->first, range.first);
  begin->last = std::max(std::prev(end)->last, range.last);
  ranges.erase(std::next(begin), end);
}

void RangeSet::erase(SeqRange range) {
  CULM_ASSERT(is_range(range));
  if (const SeqNum next = smallest_from(range.first); next == 0 || next > range.last) return;
  Ranges& ranges = ranges_.own();
  auto begin = find_range(ranges, range.first);
  if (begin->first < range.first) {
    const SeqNum last = begin->last;
    begin->last = range.first - 1;
    ++begin;
    if (last > range.last) {
      ranges.insert(begin, SeqRange{range.last + 1, last});
      return;
    }
  }
  auto end = begin;
  while (end != ranges.end() && end->last <= range.last) ++end;
  if (end != ranges.end() && end->first <= range.last) end->first = range.last + 1;
  ranges.erase(begin, end);
}

RangeSet& RangeSet::operator|=(const RangeSet& other) {
  const Ranges& mine = ranges_.get();
  const Ranges& others = other.ranges_.get();
  if (others.size() <= kFewRanges && others.size() <= mine.size()) {
    if (contains(other)) return *this;
    for (const SeqRange range : others) insert(range);
    return *this;
  }
  if (mine.empty()) return *this = other;
  Ranges out;
  out.reserve(mine.size() + others.size());
  auto a = mine.begin();
  auto b = others.begin();
  while (a != mine.end() || b != others.end()) {
    const bool take_a = b == others.end() || (a != mine.end() && a->first <= b->first);
    const SeqRange next = take_a ? *a++ : *b++;
    if (out.empty() || !reaches(out.back(), next.first)) {
      out.push_back(next);
    } else {
      out.back().last = std::max(out.back().last, next.last);
    }
  }
  ranges_.set(std::move(out));
  return *this;
}

RangeSet& RangeSet::operator&=(const RangeSet& other) {
  const Ranges& mine = ranges_.get();
  const Ranges& others = other.ranges_.get();
  Ranges out;
  auto a = mine.begin();
  auto b = others.begin();
  while (a != mine.end() && b != others.end()) {
    const SeqRange both{std::max(a->first, b->first), std::min(a->last, b->last)};
    if (both.first <= both.last) out.push_back(both);
    if (a->last < b->last) {
      a = skip_to(std::next(a), mine.end(), b->first);
    } else {
      b = skip_to(std::next(b), others.end(), a->first);
    }
  }
  ranges_.set(std::move(out));
  return *this;
}

RangeSet& RangeSet::operator-=(const RangeSet& other) {
  if (this == &other) return *this = RangeSet();
  const Ranges& others = other.ranges_.get();
  if (others.size() <= kFewRanges) {
    for (const SeqRange range : others) erase(range);
    return *this;
  }
  Ranges out;
  auto b = others.begin();
  for (SeqRange range : ranges_.get()) {
    b = skip_to(b, others.end(), range.first);
    for (; b != others.end() && b->first <= range.last; ++b) {
      if (b->first > range.first) out.push_back({range.first, b->first - 1});
      if (b->last >= range.last) break;
      range.first = b->last + 1;
    }
    if (b == others.end() || b->first > range.last) out.push_back(range);
  }
  ranges_.set(std::move(out));
  return *this;
}

RangeSet lowest(const RangeSet& set, std::uint64_t count) {
  RangeSet out;
  for (const SeqRange& range : set.ranges()) {
    if (count == 0) break;
    const std::uint64_t taken = std::min(count - 1, range.last - range.first) + 1;
    out.insert(SeqRange{range.first, range.first + (taken - 1)});
    count -= taken;
  }
  return out;
}

RangeSet highest(const RangeSet& set, std::uint64_t count) {
  const std::uint64_t all = set.count();
  return all <= count ? set : set - lowest(set, all - count);
}

std::string to_string(const RangeSet& set) {
  std::string text;
  for (const SeqRange range : set.ranges()) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.first);
    if (range.first == range.last) continue;
    text += '-';
    if (range.last != kSeqnumMax) text += std::to_string(range.last);
  }
  return text;
}

Result<RangeSet> parse_ranges(std::string_view text) {
  RangeSet set;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto range = parse_range(text.substr(begin, end - begin));
    if (!range) return fail(error_at(Errc::kRange, begin));
    set.insert(*range);
    if (end == text.size()) return set;
    begin = end + 1;
  }
}

}  // namespace culm
