#pragma once

#include "culm/core/signing.hpp"

namespace culm::detail {

/// Whether the encoding of S*B - h*A equals R, without help of the library's own verification.
/// Only meaningful for a signature that the library has accepted.
[[nodiscard]] bool recomputes_r(const Author& author, ByteView message, const Signature& signature);

}  // namespace culm::detail
