#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "culm/feed/defect.hpp"
#include "culm/feed/entry.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/feed/verdicts.hpp"

namespace culm {

/// How sure one is of an accepted entry. Spec: verification.md#levels
enum class Level : std::uint8_t {
  kAttested,  ///< an authentic entry vouches for its bytes
  kVerified,  ///< its own signature was checked as well
};

/// One entry of a unit. Borrows; `hash` is that of the entry's bytes, computed once by who
/// brought the bytes in.
struct UnitEntry {
  EntryView entry;
  Hash hash;
  /// The whole payload when it came along.
  std::optional<ByteView> payload = std::nullopt;
  /// The payload was hashed and measured already: the entry is made of what came out.
  bool payload_checked = false;
};

/// An entry that passed the accepting rule together with its unit; borrows as the unit does. Only
/// `accept_unit` makes it, and only this can be appended to a store.
class AcceptedEntry {
 public:
  [[nodiscard]] const EntryView& entry() const noexcept { return unit_entry_->entry; }
  [[nodiscard]] const Hash& hash() const noexcept { return unit_entry_->hash; }
  [[nodiscard]] const std::optional<ByteView>& payload() const noexcept {
    return unit_entry_->payload;
  }
  [[nodiscard]] Level level() const noexcept { return level_; }

 private:
  friend class UnitAcceptor;
  AcceptedEntry(const UnitEntry& unit_entry, Level level)
      : unit_entry_(&unit_entry), level_(level) {}

  const UnitEntry* unit_entry_;
  Level level_;
};

/// What is held of one log already, as the accepting rule sees it. Implemented by the store.
class HeldLog {
 public:
  virtual ~HeldLog() = default;

  [[nodiscard]] virtual const RangeSet& held() const = 0;
  [[nodiscard]] virtual const RangeSet& verified() const = 0;
  /// The log's cap, or 0: entries at or above it are not valid.
  [[nodiscard]] virtual SeqNum cap() const = 0;
  /// The seqnum of the held end-of-log entry, or 0.
  [[nodiscard]] virtual SeqNum end_of_log() const = 0;
  /// A held entry; valid until the next call. Precondition: `held().contains(seqnum)`.
  [[nodiscard]] virtual Result<EntryView> entry(SeqNum seqnum) = 0;
};

struct AcceptOptions {
  /// Check every signature, not only those of new sinks.
  bool full = false;
  /// Do not ask for a path to entry 1.
  bool loose = false;
};

/// A defect together with the evidence that proves it. Only the accepting rule makes it, and
/// `derive` from evidence that came by itself; only this can be recorded in a store. A value.
class ProvenDefect {
 public:
  /// Checks both signatures of the evidence. Fails as `derive_defect`.
  [[nodiscard]] static Result<ProvenDefect> derive(const LogKey& log, Evidence evidence,
                                                   SignatureVerifier& verifier);

  [[nodiscard]] const LogKey& log() const noexcept { return log_; }
  [[nodiscard]] const Defect& defect() const noexcept { return defect_; }
  [[nodiscard]] const Evidence& evidence() const noexcept { return evidence_; }

 private:
  friend class UnitAcceptor;
  ProvenDefect(const LogKey& log, const Defect& defect, Evidence evidence)
      : log_(log), defect_(defect), evidence_(std::move(evidence)) {}

  LogKey log_;
  Defect defect_;
  Evidence evidence_;
};

/// What became of a unit.
struct UnitVerdict {
  /// Entries, of the unit or held, that the rule has to know more of: no verdict on their
  /// signatures was at hand. While there are any, nothing is decided and all else is empty.
  std::vector<UncheckedEntry> missing;
  /// The new entries, ascending: those of the unit that were not held, below the cap.
  std::vector<AcceptedEntry> accepted;
  /// Held entries whose signature proved to be good on the way.
  RangeSet newly_verified;
  /// What the unit proves against the author and lowers the cap. `accepted` lies below its `at`.
  std::optional<ProvenDefect> proven;
  /// Signatures that the rule asked for.
  std::uint64_t signatures_checked = 0;
};

/// The accepting rule over one unit: entries of one log, ascending, checked whole or not at all.
/// Reads `held` and `verdicts`, checks no signature and changes nothing. The verdict borrows from
/// `unit`. Entries that are held already are passed over; every payload that came along is checked,
/// also theirs, unless it was before. An accepted entry is verified where its verdict is known.
///
/// Where no verdict is at hand, the rule goes on as if it were good, and tells what was `missing`.
/// With these checked (`check_signatures`) and `held` unchanged, the second try decides: it goes
/// the same way as the first, up to the first signature that is bad, behind which the rule asks for
/// no more.
///
/// The bearer's fault: kUnitEmpty, kUnitOrder, kEntryForeign, kEntrySignature, kAuthorKey,
/// kPayloadHash, kPayloadSize. Not the bearer's fault: kUnitUnanchored; kLogCapped when all
/// of the unit is at or above the cap; kLogEnded; kLinkMismatch for a badly signed entry that an
/// authentic one vouches for, where its own signature decides. Each has the seqnum. What proves a
/// defect is not an error but `proven`; then whatever else is wrong with the unit only empties
/// `accepted`. Errors of `held` are handed on. Spec: verification.md#units
[[nodiscard]] Result<UnitVerdict> accept_unit(const LogKey& log, std::span<const UnitEntry> unit,
                                              HeldLog& held, const Verdicts& verdicts,
                                              const AcceptOptions& options = {});

/// The accepting rule to its end, with what it asks for checked by `verifier`: for those who keep
/// nobody waiting meanwhile, so never within a write transaction. `missing` is empty. Fails as
/// `accept_unit`.
[[nodiscard]] Result<UnitVerdict> verify_unit(const LogKey& log, std::span<const UnitEntry> unit,
                                              HeldLog& held, SignatureVerifier& verifier,
                                              const AcceptOptions& options = {});

/// Whether `unit` is one, whatever is held: entries of `log`, ascending, with payloads that fit.
/// The rule begins with it. Fails, with the seqnum, with kUnitEmpty, kEntryForeign, kUnitOrder,
/// kPayloadHash, kPayloadSize.
[[nodiscard]] Result<void> check_shape(const LogKey& log, std::span<const UnitEntry> unit);

/// Whether `payload` is the one the entry signs. Fails with kPayloadHash or, when only the size
/// differs, kPayloadSize, both with the seqnum. Spec: verification.md#payload
[[nodiscard]] Result<void> check_payload(const EntryView& entry, ByteView payload);

}  // namespace culm
