#include "culm/feed/defect.hpp"

#include <algorithm>
#include <optional>

namespace culm {
namespace {

struct Exhibit {
  EntryView entry;
  Hash hash;
};

/// Canonical order: by seqnum, then bytes.
bool precedes(const EntryView& a, const EntryView& b) {
  if (a.seqnum() != b.seqnum()) return a.seqnum() < b.seqnum();
  return std::ranges::lexicographical_compare(a.bytes(), b.bytes());
}

Result<std::vector<Exhibit>> parse_exhibits(const LogKey& log, const Evidence& evidence) {
  if (evidence.entries.size() > limits::kEvidenceEntriesMax) return fail(Errc::kLimit);
  std::vector<Exhibit> exhibits;
  exhibits.reserve(evidence.entries.size());
  for (const Bytes& bytes : evidence.entries) {
    CULM_TRY(const EntryView entry, EntryView::parse(bytes));
    if (entry.log() != log) return fail(error_for(Errc::kEvidence, entry.seqnum()));
    if (!exhibits.empty() && !precedes(exhibits.back().entry, entry)) {
      return fail(error_for(Errc::kEvidence, entry.seqnum()));
    }
    exhibits.push_back({entry, entry.hash()});
  }
  return exhibits;
}

/// Downwards, so that whoever names an entry was found authentic before.
Result<void> check_authentic(const std::vector<Exhibit>& exhibits, SignatureVerifier& verifier) {
  for (auto it = exhibits.rbegin(); it != exhibits.rend(); ++it) {
    const EntryView& entry = it->entry;
    const bool is_named = std::any_of(exhibits.rbegin(), it, [&](const Exhibit& above) {
      return above.entry.link_to(entry.seqnum()) == it->hash;
    });
    if (!is_named && !verifier.verify(entry.author(), entry.signed_bytes(), entry.signature())) {
      return fail(error_for(Errc::kEvidence, entry.seqnum()));
    }
  }
  return {};
}

std::optional<DefectKind> find_defect(const Exhibit& below, const Exhibit& above) {
  if (below.entry.seqnum() == above.entry.seqnum()) return DefectKind::kFork;
  const auto link = above.entry.link_to(below.entry.seqnum());
  if (link && *link != below.hash) return DefectKind::kForkByLink;
  return std::nullopt;
}

}  // namespace

std::string_view name(DefectKind kind) noexcept {
  switch (kind) {
    case DefectKind::kFork:
      return "fork";
    case DefectKind::kForkByLink:
      return "fork_by_link";
  }
  return "unknown";
}

Result<Defect> derive_defect(const LogKey& log, const Evidence& evidence,
                             SignatureVerifier& verifier) {
  CULM_TRY(const std::vector<Exhibit> exhibits, parse_exhibits(log, evidence));
  CULM_CHECK(check_authentic(exhibits, verifier));
  // Ascending, so that the first found is the lowest; a fork comes before any link to its seqnum.
  for (auto below = exhibits.begin(); below != exhibits.end(); ++below) {
    for (auto above = below + 1; above != exhibits.end(); ++above) {
      const auto kind = find_defect(*below, *above);
      if (kind) return Defect{*kind, below->entry.seqnum()};
    }
  }
  return fail(Errc::kEvidence);
}

Evidence make_evidence(std::span<const EntryView> entries) {
  std::vector<EntryView> sorted(entries.begin(), entries.end());
  std::ranges::sort(sorted, precedes);
  Evidence evidence;
  for (const EntryView& entry : sorted) {
    evidence.entries.emplace_back(entry.bytes().begin(), entry.bytes().end());
  }
  return evidence;
}

}  // namespace culm
