#include <algorithm>
#include <utility>

#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// Payloads of a write transaction: how large ones arrive, and how all of them go.
namespace culm::store {

using detail::is_inline;
using detail::TouchedLog;

Result<RangeSet> WriteTransaction::delete_payloads(const LogKey& log, const RangeSet& seqnums,
                                                   std::size_t rows_max) {
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  const RangeSet deleted = touched->state.deleted | seqnums;
  if (deleted.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  return noted(delete_step(*touched, seqnums, rows_max));
}

Result<RangeSet> WriteTransaction::delete_step(TouchedLog& touched, const RangeSet& seqnums,
                                               std::size_t rows_max) {
  LogState& state = touched.state;
  const RangeSet held = state.payloads & seqnums;
  RangeSet dropped;
  RangeSet remaining;
  SeqNum from = 1;
  std::size_t rows_left = rows_max;
  // Chunks may be there of payloads that are not held: parts of unfinished or half deleted ones.
  CULM_TRY(SeqNum chunked, find_chunked(state, seqnums, from));
  for (;;) {
    SeqNum n = held.smallest_from(from);
    if (n == 0 || (chunked != 0 && chunked < n)) n = chunked;
    if (n == 0) break;
    const bool is_begun = rows_left > 0;
    bool is_done = false;
    if (is_begun && n == chunked) {
      CULM_TRY(is_done, erase_chunks(state, n, rows_left));
    } else if (is_begun) {
      --rows_left;
      is_done = true;
    }
    if (is_begun && held.contains(n)) {
      CULM_TRY(const StoredEntry stored, get_entry(state, n));
      state.payload_bytes -= std::min(state.payload_bytes, stored.entry.payload_size());
      const EntryBuffer entry(stored.entry);
      if (stored.inline_payload && !stored.inline_payload->empty()) {
        CULM_CHECK(put_entry(state, entry.view(), {}));
      }
      dropped.insert(n);
    }
    if (!is_done) {
      remaining = seqnums & RangeSet{{n, kSeqnumMax}};
      break;
    }
    if (n == kSeqnumMax) break;
    from = n + 1;
    if (n == chunked) {
      CULM_TRY(chunked, find_chunked(state, seqnums, from));
    }
  }
  RangeSet deleted = state.deleted | (seqnums - remaining) | dropped;
  if (deleted == state.deleted && dropped.empty()) return remaining;
  mark_changed(touched);
  state.deleted = std::move(deleted);
  state.payloads -= dropped;
  if (state.payloads.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  return remaining;
}

/// Erases chunks of one payload while `rows_left` allows; whether that was all of them.
Result<bool> WriteTransaction::erase_chunks(const LogState& state, SeqNum seqnum,
                                            std::size_t& rows_left) {
  const auto prefix = detail::entry_row_key(state.number, seqnum);
  CULM_TRY(const auto cursor, kv_->cursor(Table::kPayloads));
  CULM_TRY(auto row, cursor->seek(prefix));
  while (row && row->key.size() > prefix.size() && equal(row->key.first(prefix.size()), prefix)) {
    if (rows_left == 0) return false;
    --rows_left;
    const Bytes key(row->key.begin(), row->key.end());
    CULM_CHECK(kv_write_.erase(Table::kPayloads, key));
    CULM_TRY(row, cursor->next());
  }
  return true;
}

/// The first seqnum of `seqnums`, from `from` on, of which there are chunks; 0 if there is none.
Result<SeqNum> WriteTransaction::find_chunked(const LogState& state, const RangeSet& seqnums,
                                              SeqNum from) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kPayloads));
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
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  RangeSet deleted = touched->state.deleted - seqnums;
  if (deleted.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  if (deleted == touched->state.deleted) return {};
  mark_changed(*touched);
  touched->state.deleted = std::move(deleted);
  return {};
}

/// The entry, if its payload may be taken.
Result<StoredEntry> WriteTransaction::check_payload_wanted(const LogState& state,
                                                           SeqNum seqnum) const {
  CULM_TRY(const StoredEntry stored, get_entry(state, seqnum));
  if (state.cap != 0 && seqnum >= state.cap) return fail(error_for(Errc::kLogCapped, state.cap));
  if (state.deleted.contains(seqnum)) return fail(error_for(Errc::kPayloadDeleted, seqnum));
  if (stored.entry.payload_size() > limits::kPayloadSizeBytesMax) {
    return fail(error_for(Errc::kPayloadTooLarge, seqnum));
  }
  if (state.payloads.ranges().size() >= limits::kRangesPerLogMax) {
    return fail(Errc::kLogFragmented);
  }
  return stored;
}

void WriteTransaction::hold_payload(TouchedLog& touched, const EntryView& entry) {
  mark_changed(touched);
  touched.state.payloads.insert(entry.seqnum());
  touched.state.payload_bytes += entry.payload_size();
}

Result<void> WriteTransaction::put_payload_chunk(const LogKey& log, SeqNum seqnum,
                                                 std::uint64_t offset, ByteView chunk) {
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  LogState& state = touched->state;
  CULM_TRY(const StoredEntry stored, check_payload_wanted(state, seqnum));
  if (state.payloads.contains(seqnum)) return {};
  const std::uint64_t size = stored.entry.payload_size();
  if (is_inline(stored.entry)) {
    if (offset != 0) return fail(error_for(Errc::kPayloadSize, seqnum));
    CULM_CHECK(check_payload(stored.entry, chunk));
    const EntryBuffer entry(stored.entry);
    hold_payload(*touched, entry.view());
    return noted(put_entry(state, entry.view(), chunk));
  }
  if (offset % limits::kPayloadChunkBytes != 0 || offset >= size ||
      chunk.size() != std::min<std::uint64_t>(size - offset, limits::kPayloadChunkBytes)) {
    return fail(error_for(Errc::kPayloadSize, seqnum));
  }
  return noted(put_chunk(state, seqnum, offset, chunk));
}

Result<bool> WriteTransaction::has_all_chunks(const LogState& state, const EntryView& entry) const {
  for (std::uint64_t offset = 0; offset < entry.payload_size();
       offset += limits::kPayloadChunkBytes) {
    const auto index = static_cast<std::uint32_t>(offset / limits::kPayloadChunkBytes);
    CULM_TRY(
        const auto value,
        kv_->get(Table::kPayloads, detail::chunk_row_key(state.number, entry.seqnum(), index)));
    if (!value) return false;
  }
  return true;
}

Result<void> WriteTransaction::finish_payload(const LogKey& log, SeqNum seqnum) {
  CULM_TRY(TouchedLog* const touched, touch_known(log));
  LogState& state = touched->state;
  CULM_TRY(const StoredEntry stored, check_payload_wanted(state, seqnum));
  if (state.payloads.contains(seqnum)) return {};
  const EntryView& entry = stored.entry;
  Hasher hasher;
  if (is_inline(entry) && entry.payload_size() > 0) {
    return fail(error_for(Errc::kPayloadSize, seqnum));
  }
  CULM_TRY(const bool is_whole, has_all_chunks(state, entry));
  if (!is_whole) return fail(error_for(Errc::kPayloadSize, seqnum));
  for (std::uint64_t offset = 0; offset < entry.payload_size();
       offset += limits::kPayloadChunkBytes) {
    CULM_TRY(const ByteView chunk, get_chunk(state, entry, offset));
    hasher.update(chunk);
  }
  if (hasher.finish() != entry.payload_hash()) {
    std::size_t rows_left = SIZE_MAX;
    CULM_CHECK(noted(erase_chunks(state, seqnum, rows_left)));
    return fail(error_for(Errc::kPayloadHash, seqnum));
  }
  hold_payload(*touched, entry);
  return {};
}

}  // namespace culm::store
