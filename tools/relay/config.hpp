#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/replication/host/replica.hpp"
#include "culm/replication/policy.hpp"
#include "culm/replication/transport/node.hpp"

#include "tools/cli/command_line.hpp"

namespace culm::tools {

/// Who a node is to its peers, with whom it talks, and how it checks what they send.
struct HostOptions {
  std::string peer_key_file;  ///< "": peer.key in the store's directory
  std::string network_key_file;
  std::string network;
  std::string verification = "links";
  std::optional<std::size_t> verify_threads;  ///< else as many as there are cores
  node::AdmissionLimits admission{.sessions_max = limits::kSessionsRelay};

  /// Whether anything differs from what a node does by itself.
  [[nodiscard]] bool are_given() const;

  friend bool operator==(const HostOptions&, const HostOptions&) = default;
};

/// Those by which a peer is reached: of a verb that connects and runs no node as well.
void add_peer_options(Verb& verb, HostOptions& options);
/// Those and the others.
void add_host_options(Verb& verb, HostOptions& options);

/// How a process without a node reaches the same peers.
[[nodiscard]] ReplicaOptions to_replica_options(const HostOptions& options);

/// How many peers a relay takes at a time: numbers, as they were given.
struct AdmissionOptions {
  std::string sessions = std::to_string(limits::kSessionsRelay);
  std::string sessions_per_address = std::to_string(limits::kSessionsPerAddress);
  std::string handshakes = std::to_string(limits::kHandshakes);
  std::string handshakes_per_address = std::to_string(limits::kHandshakesPerAddress);
};

void add_admission_options(Verb& verb, AdmissionOptions& options);

/// Fails with exit 2 for what is no number from 1 to a million.
[[nodiscard]] Outcome<node::AdmissionLimits> parse_admission(const AdmissionOptions& options);

/// How much is checked before what comes in is stored.
[[nodiscard]] Outcome<AcceptOptions> parse_verification(const HostOptions& options);

/// Fails with exit 4 for a file that is no key or that others may read.
[[nodiscard]] Outcome<std::optional<sealing::Key>> read_network_key(const HostOptions& options);

/// Of the file in the directory of a store, where --peer-key names none.
inline constexpr const char* kPeerKeyName = "peer.key";

/// The key that a node is known by, and its file.
struct HostKey {
  sealing::KeyPair pair;
  std::string path;
  bool is_kept = true;  ///< in the file
};

/// Reads the peer key; where there is none it is made, and `keep` writes it. Fails as
/// `read_network_key`, also where there is no place for it.
[[nodiscard]] Outcome<HostKey> read_host_key(const std::string& store_directory,
                                             const HostOptions& options);
/// Writes it into its file, unless it is there.
[[nodiscard]] Result<void> keep(const HostKey& key);

[[nodiscard]] node::NodeOptions make_node_options(const HostOptions& options,
                                                  const sealing::KeyPair& identity,
                                                  const std::optional<sealing::Key>& network_key);

/// Reads "HOST:PORT"; `what` names the argument in the message. Fails with exit 2.
[[nodiscard]] Outcome<node::Endpoint> parse_endpoint_option(std::string_view what,
                                                            std::string_view text);

/// Reads 64 hex digits of a peer. Fails with exit 2.
[[nodiscard]] Outcome<sealing::PeerKey> parse_peer_option(std::string_view what,
                                                          std::string_view text);

/// Serves every log of the store to peers that name it, and takes what is on its list when it is
/// offered.
class RelayPolicy final : public replication::ReadOnlyPolicy {
 public:
  /// Each of `accept` is an author's 64 hex digits, for all logs of that author, or these with
  /// .LOG_ID, for one. Fails with exit 2.
  [[nodiscard]] static Outcome<RelayPolicy> make(const std::vector<std::string>& accept,
                                                 bool accept_any);

  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& peer,
                                                               const LogKey& log) override;

 private:
  bool accept_any_ = false;
  std::vector<Author> authors_;
  std::vector<LogKey> logs_;
};

}  // namespace culm::tools
