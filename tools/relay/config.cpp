#include "tools/relay/config.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/random.hpp"

#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/version.hpp"

namespace culm::tools {
namespace {

constexpr const char* kPeerKeyName = "peer.key";
constexpr std::size_t kDigits = 2 * sizeof(sealing::Key);

tl::unexpected<Failure> refuse(const std::string& path, std::string message,
                               std::string_view step = {}) {
  return fail_with(Failure(Exit::kVerification, Errc::kKeyFormat, std::move(message))
                       .about("key file " + shown(path))
                       .next(step));
}

/// 64 hex digits, and perhaps a line end, in a file that nobody else may read.
Outcome<sealing::Key> read_secret(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    return refuse(path, errno == ELOOP ? "is a symbolic link" : std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return refuse(path, "is not a regular file");
  if (status.st_uid != ::geteuid()) return refuse(path, "belongs to another user");
  if ((status.st_mode & 077U) != 0) {
    return refuse(path, "may be read or written by others", "chmod 600 the file");
  }
  std::array<std::uint8_t, kDigits + 2> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  const auto size = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  const bool is_line = size == kDigits || (size == kDigits + 1 && text[kDigits] == '\n');
  auto secret = from_hex(as_text(ByteView(text).first(std::min(size, kDigits))));
  sealing::wipe(text);
  if (!is_line || !secret) {
    return refuse(path, "does not hold 64 hex digits",
                  "`(umask 077; openssl rand -hex 32 > FILE)` makes a network key");
  }
  sealing::Key key{};
  std::ranges::copy(*secret, key.begin());
  sealing::wipe(*secret);
  return key;
}

Outcome<void> make_peer_key(const std::string& path) {
  SystemRandom random;
  const auto pair = sealing::KeyPair::generate(random);
  CULM_TOOLS_TRY(auto file, NewFile::create(path, 0600));
  std::string text = to_hex(pair.secret()) + "\n";
  const auto written = file->write_now(as_bytes(text));
  sealing::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  CULM_TOOLS_CHECK(written);
  return file->complete();
}

Outcome<sealing::KeyPair> peer_key(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 && errno == ENOENT) {
    CULM_TOOLS_CHECK(make_peer_key(path));
  }
  CULM_TOOLS_TRY(const sealing::Key secret, read_secret(path));
  return sealing::KeyPair::from_secret(secret);
}

}  // namespace

void add_host_options(Verb& verb, HostOptions& options) {
  verb.add_option("--peer-key", &options.peer_key_file,
                  "File with the secret that this peer is known by; made if it is missing.\n"
                  "Otherwise peer.key in the directory of the store")
      .type_name("FILE");
  verb.add_option("--network", &options.network,
                  "Talk only to peers that name the same network; any text")
      .type_name("NAME");
  verb.add_option("--network-key", &options.network_key_file,
                  "Talk only to peers that hold the same secret: 64 hex digits in this file")
      .type_name("FILE");
  verb.add_option(
          "--verification", &options.verification,
          "links: check the signatures of the entries that no link vouches for; full: check\n"
          "every signature of a unit before the unit is stored")
      .type_name("links|full")
      .show_default();
  verb.add_option(
          "--verify-threads", &options.verify_threads,
          "Check so many signatures of what comes in at a time; otherwise as many as there\n"
          "are cores")
      .type_name("N");
}

bool HostOptions::are_given() const { return *this != HostOptions{}; }

Outcome<AcceptOptions> parse_verification(const HostOptions& options) {
  AcceptOptions accept;
  accept.full = options.verification == "full";
  if (accept.full || options.verification == "links") return accept;
  return usage("--verification \"" + preview(as_bytes(options.verification), 20) +
               "\" is neither links nor full");
}

Outcome<node::NodeOptions> make_node_options(const std::string& store_directory,
                                             const HostOptions& options) {
  const std::string path =
      options.peer_key_file.empty() ? store_directory + "/" + kPeerKeyName : options.peer_key_file;
  CULM_TOOLS_TRY(const sealing::KeyPair identity, peer_key(path));
  node::NodeOptions node{.identity = identity};
  node.agent = std::string("culm ") + kVersion;
  if (!options.network.empty()) {
    const Hash digest = hash(as_bytes(options.network));
    std::ranges::copy_n(digest.bytes.begin(), static_cast<std::ptrdiff_t>(node.network_id.size()),
                        node.network_id.begin());
  }
  if (!options.network_key_file.empty()) {
    CULM_TOOLS_TRY(node.psk, read_secret(options.network_key_file));
  }
  return node;
}

Outcome<node::Endpoint> parse_endpoint_option(const std::string& what, const std::string& text) {
  auto endpoint = node::parse_endpoint(text);
  if (endpoint) return *std::move(endpoint);
  return usage(what + " \"" + preview(as_bytes(text), 60) +
               "\" is not HOST:PORT, like 127.0.0.1:7474 or [::1]:7474");
}

Outcome<sealing::PeerKey> parse_peer_option(const std::string& text) {
  const auto bytes = from_hex(text);
  sealing::PeerKey peer;
  if (!bytes || bytes->size() != peer.bytes.size()) {
    return usage("--peer \"" + preview(as_bytes(text), 60) +
                 "\" is not the 64 hex digits that `culm relay` prints");
  }
  std::ranges::copy(*bytes, peer.bytes.begin());
  return peer;
}

Outcome<RelayPolicy> RelayPolicy::make(const std::vector<std::string>& accept, bool accept_any) {
  RelayPolicy policy;
  policy.accept_any_ = accept_any;
  for (const std::string& text : accept) {
    const auto log = parse_log_key(text);
    if (!log) {
      return usage("--accept \"" + preview(as_bytes(text), 80) +
                   "\" is neither an author's 64 hex digits nor these and .LOG_ID");
    }
    if (text.find('.') == std::string::npos) {
      policy.authors_.push_back(log->author);
    } else {
      policy.logs_.push_back(*log);
    }
  }
  return policy;
}

std::optional<store::LogInterest> RelayPolicy::accept_offer(const sealing::PeerKey& /*peer*/,
                                                            const LogKey& log) {
  const bool accepted = accept_any_ || std::ranges::find(authors_, log.author) != authors_.end() ||
                        std::ranges::find(logs_, log) != logs_.end();
  if (!accepted) return std::nullopt;
  return store::LogInterest{everything(), true};
}

}  // namespace culm::tools
