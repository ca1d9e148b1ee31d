#include "culm/replication/node/endpoint.hpp"

#include <charconv>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

Result<std::uint16_t> parse_port(std::string_view digits) {
  std::uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, code] = std::from_chars(digits.data(), end, port);
  if (code != std::errc{} || stop != end) return fail(Errc::kAddress);
  return port;
}

bool is_printable(char c) { return c > ' ' && c < '\x7f'; }

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::kAddress);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.size() > limits::kTextBytesMax) return fail(Errc::kAddress);
  // Only brackets tell an IPv6 address from its port.
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (has_colon != bracketed || host.find_first_of("[]") != std::string_view::npos) {
    return fail(Errc::kAddress);
  }
  for (const char c : host) {
    if (!is_printable(c)) return fail(Errc::kAddress);
  }
  CULM_TRY(const std::uint16_t port, parse_port(text.substr(colon + 1)));
  return Endpoint{std::string(host), port};
}

std::string to_string(const Endpoint& endpoint) {
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

}  // namespace culm::node
