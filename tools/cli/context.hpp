#pragma once

#include <string>
#include <vector>

#include "tools/cli/failure.hpp"
#include "tools/cli/output.hpp"

namespace culm::tools {

/// What every verb gets: the options before all verbs, and where to print.
struct Context {
  std::string store_directory = "./culm-store";
  bool json = false;
  std::vector<std::string> arguments;  ///< as they were given, without the program's name
  Output out;
  std::string next{};  ///< what to do next, where the verb does not fail
};

}  // namespace culm::tools
