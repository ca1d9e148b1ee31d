#include "culm/replication/host/jsonl_import.hpp"

#include <set>
#include <utility>

#include "culm/replication/host/detail/jsonl_refusal.hpp"
#include "culm/replication/host/payload_stager.hpp"

namespace culm::host {
namespace {

/// Bound what a commit takes: memory, and the time that others wait.
constexpr std::uint64_t kCommitPayloadBytes = limits::kCommitBytesTarget / 2;
constexpr std::size_t kCommitEntries = 4 * limits::kUnitEntriesMax;

/// Whether the payload goes into the store as it is read.
bool is_staged(const JsonlRow& row) {
  return row.payload_offset != 0 &&
         row.entry.view().payload_size() >= PayloadStager::kStagedBytesMin;
}

/// How many entries of a unit are held and valid.
std::uint64_t count_there(const CheckedUnit& unit, const store::LogState& state) {
  RangeSet seqnums;
  for (const UnitEntry& item : unit.entries()) seqnums.insert(item.entry.seqnum());
  return (seqnums & state.served()).count();
}

JsonlFork make_fork(const LogKey& log, const store::LogState& state) {
  const RangeSet dropped = node::find_dropped(state);
  return {log, state.cap, dropped, dropped & state.payloads};
}

/// Takes rows into units, and commits many of these at a time, of whichever logs.
class Import {
 public:
  Import(const JsonlFile& file, WritableStore& store, const JsonlImportOptions& options)
      : file_(file), store_(store), options_(options) {}

  JsonlResult<void> add(const JsonlLog& log);
  JsonlResult<void> commit();
  /// Payloads that were too large for their units.
  JsonlResult<void> add_large();

  [[nodiscard]] JsonlImport& totals() noexcept { return totals_; }

 private:
  JsonlResult<void> add_payload(const JsonlRow& row);
  Result<void> add_large(const JsonlRow& row);
  Result<void> end_unit(const LogKey& log, const RangeSet& wanted, const store::LogState& state);
  void count_undeleted(std::uint64_t count);
  void tell() const;
  void add_fork(const JsonlFork& fork);
  Result<store::LogState> read_state(const LogKey& log) const;
  [[nodiscard]] bool is_forked(const LogKey& log) const { return forked_.contains(log); }

  const JsonlFile& file_;
  WritableStore& store_;
  const JsonlImportOptions& options_;
  JsonlImport totals_;
  std::set<LogKey> forked_;
  std::vector<const JsonlRow*> rows_;   ///< of the next unit
  std::vector<Bytes> payloads_;         ///< of these
  std::vector<KeptUnit> units_;         ///< of the next commit
  std::vector<const JsonlRow*> large_;  ///< rows whose payloads are not in their units
  std::size_t entries_ = 0;             ///< of these and of the next unit
  std::uint64_t payload_bytes_ = 0;
};

JsonlResult<void> Import::add(const JsonlLog& log) {
  const auto state = read_state(log.key);
  if (!state) return refuse(state.error(), log.key);
  const JsonlLog valid = log.below(state->cap);
  if (valid.rows.size() != log.rows.size()) {
    totals_.forks.push_back(make_fork(log.key, *state));
  }
  // Entries with payload are kept for their own sake, others as their proof.
  RangeSet wanted;
  for (const JsonlRow* row : valid.rows) {
    if (row->has_payload) wanted.insert(row->seqnum());
  }
  const RangeSet seqnums = valid.seqnums();
  if (wanted.empty()) wanted = seqnums;
  // Who has a copy of all of a log wants it all, also what the file lacks of it.
  const bool is_whole = !seqnums.empty() && seqnums.count() == seqnums.max();
  if (is_whole) wanted = everything().ranges;
  for (const JsonlRow* row : valid.rows) {
    if (is_forked(log.key)) return {};
    if (auto added = add_payload(*row); !added) return added;
    const bool is_large = payload_bytes_ >= kCommitPayloadBytes;
    if (!is_large && rows_.size() < limits::kUnitEntriesMax && row != valid.rows.back()) continue;
    if (const auto ended = end_unit(log.key, wanted, *state); !ended) {
      return refuse(ended.error(), log.key);
    }
    if (!is_large && entries_ < kCommitEntries) continue;
    if (auto done = commit(); !done) return done;
  }
  return {};
}

JsonlResult<void> Import::add_payload(const JsonlRow& row) {
  rows_.push_back(&row);
  payloads_.emplace_back();
  ++entries_;
  if (!row.has_payload) return {};
  if (is_staged(row)) {
    large_.push_back(&row);
    return {};
  }
  auto payload = file_.read_payload(row);
  if (!payload) return tl::unexpected(JsonlFault(payload.error()));
  payloads_.back() = *std::move(payload);
  payload_bytes_ += payloads_.back().size();
  return {};
}

Result<void> Import::end_unit(const LogKey& log, const RangeSet& wanted,
                              const store::LogState& state) {
  std::vector<UnitEntry> unit;
  unit.reserve(rows_.size());
  RangeSet seqnums;
  RangeSet undeletes;
  Verdicts good;  // all that the accepting rule asks for
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::optional<ByteView> payload;
    const SeqNum n = rows_[i]->seqnum();
    if (rows_[i]->has_payload && !is_staged(*rows_[i])) payload = ByteView(payloads_[i]);
    unit.push_back({rows_[i]->entry.view(), rows_[i]->hash, payload});
    seqnums.insert(n);
    if (payload && state.deleted.contains(n)) undeletes.insert(n);
    if (rows_[i]->is_verified) good.add(rows_[i]->hash, {});
  }
  CULM_TRY(CheckedUnit checked, check_unit(log, unit, std::move(good)));
  const bool is_all = wanted == everything().ranges;
  units_.push_back({std::move(checked),
                    {{is_all ? wanted : wanted & seqnums, 0}, state.interest.payloads},
                    options_.undelete ? undeletes : RangeSet()});
  totals_.payloads_deleted += undeletes.count();
  rows_.clear();
  payloads_.clear();
  return {};
}

JsonlResult<void> Import::commit() {
  auto units = std::exchange(units_, {});
  entries_ = 0;
  payload_bytes_ = 0;
  const IngestedUnits done = store_.writer->ingest_all(units);
  for (std::size_t i = 0; i < done.reports.size(); ++i) {
    const CheckedUnit& unit = units[i].unit;
    const store::IngestReport& report = done.reports[i];
    if (is_forked(unit.log())) continue;
    std::uint64_t there = unit.entries().size();
    if (report.defect) {
      const auto state = read_state(unit.log());
      if (!state) return refuse(state.error(), unit.log());
      add_fork(make_fork(unit.log(), *state));
      there = count_there(unit, *state);
    }
    totals_.added += report.added.count();
    totals_.known += there - report.added.count();
    totals_.payloads_added += report.payloads_added.count();
    count_undeleted((report.payloads_added & units[i].undeletes).count());
  }
  if (!done.outcome) return refuse(done.outcome.error(), units[done.reports.size()].unit.log());
  tell();
  return {};
}

/// Of those that were found deleted.
void Import::count_undeleted(std::uint64_t count) {
  totals_.payloads_undeleted += count;
  totals_.payloads_deleted -= count;
}

void Import::tell() const {
  if (options_.told) options_.told(totals_.added + totals_.known);
}

/// What lay behind a higher fork lies behind this one.
void Import::add_fork(const JsonlFork& fork) {
  forked_.insert(fork.log);
  std::erase_if(totals_.forks, [&](const JsonlFork& before) { return before.log == fork.log; });
  totals_.forks.push_back(fork);
}

JsonlResult<void> Import::add_large() {
  for (const JsonlRow* const row : large_) {
    const LogKey log = row->entry.view().log();
    if (is_forked(log)) continue;
    const auto done = add_large(*row);
    if (!done && done.error().code == Errc::kFileFormat)
      return tl::unexpected(JsonlFault(done.error()));
    if (!done) return refuse(done.error(), log);
  }
  return {};
}

Result<void> Import::add_large(const JsonlRow& row) {
  const LogKey log = row.entry.view().log();
  CULM_TRY(const auto state, read_state(log));
  const SeqNum n = row.seqnum();
  const bool is_deleted = state.deleted.contains(n);
  if (is_deleted) ++totals_.payloads_deleted;
  if (state.payloads.contains(n) || (is_deleted && !options_.undelete)) return {};
  PayloadStager stager(*store_.writer, *store_.store);
  CULM_CHECK(file_.read_payload(row, [&](ByteView piece) {
    auto put = stager.put(piece);
    tell();
    return put;
  }));
  CULM_TRY(const auto staged, stager.finish());
  CULM_TRY(const bool is_bound, store_.writer->bind_stage(log, n, *staged, options_.undelete));
  if (is_bound) ++totals_.payloads_added;
  if (is_bound && is_deleted) count_undeleted(1);
  return {};
}

Result<store::LogState> Import::read_state(const LogKey& log) const {
  CULM_TRY(const auto transaction, store_.store->read());
  CULM_TRY(const auto state, transaction.find_log(log));
  return state ? *state : store::LogState{};
}

}  // namespace

JsonlResult<JsonlImport> import_jsonl(const JsonlFile& file, WritableStore& store,
                                      const JsonlImportOptions& options) {
  Import import(file, store, options);
  for (const JsonlLog& log : file.logs()) {
    if (auto added = import.add(log); !added) return tl::unexpected(std::move(added).error());
  }
  if (auto done = import.commit(); !done) return tl::unexpected(std::move(done).error());
  if (auto done = import.add_large(); !done) return tl::unexpected(std::move(done).error());
  JsonlImport& totals = import.totals();
  totals.capped = file.entry_count() - totals.added - totals.known;
  return totals;
}

}  // namespace culm::host
