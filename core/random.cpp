#include "culm/core/random.hpp"

#include <sodium.h>

namespace culm {

void SystemRandom::fill(MutableByteView out) { randombytes_buf(out.data(), out.size()); }

}  // namespace culm
