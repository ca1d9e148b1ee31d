#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "culm/feed/verify.hpp"

/// The accepting rule as it was when it called a verifier itself: the oracle for the rule that
/// looks verdicts up. Its text is not to be changed but with the specification.
namespace culm::test::oracle {

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

struct UnitVerdict {
  /// The new entries, ascending: those of the unit that were not held, below the cap.
  std::vector<AcceptedEntry> accepted;
  /// Held entries whose signature was checked on the way.
  RangeSet newly_verified;
  /// What the unit proves against the author and lowers the cap. `accepted` lies below its `at`.
  std::optional<Evidence> evidence;
  std::uint64_t signatures_checked = 0;
};

[[nodiscard]] Result<UnitVerdict> accept_unit(const LogKey& log, std::span<const UnitEntry> unit,
                                              HeldLog& held, SignatureVerifier& verifier,
                                              const AcceptOptions& options = {});

}  // namespace culm::test::oracle
