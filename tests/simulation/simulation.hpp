#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culm/core/time.hpp"

#include "tests/simulation/fault.hpp"

/// Whole nodes over a simulated network, with everything that goes wrong, from one seed: first with
/// faults, then healed. Whatever an honest node holds must be right at every commit, and once all
/// is healed all of them must hold what they want within a bounded time.
namespace culm::simulation {

/// What a run may consist of; a failing one is tried again with less.
struct Bounds {
  std::size_t relays_max = 2;
  std::size_t authors_max = 3;
  std::size_t readers_max = 3;
  std::uint32_t faults = (1U << kFaultCount) - 1;  ///< one bit for each Fault that may fire
  Duration faulty = std::chrono::minutes(5);       ///< how long things go wrong
};

struct Outcome {
  std::uint64_t seed = 0;
  Duration simulated{};
  std::size_t nodes = 0;
  std::uint64_t commits = 0;  ///< of all nodes, those that changed something
  FaultCounts faults{};
  std::uint64_t event_hash = 0;         ///< of everything that happened, in order
  std::optional<std::string> violated;  ///< the invariant, and where
  std::vector<std::string> last;        ///< the last events before that

  [[nodiscard]] std::uint64_t fault_count() const;
};

/// The same for the same arguments, on every machine.
[[nodiscard]] Outcome simulate(std::uint64_t seed, const Bounds& bounds = {});

/// Bounds under which the seed still fails, tried one by one: fewer kinds of faults, fewer nodes, a
/// shorter time. Precondition: it fails under `bounds`.
[[nodiscard]] Bounds shrink(std::uint64_t seed, Bounds bounds);

/// A line for each last event, and what to type to see it again.
[[nodiscard]] std::string report(const Outcome& outcome, const Bounds& bounds);

}  // namespace culm::simulation
