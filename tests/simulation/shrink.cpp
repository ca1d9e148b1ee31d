#include <string>

#include "tests/simulation/simulation.hpp"

namespace culm::simulation {
namespace {

/// What was violated, without the names and numbers.
std::string kind_of(const Outcome& outcome) {
  std::string kind;
  for (const char c : outcome.violated.value_or("")) {
    if (c == ';') break;
    if (c < '0' || c > '9') kind += c;
  }
  for (const char* const who : {"author", "reader", "relay"}) {
    for (auto at = kind.find(who); at != std::string::npos; at = kind.find(who)) {
      kind.erase(at, std::string(who).size());
    }
  }
  return kind;
}

}  // namespace

Bounds shrink(std::uint64_t seed, Bounds bounds) {
  const std::string kind = kind_of(simulate(seed, bounds));
  const auto fails = [&](const Bounds& smaller) {
    return kind_of(simulate(seed, smaller)) == kind;
  };
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    Bounds smaller = bounds;
    smaller.faults &= ~(1U << i);
    if (smaller.faults != bounds.faults && fails(smaller)) bounds = smaller;
  }
  for (std::size_t Bounds::*const max :
       {&Bounds::relays_max, &Bounds::authors_max, &Bounds::readers_max}) {
    while (bounds.*max > 1) {
      Bounds smaller = bounds;
      --(smaller.*max);
      if (!fails(smaller)) break;
      bounds = smaller;
    }
  }
  while (bounds.faulty > std::chrono::seconds(10)) {
    Bounds smaller = bounds;
    smaller.faulty = std::chrono::duration_cast<std::chrono::seconds>(bounds.faulty * 2 / 3);
    if (!fails(smaller)) break;
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
  text += "  again: culm_sim --seed " + std::to_string(outcome.seed) + " --faults " +
          std::to_string(bounds.faults) + " --relays " + std::to_string(bounds.relays_max) +
          " --authors " + std::to_string(bounds.authors_max) + " --readers " +
          std::to_string(bounds.readers_max) + " --faulty " +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(bounds.faulty).count()) +
          "\n";
  return text;
}

}  // namespace culm::simulation
