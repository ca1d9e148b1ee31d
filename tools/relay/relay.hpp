#pragma once

#include <string>
#include <vector>

#include "tools/cli/context.hpp"
#include "tools/relay/config.hpp"
#include "tools/relay/log.hpp"

namespace culm::tools {

struct RelayOptions {
  std::string listen = "127.0.0.1:7474";
  std::vector<std::string> accept;
  bool accept_any = false;
  AdmissionOptions admission;
  HostOptions host_options;
  Log::Options log;
};

/// Serves the store until a signal ends it.
[[nodiscard]] Outcome<void> run_relay(Context& context, const RelayOptions& options);

}  // namespace culm::tools
