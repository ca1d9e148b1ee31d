#include "culm/replication/host/jsonl_import.hpp"

#include <utility>

namespace culm::host {
namespace {

/// Bounds the memory that a unit takes.
constexpr std::uint64_t kUnitPayloadBytes = 8 * 1024 * 1024;

tl::unexpected<JsonlFault> refuse(const Error& error, const LogKey& log) {
  JsonlFault fault(error);
  fault.log = log;
  return tl::unexpected(std::move(fault));
}

/// Ingests the rows of one log, unit by unit.
class LogImport {
 public:
  LogImport(const JsonlFile& file, WritableStore& store, JsonlImport& import)
      : file_(file), store_(store), import_(import) {}

  JsonlResult<void> run(const JsonlLog& log, const JsonlFile::Told& told);

 private:
  Result<void> commit(const LogKey& log);
  Result<void> keep(const JsonlLog& log);
  Result<store::LogState> read_state(const LogKey& log) const;

  const JsonlFile& file_;
  WritableStore& store_;
  JsonlImport& import_;
  std::vector<const JsonlRow*> rows_;
  std::vector<Bytes> payloads_;
  std::uint64_t payload_bytes_ = 0;
};

JsonlResult<void> LogImport::run(const JsonlLog& log, const JsonlFile::Told& told) {
  const auto state = read_state(log.key);
  if (!state) return refuse(state.error(), log.key);
  const store::LogState& before = *state;
  const JsonlLog valid = log.below(before.cap);
  import_.capped += log.rows.size() - valid.rows.size();
  for (const JsonlRow* row : valid.rows) {
    if (row->has_payload && before.deleted.contains(row->seqnum())) ++import_.payloads_deleted;
    rows_.push_back(row);
    payloads_.emplace_back();
    if (row->has_payload) {
      auto payload = file_.read_payload(*row);
      if (!payload) return tl::unexpected(JsonlFault(payload.error()));
      payloads_.back() = *std::move(payload);
      payload_bytes_ += payloads_.back().size();
    }
    if (rows_.size() == limits::kUnitEntriesMax || payload_bytes_ >= kUnitPayloadBytes) {
      if (const auto done = commit(log.key); !done) return refuse(done.error(), log.key);
      if (told) told(import_.added + import_.known);
      if (import_.fork && import_.fork->log == log.key) return {};
    }
  }
  if (const auto done = commit(log.key); !done) return refuse(done.error(), log.key);
  if (valid.rows.empty()) return {};
  if (const auto done = keep(valid); !done) return refuse(done.error(), log.key);
  return {};
}

Result<void> LogImport::commit(const LogKey& log) {
  if (rows_.empty()) return {};
  std::vector<UnitEntry> unit;
  Verdicts good;  // checked with their lines
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::optional<ByteView> payload;
    if (rows_[i]->has_payload) payload = ByteView(payloads_[i]);
    unit.push_back({rows_[i]->entry.view(), rows_[i]->hash, payload});
    good.add(rows_[i]->hash, {});
  }
  CULM_TRY(CheckedUnit checked, check_unit(log, unit, std::move(good)));
  CULM_TRY(const auto report, store_.writer->ingest(checked));
  import_.added += report.added.count();
  import_.known += unit.size() - report.added.count();
  import_.payloads_added += report.payloads_added.count();
  if (report.defect) import_.fork = {log, report.defect->at};
  rows_.clear();
  payloads_.clear();
  payload_bytes_ = 0;
  return {};
}

/// What was imported is kept: entries with payload for their own sake, others as their proof.
Result<void> LogImport::keep(const JsonlLog& log) {
  RangeSet wanted;
  for (const JsonlRow* row : log.rows) {
    if (row->has_payload) wanted.insert(row->seqnum());
  }
  if (wanted.empty()) wanted = log.seqnums();
  CULM_TRY(const auto state, read_state(log.key));  // others may have written meanwhile
  store::LogInterest interest = state.interest;
  interest.entries.ranges |= wanted;
  if (interest == state.interest) return {};
  return store_.writer->set_interest(log.key, interest);
}

Result<store::LogState> LogImport::read_state(const LogKey& log) const {
  CULM_TRY(const auto transaction, store_.store->read());
  CULM_TRY(const auto state, transaction.find_log(log));
  return state ? *state : store::LogState{};
}

}  // namespace

JsonlResult<JsonlImport> import_jsonl(const JsonlFile& file, WritableStore& store,
                                      const JsonlFile::Told& told) {
  JsonlImport import;
  for (const JsonlLog& log : file.logs()) {
    auto done = LogImport(file, store, import).run(log, told);
    if (!done) return tl::unexpected(std::move(done).error());
  }
  return import;
}

}  // namespace culm::host
