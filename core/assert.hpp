#pragma once

namespace culm::detail {

/// Prints the place and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace culm::detail

/// States what only a bug in the calling program can break; on in every build. Never used on bytes
/// that came from a peer, a file or a person: those are answered with a `Result`.
#define CULM_ASSERT(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::culm::detail::assertion_failed(#condition, __FILE__, __LINE__))
