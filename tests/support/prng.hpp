#pragma once

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "culm/core/bytes.hpp"
#include "culm/core/random.hpp"

namespace culm::test {

/// A small generator (SplitMix64) whose whole sequence follows from its seed, on every machine.
class TestRandom final : public Random {
 public:
  explicit TestRandom(std::uint64_t seed) : seed_(seed), state_(seed) {}

  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }

  /// 0 to `end` - 1. Precondition: `end > 0`.
  std::uint64_t below(std::uint64_t end) { return next() % end; }

  /// `first` to `last`, both inclusive. Precondition: `first <= last` and not the whole range.
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + below(last - first + 1);
  }

  void fill(MutableByteView out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(next() >> 56U);
  }

  Bytes bytes(std::size_t size) {
    Bytes out(size);
    fill(out);
    return out;
  }

 private:
  std::uint64_t seed_;
  std::uint64_t state_;
};

}  // namespace culm::test

/// Names the seed in the message of every failure in this scope.
#define CULM_TRACE_SEED(random) SCOPED_TRACE("seed " + std::to_string((random).seed()))
