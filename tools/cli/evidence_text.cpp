#include "tools/cli/evidence_text.hpp"

#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

std::string start_of(const Hash& hash) { return to_hex(ByteView(hash.bytes).first(16)) + "…"; }

std::string side(char mark, const EntryView& entry) {
  return std::string("    ") + mark + "  seqnum " + std::to_string(entry.seqnum()) + ", hash " +
         start_of(entry.hash()) + ", payload of " + human_size(entry.payload_size()) + "\n";
}

}  // namespace

Json evidence_json(const LogKey& log, const Evidence& evidence, SignatureVerifier& verifier) {
  Json object = Json::object();
  if (const auto defect = derive_defect(log, evidence, verifier)) {
    object["kind"] = name(defect->kind);
    object["at"] = defect->at;
  }
  object["encoded_entries"] = Json::array();
  for (const Bytes& entry : evidence.entries) object["encoded_entries"].push_back(to_hex(entry));
  return object;
}

std::string evidence_text(const LogKey& log, const Evidence& evidence,
                          SignatureVerifier& verifier) {
  const auto defect = derive_defect(log, evidence, verifier);
  if (!defect) return "  evidence that proves nothing: " + message(defect.error()) + "\n";
  std::string text = "  " + std::string(name(defect->kind)) + " at " + std::to_string(defect->at) +
                     ": " + explain(*defect, evidence) + "\n";
  char mark = 'a';
  SeqNum before = 0;
  for (const Bytes& bytes : evidence.entries) {
    const EntryView entry = *EntryView::parse(bytes);  // or it would prove nothing
    text += side(mark++, entry);
    if (const auto link = entry.link_to(before)) {
      text += "       its link to " + std::to_string(before) + " is " + start_of(*link) + "\n";
    }
    before = entry.seqnum();
  }
  return text;
}

}  // namespace culm::tools
