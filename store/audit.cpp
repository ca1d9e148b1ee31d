#include "culm/store/audit.hpp"

#include <algorithm>
#include <utility>

#include "culm/feed/lipmaa.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store {
namespace {

constexpr std::uint64_t kEntriesPerProgress = 1000;
/// Enough for a verifier with many threads. Rows are borrowed from the transaction, not copied.
constexpr std::size_t kEntriesPerBlock = 512;

Result<detail::EntryRow> read_row(const KvRow& row) {
  CULM_TRY(const ByteView body, detail::unseal(Table::kEntries, row.key, row.value));
  return detail::decode_entry(body);
}

/// Every chunk lies in a stage that some entry knows of.
Result<void> check_chunks_are_of_stages(const KvReadTransaction& kv, std::uint64_t last_stage) {
  std::vector<std::uint64_t> known;
  CULM_TRY(const auto stages, kv.cursor(Table::kStages));
  CULM_TRY(auto row, stages->seek(detail::stage_row_key(0, 0, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.stage == 0 || place.stage > last_stage) return fail(Errc::kStoreDamaged);
    known.push_back(place.stage);
    CULM_TRY(row, stages->next());
  }
  std::ranges::sort(known);
  if (std::ranges::adjacent_find(known) != known.end()) return fail(Errc::kStoreDamaged);
  CULM_TRY(const auto chunks, kv.cursor(Table::kPayloads));
  CULM_TRY(auto chunk, chunks->seek(detail::chunk_row_key(0, 0)));
  while (chunk) {
    CULM_TRY(const auto place, detail::parse_chunk_place(chunk->key));
    if (!std::ranges::binary_search(known, place.stage)) return fail(Errc::kStoreDamaged);
    CULM_TRY(chunk, chunks->seek(detail::chunk_row_key(place.stage + 1, 0)));
  }
  return {};
}

/// Of the range sets of logs that are not forgotten.
Result<std::uint64_t> count_blocks(const KvReadTransaction& kv) {
  std::uint64_t count = 0;
  CULM_TRY(const auto cursor, kv.cursor(Table::kSets));
  CULM_TRY(auto row, cursor->seek(detail::set_row_key(0, 0, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_set_place(row->key));
    CULM_TRY(const auto forgotten, kv.get(Table::kMeta, detail::forgotten_row_key(place.number)));
    if (!forgotten) ++count;
    CULM_TRY(row, cursor->next());
  }
  return count;
}

/// The sum over the rows of the log with this number.
Result<std::uint64_t> sum_rows(const KvReadTransaction& kv, Table table, std::uint64_t number,
                               std::uint64_t (*bytes_of)(const KvRow&)) {
  std::uint64_t bytes = 0;
  const auto prefix = to_big_endian(number);
  CULM_TRY(const auto cursor, kv.cursor(table));
  CULM_TRY(auto row, cursor->seek(prefix));
  while (row && row->key.size() > prefix.size() && from_big_endian(row->key) == number) {
    bytes += bytes_of(*row);
    CULM_TRY(row, cursor->next());
  }
  return bytes;
}

std::uint64_t bytes_of_row(const KvRow& row) { return row.key.size() + row.value.size(); }

/// Of a payload that was whole; `staged_bytes` counts what else a stage has.
std::uint64_t bytes_of_payload(const KvRow& row) {
  const auto stage = detail::open_stage(row);
  return stage && stage->state == detail::StageState::kPayload ? stage->size_bytes : 0;
}

}  // namespace

/// One audit. A friend of the transaction, because it looks at rows and trusts no state.
class StoreAudit {
 public:
  StoreAudit(const ReadTransaction& transaction, const LogState& log, SignatureVerifier& verifier,
             const AuditProgress& progress)
      : transaction_(transaction),
        log_(log),
        served_(log.served()),
        verifier_(verifier),
        progress_(progress) {}

  Result<AuditReport> run();
  static Result<void> check_tables(const ReadTransaction& transaction);
  static Result<std::uint64_t> count_forgotten(const ReadTransaction& transaction);

 private:
  /// An entry that a held lipmaalink further up leads to. Links never cross, so such entries are
  /// needed in the reverse of the order in which they came, and few at a time.
  struct Target {
    SeqNum seqnum = 0;
    SeqNum last_linked = 0;
    Hash hash;
  };

  /// A row of the entries, and what is to be known of it alone.
  struct Row {
    SeqNum seqnum = 0;
    Result<detail::EntryRow> content;
    Result<void> signature;
  };

  void fault(Error error);
  void fault(Errc code, SeqNum seqnum) { fault(error_for(code, seqnum)); }
  void check(const Result<void>& result, SeqNum seqnum);
  void check_state();
  Result<void> check_evidence();
  Result<void> walk_entries();
  void missing(SeqNum first, SeqNum end);
  void check_signatures(std::span<Row> rows);
  void look_at(const Row& row);
  [[nodiscard]] bool is_bad_payload_alone(SeqNum seqnum) const;
  Result<void> check_links(const EntryView& entry);
  Result<void> check_held_payload(const detail::EntryRow& row);
  void remember(SeqNum seqnum, const Hash& entry_hash);
  Result<void> walk_stages();
  Result<void> walk_chunks(const detail::StageRow& opened);
  void summarize();

  const KvReadTransaction& kv() const { return *transaction_.kv_; }

  const ReadTransaction& transaction_;
  const LogState& log_;
  const RangeSet served_;
  SignatureVerifier& verifier_;
  const AuditProgress& progress_;
  AuditReport report_;
  std::uint64_t held_payload_bytes_ = 0;
  Target previous_;
  std::vector<Target> targets_;
};

void StoreAudit::fault(Error error) {
  ++report_.faults;
  if (!report_.first_fault) report_.first_fault = error;
  if (!report_.first_damage && error.code == Errc::kStoreDamaged) report_.first_damage = error;
}

void StoreAudit::check(const Result<void>& result, SeqNum seqnum) {
  if (!result) fault(result.error().code, seqnum);
}

Result<AuditReport> StoreAudit::run() {
  check_state();
  CULM_CHECK(check_evidence());
  CULM_CHECK(walk_entries());
  CULM_CHECK(walk_stages());
  summarize();
  return std::move(report_);
}

void StoreAudit::check_state() {
  if (!log_.held.contains(log_.payloads) || !log_.held.contains(log_.verified) ||
      !(log_.payloads & log_.deleted).empty()) {
    fault({Errc::kStoreDamaged});
  }
  if (log_.end_of_log != 0 && !log_.held.contains(log_.end_of_log)) {
    fault(Errc::kStoreDamaged, log_.end_of_log);
  }
  if (served_.contains(log_.end_of_log) && served_.max() != log_.end_of_log) {
    fault(Errc::kLogEnded, served_.smallest_from(log_.end_of_log + 1));
  }
  // Within a range the backlink anchors; so all is anchored if the first of each range is. What it
  // leads to may have been lost since.
  const RangeSet lost = transaction_.read_lost(log_).value_or(Lost{}).entries;
  for (const SeqRange range : served_.ranges()) {
    if (range.first == 1 || served_.contains(lipmaa(range.first))) continue;
    if (lost.contains(lipmaa(range.first)) || lost.contains(range.first - 1)) continue;
    fault(Errc::kUnitUnanchored, range.first);
  }
}

Result<void> StoreAudit::check_evidence() {
  const auto evidence = transaction_.evidence(log_);
  if (!evidence) {
    if (ends(evidence.error().code) == Scope::kStore) return fail(evidence.error());
    fault(evidence.error());
    return {};
  }
  SeqNum lowest = 0;
  for (const Evidence& one : *evidence) {
    const auto defect = derive_defect(log_.log, one, verifier_);
    if (!defect) {
      fault(defect.error());
    } else if (lowest == 0 || defect->at < lowest) {
      lowest = defect->at;
    }
  }
  if (lowest != log_.cap) fault(Errc::kStoreDamaged, log_.cap);
  return {};
}

Result<void> StoreAudit::walk_entries() {
  CULM_TRY(const auto cursor, kv().cursor(Table::kEntries));
  CULM_TRY(auto next, cursor->seek(detail::entry_row_key(log_.number, 0)));
  SeqNum expected = log_.held.smallest_from(1);
  std::uint64_t count = 0;
  std::vector<Row> rows;
  do {
    rows.clear();
    while (next && rows.size() < kEntriesPerBlock) {
      CULM_TRY(const auto place, detail::parse_row_place(next->key));
      if (place.number != log_.number) break;
      rows.push_back({place.seqnum, read_row(*next), {}});
      CULM_TRY(next, cursor->next());
    }
    check_signatures(rows);
    for (const Row& row : rows) {
      const SeqNum n = row.seqnum;
      // In a damaged page rows can stand in any order.
      if (!log_.held.contains(n) || expected == 0 || n < expected) {
        fault(Errc::kStoreDamaged, n);
      } else {
        if (n != expected) missing(expected, n);
        look_at(row);
        expected = n == kSeqnumMax ? 0 : log_.held.smallest_from(n + 1);
      }
      if (progress_ && ++count % kEntriesPerProgress == 0) progress_(count);
    }
  } while (!rows.empty());
  if (expected != 0) missing(expected, 0);
  return {};
}

/// The held entries from `first` to before `end` (0: to the last) have no rows.
void StoreAudit::missing(SeqNum first, SeqNum end) {
  fault(Errc::kStoreDamaged, first);
  report_.faults += (log_.held & RangeSet{{first, end - 1}}).count() - 1;
}

void StoreAudit::check_signatures(std::span<Row> rows) {
  std::vector<SignatureCheck> checks;
  std::vector<Row*> checked;
  for (Row& row : rows) {
    if (!row.content || !served_.contains(row.seqnum)) continue;
    checks.push_back(signature_check(row.content->entry));
    checked.push_back(&row);
  }
  std::vector<Result<void>> outcomes(checks.size());
  verifier_.verify_all(checks, outcomes);
  for (std::size_t i = 0; i < checks.size(); ++i) checked[i]->signature = outcomes[i];
}

void StoreAudit::look_at(const Row& row) {
  const SeqNum seqnum = row.seqnum;
  while (!targets_.empty() && targets_.back().last_linked < seqnum) targets_.pop_back();
  if (!row.content) {
    if (is_bad_payload_alone(seqnum)) ++report_.payloads_bad;
    return fault(row.content.error().code, seqnum);
  }
  const EntryView& entry = row.content->entry;
  const bool is_marked_end = log_.end_of_log == seqnum;
  if (entry.seqnum() != seqnum || entry.log() != log_.log ||
      entry.is_end_of_log() != is_marked_end) {
    return fault(Errc::kStoreDamaged, seqnum);
  }
  const bool is_held = log_.payloads.contains(seqnum);
  if (!is_held && !row.content->payload.empty()) fault(Errc::kStoreDamaged, seqnum);
  if (is_held) held_payload_bytes_ += entry.payload_size();
  if (!served_.contains(seqnum)) {
    ++report_.entries_capped;
    const auto stage = transaction_.find_payload_stage(log_, seqnum);
    const bool is_lost = is_held && !detail::is_inline(entry) && stage && !*stage;
    if (is_lost) fault(Errc::kStoreDamaged, seqnum);
    return;
  }

  const Hash entry_hash = entry.hash();
  const std::uint64_t faults_before = report_.faults;
  const auto links = check_links(entry);
  check(links ? row.signature : links, seqnum);
  const bool is_good = report_.faults == faults_before;
  if (is_held) check(check_held_payload(*row.content), seqnum);
  if (is_good && report_.faults != faults_before) ++report_.payloads_bad;
  if (report_.faults == faults_before) {
    ++report_.entries;
    report_.entry_bytes += entry.bytes().size();
    if (is_held) {
      ++report_.payloads;
      report_.payload_bytes += entry.payload_size();
    }
  }
  remember(seqnum, entry_hash);
}

/// Of a damaged row.
bool StoreAudit::is_bad_payload_alone(SeqNum seqnum) const {
  if (!served_.contains(seqnum) || !log_.payloads.contains(seqnum)) return false;
  const auto remains = transaction_.find_remains(log_, seqnum);
  return remains && *remains && detail::is_inline((*remains)->entry.view()) && !(*remains)->payload;
}

Result<void> StoreAudit::check_links(const EntryView& entry) {
  const SeqNum n = entry.seqnum();
  if (n > 1) {
    if (previous_.seqnum == n - 1 && entry.backlink() != previous_.hash) {
      return fail(Errc::kLinkMismatch);
    }
    const SeqNum far = lipmaa(n);
    const auto target = std::ranges::find(targets_.rbegin(), targets_.rend(), far, &Target::seqnum);
    if (has_lipmaalink(n) && target != targets_.rend() && entry.lipmaalink() != target->hash) {
      return fail(Errc::kLinkMismatch);
    }
  }
  return {};
}

Result<void> StoreAudit::check_held_payload(const detail::EntryRow& row) {
  const EntryView& entry = row.entry;
  if (detail::is_inline(entry)) {
    if (row.payload.size() != entry.payload_size()) return fail(Errc::kStoreDamaged);
    return check_payload(entry, row.payload);
  }
  CULM_TRY(const auto stage, transaction_.find_payload_stage(log_, entry.seqnum()));
  if (!stage) return fail(Errc::kStoreDamaged);
  Hasher hasher;
  for (std::uint64_t offset = 0; offset < entry.payload_size();
       offset += limits::kPayloadChunkBytes) {
    CULM_TRY(const ByteView chunk, transaction_.get_chunk(stage->stage, entry, offset));
    hasher.update(chunk);
  }
  if (hasher.finish() != entry.payload_hash()) return fail(Errc::kPayloadHash);
  return {};
}

void StoreAudit::remember(SeqNum seqnum, const Hash& entry_hash) {
  previous_ = {seqnum, 0, entry_hash};
  SeqNum last = 0;
  for (const SeqNum above : InLinks(seqnum)) {
    if (above != seqnum + 1 && served_.contains(above)) last = above;
  }
  if (last != 0) targets_.push_back({seqnum, last, entry_hash});
}

/// Stages are of held entries, and one alone is the payload where that is held and large.
Result<void> StoreAudit::walk_stages() {
  CULM_TRY(const auto cursor, kv().cursor(Table::kStages));
  CULM_TRY(auto row, cursor->seek(detail::entry_row_key(log_.number, 0)));
  SeqNum payload_of = 0;
  while (row) {
    CULM_TRY(const auto place, detail::parse_row_place(row->key));
    if (place.number != log_.number) break;
    const auto opened = detail::open_stage(*row);
    if (!opened) {
      fault(opened.error().code, place.seqnum);
    } else {
      const bool is_payload = opened->state == detail::StageState::kPayload;
      const bool is_second = is_payload && payload_of == place.seqnum;
      if (is_second || (is_payload && !log_.payloads.contains(place.seqnum))) {
        fault(Errc::kStoreDamaged, place.seqnum);
      }
      if (is_payload) payload_of = place.seqnum;
      CULM_CHECK(walk_chunks(*opened));
    }
    CULM_TRY(row, cursor->next());
  }
  return {};
}

/// Chunks are as many as the payload has, or fewer while it arrives or goes.
Result<void> StoreAudit::walk_chunks(const detail::StageRow& opened) {
  const Stage& stage = opened.stage;
  const auto stored = transaction_.find_entry(log_, stage.seqnum);
  if (!stored) return {};  // counted already
  if (!*stored) fault(Errc::kStoreDamaged, stage.seqnum);
  const std::uint64_t size = *stored ? (*stored)->entry.payload_size() : 0;
  CULM_TRY(const auto cursor, kv().cursor(Table::kPayloads));
  CULM_TRY(auto row, cursor->seek(detail::chunk_row_key(stage.id, 0)));
  while (row) {
    CULM_TRY(const auto place, detail::parse_chunk_place(row->key));
    if (place.stage != stage.id) break;
    const bool is_due = place.index * std::uint64_t{limits::kPayloadChunkBytes} < size;
    if (!is_due) {
      fault(Errc::kStoreDamaged, stage.seqnum);
    } else if (opened.state != detail::StageState::kPayload) {
      const auto body = detail::unseal(Table::kPayloads, row->key, row->value);
      if (!body) fault(body.error().code, stage.seqnum);
    }
    CULM_TRY(row, cursor->next());
  }
  return {};
}

void StoreAudit::summarize() {
  report_.loose = loose(served_, log_.head());
  if (report_.faults == 0 && held_payload_bytes_ != log_.payload_bytes) {
    fault({Errc::kStoreDamaged});
  }
}

Result<void> StoreAudit::check_tables(const ReadTransaction& transaction) {
  const KvReadTransaction& kv = *transaction.kv_;
  const auto damaged_unless = [](bool is_good) -> Result<void> {
    if (!is_good) return fail(Errc::kStoreDamaged);
    return {};
  };
  CULM_TRY(const auto value, kv.get(Table::kMeta, detail::meta_row_key()));
  CULM_CHECK(damaged_unless(value.has_value()));
  CULM_TRY(const ByteView meta_body, detail::unseal(Table::kMeta, detail::meta_row_key(), *value));
  CULM_TRY(const auto meta, detail::decode_meta(meta_body));
  CULM_CHECK(transaction.known_peers());

  std::uint64_t log_count = 0;
  std::uint64_t block_count = 0;
  {
    CULM_TRY(const auto cursor, kv.cursor(Table::kLogs));
    CULM_TRY(auto row, cursor->seek(detail::log_row_key({})));
    for (; row; ++log_count) {
      CULM_TRY(const LogKey log, detail::parse_log_row_key(row->key));
      CULM_TRY(auto opened, detail::open_log(log, row->value));
      for (const auto& set : opened.blocks) block_count += set.count;
      CULM_TRY(const LogState state, detail::read_sets(kv, std::move(opened)));
      CULM_CHECK(damaged_unless(state.number >= 1 && state.number <= meta.log_count));
      CULM_CHECK(damaged_unless(state.change >= 1 && state.change <= meta.last_change));
      const auto key = detail::change_row_key(state.change);
      CULM_TRY(const auto change, kv.get(Table::kChanges, key));
      CULM_CHECK(damaged_unless(change.has_value()));
      CULM_TRY(const ByteView change_body, detail::unseal(Table::kChanges, key, *change));
      CULM_TRY(const LogKey changed, detail::decode_change(change_body));
      CULM_CHECK(damaged_unless(changed == log));
      CULM_TRY(row, cursor->next());
    }
  }
  CULM_CHECK(damaged_unless(log_count == meta.log_count - meta.forgotten));

  std::uint64_t change_count = 0;
  CULM_TRY(const auto changes, kv.cursor(Table::kChanges));
  CULM_TRY(auto change, changes->seek(detail::change_row_key(0)));
  for (; change; ++change_count) {
    CULM_TRY(change, changes->next());
  }
  CULM_CHECK(damaged_unless(change_count == log_count));

  CULM_CHECK(check_chunks_are_of_stages(kv, meta.last_stage));
  CULM_TRY(const std::uint64_t blocks_found, count_blocks(kv));
  CULM_CHECK(damaged_unless(blocks_found == block_count));
  for (const Table table : {Table::kEntries, Table::kStages, Table::kEvidence, Table::kSets}) {
    CULM_TRY(const auto cursor, kv.cursor(table));
    CULM_TRY(const auto first_unknown, cursor->seek(to_big_endian(meta.log_count + 1)));
    CULM_CHECK(damaged_unless(!first_unknown));
  }
  return {};
}

Result<std::uint64_t> StoreAudit::count_forgotten(const ReadTransaction& transaction) {
  const KvReadTransaction& kv = *transaction.kv_;
  std::uint64_t bytes = 0;
  CULM_TRY(const auto cursor, kv.cursor(Table::kMeta));
  CULM_TRY(auto row, cursor->seek(detail::forgotten_row_key(0)));
  while (row) {
    const std::uint64_t number = detail::parse_forgotten_row_key(row->key);
    if (number == 0) break;
    for (const Table table : {Table::kEntries, Table::kEvidence, Table::kSets}) {
      CULM_TRY(const std::uint64_t more, sum_rows(kv, table, number, bytes_of_row));
      bytes += more;
    }
    CULM_TRY(const std::uint64_t staged, sum_rows(kv, Table::kStages, number, bytes_of_payload));
    bytes += staged;
    CULM_TRY(row, cursor->next());
  }
  return bytes;
}

Result<AuditReport> audit_log(const ReadTransaction& transaction, const LogState& log,
                              SignatureVerifier& verifier, const AuditProgress& progress) {
  return StoreAudit(transaction, log, verifier, progress).run();
}

Result<void> audit_tables(const ReadTransaction& transaction) {
  return StoreAudit::check_tables(transaction);
}

Result<std::uint64_t> forgotten_bytes(const ReadTransaction& transaction) {
  return StoreAudit::count_forgotten(transaction);
}

}  // namespace culm::store
