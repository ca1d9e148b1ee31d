#pragma once

#include "culm/core/bytes.hpp"

namespace culm {

/// Where randomness comes from. Injected, so that a simulation can replay it.
class Random {
 public:
  virtual ~Random() = default;

  /// Overwrites `out` with random bytes.
  virtual void fill(MutableByteView out) = 0;
};

/// The operating system's generator; safe to use from any thread.
class SystemRandom final : public Random {
 public:
  void fill(MutableByteView out) override;
};

}  // namespace culm
