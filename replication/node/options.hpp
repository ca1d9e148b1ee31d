#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/core/sealing.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/node/admission.hpp"

namespace culm::node {

struct NodeOptions {
  /// Who this node is to its peers; has nothing to do with authors.
  sealing::KeyPair identity;
  /// Nodes of different networks never talk.
  std::array<std::uint8_t, 32> network_id{};
  /// The secret of a closed network.
  std::optional<sealing::Key> psk{};
  /// What this node calls itself; at most limits::kTextBytesMax bytes of UTF-8.
  std::string agent = "culm";
  /// Inbound connections at a time: see `Admission`.
  AdmissionLimits admission{};
  /// Bytes that all peers together may have under way towards this node; at least
  /// limits::kCreditBytesMin, or nothing comes.
  std::uint64_t credit_bytes = limits::kNodeCreditBytes;
};

struct DialOptions {
  /// Talk to nobody else; another peer ends the session with kPeerUnexpected.
  std::optional<sealing::PeerKey> expected_peer{};
  /// Connect again, after a while, whenever there is no connection.
  bool reconnect = false;
  /// Asked for on each connection, widened by all that the store's interest in the log names by
  /// then. Unless it is for a quote only, a want is added to that interest: see `interests.hpp`.
  std::vector<replication::WantRequest> wants{};
  /// Offered on each connection; those that the store does not know then are left out.
  std::vector<LogKey> offers{};
};

}  // namespace culm::node
