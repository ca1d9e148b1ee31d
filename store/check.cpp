#include "culm/store/check.hpp"

#include <utility>

namespace culm::store {

Result<std::optional<Hash>> HeldTargets::find(SeqNum seqnum) {
  if (log_ == nullptr || !log_->held.contains(seqnum)) return std::nullopt;
  const auto stored = transaction_.get_entry(*log_, seqnum);
  if (stored) return stored->entry.hash();
  if (damaged_entry(stored.error()) == seqnum) return std::nullopt;
  return fail(stored.error());
}

Result<CheckedUnit> check(const Store& store, const LogKey& log, std::span<const UnitEntry> unit,
                          SignatureVerifier& verifier, const AcceptOptions& options) {
  CULM_TRY(CheckedUnit checked, check_unit(log, unit));
  SharedLogState state;
  {
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(state, transaction.find_log(log));
  }
  checked.check_signatures(state ? state->held : RangeSet(), verifier, options);
  return checked;
}

Result<IngestReport> ingest(Store& store, const LogKey& log, std::span<const UnitEntry> unit,
                            SignatureVerifier& verifier, const AcceptOptions& options,
                            const std::optional<StagedPayload>& staged) {
  CULM_TRY(CheckedUnit checked, check(store, log, unit, verifier, options));
  return ingest(store, checked, verifier, options, staged);
}

Result<IngestReport> ingest(Store& store, CheckedUnit& unit, SignatureVerifier& verifier,
                            const AcceptOptions& options,
                            const std::optional<StagedPayload>& staged) {
  // Comes to an end though others may commit in between: an attempt asks only for entries without a
  // verdict, of the unit or held where the two disagree, and each round leaves fewer of them.
  for (;;) {
    IngestAttempt attempt;
    CULM_CHECK(store.update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(attempt, transaction.ingest(unit, options));
      if (!attempt.report || attempt.report->defect || !staged) return {};
      const SeqNum last = unit.entries().back().entry.seqnum();
      CULM_TRY(const bool is_bound, transaction.bind_stage(unit.log(), last, *staged));
      if (is_bound) {
        attempt.report->payloads_added.insert(last);
        attempt.report->payload_bytes_added += staged->size_bytes;
      }
      return {};
    }));
    if (attempt.report) return *std::move(attempt.report);
    unit.check_missing(attempt.missing, verifier);
  }
}

Result<CheckedSignatures> check_held(const Store& store, const LogKey& log,
                                     const RangeSet& passed_over, std::size_t count_max,
                                     SignatureVerifier& verifier) {
  std::vector<EntryBuffer> entries;
  const auto keep = [&](const StoredEntry& stored) -> Result<bool> {
    if (entries.size() == count_max) return false;
    entries.emplace_back(stored.entry);
    return true;
  };
  {
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(const auto state, transaction.get_log(log));
    const RangeSet unchecked = state->served() - state->verified - passed_over;
    CULM_CHECK(transaction.visit_sound_entries(*state, unchecked, keep));
  }
  std::vector<SignatureCheck> checks;
  checks.reserve(entries.size());
  for (const EntryBuffer& entry : entries) checks.push_back(signature_check(entry.view()));
  std::vector<Result<void>> outcomes(checks.size());
  verifier.verify_all(checks, outcomes);
  CheckedSignatures checked(log);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    (outcomes[i] ? checked.good_ : checked.bad_).insert(entries[i].view().seqnum());
  }
  return checked;
}

}  // namespace culm::store
