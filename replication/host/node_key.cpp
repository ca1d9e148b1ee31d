#include "culm/replication/host/node_key.hpp"

#include <algorithm>
#include <span>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/random.hpp"
#include "culm/store/secret_file.hpp"

namespace culm::host {
namespace {

constexpr std::size_t kDigits = 2 * sizeof(sealing::Key);

bool is_node_key(ByteView text) {
  const bool is_line =
      text.size() == kDigits || (text.size() == kDigits + 1 && text.back() == '\n');
  auto secret = is_line ? from_hex(as_text(text.first(kDigits))) : std::nullopt;
  if (secret) sealing::wipe(*secret);
  return secret.has_value();
}

}  // namespace

Result<void> write_peer_key(const std::string& path, const sealing::KeyPair& pair) {
  std::string text = to_hex(pair.secret());
  auto written = store::write_secret_file(path, as_bytes(text));
  sealing::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return written;
}

Result<sealing::Key> read_node_key(const std::string& path) {
  CULM_TRY(Bytes text, store::read_secret_file(path, kDigits + 1, is_node_key));
  auto secret = from_hex(as_text(ByteView(text).first(kDigits)));
  sealing::wipe(text);
  sealing::Key key{};
  std::ranges::copy(*secret, key.begin());
  sealing::wipe(*secret);
  return key;
}

Result<sealing::KeyPair> open_peer_key(const std::string& path) {
  auto secret = read_node_key(path);
  if (!secret && secret.error().code == Errc::kKeyFileMissing) {
    // Another process may have been faster.
    SystemRandom random;
    const auto made = write_peer_key(path, sealing::KeyPair::generate(random));
    if (!made && made.error().code != Errc::kFileExists) return fail(made.error());
    secret = read_node_key(path);
  }
  if (!secret) return fail(secret.error());
  auto pair = sealing::KeyPair::from_secret(*secret);
  sealing::wipe(*secret);
  return pair;
}

std::array<std::uint8_t, 32> network_id_of(std::string_view name) {
  std::array<std::uint8_t, 32> id{};
  if (name.empty()) return id;
  const Hash digest = hash(as_bytes(name));
  std::ranges::copy_n(digest.bytes.begin(), static_cast<std::ptrdiff_t>(id.size()), id.begin());
  return id;
}

}  // namespace culm::host
