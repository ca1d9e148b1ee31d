#include <algorithm>
#include <utility>

#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// Payloads of a write transaction: how large ones arrive, and how all of them go.
namespace culm::store {

using detail::is_inline;
using detail::StageRow;
using detail::StageState;
using detail::TouchedLog;

/// Whether its payload was deleted, and is not to be taken again.
bool WriteTransaction::is_barred(const LogState& state, SeqNum seqnum) const {
  return state.deleted.contains(seqnum) && !undeleting_.contains(seqnum);
}

/// Nothing where the payload is held already, or deleted.
Result<std::optional<WriteTransaction::Wanted>> WriteTransaction::find_wanted(const LogKey& log,
                                                                              SeqNum seqnum) {
  return without_damage(log, [&] { return find_wanted_once(log, seqnum); });
}

Result<std::optional<WriteTransaction::Wanted>> WriteTransaction::find_wanted_once(
    const LogKey& log, SeqNum seqnum) {
  CULM_TRY(TouchedLog* const touched, touch_known(log, seqnum));
  const LogState& state = touched->state;
  CULM_TRY(const StoredEntry stored, get_entry(state, seqnum));
  if (state.cap != 0 && seqnum >= state.cap) return fail(error_for(Errc::kLogCapped, state.cap));
  if (is_barred(state, seqnum) || state.payloads.contains(seqnum)) return std::nullopt;
  if (stored.entry.payload_size() > limits::kPayloadSizeBytesMax) {
    return fail(error_for(Errc::kPayloadTooLarge, seqnum));
  }
  // The payload may begin a range of those held, and split one of those deleted.
  const bool is_fragmented = [&] {
    const auto is_full = [&](std::size_t set, const RangeSet& ranges) {
      return touched->below[set] + ranges.ranges().size() >= limits::kRangesPerLogMax;
    };
    return is_full(detail::kPayloadsSet, state.payloads) ||
           (state.deleted.contains(seqnum) && is_full(detail::kDeletedSet, state.deleted));
  }();
  if (is_fragmented) return fail(Errc::kLogFragmented);
  return Wanted{touched, stored};
}

Stage WriteTransaction::make_stage(const LogState& state, SeqNum seqnum) {
  is_meta_changed_ = true;
  return {state.number, seqnum, ++meta_.last_stage};
}

Result<void> WriteTransaction::put_stage(const StageRow& row) {
  detail::encode_stage(row_, row);
  const Stage& stage = row.stage;
  return put_row(Table::kStages, detail::stage_row_key(stage.number, stage.seqnum, stage.id));
}

Result<void> WriteTransaction::put_chunk(const Stage& stage, std::uint64_t offset, ByteView chunk) {
  const auto index = static_cast<std::uint32_t>(offset / limits::kPayloadChunkBytes);
  detail::encode_chunk(row_, chunk);
  return put_row(Table::kPayloads, detail::chunk_row_key(stage.id, index));
}

void WriteTransaction::hold_payload(TouchedLog& touched, const EntryView& entry) {
  mark_changed(touched);
  touched.state.payloads.insert(entry.seqnum());
  touched.state.deleted.erase({entry.seqnum(), entry.seqnum()});
  touched.state.payload_bytes += entry.payload_size();
}

Result<bool> WriteTransaction::put_payload(const LogKey& log, SeqNum seqnum, ByteView payload,
                                           const Hash& payload_hash) {
  CULM_TRY(const auto wanted, find_wanted(log, seqnum));
  if (!wanted) return false;
  const EntryBuffer entry(wanted->stored.entry);
  if (payload.size() != entry.view().payload_size()) {
    return fail(error_for(Errc::kPayloadSize, seqnum));
  }
  if (payload_hash != entry.view().payload_hash()) {
    return fail(error_for(Errc::kPayloadHash, seqnum));
  }
  hold_payload(*wanted->touched, entry.view());
  CULM_CHECK(noted(put_entry(wanted->touched->state, entry.view(), payload)));
  return true;
}

Result<std::optional<Stage>> WriteTransaction::begin_stage(const LogKey& log, SeqNum seqnum,
                                                           const Bearer& bearer) {
  CULM_TRY(const auto wanted, find_wanted(log, seqnum));
  if (!wanted) return std::nullopt;
  if (wanted->stored.entry.payload_size() <= limits::kPayloadChunkBytes) {
    return fail(error_for(Errc::kPayloadSize, seqnum));
  }
  const Stage stage = make_stage(wanted->touched->state, seqnum);
  CULM_CHECK(noted(put_stage({stage, StageState::kArriving, 0, bearer})));
  return stage;
}

Result<std::optional<StageRow>> WriteTransaction::find_row(const Stage& stage) const {
  const auto key = detail::stage_row_key(stage.number, stage.seqnum, stage.id);
  CULM_TRY(const auto value, kv_->get(Table::kStages, key));
  if (!value) return std::nullopt;
  const auto opened = detail::open_stage({key, *value});
  if (opened) return *opened;
  if (opened.error().code != Errc::kStoreDamaged) return fail(opened.error());
  // What it knew is lost: nothing more can come of the stage.
  return StageRow{stage, StageState::kGoing, 0};
}

Result<bool> WriteTransaction::put_stage_part(const LogKey& log, const Stage& stage,
                                              std::uint64_t offset, ByteView part,
                                              const std::optional<sealing::PeerKey>& peer,
                                              bool is_last) {
  CULM_TRY(const auto wanted, find_wanted(log, stage.seqnum));
  CULM_TRY(auto row, find_row(stage));
  if (!wanted || !row || row->state != StageState::kArriving) return false;
  const std::uint64_t rest = wanted->stored.entry.payload_size() - row->size_bytes;
  if (offset != row->size_bytes || part.empty() || (is_last && part.size() != rest) ||
      part.size() != std::min<std::uint64_t>(rest, limits::kPayloadChunkBytes)) {
    return fail(error_for(Errc::kPayloadSize, stage.seqnum));
  }
  CULM_CHECK(noted(put_chunk(stage, offset, part)));
  row->size_bytes += part.size();
  if (row->bearer.peer != peer) row->bearer = {};
  CULM_CHECK(noted(put_stage(*row)));
  return true;
}

Result<bool> WriteTransaction::finish_stage(const LogKey& log, const Stage& stage,
                                            const Hash& payload_hash) {
  CULM_TRY(const auto wanted, find_wanted(log, stage.seqnum));
  CULM_TRY(auto row, find_row(stage));
  if (!wanted || !row || row->state != StageState::kArriving) return false;
  const EntryView& entry = wanted->stored.entry;
  if (row->size_bytes != entry.payload_size()) {
    return fail(error_for(Errc::kPayloadSize, stage.seqnum));
  }
  if (payload_hash != entry.payload_hash()) {
    return fail(error_for(Errc::kPayloadHash, stage.seqnum));
  }
  hold_payload(*wanted->touched, entry);
  row->state = StageState::kPayload;
  CULM_CHECK(noted(put_stage(*row)));
  return true;
}

Result<bool> WriteTransaction::drop_stage(const Stage& stage, std::size_t& rows_left) {
  CULM_TRY(auto row, find_row(stage));
  if (!row || row->state == StageState::kPayload) return true;
  return noted(erase_stage(*row, rows_left));
}

Result<bool> WriteTransaction::erase_stage(StageRow& stage, std::size_t& rows_left) {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kPayloads));
  CULM_TRY(auto chunk, cursor->seek(detail::chunk_row_key(stage.stage.id, 0)));
  while (chunk && rows_left > 0) {
    CULM_TRY(const auto place, detail::parse_chunk_place(chunk->key));
    if (place.stage != stage.stage.id) break;
    --rows_left;
    const auto key = detail::chunk_row_key(place.stage, place.index);
    CULM_CHECK(kv_write_.erase(Table::kPayloads, key));
    CULM_TRY(chunk, cursor->next());
  }
  if (rows_left > 0) {
    --rows_left;
    const auto [number, seqnum, id] = stage.stage;
    CULM_CHECK(kv_write_.erase(Table::kStages, detail::stage_row_key(number, seqnum, id)));
    return true;
  }
  // Written also where it says so already: its row may be a damaged one.
  stage.state = StageState::kGoing;
  CULM_CHECK(put_stage(stage));
  return false;
}

Result<RangeSet> WriteTransaction::delete_payloads(const LogKey& log, const RangeSet& seqnums,
                                                   std::size_t rows_max) {
  return delete_within(log, seqnums, rows_max);
}

Result<RangeSet> WriteTransaction::delete_within(const LogKey& log, const RangeSet& seqnums,
                                                 std::size_t& rows_left) {
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  // Too many ranges are an error of this log: met before anything of it is written.
  for (const RangeSet& then :
       {touched->state.deleted | seqnums, touched->state.payloads - seqnums}) {
    if (then.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  }
  return noted(delete_step(*touched, seqnums, rows_left));
}

/// A payload stops being held with its first row; what is left of it is a stage of nobody.
Result<RangeSet> WriteTransaction::delete_step(TouchedLog& touched, const RangeSet& seqnums,
                                               std::size_t& rows_left) {
  LogState& state = touched.state;
  const RangeSet held = state.payloads & seqnums;
  RangeSet dropped;
  RangeSet lost;
  RangeSet remaining;
  SeqNum from = 1;
  CULM_TRY(SeqNum staged, find_staged(state, seqnums, from));
  for (;;) {
    SeqNum n = held.smallest_from(from);
    if (n == 0 || (staged != 0 && staged < n)) n = staged;
    if (n == 0) break;
    bool is_done = false;
    if (rows_left > 0) {
      if (held.contains(n)) {
        const auto forgotten = forget_payload(state, n);
        if (!forgotten && damaged_entry(forgotten.error()) != n) return fail(forgotten.error());
        if (!forgotten) {
          CULM_TRY(const bool is_restored, restore_row(state, n, WithPayload::kNever));
          if (!is_restored) lost.insert(n);
          CULM_CHECK(release_stage(state, n));
        }
        dropped.insert(n);
      }
      if (n == staged) {
        CULM_TRY(is_done, drop_stages_of(state, n, rows_left));
      } else {
        --rows_left;
        is_done = true;
      }
    }
    if (!is_done) {
      remaining = seqnums & RangeSet{{n, kSeqnumMax}};
      break;
    }
    if (n == kSeqnumMax) break;
    from = n + 1;
    if (n == staged) {
      CULM_TRY(staged, find_staged(state, seqnums, from));
    }
  }
  RangeSet deleted = state.deleted | (seqnums - remaining) | dropped;
  if (deleted == state.deleted && dropped.empty()) return remaining;
  mark_changed(touched);
  is_deletion_ = true;
  state.deleted = std::move(deleted);
  state.payloads -= dropped;
  if (!lost.empty()) CULM_CHECK(forget_entries(touched, std::move(lost)));
  if (state.payloads.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  return remaining;
}

/// Of a held payload: its row is written without it, or its stage is its payload no more.
Result<void> WriteTransaction::forget_payload(LogState& state, SeqNum seqnum) {
  CULM_TRY(const StoredEntry stored, get_entry(state, seqnum));
  state.payload_bytes -= std::min(state.payload_bytes, stored.entry.payload_size());
  if (!is_inline(stored.entry)) return release_stage(state, seqnum);
  if (stored.entry.payload_size() == 0) return {};
  const EntryBuffer entry(stored.entry);
  return put_entry(state, entry.view(), {});
}

/// The stage that was its payload is nobody's from now on.
Result<void> WriteTransaction::release_stage(const LogState& state, SeqNum seqnum) {
  CULM_TRY(const auto stage, find_payload_stage(state, seqnum));
  if (!stage) return {};  // lost by damage, which must not keep the rest from going
  return put_stage({stage->stage, StageState::kGoing, stage->size_bytes});
}

/// Erases all stages of an entry, which is not to have one, while `rows_left` allows; whether that
/// was all.
Result<bool> WriteTransaction::drop_stages_of(const LogState& state, SeqNum seqnum,
                                              std::size_t& rows_left) {
  for (;;) {
    CULM_TRY(const auto stage, find_stage(state, seqnum));
    if (!stage) return true;
    CULM_TRY(auto row, find_row(*stage));
    if (!row) return true;
    CULM_TRY(const bool is_gone, erase_stage(*row, rows_left));
    if (!is_gone) return false;
  }
}

Result<bool> WriteTransaction::drop_unwanted_parts(const LogKey& log, std::size_t& rows_left) {
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  const LogState& state = touched->state;
  const RangeSet unwanted =
      (state.held - state.payloads) - state.interest.payloads_wanted(state.head());
  for (;;) {
    CULM_TRY(const SeqNum staged, find_staged(state, unwanted, 1));
    if (staged == 0) return true;
    CULM_TRY(const bool is_gone, noted(drop_stages_of(state, staged, rows_left)));
    if (!is_gone) return false;
  }
}

/// The first seqnum of `seqnums`, from `from` on, of which there is a stage; 0 if there is none.
Result<SeqNum> WriteTransaction::find_staged(const LogState& state, const RangeSet& seqnums,
                                             SeqNum from) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  SeqNum n = seqnums.smallest_from(from);
  while (n != 0) {
    CULM_TRY(const auto row, cursor->seek(detail::entry_row_key(state.number, n)));
    if (!row) return 0;
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.number != state.number) return 0;
    n = seqnums.smallest_from(place.seqnum);
    if (n == place.seqnum) return n;
  }
  return 0;
}

Result<void> WriteTransaction::undelete_payloads(const LogKey& log, const RangeSet& seqnums) {
  CULM_TRY(TouchedLog* const touched, touch_known(log, seqnums.empty() ? 0 : seqnums.min()));
  RangeSet deleted = touched->state.deleted - seqnums;
  if (touched->below[detail::kDeletedSet] + deleted.ranges().size() > limits::kRangesPerLogMax) {
    return fail(Errc::kLogFragmented);
  }
  if (deleted == touched->state.deleted) return {};
  mark_changed(*touched);
  touched->state.deleted = std::move(deleted);
  return {};
}

}  // namespace culm::store
