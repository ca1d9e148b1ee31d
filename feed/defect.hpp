#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "culm/feed/entry.hpp"

namespace culm {

/// The ways in which an author breaks a log. Spec: verification.md#defects
enum class DefectKind : std::uint8_t {
  kFork = 1,    ///< two authentic entries with one seqnum
  kForkByLink,  ///< an authentic entry whose link is not the hash of the authentic entry there
};

/// "fork", "fork_by_link".
[[nodiscard]] std::string_view name(DefectKind kind) noexcept;

/// The canonical bytes of the entries that prove a defect, in canonical order (by seqnum, then
/// bytes). A value; says nothing until `derive_defect` has looked at it.
struct Evidence {
  std::vector<Bytes> entries;

  friend bool operator==(const Evidence&, const Evidence&) = default;
};

/// What a piece of evidence proves.
struct Defect {
  DefectKind kind{};
  /// Entries of the log from here on are not valid.
  SeqNum at = 0;

  friend bool operator==(const Defect&, const Defect&) = default;
};

/// Derives kind and `at` from the evidence alone, whoever holds or claims what. Both kinds are
/// proved by exactly two authentic entries. Fails with kEvidence when it proves nothing against the
/// author of `log`, is out of order or contains an entry that is not authentic, with kLimit when it
/// is too large, or with the error of the entry that is not well-formed.
/// Spec: verification.md#defects
[[nodiscard]] Result<Defect> derive_defect(const LogKey& log, const Evidence& evidence,
                                           SignatureVerifier& verifier);

/// The evidence of these entries, in canonical order.
[[nodiscard]] Evidence make_evidence(std::span<const EntryView> entries);

}  // namespace culm
