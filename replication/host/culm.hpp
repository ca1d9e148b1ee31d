#pragma once

// IWYU pragma: begin_exports
#include "culm/replication/host/replica.hpp"
// IWYU pragma: end_exports

/// The short way to use culm: `Replica`. Installed as culm/culm.hpp.
