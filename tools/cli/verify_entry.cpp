#include "tools/cli/verify_entry.hpp"

#include <algorithm>
#include <utility>

#include "culm/feed/lipmaa.hpp"
#include "culm/feed/verify.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

Failure refusal(const std::string& path, const Error& error, std::string why = {}) {
  Failure failure(error);
  failure.message = std::string(name(error.code)) + ": " + (why.empty() ? message(error) : why);
  failure.exit = Exit::kVerification;
  failure.fields["file"] = path;
  failure.fields["error"] = name(error.code);
  return std::move(failure).about(shown(path));
}

Outcome<Bytes> read_entry_bytes(const std::string& path) {
  auto bytes = read_file(path, limits::kEntrySizeBytesMax, Errc::kEntryTooLong);
  if (!bytes && bytes.error().code == Errc::kEntryTooLong) {
    return fail_with(refusal(path, Error{Errc::kEntryTooLong}));
  }
  return bytes;
}

/// Exactly one canonical, authentic entry.
Outcome<EntryBuffer> read_entry(const std::string& path) {
  CULM_TOOLS_TRY(const Bytes bytes, read_entry_bytes(path));
  const auto entry = EntryView::parse(bytes);
  if (!entry) return fail_with(refusal(path, entry.error()));
  Ed25519Verifier verifier;
  const auto good = verifier.verify(entry->author(), entry->signed_bytes(), entry->signature());
  if (!good) return fail_with(refusal(path, error_for(good.error().code, entry->seqnum())));
  return EntryBuffer(*entry);
}

Outcome<void> check_target(const EntryView& entry, SeqNum seqnum, const std::string& path) {
  CULM_TOOLS_TRY(const EntryBuffer buffer, read_entry(path));
  const EntryView target = buffer.view();
  if (target.log() != entry.log()) {
    return fail_with(refusal(path, error_for(Errc::kEntryForeign, target.seqnum())));
  }
  if (seqnum == 0) {
    return fail_with(
        refusal(path, error_for(Errc::kLinkMismatch, target.seqnum()), "entry 1 links to nothing"));
  }
  if (target.seqnum() != seqnum) {
    return fail_with(refusal(path, error_for(Errc::kLinkMismatch, target.seqnum()),
                             "this is entry " + std::to_string(target.seqnum()) +
                                 ", but the link leads to " + std::to_string(seqnum)));
  }
  if (entry.link_to(seqnum) != target.hash()) {
    return fail_with(refusal(path, error_for(Errc::kLinkMismatch, seqnum),
                             "the link names another entry " + std::to_string(seqnum) +
                                 "; both are signed, so the author forked the log"));
  }
  if (target.is_end_of_log()) {
    return fail_with(refusal(path, error_for(Errc::kLogEnded, seqnum)));
  }
  return {};
}

}  // namespace

Outcome<void> verify_entry_files(Context& context, const EntryFiles& files) {
  CULM_TOOLS_TRY(const EntryBuffer buffer, read_entry(files.entry));
  const EntryView entry = buffer.view();
  const SeqNum n = entry.seqnum();
  std::vector<std::string> checked = {"signature"};
  if (!files.payload.empty()) {
    // One byte more than was signed is as wrong as any number of them.
    const std::uint64_t size_max = std::min(entry.payload_size(), limits::kPayloadSizeBytesMax);
    auto payload = read_file(files.payload, size_max, Errc::kPayloadSize);
    if (!payload && payload.error().code == Errc::kPayloadSize) {
      return fail_with(refusal(
          files.payload, error_for(Errc::kPayloadSize, n),
          "it is longer than the " + human_size(entry.payload_size()) + " that were signed"));
    }
    if (!payload) return fail_with(std::move(payload.error()));
    const auto fits = check_payload(entry, *payload);
    if (!fits) return fail_with(refusal(files.payload, fits.error()));
    checked.emplace_back("payload");
  }
  if (!files.backlink.empty()) {
    CULM_TOOLS_CHECK(check_target(entry, n - 1, files.backlink));
    checked.emplace_back("backlink");
  }
  if (!files.lipmaalink.empty()) {
    CULM_TOOLS_CHECK(check_target(entry, lipmaa(n), files.lipmaalink));
    checked.emplace_back("lipmaalink");
  }
  if (context.json) {
    return context.out.write_json(Json{{"type", "entry_verdict"},
                                       {"ok", true},
                                       {"log", to_string(entry.log())},
                                       {"seqnum", n},
                                       {"hash", to_hex(entry.hash().bytes)},
                                       {"checked", checked}});
  }
  std::string list;
  for (const std::string& what : checked) list += (list.empty() ? "" : ", ") + what;
  return context.out.say("good: entry " + std::to_string(n) + " of log " + to_string(entry.log()) +
                         "\nchecked: " + list + "\n");
}

}  // namespace culm::tools
