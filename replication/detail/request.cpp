#include "culm/replication/detail/request.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/have.hpp"

namespace culm::replication {

void Request::on_have(SeqNum peer_head) {
  if (phase == Phase::kAsked) {
    phase = Phase::kAnswered;
    head_first = peer_head;
  }
  head = std::max(head, peer_head);
  head_last = peer_head;
}

Result<void> Request::on_quote() {
  if (std::exchange(quoted, true)) return fail(Errc::kProtocolState);
  return {};
}

Result<void> Request::on_ready() {
  if (!asked.live || phase == Phase::kAsked) return fail(Errc::kProtocolState);
  if (phase == Phase::kAnswered) phase = Phase::kReady;
  return {};
}

Result<void> Request::on_done(DoneReason reason) {
  if (phase == Phase::kAsked || phase == Phase::kDone) return fail(Errc::kProtocolState);
  if (reason == DoneReason::kBudget && !has_budget()) return fail(Errc::kProtocolState);
  phase = Phase::kDone;
  done = reason;
  return {};
}

RangeSet Request::wanted_up_to(SeqNum head_max) const {
  RangeSet wanted = resolve(asked.interest, head_max);
  // "Newest" is a window that moves: all its positions since the answer count.
  wanted |= resolve(asked.interest, head_first);
  if (asked.interest.newest != 0 && head_first < head_max) {
    wanted.insert(SeqRange{head_first + 1, head_max});
  }
  return wanted;
}

bool Request::is_solicited(const ElidedContents& contents) const {
  if (phase == Phase::kAsked || !asked.entries || asked.quote_only) return false;
  const SeqNum head_max = std::max(head, contents.seqnums.max());
  const RangeSet wanted = wanted_up_to(head_max);
  if (!closure(wanted, head_max).contains(contents.seqnums)) return false;
  return contents.payloads.empty() || (asked.payloads && wanted.contains(contents.payloads) &&
                                       (contents.payloads & excepted).empty() &&
                                       contents.payload_bytes_min >= asked.payload_size_min &&
                                       contents.payload_bytes_max <= asked.payload_size_max);
}

bool Request::is_solicited(const Payload& payload) const {
  return phase != Phase::kAsked && asked.payloads && !asked.quote_only &&
         !excepted.contains(payload.seqnum) &&
         payload.offset + payload.bytes.size() <= asked.payload_size_max &&
         wanted_up_to(std::max(head, payload.seqnum)).contains(payload.seqnum);
}

RangeSet Request::find_excepted(const store::LogState& log) const {
  RangeSet all = (log.deleted - asked.undelete) | asked.bare;
  const bool is_whole = all.ranges().size() <= limits::kRangesPerMessageMax;
  if (!is_whole && asked.interest.newest == 0) all &= asked.interest.ranges;
  return first_ranges(all);
}

bool Request::is_look_due(std::uint64_t counted) const {
  if (!asked.live || !asked.payloads || is_over()) return false;
  return phase == Phase::kCaughtUp ? !is_looked_after_ : deletions != counted;
}

bool Request::is_to_except_more(const store::LogState& log) {
  const bool has_all = phase == Phase::kCaughtUp;
  is_looked_after_ = is_looked_after_ || has_all;
  RangeSet more = find_excepted(log) - excepted;
  if (!has_all) more -= payloads_held | payloads_;
  return !more.empty();
}

Result<bool> Request::take(const ElidedContents& contents, std::uint64_t counted) {
  const bool is_new =
      !(contents.seqnums - brought).empty() || !(contents.payloads - payloads_).empty();
  brought |= contents.seqnums;
  payloads_ |= contents.payloads;
  return count(counted, is_new);
}

Result<bool> Request::take(const Payload& payload, bool is_entry_here, std::uint64_t counted) {
  return count(counted, is_entry_here && is_new_part(payload));
}

bool Request::is_new_part(const Payload& payload) {
  constexpr std::size_t kPartsMax = 4;  // they come one payload behind the other
  if (payloads_.contains(payload.seqnum)) return false;
  const auto known = parts_.find(payload.seqnum);
  const bool goes_on = known != parts_.end() ? payload.offset == known->second.next
                                             : resumed && resumed->stage.seqnum == payload.seqnum &&
                                                   payload.offset == resumed->offset;
  if (payload.offset != 0 && !goes_on) return false;
  if (payload.last) {
    payloads_.insert(payload.seqnum);
    parts_.erase(payload.seqnum);
    return true;
  }
  auto& [next, end] = parts_[payload.seqnum];
  next = payload.offset + payload.bytes.size();
  const bool is_new = next > end;
  end = std::max(end, next);
  if (parts_.size() > kPartsMax) {
    const auto given_up =
        parts_.begin()->first == payload.seqnum ? std::next(parts_.begin()) : parts_.begin();
    payloads_.insert(given_up->first);
    parts_.erase(given_up);
  }
  return is_new;
}

Result<bool> Request::count(std::uint64_t counted, bool is_new) {
  if (has_budget() && counted_bytes >= budget_bytes) return fail(Errc::kUnsolicited);
  counted_bytes += counted;
  if (!is_new) vain_bytes += counted;
  if (vain_bytes > limits::kVainBytesPerWantMax) return fail(Errc::kUnsolicited);
  return is_new;
}

bool Request::awaits_peer(bool credit_can_be_used) const {
  if (works != 0) return false;
  return phase == Phase::kAsked || phase == Phase::kCancelled ||
         (phase == Phase::kAnswered && (asked.quote_only || credit_can_be_used));
}

}  // namespace culm::replication
