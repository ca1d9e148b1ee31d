#include <algorithm>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/signing.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/feed/verify.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/foresee.hpp"
#include "culm/store/store.hpp"

/// What is damaged, and what a write transaction does about it.
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

/// Nothing is taken that leads nowhere: so what entries lead to and is not here was lost. A state
/// that was made again does not tell.
Lost find_lost_path(const LogState& state) {
  Lost path;
  const RangeSet served = state.served();
  const RangeSet cut_off = served - anchored(served);
  for (const SeqRange range : cut_off.ranges()) {
    for (const SeqNum n : path_to_first(range.first)) path.entries.insert(n);
  }
  path.entries -= served;
  return path;
}

/// What of it is wanted.
Lost find_wanted(const LogState& log, Lost lost) {
  if (log.cap != 0) lost.entries.erase({log.cap, kSeqnumMax});
  lost.payloads = lost.payloads & log.served();
  if (lost.empty()) return lost;
  if (log.interest.entries.empty() && log.interest.payloads) return lost;  // nobody chose a part
  // Newest so many are counted from the head that was here before.
  const SeqNum before = std::max(log.head(), lost.entries.empty() ? 0 : lost.entries.max());
  const RangeSet wanted = resolve(log.interest.entries, before);
  // Where less is wanted now, a proof ends with what is here.
  const SeqNum head = std::max(log.head(), wanted.empty() ? 0 : wanted.max());
  lost.entries = lost.entries & closure(wanted, head);
  lost.payloads = lost.payloads & log.interest.payloads_wanted(before);
  return lost;
}

}  // namespace

SeqNum damaged_entry(const Error& error) noexcept {
  // A row that was written wrong, or by another version, is no damage and must not be erased.
  const bool is_damage = error.code == Errc::kStoreDamaged;
  return is_damage && error.detail_kind == ErrorDetail::kSeqnum ? error.detail : 0;
}

Result<std::optional<Remains>> ReadTransaction::find_remains(const LogState& log,
                                                             SeqNum seqnum) const {
  CULM_TRY(const auto value, kv_->get(Table::kEntries, detail::entry_row_key(log.number, seqnum)));
  if (!value) return std::nullopt;
  const auto row = detail::decode_damaged_entry(*value);
  if (!row || row->entry.seqnum() != seqnum || row->entry.log() != log.log) return std::nullopt;
  CULM_TRY(const bool is_proven, is_proven_entry(log, row->entry));
  if (!is_proven) return std::nullopt;
  Remains remains{EntryBuffer(row->entry), std::nullopt};
  if (detail::is_inline(row->entry) && log.payloads.contains(seqnum) &&
      check_payload(row->entry, row->payload)) {
    remains.payload.emplace(row->payload.begin(), row->payload.end());
  }
  return remains;
}

/// By a link of a held entry or, where none leads to it, by its author's signature.
Result<bool> ReadTransaction::is_proven_entry(const LogState& log, const EntryView& entry) const {
  const Hash hash = entry.hash();
  for (const SeqNum above : InLinks(entry.seqnum())) {
    const auto linking = find_entry(log, above);
    if (!linking && damaged_entry(linking.error()) != above) return fail(linking.error());
    if (linking && *linking) return (*linking)->entry.link_to(entry.seqnum()) == hash;
  }
  static Ed25519Verifier verifier;
  return verifier.verify(log.log.author, entry.signed_bytes(), entry.signature()).has_value();
}

Result<Damage> ReadTransaction::find_damage(const LogState& log, const RangeSet& seqnums) const {
  Damage damage;
  const auto look = [&](const StoredEntry& stored) -> Result<bool> {
    CULM_TRY(const bool is_sound, has_sound_payload(log, stored.entry));
    if (!is_sound) damage.payloads.insert(stored.entry.seqnum());
    return true;
  };
  CULM_TRY(damage.rows, visit_sound_entries(log, seqnums, look));
  const auto part = [&](SeqNum n) -> Result<void> {
    CULM_TRY(const auto remains, find_remains(log, n));
    if (!remains) {
      damage.entries.insert(n);
      return {};
    }
    const EntryView entry = remains->entry.view();
    CULM_TRY(const bool is_sound, has_sound_payload(log, entry));
    const bool is_lost = detail::is_inline(entry) ? !remains->payload : !is_sound;
    if (is_lost && log.payloads.contains(n)) damage.payloads.insert(n);
    return {};
  };
  CULM_CHECK(for_each(damage.rows, part));
  damage.rows -= damage.entries;
  return damage;
}

Result<RangeSet> WriteTransaction::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  for (const ByteView key : {detail::peer_keys_row_key(), detail::peers_row_key()}) {
    const auto peers = known_peers();
    if (peers || peers.error().code != Errc::kStoreDamaged) break;
    CULM_CHECK(noted(kv_write_.erase(Table::kMeta, key)));
  }
  const auto known = touch_known(log);
  if (!known && known.error().code == Errc::kStoreDamaged) CULM_CHECK(restore_log(log));
  CULM_TRY(detail::TouchedLog* const touched, touch_known(log));
  LogState& state = touched->state;
  CULM_TRY(const Damage damage, find_damage(state, seqnums));
  if (damage.empty()) {
    CULM_CHECK(noted(remember_lost(state, find_lost_path(state))));
    return RangeSet();
  }
  // Too many ranges are an error of this log: mostly met before anything of it is written.
  for (const RangeSet& left :
       {state.held - damage.entries, state.payloads - damage.entries - damage.payloads}) {
    if (left.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  }
  CULM_CHECK(noted(drop(*touched, damage)));
  CULM_CHECK(noted(remember_lost(state, find_lost_path(state))));
  return damage.entries | damage.payloads | damage.rows;
}

/// Without what came again or was deleted since.
Result<Lost> ReadTransaction::read_lost(const LogState& log) const {
  CULM_TRY(const auto value, kv_->get(Table::kMeta, detail::lost_row_key(log.number)));
  Lost lost = detail::open_lost(log.number, value);
  // Where a payload was here with its entry, the row names it as well.
  const RangeSet bare = (lost.entries & log.held) - lost.payloads;
  lost.untold |= bare;
  lost.payloads = (lost.payloads | bare) - log.payloads - log.deleted;
  lost.entries -= log.held;
  lost.untold -= log.payloads;
  return lost;
}

LogState without(LogState log, const Damage& damage) {
  log.held -= damage.entries;
  log.payloads -= damage.entries | damage.payloads;
  log.verified -= damage.entries;
  if (damage.entries.contains(log.end_of_log)) log.end_of_log = 0;
  return log;
}

Result<Lost> foresee_lost(const ReadTransaction& transaction, const LogState& log,
                          const Damage& damage, const Lost& untold) {
  LogState left = without(log, damage);
  const LogInterest interest = std::exchange(left.interest, LogInterest{});  // all, by default
  CULM_TRY(Lost lost, transaction.find_lost(left));
  left.interest = interest;
  const RangeSet path = find_lost_path(left).entries;
  const Lost sure = lost.sure();
  lost.entries |= damage.entries | path | untold.entries;
  lost.payloads |= damage.payloads | untold.payloads;
  lost.untold |= untold.untold;
  lost.untold -= damage.entries | damage.payloads | path | sure.entries | sure.payloads;
  return find_wanted(left, std::move(lost));
}

Result<Lost> ReadTransaction::find_lost(const LogState& log) const {
  CULM_TRY(Lost lost, read_lost(log));
  return find_wanted(log, std::move(lost));
}

Result<void> WriteTransaction::remember_lost(const LogState& state, const Lost& lost) {
  CULM_TRY(const Lost before, read_lost(state));
  Lost all = before;
  all.entries |= lost.entries - state.held;
  all.payloads |= lost.payloads - state.payloads - state.deleted;
  const RangeSet sure = ((before.entries | before.payloads) - before.untold) |
                        ((lost.entries | lost.payloads) - lost.untold);
  all.untold = (before.untold | lost.untold) - sure;
  const auto key = detail::lost_row_key(state.number);
  if (all == Lost{}) return kv_write_.erase(Table::kMeta, key);
  if (all == before) return {};
  detail::encode_lost(row_, all);
  return put_row(Table::kMeta, key);
}

Result<void> WriteTransaction::drop(detail::TouchedLog& touched, const Damage& damage) {
  LogState& state = touched.state;
  mark_changed(touched);
  const auto restore = [&](SeqNum n) -> Result<void> {
    CULM_TRY(const bool is_there, restore_row(state, n, WithPayload::kIfWhole));
    CULM_ASSERT(is_there);
    return {};
  };
  CULM_CHECK(for_each(damage.rows, restore));
  const auto forget = [&](SeqNum n) -> Result<void> {
    if (!damage.rows.contains(n)) CULM_CHECK(forget_payload(state, n));
    CULM_CHECK(release_stage(state, n));
    std::size_t rows_left = kRowsPerDrop;
    CULM_CHECK(drop_stages_of(state, n, rows_left));
    return {};
  };
  CULM_CHECK(for_each(damage.payloads, forget));
  state.payloads -= damage.payloads;
  if (!damage.entries.empty()) CULM_CHECK(forget_entries(touched, damage.entries));
  if (damage.payloads.empty()) return {};
  dropped_[state.log] |= damage.payloads;
  return remember_lost(state, {{}, damage.payloads});
}

/// Writes a damaged row again with what proves itself in it, where anything does. A payload that
/// goes with it is counted no more.
Result<bool> WriteTransaction::restore_row(LogState& state, SeqNum seqnum, WithPayload payload) {
  CULM_TRY(const auto remains, find_remains(state, seqnum));
  if (!remains) return false;
  const EntryView entry = remains->entry.view();
  CULM_TRY(const bool is_sound, has_sound_payload(state, entry));
  const bool is_whole = detail::is_inline(entry) ? remains->payload.has_value() : is_sound;
  const bool is_kept = is_whole && payload == WithPayload::kIfWhole;
  if (!is_kept && state.payloads.contains(seqnum)) {
    state.payload_bytes -= std::min(state.payload_bytes, entry.payload_size());
  }
  const bool is_in_row = is_kept && remains->payload;
  CULM_CHECK(put_entry(state, entry, is_in_row ? ByteView(*remains->payload) : ByteView()));
  return true;
}

void WriteTransaction::change_id() {
  is_meta_changed_ = true;
  Hasher hasher;
  hasher.update(meta_.id);
  hasher.update(to_big_endian(meta_.last_change));
  const Hash next = hasher.finish();
  std::copy_n(next.bytes.begin(), meta_.id.size(), meta_.id.begin());
}

/// Of a large payload that is held; others have no rows of their own.
Result<bool> ReadTransaction::has_sound_payload(const LogState& log, const EntryView& entry) const {
  const SeqNum seqnum = entry.seqnum();
  if (detail::is_inline(entry) || !log.payloads.contains(seqnum)) return true;
  const auto stage = find_payload_stage(log, seqnum);
  if (!stage) return fail(stage.error());
  if (!*stage) return false;
  for (std::uint64_t offset = 0; offset < entry.payload_size();
       offset += limits::kPayloadChunkBytes) {
    const auto part = get_chunk((*stage)->stage, entry, offset);
    if (!part && damaged_entry(part.error()) == seqnum) return false;
    if (!part) return fail(part.error());
  }
  return true;
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
  const auto count_remains = [&](SeqNum n) -> Result<void> {
    CULM_TRY(const auto remains, find_remains(state, n));
    if (!remains) lost.insert(n);
    if (remains) payload_bytes += remains->entry.view().payload_size();
    return {};
  };
  CULM_CHECK(for_each(more, count_remains));
  const RangeSet payloads_lost = state.payloads & lost;
  mark_changed(touched);
  // To an author a store without its newest entries is another one.
  if (lost.contains(state.held.max())) change_id();
  state = without(std::move(state), {lost, {}, {}});
  state.payload_bytes = payload_bytes;
  for (const RangeSet* set : {&state.held, &state.payloads}) {
    if (set->ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  }
  // It is but a mark.
  if (state.verified.ranges().size() > limits::kRangesPerLogMax) state.verified = {};
  dropped_[state.log] |= lost;
  CULM_CHECK(remember_lost(state, {lost, payloads_lost}));
  return for_each(lost, [&](SeqNum n) -> Result<void> {
    CULM_CHECK(kv_write_.erase(Table::kEntries, detail::entry_row_key(state.number, n)));
    CULM_CHECK(release_stage(state, n));
    std::size_t rows_left = kRowsPerDrop;
    CULM_CHECK(drop_stages_of(state, n, rows_left));
    return {};
  });
}

}  // namespace culm::store
