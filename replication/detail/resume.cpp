#include "culm/replication/detail/resume.hpp"

#include <algorithm>
#include <span>

#include "culm/core/limits.hpp"

namespace culm::replication {
namespace {

using store::UnfinishedStage;

/// How many are looked at. More are there only where many payloads were left half done.
constexpr std::size_t kStagesMax = 256;

/// Of those of one entry, the one that the peer may go on with: its own, or the largest of others
/// unless `only_own`.
const UnfinishedStage* choose(std::span<const UnfinishedStage> stages,
                              const std::optional<sealing::PeerKey>& peer, bool only_own) {
  const auto is_own = [&](const UnfinishedStage& one) { return peer && one.bearer.peer == peer; };
  const auto is_alone = [](const UnfinishedStage& one) { return one.bearer.is_alone; };
  only_own = only_own || std::ranges::any_of(stages, is_alone);
  const UnfinishedStage* best = nullptr;
  const auto rank = [&](const UnfinishedStage& one) {
    return std::pair(is_own(one), one.size_bytes);
  };
  for (const UnfinishedStage& one : stages) {
    if (only_own && !is_own(one)) continue;
    if (best == nullptr || rank(one) > rank(*best)) best = &one;
  }
  return best;
}

}  // namespace

std::optional<ResumedPayload> find_resumed(const store::ReadTransaction& transaction,
                                           const store::LogState& log, const WantRequest& asked,
                                           const Claimer& by, const ArrivingPayloads& payloads) {
  constexpr std::uint64_t kPart = limits::kPayloadChunkBytes;
  std::optional<ResumedPayload> out;
  if (!asked.payloads || log.payloads == log.held) return out;
  const RangeSet wanted =
      (resolve(asked.interest, log.head()) & log.served()) - (log.deleted - asked.undelete);
  // What cannot be read is begun once more.
  const auto stages = transaction.arriving_stages(log, wanted, kStagesMax);
  if (!stages) return out;
  for (auto first = stages->begin(); first != stages->end();) {
    const SeqNum seqnum = first->stage.seqnum;
    const auto last = std::find_if(first, stages->end(), [&](const UnfinishedStage& one) {
      return one.stage.seqnum != seqnum;
    });
    // What others bring now, or have spoilt, keeps no peer from its own parts.
    const bool only_own =
        payloads.is_claimed(log.log, seqnum, by) || payloads.is_spoilt(log.log, seqnum);
    const UnfinishedStage* const best = choose({first, last}, by.peer, only_own);
    first = last;
    if (best == nullptr || best->size_bytes < kPart) continue;
    if (payloads.is_claimed_by(log.log, seqnum, by.session)) continue;
    const auto stored = transaction.get_entry(log, seqnum);
    if (!stored) continue;
    const std::uint64_t size = stored->entry.payload_size();
    if (size < asked.payload_size_min || size > asked.payload_size_max) continue;
    // Where all are there, the last one comes again.
    const std::uint64_t parts = std::min(best->size_bytes, size - 1) / kPart;
    if (parts != 0 && (!out || parts * kPart > out->offset)) {
      out = ResumedPayload{best->stage, parts * kPart};
    }
  }
  return out;
}

}  // namespace culm::replication
