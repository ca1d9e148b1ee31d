#include "tests/simulation/fault.hpp"

namespace culm::simulation {

std::string_view name(Fault fault) {
  constexpr auto kNames = std::to_array<std::string_view>({"crash",
                                                           "backup restored",
                                                           "store lost",
                                                           "clone",
                                                           "write fails",
                                                           "commit lands unsaid",
                                                           "disk full",
                                                           "damaged row",
                                                           "connection cut",
                                                           "all cut",
                                                           "partition",
                                                           "one-way partition",
                                                           "slow network",
                                                           "jitter",
                                                           "fragments",
                                                           "slow reader",
                                                           "fork",
                                                           "bad signature",
                                                           "bad link",
                                                           "bare connection",
                                                           "many connections",
                                                           "garbage",
                                                           "half a handshake",
                                                           "replay",
                                                           "byzantine",
                                                           "liar",
                                                           "withholder",
                                                           "idler",
                                                           "flooder"});
  static_assert(kNames.size() == kFaultCount);
  return kNames[static_cast<std::size_t>(fault)];
}

}  // namespace culm::simulation
