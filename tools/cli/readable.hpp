#pragma once

#include <functional>
#include <optional>

#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"

namespace culm::tools {

/// Calls `visit` for the held entries of `seqnums` that can be read, ascending, also for those
/// behind damaged pages; returns the others.
[[nodiscard]] Outcome<RangeSet> visit_readable(
    const store::Store& store, const LogKey& log, const RangeSet& seqnums,
    const std::function<void(const store::StoredEntry&)>& visit);

/// What is damaged that is of no one log: the tables, or pages of the file.
[[nodiscard]] std::optional<Failure> find_damage(const Context& context,
                                                 const store::ReadTransaction& transaction);

}  // namespace culm::tools
