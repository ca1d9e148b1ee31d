#include <algorithm>

#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// Payloads that are in the store before their entries.
namespace culm::store {

using detail::StageRow;
using detail::StageState;

Result<std::vector<Stage>> ReadTransaction::unbound_stages() const {
  std::vector<Stage> out;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  CULM_TRY(auto row, cursor->seek(detail::stage_row_key(0, 0, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.number != 0) break;
    out.push_back({place.number, place.seqnum, place.stage});
    CULM_TRY(row, cursor->next());
  }
  return out;
}

Result<Stage> WriteTransaction::begin_unbound_stage(const KvClaim& claim) {
  is_meta_changed_ = true;
  const Stage stage{0, claim.number, ++meta_.last_stage};
  CULM_CHECK(noted(put_stage({stage, StageState::kArriving, 0})));
  return stage;
}

Result<StageRow> WriteTransaction::get_unbound(const Stage& stage) const {
  CULM_TRY(auto row, find_row(stage));
  if (stage.number != 0 || !row || row->state != StageState::kArriving) {
    return fail(Errc::kPayloadNotHeld);
  }
  return *std::move(row);
}

Result<void> WriteTransaction::put_unbound_part(const Stage& stage, std::uint64_t offset,
                                                ByteView part) {
  CULM_TRY(StageRow row, get_unbound(stage));
  const bool has_ended = row.size_bytes % limits::kPayloadChunkBytes != 0;
  if (has_ended || offset != row.size_bytes || part.empty() ||
      part.size() > limits::kPayloadChunkBytes) {
    return fail(Errc::kPayloadSize);
  }
  row.size_bytes += part.size();
  if (row.size_bytes > limits::kPayloadSizeBytesMax) return fail(Errc::kPayloadTooLarge);
  CULM_CHECK(noted(put_chunk(stage, offset, part)));
  return noted(put_stage(row));
}

Result<bool> WriteTransaction::bind_stage(const LogKey& log, SeqNum seqnum,
                                          const StagedPayload& staged) {
  CULM_TRY(const auto wanted, find_wanted(log, seqnum));
  if (!wanted) return false;
  CULM_TRY(StageRow row, get_unbound(staged.stage));
  const EntryView& entry = wanted->stored.entry;
  if (row.size_bytes != entry.payload_size() || detail::is_inline(entry)) {
    return fail(error_for(Errc::kPayloadSize, seqnum));
  }
  if (staged.hash != entry.payload_hash()) return fail(error_for(Errc::kPayloadHash, seqnum));
  hold_payload(*wanted->touched, entry);
  const auto [number, claim, id] = row.stage;
  CULM_CHECK(noted(kv_write_.erase(Table::kStages, detail::stage_row_key(number, claim, id))));
  row.stage = {wanted->touched->state.number, seqnum, id};
  row.state = StageState::kPayload;
  CULM_CHECK(noted(put_stage(row)));
  return true;
}

Result<bool> WriteTransaction::drop_unclaimed(const IsClaimed& is_claimed, std::size_t rows_max) {
  CULM_TRY(auto stages, unbound_stages());
  std::erase_if(stages, [&](const Stage& stage) { return is_claimed(stage.seqnum); });
  std::size_t rows_left = rows_max;
  for (const Stage& stage : stages) {
    CULM_TRY(const bool is_gone, drop_stage(stage, rows_left));
    if (!is_gone) return false;
  }
  return true;
}

}  // namespace culm::store
