#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace culm::simulation {

/// What goes wrong in a simulation; each run draws which of these it has at all.
enum class Fault : std::uint8_t {
  // Processes.
  kCrash,
  kBackupRestored,
  kStoreLost,
  kClone,
  // Disks.
  kWriteFails,
  kCommitLandsUnsaid,
  kDiskFull,
  kDamagedRow,
  // Networks.
  kConnectionCut,
  kAllConnectionsCut,
  kPartition,
  kOneWayPartition,
  kSlowNetwork,
  kJitter,
  kFragments,
  kSlowReader,
  // Authors.
  kFork,
  kBadSigner,
  kBadLinker,
  // Strangers.
  kBareConnection,
  kManyConnections,
  kGarbage,
  kHalfHandshake,
  kReplay,
  kByzantine,
  kLiar,
  kWithholder,
  kIdler,
  kFlooder,  // the last: it gives the count. Another one changes what seeds lead to.
};

inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kFlooder) + 1;
static_assert(kFaultCount < 32, "a mask of faults has 32 bits");

[[nodiscard]] std::string_view name(Fault fault);

/// How often each one fired.
using FaultCounts = std::array<std::uint64_t, kFaultCount>;

}  // namespace culm::simulation
