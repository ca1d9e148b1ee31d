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
  if (exhibits.size() != 2) return fail(Errc::kEvidence);
  const auto kind = find_defect(exhibits[0], exhibits[1]);
  if (!kind) return fail(Errc::kEvidence);
  for (const Exhibit& exhibit : exhibits) {
    const EntryView& entry = exhibit.entry;
    if (!verifier.verify(entry.author(), entry.signed_bytes(), entry.signature())) {
      return fail(error_for(Errc::kEvidence, entry.seqnum()));
    }
  }
  return Defect{*kind, exhibits[0].entry.seqnum()};
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
