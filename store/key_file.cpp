#include "culm/store/key_file.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "culm/core/bytes.hpp"
#include "culm/core/sealing.hpp"
#include "culm/store/secret_file.hpp"

namespace culm::store {
namespace {

constexpr std::string_view kName = "culm-key ";
constexpr std::string_view kHeader = "culm-key 1\n";
constexpr std::string_view kAuthor = "author ";
constexpr std::string_view kSecret = "secret ";
constexpr std::size_t kDigits = 2 * SecretKey::kSeedSizeBytes;
constexpr std::size_t kFileBytes =
    kHeader.size() + kAuthor.size() + kDigits + 1 + kSecret.size() + kDigits + 1;

/// Wipes a secret in the end.
class Wiped {
 public:
  explicit Wiped(MutableByteView bytes) : bytes_(bytes) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sealing::wipe(bytes_); }

 private:
  MutableByteView bytes_;
};

/// Takes `expected` off the front of `text`.
bool take(std::string_view& text, std::string_view expected) {
  if (text.substr(0, expected.size()) != expected) return false;
  text.remove_prefix(expected.size());
  return true;
}

std::optional<Bytes> take_hex_line(std::string_view& text, std::string_view word) {
  if (!take(text, word) || text.size() <= kDigits || text[kDigits] != '\n') return std::nullopt;
  auto bytes = from_hex(text.substr(0, kDigits));
  text.remove_prefix(kDigits + 1);
  return bytes;
}

Result<SecretKey> parse(ByteView text) {
  std::string_view rest = as_text(text);
  if (rest.starts_with(kName) && !rest.starts_with(kHeader)) return fail(Errc::kKeyFileVersion);
  if (!take(rest, kHeader)) return fail(Errc::kKeyFileFormat);
  const auto author = take_hex_line(rest, kAuthor);
  auto seed = author ? take_hex_line(rest, kSecret) : std::nullopt;
  if (!seed || !rest.empty()) return fail(Errc::kKeyFileFormat);
  auto key = SecretKey::from_seed(*seed);
  sealing::wipe(*seed);
  if (!key) return fail(Errc::kKeyFileFormat);
  if (!equal(key->author().bytes, *author)) return fail(Errc::kKeyFileMismatch);
  return *std::move(key);
}

bool is_key(ByteView text) {
  const auto key = parse(text);
  return key || key.error().code != Errc::kKeyFileFormat;
}

}  // namespace

Result<void> write_key_file(const std::string& path, const SecretKey& key) {
  std::array<std::uint8_t, kFileBytes> text{};
  const Wiped wiped(text);
  auto place = text.begin();
  const auto put = [&place](std::string_view part) { place = std::ranges::copy(part, place).out; };
  // Without the buffers of others, which would keep a copy.
  const auto put_hex = [&place](ByteView bytes) {
    constexpr std::string_view kHexDigits = "0123456789abcdef";
    for (const std::uint8_t byte : bytes) {
      *place++ = static_cast<std::uint8_t>(kHexDigits[byte >> 4U]);
      *place++ = static_cast<std::uint8_t>(kHexDigits[byte & 15U]);
    }
    *place++ = '\n';
  };
  put(kHeader);
  put(kAuthor);
  put_hex(key.author().bytes);
  put(kSecret);
  put_hex(key.seed());
  return write_secret_file(path, text);
}

Result<SecretKey> read_key_file(const std::string& path) {
  CULM_TRY(Bytes text, read_secret_file(path, kFileBytes, is_key));
  const Wiped wiped(text);
  return parse(text);
}

bool holds_secret_key(ByteView text) {
  std::string_view rest = as_text(text);
  if (rest.starts_with(kName)) {
    const std::size_t line_end = rest.find(std::string("\n").append(kSecret));
    if (line_end == std::string_view::npos) return false;
    rest.remove_prefix(line_end + 1);
  }
  if (!take(rest, kSecret) || rest.size() < kDigits) return false;
  const bool is_whole = rest.size() == kDigits || rest[kDigits] == '\n' || rest[kDigits] == '\r';
  auto secret = is_whole ? from_hex(rest.substr(0, kDigits)) : std::nullopt;
  if (secret) sealing::wipe(*secret);
  return secret.has_value();
}

}  // namespace culm::store
