#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "culm/store/store.hpp"

namespace culm::store {

/// What an audit found. Spec: store.md#audit
struct AuditReport {
  std::uint64_t entries = 0;  ///< held below the cap, and good in every respect
  std::uint64_t payloads = 0;
  std::uint64_t payloads_bad = 0;  ///< below the cap; their entries are good but for that
  std::uint64_t entry_bytes = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t entries_capped =
      0;           ///< held at or above the cap: not valid, only their rows checked
  RangeSet loose;  ///< Spec: closure.md#loose
  std::uint64_t faults = 0;
  /// What is wrong first, from the log's state upwards by seqnum: kStoreDamaged or kStoreFormat for
  /// a row that is damaged, missing, or there and not accounted for; kLinkMismatch,
  /// kEntrySignature, kAuthorKey, kUnitUnanchored, kLogEnded, kPayloadHash, kPayloadSize for what
  /// should never have been stored.
  std::optional<Error> first_fault;
  std::optional<Error> first_damage;  ///< likewise the first of kStoreDamaged

  [[nodiscard]] bool is_sound() const noexcept { return faults == 0; }
};

/// Called now and then with the number of entries looked at so far.
using AuditProgress = std::function<void(std::uint64_t entries)>;

/// Verifies from nothing all that is held of `log`, which is the state as `transaction` gives it:
/// every row, link between held entries, signature and payload, and that the rows are those that
/// the state names. Memory does not grow with the log. Fails only when the store cannot be read on.
[[nodiscard]] Result<AuditReport> audit_log(const ReadTransaction& transaction, const LogState& log,
                                            SignatureVerifier& verifier,
                                            const AuditProgress& progress = {});

/// Whether the tables fit together: no log lost or unknown, every log's last change on record. Does
/// not look into entries. Fails with kStoreDamaged or kStoreFormat.
[[nodiscard]] Result<void> audit_tables(const ReadTransaction& transaction);

/// Bytes of rows of forgotten logs, which the next that opens the store to write erases. Reads each
/// of these rows. Fails with kStoreDamaged.
[[nodiscard]] Result<std::uint64_t> forgotten_bytes(const ReadTransaction& transaction);

}  // namespace culm::store
