#pragma once

#include "culm/store/memory_kv.hpp"

#include "tests/simulation/parts.hpp"

namespace culm::simulation {

/// Turns a bit in one row of a peer's `image`: of an entry, or of a part of a payload. False where
/// there is none.
[[nodiscard]] bool rot(Peer& peer, const Logs& logs, store::MemoryImage& image, TestRandom& random);

}  // namespace culm::simulation
