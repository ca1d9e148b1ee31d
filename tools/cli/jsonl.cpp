#include "tools/cli/jsonl.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace culm::tools {
namespace {

/// Picks two texts out of an object without building the rest of it.
class LineReceiver final : public nlohmann::json_sax<nlohmann::json> {
 public:
  struct Field {
    bool is_present = false;
    bool is_text = false;
    std::string text;
  };

  [[nodiscard]] bool is_object() const noexcept { return is_object_; }
  [[nodiscard]] const Field& encoded() const noexcept { return encoded_; }
  [[nodiscard]] const Field& payload() const noexcept { return payload_; }

  bool null() override { return other(); }
  bool boolean(bool /*value*/) override { return other(); }
  bool number_integer(number_integer_t /*value*/) override { return other(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return other(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return other(); }
  bool binary(binary_t& /*value*/) override { return other(); }
  bool string(string_t& value) override {
    if (Field* const field = std::exchange(field_, nullptr))
      *field = {true, true, std::move(value)};
    return true;
  }
  bool start_object(std::size_t /*size*/) override {
    if (depth_ == 0) is_object_ = true;
    ++depth_;
    return other();
  }
  bool key(string_t& name) override {
    // A key that comes twice counts the second time.
    field_ = depth_ != 1         ? nullptr
             : name == "encoded" ? &encoded_
             : name == "payload" ? &payload_
                                 : nullptr;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t /*size*/) override {
    ++depth_;
    return other();
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool other() {
    if (Field* const field = std::exchange(field_, nullptr)) *field = {true, false, {}};
    return true;
  }

  std::size_t depth_ = 0;
  bool is_object_ = false;
  Field* field_ = nullptr;  // of the key that was just read
  Field encoded_;
  Field payload_;
};

}  // namespace

Result<JsonlEntry> decode_jsonl(std::string_view line) {
  // The parser would skip a byte order mark, which is no JSON.
  if (line.starts_with("\xEF\xBB\xBF")) return fail(Errc::kFileFormat);
  // And it would stop at a NUL, whatever follows.
  if (line.find('\0') != std::string_view::npos) return fail(Errc::kFileFormat);
  LineReceiver receiver;
  if (!nlohmann::json::sax_parse(line.begin(), line.end(), &receiver) || !receiver.is_object() ||
      !receiver.encoded().is_text || receiver.payload().is_present != receiver.payload().is_text) {
    return fail(Errc::kFileFormat);
  }
  auto encoded = from_hex(receiver.encoded().text);
  if (!encoded) return fail(Errc::kHexFormat);
  JsonlEntry entry{*std::move(encoded), std::nullopt};
  if (receiver.payload().is_present) {
    entry.payload = from_hex(receiver.payload().text);
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

}  // namespace culm::tools
