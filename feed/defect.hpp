#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culm/feed/entry.hpp"

namespace culm {

/// The ways in which an author breaks a log. One enumerator is one row of the table in defect.cpp,
/// which says what its evidence looks like, what it proves and how to tell people; nothing else
/// names or derives one. Who finds them are the accepting rule and the check of JSON lines. The
/// lower comes first where both apply.
/// Spec: verification.md#defects
enum class DefectKind : std::uint8_t {
  kFork = 1,    ///< two authentic entries with one seqnum
  kForkByLink,  ///< an authentic entry whose link is not the hash of the authentic entry there
};

/// "fork", "fork_by_link".
[[nodiscard]] std::string_view name(DefectKind kind) noexcept;

/// The kind of that name, if there is one.
[[nodiscard]] std::optional<DefectKind> find_defect_kind(std::string_view name) noexcept;

/// One sentence without its full stop, about the entry at `Defect::at`.
[[nodiscard]] std::string_view describe(DefectKind kind) noexcept;

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

/// What entries of one log, in canonical order, prove if all of them are authentic. Who has not
/// checked that asks `derive_defect`.
[[nodiscard]] std::optional<Defect> find_defect(std::span<const EntryView> entries);

/// Derives kind and `at` from the evidence alone, whatever anybody holds or claims. Fails with
/// kEvidence when it proves nothing against the author of `log`, is out of order or contains an
/// entry that is not authentic, with kLimit when it is too large, or with the error of the entry
/// that is not well-formed. Spec: verification.md#defects
[[nodiscard]] Result<Defect> derive_defect(const LogKey& log, const Evidence& evidence,
                                           SignatureVerifier& verifier);

/// What the evidence shows, for people; "a" is its first entry, "b" the second: "the author signed
/// both, and they differ from the field payload_hash on". Precondition: `derive_defect` gave
/// `defect`.
[[nodiscard]] std::string explain(const Defect& defect, const Evidence& evidence);

/// The evidence of these entries, in canonical order.
[[nodiscard]] Evidence make_evidence(std::span<const EntryView> entries);

}  // namespace culm
