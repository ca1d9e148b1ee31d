#pragma once

#include <string>

#include "tools/cli/command_line.hpp"

/// Man pages and completions, out of the command tree.
namespace culm::tools {

/// culm(1), in man(7).
[[nodiscard]] std::string man_page(const CommandTree& tree);
/// culm-VERB(1).
[[nodiscard]] std::string man_page(const Verb& verb);

[[nodiscard]] std::string bash_completion(const CommandTree& tree);
[[nodiscard]] std::string zsh_completion(const CommandTree& tree);
[[nodiscard]] std::string fish_completion(const CommandTree& tree);

}  // namespace culm::tools
