#include "tools/relay/config.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "culm/replication/host/node_key.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/version.hpp"

namespace culm::tools {
namespace {

Failure no_network_key(const Error& error) {
  Failure failure(error);
  const bool has_none = error.code == Errc::kKeyFileMissing || error.code == Errc::kKeyFileFormat;
  if (has_none) {
    failure.step =
        "copy the file of those who opened the network: another key never fits; only who opens a "
        "new network makes one, with `(umask 077; openssl rand -hex 32 > FILE)`";
  }
  return failure;
}

Failure no_peer_key(const Error& error) {
  Failure failure(error);
  if (error.code == Errc::kKeyFileFormat) {
    failure.message = "this is no peer key, by which peers know this store, or a damaged one";
    failure.step =
        "move the file away, or name another one with --peer-key FILE: the next sync or relay "
        "makes "
        "one that is missing; peers that expect the old one have to be told";
  } else if (error.code == Errc::kKeyFileOwner) {
    failure.step = "act as that user, or name another peer key with --peer-key FILE";
  }
  return failure;
}

}  // namespace

void add_peer_options(Verb& verb, HostOptions& options) {
  verb.add_option("--peer-key", &options.peer_key_file,
                  "File with the secret that this peer is known by; made if it is missing.\n"
                  "Otherwise peer.key in the directory of the store")
      .type_name("FILE");
  verb.add_option("--network", &options.network,
                  "Talk only to peers that name the same network; any text")
      .type_name("NETWORK");
  verb.add_option("--network-key", &options.network_key_file,
                  "Talk only to peers that hold the same secret: 64 hex digits in this file")
      .type_name("FILE");
}

void add_host_options(Verb& verb, HostOptions& options) {
  add_peer_options(verb, options);
  verb.add_option(
          "--verification", &options.verification,
          "links: check the signatures of the entries that no link vouches for; full: check\n"
          "every signature of a unit before the unit is stored")
      .type_name("links|full")
      .show_default();
  verb.add_option(
      "--verify-threads", value_of("N", options.verify_threads, parse_verify_threads),
      "Check so many signatures of what comes in at a time; otherwise as many as there\n"
      "are cores");
}

ReplicaOptions to_replica_options(const HostOptions& options) {
  return {.network = options.network,
          .network_key_file = options.network_key_file,
          .peer_key_file = options.peer_key_file};
}

void add_admission_options(Verb& verb, AdmissionOptions& options) {
  const auto add = [&verb](const char* name, std::string& target, const char* help) {
    verb.add_option(name, &target, help).type_name("N").show_default();
  };
  add("--sessions", options.sessions,
      "Serve so many peers at a time. When there are more, a newcomer takes the place of one\n"
      "that has brought nothing and has been left alone, or is told that the relay is busy");
  add("--sessions-per-address", options.sessions_per_address,
      "The same for the peers behind one IPv4 address, or in one IPv6 network of 64 bits");
  add("--handshakes", options.handshakes,
      "Have so many connections whose handshake is under way. When there are more, the\n"
      "oldest makes room, of the address that has the most");
  add("--handshakes-per-address", options.handshakes_per_address,
      "The same for one address; its oldest makes room");
}

Outcome<node::AdmissionLimits> parse_admission(const AdmissionOptions& options) {
  constexpr std::uint32_t kMax = 1'000'000;
  const auto parse = [](const char* name, const std::string& text) -> Outcome<std::uint32_t> {
    CULM_TOOLS_TRY(const std::uint64_t count, parse_number(name, text));
    if (count >= 1 && count <= kMax) return static_cast<std::uint32_t>(count);
    return usage(name + (" " + std::to_string(count)) + " is not from 1 to " +
                 std::to_string(kMax));
  };
  node::AdmissionLimits out;
  CULM_TOOLS_TRY(out.sessions_max, parse("--sessions", options.sessions));
  CULM_TOOLS_TRY(out.sessions_per_address_max,
                 parse("--sessions-per-address", options.sessions_per_address));
  CULM_TOOLS_TRY(out.handshakes_max, parse("--handshakes", options.handshakes));
  CULM_TOOLS_TRY(out.handshakes_per_address_max,
                 parse("--handshakes-per-address", options.handshakes_per_address));
  return out;
}

bool HostOptions::are_given() const { return *this != HostOptions{}; }

Outcome<AcceptOptions> parse_verification(const HostOptions& options) {
  AcceptOptions accept;
  accept.full = options.verification == "full";
  if (accept.full || options.verification == "links") return accept;
  return usage("--verification \"" + preview(as_bytes(options.verification), 20) +
               "\" is neither links nor full");
}

Outcome<std::optional<sealing::Key>> read_network_key(const HostOptions& options) {
  const std::string& file = options.network_key_file;
  if (file.empty()) return std::nullopt;
  const auto key = host::read_node_key(file);
  if (!key) return fail_with(no_network_key(key.error()).about(shown(file)));
  return *key;
}

Outcome<HostKey> read_host_key(const std::string& store_directory, const HostOptions& options) {
  const std::string path =
      options.peer_key_file.empty() ? store_directory + "/" + kPeerKeyName : options.peer_key_file;
  const auto secret = host::read_node_key(path);
  if (secret) return HostKey{sealing::KeyPair::from_secret(*secret), path};
  const auto parent = std::filesystem::absolute(path).parent_path();
  const bool can_be_made = options.peer_key_file.empty() || std::filesystem::is_directory(parent);
  const bool is_closed = options.peer_key_file.empty() && secret.error().code == Errc::kFileIo &&
                         std::filesystem::is_directory(parent) &&
                         ::faccessat(AT_FDCWD, parent.c_str(), X_OK, AT_EACCESS) != 0;
  if (is_closed) {
    return fail_with(
        Failure(error_system(Errc::kStoreIo, EACCES)).about("store " + shown(store_directory)));
  }
  if (secret.error().code != Errc::kKeyFileMissing || !can_be_made) {
    return fail_with(no_peer_key(secret.error()).about(shown(path)));
  }
  SystemRandom random;
  return HostKey{sealing::KeyPair::generate(random), path, false};
}

Result<void> keep(const HostKey& key) {
  if (key.is_kept) return {};
  const auto written = host::write_peer_key(key.path, key.pair);
  // Another process may have been faster: its key is for the next time.
  return !written && written.error().code == Errc::kFileExists ? Result<void>() : written;
}

node::NodeOptions make_node_options(const HostOptions& options, const sealing::KeyPair& identity,
                                    const std::optional<sealing::Key>& network_key) {
  node::NodeOptions node{.identity = identity};
  node.admission = options.admission;
  node.agent = std::string("culm ") + kVersion;
  node.network_id = host::network_id_of(options.network);
  node.psk = network_key;
  return node;
}

Outcome<node::Endpoint> parse_endpoint_option(std::string_view what, std::string_view text) {
  auto endpoint = node::parse_endpoint(text);
  if (endpoint) return *std::move(endpoint);
  return usage(std::string(what) + " \"" + preview(as_bytes(text), 60) +
               "\" is not HOST:PORT, like 127.0.0.1:7474 or [::1]:7474");
}

Outcome<sealing::PeerKey> parse_peer_option(std::string_view what, std::string_view text) {
  const auto bytes = from_hex(text);
  sealing::PeerKey peer;
  if (!bytes || bytes->size() != peer.bytes.size()) {
    return usage(std::string(what) + " \"" + preview(as_bytes(text), 60) +
                 "\" is not the 64 hex digits that `culm relay` prints");
  }
  std::ranges::copy(*bytes, peer.bytes.begin());
  return peer;
}

Outcome<RelayPolicy> RelayPolicy::make(const std::vector<std::string>& accept, bool accept_any) {
  RelayPolicy policy;
  policy.accept_any_ = accept_any;
  for (const std::string& text : accept) {
    const auto name = find_whole_name(text);
    if (!name) return fail_with(name.error());
    if (!*name) {
      return usage("--accept \"" + preview(as_bytes(text), 80) +
                   "\" is neither a name that `culm name` gave nor an author's 64 hex digits, each "
                   "alone or with .LOG_ID");
    }
    const auto& [author, log_id] = **name;
    if (log_id) {
      policy.logs_.push_back({author, *log_id});
    } else {
      policy.authors_.push_back(author);
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
