#include "culm/core/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace culm::detail {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(
      std::fprintf(stderr, "culm: bug: %s does not hold at %s:%d\n", condition, file, line));
  std::abort();
}

}  // namespace culm::detail
