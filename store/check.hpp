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

/// The hashes of entries that a store holds of one log, for `restore_unit`. One whose row is
/// damaged counts as not held: the unit is asked for once more with whole links. Borrows both.
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

/// Commits a unit durably in a transaction of its own, and adds the verdicts that it lacks. Blocks;
/// no transaction of the calling thread may be open. `staged`: the payload of its last entry, which
/// is bound to that with the same commit. Fails as `accept_unit`, as `Store::update` or, with
/// nothing kept, as `WriteTransaction::bind_stage`.
[[nodiscard]] Result<IngestReport> ingest(Store& store, CheckedUnit& unit,
                                          SignatureVerifier& verifier,
                                          const AcceptOptions& options = {},
                                          const std::optional<StagedPayload>& staged = {});

/// Checks a unit and commits it so. Fails as `check` too.
[[nodiscard]] Result<IngestReport> ingest(Store& store, const LogKey& log,
                                          std::span<const UnitEntry> unit,
                                          SignatureVerifier& verifier,
                                          const AcceptOptions& options = {},
                                          const std::optional<StagedPayload>& staged = {});

/// Entries that are held and whose own signature was checked. Only `check_held` makes it.
class CheckedSignatures {
 public:
  [[nodiscard]] const LogKey& log() const noexcept { return log_; }
  [[nodiscard]] const RangeSet& good() const noexcept { return good_; }
  /// Others vouch for these, so that they are held all the same.
  [[nodiscard]] const RangeSet& bad() const noexcept { return bad_; }
  /// Nothing was left to check.
  [[nodiscard]] bool empty() const noexcept { return good_.empty() && bad_.empty(); }

 private:
  friend Result<CheckedSignatures> check_held(const Store& store, const LogKey& log,
                                              const RangeSet& passed_over, std::size_t count_max,
                                              SignatureVerifier& verifier);
  explicit CheckedSignatures(const LogKey& log) : log_(log) {}

  LogKey log_;
  RangeSet good_;
  RangeSet bad_;
};

/// Checks signatures that no unit needed: of the entries below the cap that are not verified, but
/// for those of `passed_over`, the lowest, at most `count_max`. `WriteTransaction::mark_verified`
/// stores what came of it. Holds a snapshot only while it copies the entries; passes over damaged
/// rows. Fails with kLogUnknown or as the store.
[[nodiscard]] Result<CheckedSignatures> check_held(const Store& store, const LogKey& log,
                                                   const RangeSet& passed_over,
                                                   std::size_t count_max,
                                                   SignatureVerifier& verifier);

}  // namespace culm::store
