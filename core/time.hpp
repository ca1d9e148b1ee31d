#pragma once

#include <chrono>

namespace culm {

/// A length of time in microseconds.
using Duration = std::chrono::microseconds;

/// Names the time line of `Instant`. It has no `now()`: time is an argument everywhere below the
/// transport, so that the protocol can be driven by a simulated clock.
struct MonotonicClock {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

/// A point on a clock that never jumps, with an arbitrary start.
using Instant = MonotonicClock::time_point;

}  // namespace culm
