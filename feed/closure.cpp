#include "culm/feed/closure.hpp"

#include <algorithm>
#include <vector>

#include "culm/feed/lipmaa.hpp"

namespace culm {

Interest everything() { return {RangeSet{{1, kSeqnumMax}}, 0}; }

RangeSet resolve(const Interest& interest, SeqNum head) {
  if (head == 0) return {};
  RangeSet out = interest.ranges;
  if (interest.newest > 0) {
    out |= RangeSet{{head > interest.newest ? head - interest.newest + 1 : 1, head}};
  }
  return out &= RangeSet{{1, head}};
}

/// Adds a range that lies above all of `out`, and what leads from it down to that.
static void insert_with_head_path(RangeSet& out, const SeqRange& range) {
  const SeqNum written = out.empty() ? 0 : out.max();
  const std::vector<SeqNum> head_path = path_to_first(range.first);
  const auto known = std::ranges::find_if(head_path, [&](SeqNum n) { return n <= written; });
  for (auto n = known; n != head_path.begin();) out.insert(*--n);
  out.insert(range);
}

// Ranges are taken in ascending order and everything is written in ascending order, once. That
// works because links never cross: the head path of the next range leaves what is written already
// from above and never comes back into a gap of it, and the tail path of a range joins the tail
// paths of the ranges before it at the first of their members that it reaches.
RangeSet closure(const RangeSet& wanted, SeqNum head) {
  RangeSet out;
  std::vector<SeqNum> tails;  // members of tail paths above `out`, the lowest at the back
  const auto flush_tails = [&](SeqNum below) {
    for (; !tails.empty() && tails.back() < below; tails.pop_back()) out.insert(tails.back());
  };

  for (SeqRange range : wanted.ranges()) {
    if (range.first > head) break;
    range.last = std::min(range.last, head);

    flush_tails(range.first);
    insert_with_head_path(out, range);
    while (!tails.empty() && tails.back() <= range.last) tails.pop_back();
    const std::vector<SeqNum> tail = tail_path(range.last, tails.empty() ? head : tails.back() - 1);
    tails.insert(tails.end(), tail.begin(), tail.end() - 1);
  }
  for (; !tails.empty(); tails.pop_back()) out.insert(tails.back());
  return out;
}

RangeSet with_head_paths(const RangeSet& wanted) {
  RangeSet out;
  for (const SeqRange& range : wanted.ranges()) insert_with_head_path(out, range);
  return out;
}

bool is_closed(const RangeSet& set, SeqNum head) { return closure(set, head) == set; }

// Inside a range each entry leads to the one before it, so all from its lowest anchored one on are
// anchored. Those that link to below the range lie on the tail path of its first.
RangeSet anchored(const RangeSet& set) {
  RangeSet out;
  for (const SeqRange range : set.ranges()) {
    if (range.first == 1) {
      out.insert(range);
      continue;
    }
    const std::vector<SeqNum> above = tail_path(range.first, range.last);
    const auto lowest = std::find_if(above.rbegin(), above.rend(), [&](SeqNum n) {
      return lipmaa(n) < range.first && out.contains(lipmaa(n));
    });
    if (lowest != above.rend()) out.insert(SeqRange{*lowest, range.last});
  }
  return out;
}

// Inside a range, up(x) is missing only if it lies beyond the range, and the entries that are
// linked to from beyond a range all lie on the head path of its end.
RangeSet loose(const RangeSet& held, SeqNum head) {
  RangeSet out;
  for (const SeqRange range : held.ranges()) {
    const std::vector<SeqNum> head_path = path_to_first(range.last);
    for (auto n = head_path.rbegin(); n != head_path.rend(); ++n) {
      if (*n < range.first) continue;
      const auto above = up(*n);
      if (above && *above <= head && !held.contains(*above)) out.insert(*n);
    }
  }
  return out;
}

}  // namespace culm
