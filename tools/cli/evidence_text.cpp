#include "tools/cli/evidence_text.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

std::string start_of(const Hash& hash) { return to_hex(ByteView(hash.bytes).first(16)) + "…"; }

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

std::string side(const char* mark, const EntryView& entry) {
  return std::string("    ") + mark + "  seqnum " + human_count(entry.seqnum()) + ", hash " +
         start_of(entry.hash()) + ", payload of " + human_size(entry.payload_size()) + "\n";
}

}  // namespace

Json evidence_json(const LogKey& log, const Evidence& evidence, SignatureVerifier& verifier) {
  Json object = Json::object();
  if (const auto defect = derive_defect(log, evidence, verifier)) {
    object["kind"] = name(defect->kind);
    object["at"] = defect->at;
  }
  object["entries"] = Json::array();
  for (const Bytes& entry : evidence.entries) object["entries"].push_back(to_hex(entry));
  return object;
}

std::string evidence_text(const LogKey& log, const Evidence& evidence,
                          SignatureVerifier& verifier) {
  const auto defect = derive_defect(log, evidence, verifier);
  if (!defect) return "  evidence that proves nothing: " + message(defect.error()) + "\n";
  // What proves something has two well-formed entries.
  const EntryView below = *EntryView::parse(evidence.entries.front());
  const EntryView above = *EntryView::parse(evidence.entries.back());
  std::string text = "  " + std::string(name(defect->kind)) + " at " + human_count(defect->at);
  if (defect->kind == DefectKind::kFork) {
    text += ": the author signed both, and they differ from the field " +
            std::string(first_difference(below, above)) + " on\n";
    return text + side("a", below) + side("b", above);
  }
  const auto link = above.link_to(below.seqnum());
  text += ": the author signed both, and b has a link to another entry than a\n";
  return text + side("a", below) + side("b", above) + "       its link to " +
         human_count(below.seqnum()) + " is " +
         (link ? start_of(*link) : std::string("not there")) + "\n";
}

}  // namespace culm::tools
