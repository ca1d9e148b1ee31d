#pragma once

#include <functional>

#include "culm/store/store.hpp"

#include "tools/cli/failure.hpp"

namespace culm::tools {

/// Calls `visit` for the held entries of `seqnums` that can be read, ascending, also for those
/// behind damaged pages; returns the others.
[[nodiscard]] Outcome<RangeSet> visit_readable(
    const store::Store& store, const LogKey& log, const RangeSet& seqnums,
    const std::function<void(const store::StoredEntry&)>& visit);

}  // namespace culm::tools
