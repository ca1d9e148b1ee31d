#include "tests/simulation/simulation.hpp"

#include <gtest/gtest.h>

namespace culm::simulation {
namespace {

class Seed : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seed, HoldsWhatMustHold) {
  const Outcome outcome = simulate(GetParam());
  EXPECT_FALSE(outcome.violated) << report(outcome, {});
}

INSTANTIATE_TEST_SUITE_P(Simulation, Seed, testing::Range<std::uint64_t>(1, 25));

/// What a run without any fault found.
TEST(SimulationFound, ALogThatBeginsWhileItIsPushedIsOffered) {
  const Bounds bounds{1, 1, 1, 0, std::chrono::seconds(7)};
  const Outcome outcome = simulate(4, bounds);
  EXPECT_FALSE(outcome.violated) << report(outcome, bounds);
}

/// The commit that recorded the fork failed, and was on the disk.
TEST(SimulationFound, TheNewestBelowAForkComeThoughNobodyWasToldOfIt) {
  const Bounds bounds{.relays_max = 1};
  const Outcome outcome = simulate(7715853, bounds);
  EXPECT_FALSE(outcome.violated) << report(outcome, bounds);
}

TEST(SimulationFound, NoReceiptSpeaksOfWhatDamageCutOff) {
  const Bounds bounds;
  const Outcome outcome = simulate(1461435329, bounds);
  EXPECT_FALSE(outcome.violated) << report(outcome, bounds);
}

/// The relay refused what the author sent from the fork on, and lost a payload below it later.
TEST(SimulationFound, AnOfferedLogIsStillWantedBelowAForkThatItWasRefusedFor) {
  const Bounds bounds{.relays_max = 1};
  const Outcome outcome = simulate(1036223857, bounds);
  EXPECT_FALSE(outcome.violated) << report(outcome, bounds);
}

TEST(Simulation, OfOneSeedIsAlwaysTheSame) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    const Outcome first = simulate(seed);
    const Outcome second = simulate(seed);
    EXPECT_EQ(first.event_hash, second.event_hash) << "seed " << seed;
    EXPECT_EQ(first.commits, second.commits);
  }
}

TEST(Simulation, OfAnotherSeedIsAnother) {
  EXPECT_NE(simulate(1).event_hash, simulate(2).event_hash);
}

}  // namespace
}  // namespace culm::simulation
