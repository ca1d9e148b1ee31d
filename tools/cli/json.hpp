#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace culm::tools {

/// Keeps keys in the order in which they were added, so that output reads as it was written.
using Json = nlohmann::ordered_json;

/// One line without its line end. Text that is not UTF-8 is replaced, never refused.
[[nodiscard]] inline std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace culm::tools
