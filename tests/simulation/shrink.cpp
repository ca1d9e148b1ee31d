#include <string>

#include "tests/simulation/simulation.hpp"

namespace culm::simulation {
namespace {

bool fails(std::uint64_t seed, const Bounds& bounds) {
  return simulate(seed, bounds).violated.has_value();
}

}  // namespace

Bounds shrink(std::uint64_t seed, Bounds bounds) {
  const auto try_it = [&](const Bounds& smaller) {
    if (fails(seed, smaller)) bounds = smaller;
  };
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    Bounds smaller = bounds;
    smaller.faults &= ~(1U << i);
    if (smaller.faults != bounds.faults) try_it(smaller);
  }
  for (std::size_t Bounds::*const max :
       {&Bounds::relays_max, &Bounds::authors_max, &Bounds::readers_max}) {
    while (bounds.*max > 1) {
      Bounds smaller = bounds;
      --(smaller.*max);
      if (!fails(seed, smaller)) break;
      bounds = smaller;
    }
  }
  while (bounds.faulty > std::chrono::seconds(10)) {
    Bounds smaller = bounds;
    smaller.faulty = bounds.faulty * 2 / 3;
    if (!fails(seed, smaller)) break;
    bounds = smaller;
  }
  return bounds;
}

std::string report(const Outcome& outcome, const Bounds& bounds) {
  std::string text = "seed " + std::to_string(outcome.seed) + ": " + *outcome.violated + "\n";
  text += "  with at most " + std::to_string(bounds.relays_max) + " relays, " +
          std::to_string(bounds.authors_max) + " authors, " + std::to_string(bounds.readers_max) +
          " readers, faults for " +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(bounds.faulty).count()) +
          " s:";
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    if (outcome.faults[i] != 0) text += " " + std::string(name(static_cast<Fault>(i))) + ",";
  }
  text.back() = '\n';
  for (const std::string& line : outcome.last) text += "    " + line + "\n";
  return text;
}

}  // namespace culm::simulation
