#include "culm/feed/defect.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "culm/core/assert.hpp"

namespace culm {
namespace {

using Entries = std::span<const EntryView>;

std::optional<SeqNum> find_fork(Entries entries) {
  const bool is_fork = entries[0].seqnum() == entries[1].seqnum();
  return is_fork ? std::optional(entries[0].seqnum()) : std::nullopt;
}

std::optional<SeqNum> find_fork_by_link(Entries entries) {
  const EntryView& below = entries[0];
  const auto link = entries[1].link_to(below.seqnum());
  return link && *link != below.hash() ? std::optional(below.seqnum()) : std::nullopt;
}

/// The first field in which two entries of one seqnum differ.
std::string_view first_difference(const EntryView& a, const EntryView& b) {
  const auto at = std::ranges::mismatch(a.bytes(), b.bytes()).in1 - a.bytes().begin();
  const EntryView::Offsets& offsets = a.offsets();
  const std::array<std::pair<std::uint16_t, std::string_view>, 5> fields{
      {{offsets.signature, "signature"},
       {offsets.payload_hash, "payload_hash"},
       {offsets.payload_size, "payload_size"},
       {offsets.backlink, "backlink"},
       {offsets.lipmaalink, "lipmaalink"}}};
  for (const auto& [offset, name] : fields) {
    if (offset != 0 && at >= offset) return name;
  }
  return "tag";
}

std::string explain_fork(Entries entries) {
  return "the author signed both, and they differ from the field " +
         std::string(first_difference(entries[0], entries[1])) + " on";
}

std::string explain_fork_by_link(Entries /*entries*/) {
  return "the author signed both, and b has a link to another entry than a";
}

struct Row {
  DefectKind kind{};
  std::string_view name;
  std::string_view description;
  std::size_t entries = 0;                         ///< of the evidence, in canonical order
  std::optional<SeqNum> (*find)(Entries entries);  ///< `at`, if the entries are of this kind
  std::string (*explain)(Entries entries);
};

constexpr Row kRows[] = {
    {DefectKind::kFork, "fork", "the author signed two entries for one seqnum", 2, find_fork,
     explain_fork},
    {DefectKind::kForkByLink, "fork_by_link",
     "a link of a later entry names another entry than this one", 2, find_fork_by_link,
     explain_fork_by_link},
};

const Row& row_of(DefectKind kind) noexcept {
  const auto* const found = std::ranges::find(kRows, kind, &Row::kind);
  CULM_ASSERT(found != std::end(kRows));
  return *found;
}

/// Canonical order: by seqnum, then bytes.
bool precedes(const EntryView& a, const EntryView& b) {
  if (a.seqnum() != b.seqnum()) return a.seqnum() < b.seqnum();
  return std::ranges::lexicographical_compare(a.bytes(), b.bytes());
}

Result<std::vector<EntryView>> parse_entries(const LogKey& log, const Evidence& evidence) {
  if (evidence.entries.size() > limits::kEvidenceEntriesMax) return fail(Errc::kLimit);
  std::vector<EntryView> entries;
  entries.reserve(evidence.entries.size());
  for (const Bytes& bytes : evidence.entries) {
    CULM_TRY(const EntryView entry, EntryView::parse(bytes));
    const bool is_in_place = entries.empty() || precedes(entries.back(), entry);
    if (entry.log() != log || !is_in_place) {
      return fail(error_for(Errc::kEvidence, entry.seqnum()));
    }
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace

std::string_view name(DefectKind kind) noexcept { return row_of(kind).name; }

std::string_view describe(DefectKind kind) noexcept { return row_of(kind).description; }

std::optional<DefectKind> find_defect_kind(std::string_view wanted) noexcept {
  const auto* const found = std::ranges::find(kRows, wanted, &Row::name);
  return found == std::end(kRows) ? std::nullopt : std::optional(found->kind);
}

std::optional<Defect> find_defect(std::span<const EntryView> entries) {
  for (const Row& row : kRows) {
    if (entries.size() != row.entries) continue;
    if (const auto at = row.find(entries)) return Defect{row.kind, *at};
  }
  return std::nullopt;
}

Result<Defect> derive_defect(const LogKey& log, const Evidence& evidence,
                             SignatureVerifier& verifier) {
  CULM_TRY(const std::vector<EntryView> entries, parse_entries(log, evidence));
  const auto defect = find_defect(entries);
  if (!defect) return fail(Errc::kEvidence);
  for (const EntryView& entry : entries) {
    if (!verifier.verify(entry.author(), entry.signed_bytes(), entry.signature())) {
      return fail(error_for(Errc::kEvidence, entry.seqnum()));
    }
  }
  return *defect;
}

std::string explain(const Defect& defect, const Evidence& evidence) {
  std::vector<EntryView> entries;
  entries.reserve(evidence.entries.size());
  for (const Bytes& bytes : evidence.entries) entries.push_back(*EntryView::parse(bytes));
  return row_of(defect.kind).explain(entries);
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
