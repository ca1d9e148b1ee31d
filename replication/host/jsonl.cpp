#include "culm/replication/host/jsonl.hpp"

#include <array>
#include <utility>

#include "culm/replication/host/json.hpp"

namespace culm {
Result<JsonlTexts> pick_jsonl(std::string_view line) {
  // The parser would skip a byte order mark, which is no JSON.
  if (line.starts_with("\xEF\xBB\xBF")) return fail(Errc::kFileFormat);
  // And it would stop at a NUL, whatever follows.
  if (line.find('\0') != std::string_view::npos) return fail(Errc::kFileFormat);
  constexpr std::array<std::string_view, 2> kKeys = {"encoded", "payload"};
  std::array<PickedText, 2> picked;
  if (!pick_texts(line, kKeys, picked)) return fail(Errc::kFileFormat);
  auto& [encoded_text, payload_text] = picked;
  if (!encoded_text.text || payload_text.is_present != payload_text.text.has_value()) {
    return fail(Errc::kFileFormat);
  }
  return JsonlTexts{*std::move(encoded_text.text), std::move(payload_text.text)};
}

Result<JsonlEntry> decode_jsonl(std::string_view line) {
  CULM_TRY(const JsonlTexts texts, pick_jsonl(line));
  auto encoded = from_hex(texts.encoded);
  if (!encoded) return fail(Errc::kHexFormat);
  JsonlEntry entry{*std::move(encoded), std::nullopt};
  if (texts.payload) {
    entry.payload = from_hex(*texts.payload);
    if (!entry.payload) return fail(Errc::kHexFormat);
  }
  return entry;
}

void append_jsonl(std::string& out, ByteView encoded, const std::optional<ByteView>& payload) {
  out += R"({"encoded":")" + to_hex(encoded);
  if (payload) out += R"(","payload":")" + to_hex(*payload);
  out += "\"}\n";
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\v\f") == std::string_view::npos;
}

Result<std::vector<UnitEntry>> to_unit(std::span<const JsonlEntry> entries) {
  std::vector<UnitEntry> unit;
  unit.reserve(entries.size());
  for (const JsonlEntry& item : entries) {
    CULM_TRY(const EntryView entry, EntryView::parse(item.encoded));
    std::optional<ByteView> payload;
    if (item.payload) payload = ByteView(*item.payload);
    unit.push_back({entry, hash(item.encoded), payload});
  }
  return unit;
}

}  // namespace culm
