#include "culm/replication/detail/served_want.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/replication/credit_pool.hpp"

namespace culm::replication {
namespace {

/// What a peer may show to hold beyond what it declared.
constexpr std::size_t kShownRangesMax = 2 * limits::kRangesPerMessageMax;

}  // namespace

ServedWant::ServedWant(Want asked)
    : known(std::exchange(asked.held, {})),
      settled(std::exchange(asked.payloads_held, {}) | std::exchange(asked.payloads_excepted, {})) {
  want = std::move(asked);
}

void ServedWant::plan(const store::LogState& log) {
  const RangeSet available = log.served() - damaged - unreadable;
  head = std::max(head, log.head());
  const RangeSet wanted = resolve(want.interest, head) & available;
  entries = RangeSet();
  payloads = RangeSet();
  if (want.entries) {
    const RangeSet proven = closure(wanted, log.head()) - known;
    entries = proven & available;
    has_gaps = entries != proven;
    // Where entries were lost, what hung on them alone cannot be anchored by the peer either, and
    // the rest of its proof would be nothing that was asked for.
    if (has_gaps) {
      const RangeSet sound = wanted & anchored(entries | known);
      entries = (closure(sound, log.head()) & available) - known;
      entries &= anchored(entries | known);
    }
  }
  if (want.payloads) payloads = (wanted & log.payloads) - settled - cut_short;
  // One whose entry is not sent follows nothing.
  if (!want.entries || has_gaps) payloads &= known | entries;
  put_off &= payloads;
  large &= payloads;
  keep_chunked();
  planned = true;
}

void ServedWant::peer_holds(const RangeSet& shown_entries, const RangeSet& shown_payloads) {
  if (known.ranges().size() + shown_entries.ranges().size() > kShownRangesMax) return;
  if (settled.ranges().size() + shown_payloads.ranges().size() > kShownRangesMax) return;
  known |= shown_entries;
  settled |= shown_payloads;
  cut_short -= shown_payloads;
  entries -= shown_entries;
  payloads -= shown_payloads;
  keep_chunked();
}

/// Of those under way, what is still to be sent.
void ServedWant::keep_chunked() {
  std::erase_if(chunked, [this](const Chunked& one) { return !payloads.contains(one.seqnum); });
  if (payloads.empty()) size_max = kSmallPayloadBytesMax;
}

bool ServedWant::pass_over(SeqNum seqnum) {
  if (!entries.contains(seqnum) && !payloads.contains(seqnum)) return false;
  damaged.insert(seqnum);
  awaited.insert(seqnum);
  is_short = true;
  const auto under_way = std::ranges::find(chunked, seqnum, &Chunked::seqnum);
  if (under_way != chunked.end()) {
    // Parts that come twice by one want count as sent in vain.
    if (under_way->offset > limits::kVainBytesPerWantMax / 2) cut_short.insert(seqnum);
    chunked.erase(under_way);
    keep_chunked();
  }
  planned = false;
  return true;
}

bool ServedWant::lacks(const store::Lost& lost, const store::LogState& log) const {
  if (!damaged.empty() || !cut_short.empty()) return true;
  if (lost.empty()) return false;
  const SeqNum lost_head = lost.entries.empty() ? 0 : lost.entries.max();
  const SeqNum head_before = std::max({head, log.head(), lost_head});
  const RangeSet wanted = resolve(want.interest, head_before);
  const bool lacks_entries =
      want.entries && !((closure(wanted, head_before) & lost.entries) - known).empty();
  return lacks_entries ||
         (want.payloads && takes_any_size() && !((wanted & lost.payloads) - settled).empty());
}

RangeSet ServedWant::shown(const store::LogState& log) const {
  const RangeSet held = log.served() - damaged - unreadable;
  return has_gaps ? held & anchored(held | known) : held;
}

void ServedWant::settle_payload(SeqNum seqnum) {
  payloads.erase(SeqRange{seqnum, seqnum});
  settled.insert(seqnum);
  keep_chunked();
}

RangeSet ServedWant::ready_payloads() const {
  if (!chunked.empty() && chunked.back().size <= kSmallPayloadBytesMax) return {};
  RangeSet ready = (payloads & known) - put_off;
  for (const Chunked& one : chunked) ready.erase(SeqRange{one.seqnum, one.seqnum});
  RangeSet small = ready - large;
  return small.empty() && chunked.empty() ? ready : small;
}

std::uint64_t ServedWant::ready_size_max() const {
  return chunked.empty() ? size_max : kSmallPayloadBytesMax;
}

void ServedWant::put_off_larger(const RangeSet& larger) {
  large |= larger;
  if (chunked.empty()) put_off |= larger;
}

ServedWant::Chunked ServedWant::begun(const EntryView& entry) {
  Chunked out{entry.seqnum(), 0, entry.payload_size()};
  if (want.resume_seqnum != out.seqnum) return out;
  want.resume_seqnum = 0;
  if (want.resume_offset < out.size) out.offset = want.resume_offset;
  return out;
}

void ServedWant::take_larger() {
  constexpr std::uint64_t kTimesLarger = 16;
  size_max = std::min(size_max * kTimesLarger, limits::kPayloadSizeBytesMax);
  put_off = {};
}

bool ServedWant::has_budget_for(std::uint64_t content_bytes) const {
  constexpr std::uint64_t kFieldsBytesMax = 32;  // of a message, beside these
  return want.budget_bytes == 0 ||
         bytes + counted_bytes(content_bytes + kFieldsBytesMax) <= want.budget_bytes;
}

ServedWant::Step ServedWant::next_step(std::uint64_t credit) const {
  if (entries.empty() && payloads.empty()) {
    if (!awaited.empty()) return Step::kNothing;
    if (!want.live) return Step::kComplete;
    return phase == Phase::kLive ? Step::kNothing : Step::kReady;
  }
  if (!has_budget_for(0)) return Step::kBudget;
  if (credit < limits::kCreditBytesMin) return Step::kNothing;
  // Payloads of entries that the peer has come first: they belong to the unit just sent. Large ones
  // come last, and units between their parts.
  const bool is_large = chunked.empty() || chunked.back().size > kSmallPayloadBytesMax;
  const bool is_unit_next = is_large && !entries.empty() && ready_payloads().empty();
  return is_unit_next ? Step::kUnit : Step::kPayload;
}

RangeSet ServedWant::next_unit(std::uint64_t run) const {
  if (want.order == Order::kAscending) return lowest(entries, limits::kUnitEntriesMax);
  // Newest first: a run from the top, and what anchors its lowest entry.
  RangeSet unit = highest(entries, run);
  RangeSet anchors;
  for (const SeqNum seqnum : path_to_first(unit.min())) anchors.insert(seqnum);
  unit |= anchors & entries;
  // Another way down may be all that is left.
  if (!has_gaps || anchored(unit | known).contains(unit)) return unit;
  return lowest(entries, run);
}

bool ServedWant::takes_payload(const EntryView& entry) const {
  return entry.payload_size() >= want.payload_size_min &&
         entry.payload_size() <= want.payload_size_max;
}

bool ServedWant::takes_any_size() const {
  return want.payload_size_min == 0 && want.payload_size_max == limits::kPayloadSizeBytesMax;
}

}  // namespace culm::replication
