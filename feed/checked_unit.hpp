#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "culm/feed/range_set.hpp"
#include "culm/feed/verify.hpp"

namespace culm {

/// A unit as a store takes it: all that can be said of it without knowing what is held was looked
/// at before. Its entries are of one log and ascend, its payloads were hashed and fit, and it
/// brings the verdicts on the signatures that were checked. Owns its bytes; moving it leaves them
/// where they are. `restore_unit` makes it from the elided form, `check_unit` from entries.
///
///   make it, `check_signatures`        any thread, long
///   `store::WriteTransaction::ingest`  const: may be called with it more than once
///   `check_missing`, then ingest again where verdicts were missing
class CheckedUnit {
 public:
  CheckedUnit(CheckedUnit&&) noexcept = default;
  CheckedUnit& operator=(CheckedUnit&&) noexcept = default;
  ~CheckedUnit() = default;

  [[nodiscard]] const LogKey& log() const noexcept { return log_; }
  /// At least one, ascending; `payload_checked` is set wherever a payload is.
  [[nodiscard]] std::span<const UnitEntry> entries() const noexcept { return entries_; }
  [[nodiscard]] const Verdicts& verdicts() const noexcept { return verdicts_; }
  /// The entry at `seqnum`, or null.
  [[nodiscard]] const UnitEntry* find(SeqNum seqnum) const;

  /// Of entries at `seqnums` it brings no payloads any more.
  void leave_out_payloads(const RangeSet& seqnums);
  /// Checks the signatures that the accepting rule will most likely ask for: of each entry that no
  /// other of the unit vouches for, with `full` of each one; from the highest down, as the rule
  /// does, and behind a bad one no more than were good before it. Entries at seqnums in `held` are
  /// left out: most are the held ones, and the rule asks where they are not. Needs no store.
  void check_signatures(const RangeSet& held, SignatureVerifier& verifier,
                        const AcceptOptions& options);
  /// What `check_signatures` checks, to be checked with what is due of others. Borrows from this
  /// unit, which stays where it is until then.
  [[nodiscard]] DueSignatures due_signatures(const RangeSet& held, const AcceptOptions& options);
  /// Checks what an attempt to ingest was missing.
  void check_missing(std::span<const UncheckedEntry> missing, SignatureVerifier& verifier);
  /// What `check_missing` checks. Borrows from `missing` and from this unit.
  [[nodiscard]] DueSignatures due_missing(std::span<const UncheckedEntry> missing);

 private:
  friend class UnitRestorer;
  friend Result<CheckedUnit> check_unit(const LogKey& log, std::span<const UnitEntry> unit,
                                        Verdicts known);
  explicit CheckedUnit(const LogKey& log) : log_(log) {}

  [[nodiscard]] std::vector<bool> find_vouched() const;

  LogKey log_;
  Bytes elided_;  // payloads may lie here
  std::unique_ptr<std::uint8_t[]> arena_;
  std::vector<UnitEntry> entries_;
  Verdicts verdicts_;
};

/// Copies `unit`, hashing every entry, and every payload that is not `payload_checked`. `known`:
/// verdicts at hand.
/// Fails, with the seqnum, with kUnitEmpty, kEntryForeign, kUnitOrder, kPayloadHash, kPayloadSize.
[[nodiscard]] Result<CheckedUnit> check_unit(const LogKey& log, std::span<const UnitEntry> unit,
                                             Verdicts known = {});

}  // namespace culm
