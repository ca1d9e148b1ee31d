#include "culm/core/types.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace culm {

std::string to_string(const LogKey& log) {
  std::string text = to_hex(log.author.bytes);
  if (log.log_id != LogId{}) text.append(".").append(std::to_string(to_integer(log.log_id)));
  return text;
}

Result<LogKey> parse_log_key(std::string_view text) {
  const auto dot = text.find('.');
  const auto author = from_hex(text.substr(0, dot));
  LogKey log;
  if (!author || author->size() != log.author.bytes.size()) return fail(Errc::kHexFormat);
  std::ranges::copy(*author, log.author.bytes.begin());
  if (dot == std::string_view::npos) return log;

  const std::string_view digits = text.substr(dot + 1);
  std::uint64_t log_id = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), log_id);
  if (code != std::errc{} || end != digits.data() + digits.size()) {
    return fail(error_at(Errc::kHexFormat, dot + 1));
  }
  log.log_id = LogId{log_id};
  return log;
}

std::size_t LogKeyHash::operator()(const LogKey& log) const noexcept {
  // Keys are chosen by strangers, but a crowd of colliding ones costs a curve point each.
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, log.author.bytes.data(), sizeof prefix);
  return static_cast<std::size_t>(prefix ^ to_integer(log.log_id) * 0x9E3779B97F4A7C15U);
}

}  // namespace culm
