#include "tools/cli/key_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/bytes.hpp"
#include "culm/core/sealing.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

constexpr std::string_view kHeader = "culm-key 1\n";
constexpr std::string_view kAuthor = "author ";
constexpr std::string_view kSecret = "secret ";
constexpr std::size_t kDigits = 2 * SecretKey::kSeedSizeBytes;
constexpr std::size_t kFileBytes =
    kHeader.size() + kAuthor.size() + kDigits + 1 + kSecret.size() + kDigits + 1;

/// Text that contains the secret; wiped at the end.
class SecretText {
 public:
  ~SecretText() { sealing::wipe(bytes_); }

  [[nodiscard]] std::array<std::uint8_t, kFileBytes + 1>& bytes() noexcept { return bytes_; }
  [[nodiscard]] std::string_view text(std::size_t size) const {
    return as_text(ByteView(bytes_).first(size));
  }

 private:
  std::array<std::uint8_t, kFileBytes + 1> bytes_{};
};

tl::unexpected<Failure> refuse(const std::string& path, std::string message,
                               std::string_view step = {}) {
  return fail_with(Failure(Exit::kVerification, Errc::kKeyFormat, std::move(message))
                       .about("key file " + shown(path))
                       .next(step));
}

Outcome<Descriptor> open_key_file(const std::string& path) {
  // Without waiting for the other end of a FIFO, and without following a link to who knows where.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    if (errno == ELOOP) return refuse(path, "is a symbolic link", "name the file itself");
    if (errno == ENOENT) return refuse(path, "does not exist", "`culm keygen FILE` makes one");
    return refuse(path, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return refuse(path, "is not a regular file");
  if (status.st_uid != ::geteuid()) return refuse(path, "belongs to another user");
  if ((status.st_mode & 077U) != 0) {
    return refuse(path, "may be read or written by others", "chmod 600 the file");
  }
  return file;
}

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

}  // namespace

Outcome<void> write_key_file(const std::string& path, const SecretKey& key) {
  // The name is taken before a byte of the secret is written, and without the buffers of others.
  CULM_TOOLS_TRY(auto file, NewFile::create(path, 0600));
  SecretText secret;
  auto place = secret.bytes().begin();
  const auto put = [&place](std::string_view text) { place = std::ranges::copy(text, place).out; };
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
  CULM_TOOLS_CHECK(file->write_now(ByteView(secret.bytes()).first(kFileBytes)));
  return file->complete();
}

Outcome<SecretKey> read_key_file(const std::string& path) {
  if (path.empty()) return usage("a file name must not be empty");
  CULM_TOOLS_TRY(const Descriptor file, open_key_file(path));
  SecretText secret;
  std::size_t size = 0;
  while (size < secret.bytes().size()) {
    const ssize_t got =
        ::read(file.get(), secret.bytes().data() + size, secret.bytes().size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(path, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }

  std::string_view rest = secret.text(size);
  if (rest.empty()) return refuse(path, "is empty");
  if (!take(rest, kHeader)) {
    const bool is_newer = rest.substr(0, 9) == kHeader.substr(0, 9);
    return refuse(path, is_newer ? "was made by another version of culm" : "is no key file");
  }
  const auto author = take_hex_line(rest, kAuthor);
  auto seed = author ? take_hex_line(rest, kSecret) : std::nullopt;
  if (!seed || !rest.empty()) return refuse(path, "is not well-formed");
  auto key = SecretKey::from_seed(*seed);
  sealing::wipe(*seed);
  if (!key) return refuse(path, message(key.error()));
  if (!equal(key->author().bytes, *author)) {
    return refuse(path, "names an author that does not fit the secret");
  }
  return *std::move(key);
}

std::string author_mark_path(const std::string& key_path, LogId log_id) {
  return key_path + "." + std::to_string(to_integer(log_id)) + ".mark";
}

}  // namespace culm::tools
