#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "culm/core/result.hpp"

namespace culm::node {

/// Where a node listens or is to be found.
struct Endpoint {
  std::string host;  ///< an IPv4 or IPv6 address, or a name; without brackets
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Reads "host:port" and "[ipv6]:port"; the port is decimal, 0 to 65535. Whether the host exists is
/// not looked up. Fails with kAddress.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

/// What `parse_endpoint` reads.
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

}  // namespace culm::node
