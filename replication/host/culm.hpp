/// The short way to use culm: `Replica`. Installed as culm/culm.hpp. What fails gives an `Error`,
/// and `culm::message` says it; `value()` of such a result throws it instead.
#pragma once

// IWYU pragma: begin_exports
#include "culm/replication/host/replica.hpp"
// IWYU pragma: end_exports
