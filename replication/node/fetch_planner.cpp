#include "culm/replication/node/fetch_planner.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

/// How much of the rate measured last counts beside the one before.
constexpr double kNewRateShare = 0.5;
/// What another peer must be slower by, beside twice as slow, to be worth asking twice.
constexpr double kWorthSeconds = 0.5;
/// Below this what anchors a segment again would be more than a tenth of it.
constexpr std::uint64_t kLastEntriesMin = 512;
constexpr Duration kMeasureOver = std::chrono::milliseconds(250);

}  // namespace

void FetchPlanner::peer_holds(SessionId peer, const RangeSet& held, Instant now,
                              const RangeSet& unsaid) {
  const auto [found, is_new] = peers_.try_emplace(peer);
  Peer& said = found->second;
  if (is_new) said.progressed = said.window = now;
  if (said.fruitless >= kFruitlessMax) return;
  said.unsaid = said.guesses < kGuessesMax ? unsaid : RangeSet();
  said.held = held | said.unsaid;
}

RangeSet FetchPlanner::guesses(SessionId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? RangeSet() : found->second.unsaid - found->second.refused;
}

void FetchPlanner::remove(SessionId peer) { peers_.erase(peer); }

std::vector<FetchPlanner::Segment> FetchPlanner::assign(Instant now) {
  forgive(now);
  std::vector<Segment> out;
  // In turns, so that the first peer does not take all that there is.
  for (bool is_any = true; is_any;) {
    is_any = false;
    for (auto& [id, peer] : peers_) {
      if (!has_turn(peer)) continue;
      const RangeSet free = available(peer) - under_way();
      const std::uint64_t entries = segment_entries(peer, free.count());
      Asked next{cut(free, std::min(entries, peer.segment_entries_max)), false};
      if (free.empty()) next = take_again(id);
      if (next.entries.empty()) continue;
      out.push_back({id, next.entries});
      ask(peer, std::move(next), now);
      is_any = true;
    }
  }
  return out;
}

void FetchPlanner::ask(Peer& peer, Asked asked, Instant now) {
  if (peer.asked.empty()) {
    peer.progressed = peer.window = peer.measured = now;
    peer.window_bytes = peer.measured_entries = 0;
  }
  peer.asked.push_back(std::move(asked));
}

void FetchPlanner::forgive(Instant now) {
  const bool is_anybody = std::ranges::any_of(peers_, [this](const Row& row) {
    return !row.second.asked.empty() || !available(row.second).empty();
  });
  for (auto& [id, peer] : peers_) {
    if (!is_anybody || now >= peer.late_since + kForgivenAfter) peer.is_late = false;
  }
}

void FetchPlanner::received(SessionId peer, std::uint64_t bytes) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  ++found->second.pieces;
  found->second.came_bytes += bytes;
}

void FetchPlanner::stored(SessionId peer, const RangeSet& brought, const RangeSet& gained,
                          std::uint64_t part_bytes, Instant now) {
  missing_ -= gained;
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  Peer& from = found->second;
  if (from.pieces != 0) --from.pieces;
  const std::uint64_t came_bytes = from.came_bytes;
  if (from.pieces == 0) from.came_bytes = 0;
  if (brought.empty() && part_bytes == 0) return;
  const std::uint64_t count = brought.count();
  from.progressed = now;
  // What an entry takes is what some peer says in a quote: no more counts than came.
  const std::uint64_t entries_max =
      (came_bytes - std::min(came_bytes, part_bytes)) / std::max<std::uint64_t>(count, 1);
  const std::uint64_t bytes = part_bytes + count * std::min(options_.entry_bytes, entries_max);
  from.window_bytes += bytes;
  from.came_bytes -= std::min(from.came_bytes, bytes);
  for (Asked& asked : from.asked) {
    asked.brought = asked.brought || part_bytes != 0 || !(asked.entries & brought).empty();
  }
  from.measured_entries += count;
  const Duration took = now - from.measured;
  if (took < kMeasureOver) return;
  const double rate =
      static_cast<double>(from.measured_entries) * 1e6 / static_cast<double>(took.count());
  const double before = from.entries_per_second;
  from.entries_per_second =
      before == 0 ? rate : (1 - kNewRateShare) * before + kNewRateShare * rate;
  from.measured = now;
  from.measured_entries = 0;
}

void FetchPlanner::ended(SessionId peer, const RangeSet& segment, Instant now) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  Peer& from = found->second;
  const RangeSet lacking = segment & missing_;
  const bool is_guess = (lacking - from.unsaid).empty();
  from.refused |= (from.doubted | from.unsaid) & lacking;
  from.doubted |= lacking;
  from.progressed = now;
  const auto asked = std::ranges::find(from.asked, segment, &Asked::entries);
  if (asked == from.asked.end()) return;
  const bool is_fruitless = !asked->brought && !lacking.empty();
  from.asked.erase(asked);
  if (!is_fruitless) return;
  if (is_guess && ++from.guesses == kGuessesMax) from.held -= std::exchange(from.unsaid, {});
  if (!is_guess && ++from.fruitless == kFruitlessMax) from.held = from.unsaid = {};
}

void FetchPlanner::give_back(SessionId peer, const RangeSet& segment) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  const auto asked = std::ranges::find(found->second.asked, segment, &Asked::entries);
  if (asked != found->second.asked.end()) found->second.asked.erase(asked);
}

bool FetchPlanner::ask_less(SessionId peer, const RangeSet& segment) {
  const auto found = peers_.find(peer);
  const std::uint64_t count = segment.count();
  if (found == peers_.end() || options_.one_at_a_time || count <= kSegmentEntriesMin) return false;
  give_back(peer, segment);
  found->second.segment_entries_max = count / 2;
  return true;
}

bool FetchPlanner::believes(SessionId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() || found->second.fruitless < kFruitlessMax;
}

void FetchPlanner::set_busy(SessionId peer, bool is_busy) {
  const auto found = peers_.find(peer);
  if (found != peers_.end()) found->second.is_busy = is_busy;
}

std::vector<FetchPlanner::Segment> FetchPlanner::take_cancelled(Instant now) {
  std::vector<Segment> out;
  const auto cancel = [&](SessionId id, Peer& peer, const auto& is_cancelled) {
    for (const Asked& asked : peer.asked) {
      if (is_cancelled(asked)) out.push_back({id, asked.entries});
    }
    std::erase_if(peer.asked, is_cancelled);
  };
  std::set<SessionId> untried;
  for (Row& row : peers_) {
    auto& [id, peer] = row;
    cancel(id, peer,
           [&](const Asked& asked) { return asked.shared && (asked.entries & missing_).empty(); });
    if (now >= peer.window + kRateOver && peer.window_bytes >= kRateBytesMin) {
      peer.window = now;
      peer.rate_bytes = std::exchange(peer.window_bytes, 0);
    }
    const auto late = late_at(row);
    if ((!late || now < *late) && !gives_way(row, untried)) continue;
    peer.is_late = true;
    peer.late_since = now;
    cancel(id, peer, [](const Asked& /*asked*/) { return true; });
  }
  return out;
}

bool FetchPlanner::can_be_replaced(const Row& late) const {
  const RangeSet what = owed(late.second);
  if (what.empty()) return true;  // it only withholds that it is done
  return std::ranges::any_of(peers_, [&](const Row& row) {
    return row.first != late.first && !(available(row.second) & what).empty();
  });
}

bool FetchPlanner::gives_way(const Row& slow, std::set<SessionId>& untried) const {
  const Peer& peer = slow.second;
  if (peer.pieces != 0 || peer.rate_bytes == 0 || peer.rate_bytes >= kSlowBytesMax) return false;
  const RangeSet what = owed(peer);
  const auto other = std::ranges::find_if(peers_, [&](const Row& row) {
    const auto& [id, idle] = row;
    const bool is_quicker =
        idle.rate_bytes == 0 ? !untried.contains(id) : idle.rate_bytes > peer.rate_bytes;
    return id != slow.first && idle.asked.empty() && !idle.is_busy && is_quicker &&
           !(available(idle) & what).empty();
  });
  if (other == peers_.end()) return false;
  if (other->second.rate_bytes == 0) untried.insert(other->first);
  return true;
}

std::optional<Instant> FetchPlanner::late_at(const Row& row) const {
  const Peer& peer = row.second;
  if (peer.asked.empty() || peer.pieces != 0 || !can_be_replaced(row)) return std::nullopt;
  return std::min(peer.progressed + kLateAfter, peer.window + kRateOver);
}

std::optional<Instant> FetchPlanner::next_deadline() const {
  std::optional<Instant> next;
  for (const Row& row : peers_) {
    const bool is_late = row.second.is_late;
    const auto late = is_late ? row.second.late_since + kForgivenAfter : late_at(row);
    if (late && (!next || *late < *next)) next = late;
  }
  return next;
}

bool FetchPlanner::is_waiting() const {
  return std::ranges::any_of(peers_, [](const Row& row) { return !row.second.asked.empty(); });
}

bool FetchPlanner::can_go_on() const {
  return is_waiting() || std::ranges::any_of(peers_, [this](const Row& row) {
           return !((row.second.held & missing_) - row.second.refused).empty();
         });
}

RangeSet FetchPlanner::owed(const Peer& peer) const {
  RangeSet out;
  for (const Asked& asked : peer.asked) out |= asked.entries & missing_;
  return out;
}

RangeSet FetchPlanner::under_way() const {
  RangeSet out;
  for (const Row& row : peers_) out |= owed(row.second);
  return out;
}

RangeSet FetchPlanner::available(const Peer& peer) const {
  if (peer.is_late) return {};
  return (peer.held & missing_) - peer.refused;
}

bool FetchPlanner::has_turn(const Peer& peer) const {
  if (peer.is_late || peer.is_busy || peer.asked.size() >= kSegmentsPerPeerMax) return false;
  if (options_.one_at_a_time && is_waiting()) return false;
  return std::ranges::all_of(peer.asked, [this](const Asked& asked) {
    return 2 * (asked.entries & missing_).count() <= asked.entries.count();
  });
}

std::uint64_t FetchPlanner::segment_entries(const Peer& peer, std::uint64_t left) const {
  const auto able = static_cast<std::size_t>(std::ranges::count_if(
      peers_, [&](const Row& row) { return !available(row.second).empty(); }));
  const std::uint64_t sharers = std::max(able, peers_expected_);
  // Nobody to share with: the whole is one segment, and is anchored once.
  if (sharers <= 1 || options_.one_at_a_time) return left;
  const std::uint64_t least = std::clamp<std::uint64_t>(
      kSegmentBytesMin / std::max<std::uint64_t>(options_.entry_bytes, 1), 1, kSegmentEntriesMin);
  const std::uint64_t share = left / (2 * sharers);
  const std::uint64_t most =
      std::max(least, std::min(share, static_cast<std::uint64_t>(peer.entries_per_second)));
  // The last are shared out evenly, so that nobody is waited for.
  return std::min(most, std::max(left / sharers, kLastEntriesMin));
}

RangeSet FetchPlanner::cut(const RangeSet& from, std::uint64_t entries) const {
  RangeSet out;
  const auto ranges = from.ranges();
  const std::size_t ranges_max = std::min(ranges.size(), limits::kRangesPerMessageMax);
  for (std::size_t i = 0; i < ranges_max && entries != 0; ++i) {
    SeqRange range = options_.newest_first ? ranges[ranges.size() - 1 - i] : ranges[i];
    const std::uint64_t more = std::min(entries - 1, range.last - range.first);
    if (options_.newest_first) {
      range.first = range.last - more;
    } else {
      range.last = range.first + more;
    }
    out.insert(range);
    entries -= more + 1;
  }
  return out;
}

FetchPlanner::Asked FetchPlanner::take_again(SessionId idle) {
  const Peer& quick = peers_.at(idle);
  if (options_.one_at_a_time || !quick.asked.empty() || quick.entries_per_second == 0) return {};
  const RangeSet mine = available(quick);
  Asked* slowest = nullptr;
  double longest = 0;
  for (auto& [id, peer] : peers_) {
    for (Asked& asked : peer.asked) {
      const RangeSet owed = asked.entries & missing_;
      if (asked.shared || owed.empty() || !mine.contains(owed)) continue;
      const auto count = static_cast<double>(owed.count());
      const double left = count / std::max(peer.entries_per_second, 1.0);
      const bool is_worth_it = left > 2 * count / quick.entries_per_second + kWorthSeconds;
      if (!is_worth_it || left <= longest) continue;
      slowest = &asked;
      longest = left;
    }
  }
  if (slowest == nullptr) return {};
  slowest->shared = true;
  return {slowest->entries & missing_, true};
}

}  // namespace culm::node
