#include "culm/store/check.hpp"

#include <utility>

namespace culm::store {

Result<std::optional<Hash>> HeldTargets::find(SeqNum seqnum) {
  if (log_ == nullptr || !log_->held.contains(seqnum)) return std::nullopt;
  CULM_TRY(const auto stored, transaction_.get_entry(*log_, seqnum));
  return stored.entry.hash();
}

Result<CheckedUnit> check(const Store& store, const LogKey& log, std::span<const UnitEntry> unit,
                          SignatureVerifier& verifier, const AcceptOptions& options) {
  CULM_TRY(CheckedUnit checked, check_unit(log, unit));
  std::optional<LogState> state;
  {
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(state, transaction.find_log(log));
  }
  checked.check_signatures(state ? state->held : RangeSet(), verifier, options);
  return checked;
}

Result<IngestReport> ingest(Store& store, const LogKey& log, std::span<const UnitEntry> unit,
                            SignatureVerifier& verifier, const AcceptOptions& options) {
  CULM_TRY(CheckedUnit checked, check(store, log, unit, verifier, options));
  // Comes to an end though others may commit in between: an attempt asks only for entries without a
  // verdict, of the unit or held where the two disagree, and each round leaves fewer of them.
  for (;;) {
    IngestAttempt attempt;
    CULM_CHECK(store.update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(attempt, transaction.ingest(checked, options));
      return {};
    }));
    if (attempt.report) return *std::move(attempt.report);
    checked.check_missing(attempt.missing, verifier);
  }
}

}  // namespace culm::store
