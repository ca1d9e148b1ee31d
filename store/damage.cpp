#include <utility>

#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

/// What a write transaction does about damaged rows.
namespace culm::store {
namespace {

/// Parts of a payload that go with its entry at once; those of a larger one are left for later, as
/// are parts of payloads that were never finished.
constexpr std::size_t kRowsPerDrop = 1024;

template <class Visit>
Result<void> for_each(const RangeSet& set, Visit visit) {
  for (SeqNum n = set.smallest_from(1); n != 0;) {
    CULM_CHECK(visit(n));
    n = n == kSeqnumMax ? 0 : set.smallest_from(n + 1);
  }
  return {};
}

}  // namespace

SeqNum damaged_entry(const Error& error) noexcept {
  // A row that was written wrong, or by another version, is no damage and must not be erased.
  const bool is_damage = error.code == Errc::kStoreDamaged;
  return is_damage && error.detail_kind == ErrorDetail::kSeqnum ? error.detail : 0;
}

Result<RangeSet> WriteTransaction::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  CULM_TRY(detail::TouchedLog* const touched, touch_known(log));
  LogState& state = touched->state;
  RangeSet bare;  // entries that are good, and whose payload is not
  const auto look = [&](const StoredEntry& stored) -> Result<bool> {
    CULM_TRY(const bool is_sound, has_sound_payload(state, stored));
    if (!is_sound) bare.insert(stored.entry.seqnum());
    return true;
  };
  CULM_TRY(RangeSet lost, visit_sound_entries(state, seqnums, look));
  if (lost.empty() && bare.empty()) return lost;
  // Too many ranges are an error of this log: mostly met before anything of it is written.
  for (const RangeSet& left : {state.held - lost, state.payloads - lost - bare}) {
    if (left.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  }
  const auto drop = [&]() -> Result<RangeSet> {
    const auto forgotten = for_each(bare, [&](SeqNum n) -> Result<void> {
      std::size_t rows_left = kRowsPerDrop;
      CULM_CHECK(forget_payload(state, n));
      CULM_CHECK(drop_stages_of(state, n, rows_left));
      return {};
    });
    CULM_CHECK(forgotten);
    mark_changed(*touched);
    state.payloads -= bare;
    if (!lost.empty()) CULM_CHECK(forget_entries(*touched, lost));
    if (!bare.empty()) dropped_[log] |= bare;
    return lost | bare;
  };
  return noted(drop());
}

Result<bool> WriteTransaction::has_sound_payload(const LogState& state,
                                                 const StoredEntry& stored) const {
  const SeqNum seqnum = stored.entry.seqnum();
  if (stored.inline_payload || !state.payloads.contains(seqnum)) return true;
  for (std::uint64_t offset = 0;;) {
    const auto part = read_payload(state, seqnum, offset, limits::kPayloadChunkBytes);
    if (!part && damaged_entry(part.error()) == seqnum) return false;
    if (!part) return fail(part.error());
    if (part->empty()) return true;
    offset += part->size();
  }
}

/// Entries whose rows cannot be read. How large a payload was that went with its row nobody knows:
/// those that are left are counted again, and what is damaged among them goes along.
Result<void> WriteTransaction::forget_entries(detail::TouchedLog& touched, RangeSet lost) {
  LogState& state = touched.state;
  std::uint64_t payload_bytes = 0;
  const auto count = [&](const StoredEntry& stored) -> Result<bool> {
    payload_bytes += stored.entry.payload_size();
    return true;
  };
  CULM_TRY(const RangeSet more, visit_sound_entries(state, state.payloads - lost, count));
  lost |= more;
  mark_changed(touched);
  state.held -= lost;
  state.payloads -= lost;
  state.verified -= lost;
  state.payload_bytes = payload_bytes;
  if (lost.contains(state.end_of_log)) state.end_of_log = 0;
  for (const RangeSet* set : {&state.held, &state.payloads}) {
    if (set->ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  }
  // It is but a mark.
  if (state.verified.ranges().size() > limits::kRangesPerLogMax) state.verified = {};
  dropped_[state.log] |= lost;
  return for_each(lost, [&](SeqNum n) -> Result<void> {
    CULM_CHECK(kv_write_.erase(Table::kEntries, detail::entry_row_key(state.number, n)));
    CULM_CHECK(release_stage(state, n));
    std::size_t rows_left = kRowsPerDrop;
    CULM_CHECK(drop_stages_of(state, n, rows_left));
    return {};
  });
}

}  // namespace culm::store
