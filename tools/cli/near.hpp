#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culm::tools {

/// Those of `known` that `typed` may have been meant for, the nearest alone: what differs by a
/// letter or two, or begins with all of it.
[[nodiscard]] std::vector<std::string> near_to(std::string_view typed,
                                               const std::vector<std::string>& known);

/// "a", "a or b", "a, b or c".
[[nodiscard]] std::string either(const std::vector<std::string>& choices);

}  // namespace culm::tools
