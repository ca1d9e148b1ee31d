#pragma once

#include <algorithm>
#include <array>

#include "culm/core/error.hpp"

namespace culm::node {

/// Of why a peer is not connected: whether to call it again takes long once more.
[[nodiscard]] constexpr bool is_silence(Errc code) {
  constexpr std::array kSilences{Errc::kTimeout, Errc::kHandshake, Errc::kPeerStalled,
                                 Errc::kPeerSilent};
  return std::ranges::find(kSilences, code) != kSilences.end();
}

}  // namespace culm::node
