#include "culm/replication/host/jsonl_import.hpp"

#include <utility>

namespace culm::host {
namespace {

/// Bound what a commit takes: memory, and the time that others wait.
constexpr std::uint64_t kCommitPayloadBytes = limits::kCommitBytesTarget;
constexpr std::size_t kCommitEntries = 4 * limits::kUnitEntriesMax;

tl::unexpected<JsonlFault> refuse(const Error& error, const LogKey& log) {
  JsonlFault fault(error);
  fault.log = log;
  return tl::unexpected(std::move(fault));
}

/// Takes rows into units, and commits many of these at a time, of whichever logs.
class Import {
 public:
  Import(const JsonlFile& file, WritableStore& store, const JsonlFile::Told& told)
      : file_(file), store_(store), told_(told) {}

  JsonlResult<void> add(const JsonlLog& log);
  JsonlResult<void> commit();

  [[nodiscard]] JsonlImport& totals() noexcept { return totals_; }

 private:
  JsonlResult<void> add_payload(const JsonlRow& row);
  Result<void> end_unit(const LogKey& log, const RangeSet& wanted, store::LogInterest& interest);
  Result<store::LogState> read_state(const LogKey& log) const;
  [[nodiscard]] bool is_forked(const LogKey& log) const {
    return totals_.fork && totals_.fork->log == log;
  }

  const JsonlFile& file_;
  WritableStore& store_;
  const JsonlFile::Told& told_;
  JsonlImport totals_;
  std::vector<const JsonlRow*> rows_;  ///< of the next unit
  std::vector<Bytes> payloads_;        ///< of these
  std::vector<KeptUnit> units_;        ///< of the next commit
  std::size_t entries_ = 0;            ///< of these and of the next unit
  std::uint64_t payload_bytes_ = 0;
};

JsonlResult<void> Import::add(const JsonlLog& log) {
  const auto state = read_state(log.key);
  if (!state) return refuse(state.error(), log.key);
  const JsonlLog valid = log.below(state->cap);
  totals_.capped += log.rows.size() - valid.rows.size();
  // Entries with payload are kept for their own sake, others as their proof.
  RangeSet wanted;
  for (const JsonlRow* row : valid.rows) {
    if (row->has_payload) wanted.insert(row->seqnum());
  }
  if (wanted.empty()) wanted = valid.seqnums();
  store::LogInterest interest = state->interest;
  for (const JsonlRow* row : valid.rows) {
    if (is_forked(log.key)) return {};
    if (row->has_payload && state->deleted.contains(row->seqnum())) ++totals_.payloads_deleted;
    if (auto added = add_payload(*row); !added) return added;
    const bool is_large = payload_bytes_ >= kCommitPayloadBytes;
    if (!is_large && rows_.size() < limits::kUnitEntriesMax && row != valid.rows.back()) continue;
    if (const auto ended = end_unit(log.key, wanted, interest); !ended) {
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
  auto payload = file_.read_payload(row);
  if (!payload) return tl::unexpected(JsonlFault(payload.error()));
  payloads_.back() = *std::move(payload);
  payload_bytes_ += payloads_.back().size();
  return {};
}

Result<void> Import::end_unit(const LogKey& log, const RangeSet& wanted,
                              store::LogInterest& interest) {
  std::vector<UnitEntry> unit;
  unit.reserve(rows_.size());
  RangeSet seqnums;
  Verdicts good;  // all that the accepting rule asks for
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::optional<ByteView> payload;
    if (rows_[i]->has_payload) payload = ByteView(payloads_[i]);
    unit.push_back({rows_[i]->entry.view(), rows_[i]->hash, payload});
    seqnums.insert(rows_[i]->seqnum());
    if (rows_[i]->is_verified) good.add(rows_[i]->hash, {});
  }
  CULM_TRY(CheckedUnit checked, check_unit(log, unit, std::move(good)));
  interest.entries.ranges |= wanted & seqnums;
  units_.push_back({std::move(checked), interest});
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
    totals_.added += report.added.count();
    totals_.known += unit.entries().size() - report.added.count();
    totals_.payloads_added += report.payloads_added.count();
    if (report.defect) totals_.fork = {unit.log(), report.defect->at};
  }
  if (!done.outcome) return refuse(done.outcome.error(), units[done.reports.size()].unit.log());
  if (told_) told_(totals_.added + totals_.known);
  return {};
}

Result<store::LogState> Import::read_state(const LogKey& log) const {
  CULM_TRY(const auto transaction, store_.store->read());
  CULM_TRY(const auto state, transaction.find_log(log));
  return state ? *state : store::LogState{};
}

}  // namespace

JsonlResult<JsonlImport> import_jsonl(const JsonlFile& file, WritableStore& store,
                                      const JsonlFile::Told& told) {
  Import import(file, store, told);
  for (const JsonlLog& log : file.logs()) {
    if (auto added = import.add(log); !added) return tl::unexpected(std::move(added).error());
  }
  if (auto done = import.commit(); !done) return tl::unexpected(std::move(done).error());
  return import.totals();
}

}  // namespace culm::host
