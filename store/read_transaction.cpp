#include <algorithm>

#include "culm/store/detail/log_cache.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/row_damage.hpp"
#include "culm/store/store.hpp"

namespace culm::store {
namespace {

constexpr std::size_t kHexDigitsMax = 2 * sizeof(Author::bytes);

Error with_seqnum(const Error& error, SeqNum seqnum) { return error_for(error.code, seqnum); }

bool is_prefix(ByteView prefix, ByteView key) {
  return key.size() >= prefix.size() && equal(key.first(prefix.size()), prefix);
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

/// A sound page of another table, in the place of one of `logs`, reads as if a log were not there,
/// and so does no page at all.
Result<void> ReadTransaction::check_absent(ByteView key) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kLogs));
  const auto before = cursor->seek_before(key);
  const auto after = cursor->seek(key);
  bool is_any = false;
  for (const auto* const beside : {&before, &after}) {
    // What else is damaged there takes no log that is not there.
    if (*beside && !**beside) continue;
    is_any = true;
    if (*beside && (**beside)->key.size() != key.size()) return fail(Errc::kStoreDamaged);
  }
  // A transaction that writes counts what it has begun and forgotten in the end.
  const bool is_counted = touched_ == nullptr || touched_->empty();
  return is_any || !is_counted ? Result<void>() : check_no_logs();
}

Result<void> ReadTransaction::check_no_logs() const {
  const ByteView key = detail::meta_row_key();
  CULM_TRY(const auto value, kv_->get(Table::kMeta, key));
  if (!value) return {};
  CULM_TRY(const ByteView body, detail::unseal(Table::kMeta, key, *value));
  CULM_TRY(const auto meta, detail::decode_meta(body));
  if (meta.log_count != meta.forgotten) return fail(Errc::kStoreDamaged);
  return {};
}

/// What the rows hold, all of it or from a seqnum on.
Result<std::optional<detail::UpperState>> ReadTransaction::read_log(const LogKey& log,
                                                                    SeqNum from) const {
  const auto key = detail::log_row_key(log);
  CULM_TRY(const auto value, kv_->get(Table::kLogs, key));
  if (!value) {
    CULM_CHECK(check_absent(key));
    return std::nullopt;
  }
  CULM_TRY(auto state, cache_->decode(*kv_, log, *value, from));
  return state;
}

Result<SharedLogState> ReadTransaction::find_log(const LogKey& log) const {
  const auto* const touched = touched_ == nullptr ? nullptr : detail::find(*touched_, log);
  if (touched != nullptr && touched->from == 0) {
    if (touched->state.number == 0) return nullptr;
    return std::make_shared<const LogState>(touched->state);
  }
  CULM_TRY(const auto stored, read_log(log, 0));
  if (!stored) return nullptr;
  if (touched != nullptr) {
    return std::make_shared<const LogState>(detail::whole_of(*touched, *stored->whole()));
  }
  // Who writes sees all of it.
  return touched_ == nullptr ? cache_->shown(stored->whole()) : stored->whole();
}

Result<std::optional<LogOutline>> ReadTransaction::find_outline(const LogKey& log) const {
  const auto outline_of = [](const LogState& state) {
    return LogOutline{state.log, state.number, state.held, state.cap,
                      !state.interest.entries.empty()};
  };
  const auto* const touched = touched_ == nullptr ? nullptr : detail::find(*touched_, log);
  if (touched != nullptr) {
    if (touched->state.number == 0) return std::nullopt;
    return outline_of(touched->state);
  }
  CULM_TRY(const auto stored, read_log(log, kSeqnumMax));
  if (!stored) return std::nullopt;
  return outline_of(*stored->state);
}

Result<SharedLogState> ReadTransaction::get_log(const LogKey& log) const {
  auto found = find_log(log);
  if (found && *found == nullptr) return fail(Errc::kLogUnknown);
  return found;
}

Result<std::vector<LogKey>> ReadTransaction::list_logs(std::string_view prefix,
                                                       std::size_t max) const {
  std::vector<LogKey> out;
  if (!std::ranges::all_of(prefix, is_hex_digit)) return fail(Errc::kHexFormat);
  if (prefix.size() > kHexDigitsMax) return out;
  std::string digits(prefix);
  digits.resize(kHexDigitsMax, '0');
  const Bytes first = *from_hex(digits);
  const std::string wanted = to_hex(first).substr(0, prefix.size());

  CULM_TRY(const auto cursor, kv_->cursor(Table::kLogs));
  if (max == 0) return out;
  CULM_TRY(auto row, cursor->seek(first));
  if (!row && prefix.empty()) CULM_CHECK(check_no_logs());
  while (row && out.size() < max) {
    CULM_TRY(const LogKey log, detail::parse_log_row_key(row->key));
    if (!to_hex(log.author.bytes).starts_with(wanted)) break;
    out.push_back(log);
    CULM_TRY(row, cursor->next());
  }
  return out;
}

static Result<detail::EntryRow> open_row(const LogKey& log, SeqNum seqnum, ByteView key,
                                         ByteView value) {
  const auto body = detail::unseal(Table::kEntries, key, value);
  if (!body) return fail(with_seqnum(body.error(), seqnum));
  const auto row = detail::decode_entry(*body);
  if (!row) return fail(with_seqnum(row.error(), seqnum));
  if (row->entry.seqnum() != seqnum || row->entry.log() != log) {
    return fail(error_for(Errc::kStoreDamaged, seqnum));
  }
  return *row;
}

Result<StoredEntry> ReadTransaction::open_entry(const LogState& log, SeqNum seqnum, ByteView key,
                                                ByteView value) const {
  CULM_TRY(const auto row, open_row(log.log, seqnum, key, value));
  const EntryView& entry = row.entry;
  StoredEntry stored{entry, std::nullopt};
  if (detail::is_inline(entry) && log.payloads.contains(seqnum)) {
    // An older version of the row, put back, has none.
    if (row.payload.size() != entry.payload_size()) {
      return fail(error_for(Errc::kStoreDamaged, seqnum));
    }
    stored.inline_payload = row.payload;
  }
  return stored;
}

Result<std::optional<StoredEntry>> ReadTransaction::find_entry(const LogState& log,
                                                               SeqNum seqnum) const {
  if (!log.held.contains(seqnum)) return std::nullopt;
  const auto key = detail::entry_row_key(log.number, seqnum);
  CULM_TRY(const auto value, kv_->get(Table::kEntries, key));
  if (!value) return fail(error_for(Errc::kStoreDamaged, seqnum));
  CULM_TRY(const StoredEntry stored, open_entry(log, seqnum, key, *value));
  return stored;
}

Result<std::optional<EntryView>> ReadTransaction::find_entry(const LogOutline& log,
                                                             SeqNum seqnum) const {
  if (!log.held.contains(seqnum)) return std::nullopt;
  const auto key = detail::entry_row_key(log.number, seqnum);
  CULM_TRY(const auto value, kv_->get(Table::kEntries, key));
  if (!value) return fail(error_for(Errc::kStoreDamaged, seqnum));
  CULM_TRY(const auto row, open_row(log.log, seqnum, key, *value));
  return row.entry;
}

Result<StoredEntry> ReadTransaction::get_entry(const LogState& log, SeqNum seqnum) const {
  CULM_TRY(const auto found, find_entry(log, seqnum));
  if (!found) return fail(error_for(Errc::kEntryNotHeld, seqnum));
  return *found;
}

Result<void> ReadTransaction::visit_entries(const LogState& log, const RangeSet& seqnums,
                                            const Visit& visit) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kEntries));
  const RangeSet visited = log.held & seqnums;
  for (const SeqRange range : visited.ranges()) {
    for (SeqNum n = range.first;; ++n) {
      const auto key = detail::entry_row_key(log.number, n);
      const auto is_at = [&key](const auto& row) { return *row && equal((*row)->key, key); };
      auto row = n == range.first ? cursor->seek(key) : cursor->next();
      // In a page that says something wrong of itself a row may be found by its key alone.
      const bool is_astray = row ? !is_at(row) : is_of_pages(row.error());
      if (is_astray && n != range.first) row = cursor->seek(key);
      if (!row) return fail(row.error());
      if (!is_at(row)) return fail(error_for(Errc::kStoreDamaged, n));
      CULM_TRY(const StoredEntry stored, open_entry(log, n, key, (*row)->value));
      CULM_TRY(const bool goes_on, visit(stored));
      if (!goes_on) return {};
      if (n == range.last) break;
    }
  }
  return {};
}

Result<RangeSet> ReadTransaction::visit_sound_entries(const LogState& log, const RangeSet& seqnums,
                                                      const Visit& visit) const {
  RangeSet damaged;
  RangeSet rest = log.held & seqnums;
  for (;;) {
    const auto visited = visit_entries(log, rest, visit);
    if (visited) return damaged;
    const SeqNum n = damaged_entry(visited.error());
    if (n == 0 || !rest.contains(n)) return fail(visited.error());
    damaged.insert(n);
    rest.erase({1, n});
  }
}

Result<std::optional<Stage>> ReadTransaction::find_stage(const LogState& log, SeqNum seqnum) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  const auto prefix = detail::entry_row_key(log.number, seqnum);
  CULM_TRY(const auto row, cursor->seek(prefix));
  if (!row || !is_prefix(prefix, row->key)) return std::nullopt;
  CULM_TRY(const auto place, detail::parse_row_place(row->key));
  return Stage{place.number, place.seqnum, place.stage};
}

Result<std::optional<detail::StageRow>> ReadTransaction::find_payload_stage(const LogState& log,
                                                                            SeqNum seqnum) const {
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  const auto prefix = detail::entry_row_key(log.number, seqnum);
  CULM_TRY(auto row, cursor->seek(prefix));
  while (row && is_prefix(prefix, row->key)) {
    const auto opened = detail::open_stage(*row);  // damage to one hides no other
    if (!opened && opened.error().code != Errc::kStoreDamaged) return fail(opened.error());
    if (opened && opened->state == detail::StageState::kPayload) return *opened;
    CULM_TRY(row, cursor->next());
  }
  return std::nullopt;
}

Result<std::vector<UnfinishedStage>> ReadTransaction::unfinished_stages(std::size_t max) const {
  std::vector<UnfinishedStage> out;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  CULM_TRY(auto row, cursor->seek(detail::stage_row_key(1, 0, 0)));
  Stage payload;  // the last that was met
  const auto is_of_payload = [&](const Stage& stage) {
    return stage.number == payload.number && stage.seqnum == payload.seqnum;
  };
  while (row && out.size() < max) {
    const auto opened = detail::open_stage(*row);
    if (opened && opened->state == detail::StageState::kPayload) {
      payload = opened->stage;
      for (auto one = out.rbegin(); one != out.rend() && is_of_payload(one->stage); ++one) {
        one->takes_parts = false;
      }
    } else if (opened) {
      const bool arrives = opened->state == detail::StageState::kArriving;
      out.push_back({opened->stage, opened->size_bytes, opened->bearer,
                     arrives && !is_of_payload(opened->stage)});
    }
    CULM_TRY(row, cursor->next());
  }
  return out;
}

Result<std::uint64_t> ReadTransaction::staged_bytes() const {
  std::uint64_t bytes = 0;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  CULM_TRY(auto row, cursor->seek(detail::stage_row_key(0, 0, 0)));
  while (row) {
    const auto opened = detail::open_stage(*row);
    if (opened && opened->state != detail::StageState::kPayload) bytes += opened->size_bytes;
    CULM_TRY(row, cursor->next());
  }
  return bytes;
}

Result<std::vector<UnfinishedStage>> ReadTransaction::arriving_stages(const LogState& log,
                                                                      const RangeSet& seqnums,
                                                                      std::size_t max) const {
  std::vector<UnfinishedStage> out;
  const RangeSet lacking = (log.held & seqnums) - log.payloads;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kStages));
  SeqNum next = lacking.smallest_from(1);
  while (next != 0 && out.size() < max) {
    CULM_TRY(auto row, cursor->seek(detail::entry_row_key(log.number, next)));
    SeqNum seqnum = 0;
    for (; row && out.size() < max; seqnum = 0) {
      CULM_TRY(const auto place, detail::parse_row_place(row->key));
      if (place.number != log.number) return out;
      seqnum = place.seqnum;
      if (!lacking.contains(seqnum)) break;
      const auto opened = detail::open_stage(*row);  // damage to one hides no other
      if (opened && opened->state == detail::StageState::kArriving) {
        out.push_back({opened->stage, opened->size_bytes, opened->bearer});
      }
      CULM_TRY(row, cursor->next());
    }
    next = seqnum == 0 ? 0 : lacking.smallest_from(seqnum);
  }
  return out;
}

Result<ByteView> ReadTransaction::read_part(const Stage& stage, std::uint64_t offset) const {
  const std::uint64_t index = offset / limits::kPayloadChunkBytes;
  const auto key = detail::chunk_row_key(stage.id, static_cast<std::uint32_t>(index));
  CULM_TRY(const auto value, kv_->get(Table::kPayloads, key));
  if (!value) return fail(error_for(Errc::kStoreDamaged, stage.seqnum));
  const auto part = detail::unseal(Table::kPayloads, key, *value);
  if (!part) return fail(with_seqnum(part.error(), stage.seqnum));
  return *part;
}

Result<ByteView> ReadTransaction::get_chunk(const Stage& stage, const EntryView& entry,
                                            std::uint64_t offset) const {
  CULM_TRY(const ByteView chunk, read_part(stage, offset));
  const std::uint64_t start = offset - offset % limits::kPayloadChunkBytes;
  const std::uint64_t size =
      std::min<std::uint64_t>(entry.payload_size() - start, limits::kPayloadChunkBytes);
  if (chunk.size() != size) return fail(error_for(Errc::kStoreDamaged, entry.seqnum()));
  return chunk.subspan(static_cast<std::size_t>(offset - start));
}

Result<ByteView> ReadTransaction::read_payload(const LogState& log, SeqNum seqnum,
                                               std::uint64_t offset, std::size_t size_max) const {
  if (!log.payloads.contains(seqnum)) {
    return fail(error_for(
        log.deleted.contains(seqnum) ? Errc::kPayloadDeleted : Errc::kPayloadNotHeld, seqnum));
  }
  CULM_TRY(const StoredEntry stored, get_entry(log, seqnum));
  if (offset >= stored.entry.payload_size()) return ByteView{};
  ByteView part;
  if (stored.inline_payload) {
    part = stored.inline_payload->subspan(static_cast<std::size_t>(offset));
  } else {
    CULM_TRY(const auto stage, find_payload_stage(log, seqnum));
    if (!stage) return fail(error_for(Errc::kStoreDamaged, seqnum));
    CULM_TRY(part, get_chunk(stage->stage, stored.entry, offset));
  }
  return part.first(std::min(part.size(), size_max));
}

Result<std::vector<Evidence>> ReadTransaction::evidence(const LogState& log,
                                                        std::size_t max) const {
  std::vector<Evidence> out;
  if (log.cap == 0) return out;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kEvidence));
  const auto prefix = to_big_endian(log.number);
  CULM_TRY(auto row, cursor->seek(prefix));
  // The cap says where the lowest lies, so that a lost row does not pass unseen.
  if (!row || !equal(row->key, detail::entry_row_key(log.number, log.cap))) {
    return fail(error_for(Errc::kStoreDamaged, log.cap));
  }
  while (row && is_prefix(prefix, row->key) && out.size() < max) {
    CULM_TRY(const ByteView body, detail::unseal(Table::kEvidence, row->key, row->value));
    CULM_TRY(auto evidence, detail::decode_evidence(body));
    out.push_back(std::move(evidence));
    CULM_TRY(row, cursor->next());
  }
  return out;
}

Result<std::vector<KnownPeer>> ReadTransaction::known_peers() const {
  std::vector<KnownPeer> peers;
  const ByteView key = detail::peers_row_key();
  CULM_TRY(const auto value, kv_->get(Table::kMeta, key));
  if (!value) return peers;
  CULM_TRY(const ByteView body, detail::unseal(Table::kMeta, key, *value));
  CULM_TRY(peers, detail::decode_peers(body));
  const ByteView keys_key = detail::peer_keys_row_key();
  CULM_TRY(const auto keys, kv_->get(Table::kMeta, keys_key));
  if (!keys) return peers;
  CULM_TRY(const ByteView keys_body, detail::unseal(Table::kMeta, keys_key, *keys));
  CULM_CHECK(detail::decode_peer_keys(keys_body, peers));
  return peers;
}

Result<std::uint64_t> ReadTransaction::last_change() const {
  const ByteView key = detail::meta_row_key();
  CULM_TRY(const auto value, kv_->get(Table::kMeta, key));
  if (!value) return fail(Errc::kStoreDamaged);
  CULM_TRY(const ByteView body, detail::unseal(Table::kMeta, key, *value));
  CULM_TRY(const auto meta, detail::decode_meta(body));
  return meta.last_change;
}

Result<std::vector<ReadTransaction::Change>> ReadTransaction::changes(std::uint64_t after,
                                                                      std::size_t max) const {
  std::vector<Change> out;
  if (after == UINT64_MAX) return out;
  CULM_TRY(const auto cursor, kv_->cursor(Table::kChanges));
  CULM_TRY(auto row, cursor->seek(detail::change_row_key(after + 1)));
  while (row && out.size() < max) {
    CULM_TRY(const ByteView body, detail::unseal(Table::kChanges, row->key, row->value));
    CULM_TRY(const LogKey log, detail::decode_change(body));
    if (row->key.size() != sizeof(detail::ChangeRowKey)) return fail(Errc::kStoreDamaged);
    out.push_back({from_big_endian(row->key), log});
    CULM_TRY(row, cursor->next());
  }
  return out;
}

}  // namespace culm::store
