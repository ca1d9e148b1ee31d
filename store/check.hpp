#pragma once

#include <optional>
#include <span>

#include "culm/feed/elided.hpp"
#include "culm/store/store.hpp"

/// What is done for a commit outside of it. Signatures and payloads are checked by any thread,
/// while others read and write; the write transaction only decides.
///
///   check   hashes, then signatures; what is held is read in a short transaction before
///   commit  WriteTransaction::ingest: the accepting rule over the verdicts at hand
///   again   where verdicts were missing: check these, commit once more
namespace culm::store {

/// The hashes of entries that a store holds of one log, for `restore_unit`. Borrows both.
class HeldTargets final : public LinkTargets {
 public:
  /// Without `log` nothing is held.
  HeldTargets(const ReadTransaction& transaction, const LogState* log)
      : transaction_(transaction), log_(log) {}

  /// Fails as `ReadTransaction::get_entry`.
  [[nodiscard]] Result<std::optional<Hash>> find(SeqNum seqnum) override;

 private:
  const ReadTransaction& transaction_;
  const LogState* log_;
};

/// Checks a unit: its payloads, then the signatures that `store` leads to expect. Fails as
/// `check_unit` or as the store.
[[nodiscard]] Result<CheckedUnit> check(const Store& store, const LogKey& log,
                                        std::span<const UnitEntry> unit,
                                        SignatureVerifier& verifier,
                                        const AcceptOptions& options = {});

/// Checks a unit and commits it durably in a transaction of its own. Blocks; no transaction of the
/// calling thread may be open. Fails as `check`, as `accept_unit` or as `Store::update`.
[[nodiscard]] Result<IngestReport> ingest(Store& store, const LogKey& log,
                                          std::span<const UnitEntry> unit,
                                          SignatureVerifier& verifier,
                                          const AcceptOptions& options = {});

}  // namespace culm::store
