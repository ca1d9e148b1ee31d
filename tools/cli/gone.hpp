#pragma once

#include <string>
#include <vector>

#include "culm/store/author_mark_place.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"

/// Logs of one's own that are not in the store, though their author marks tell of it.
namespace culm::tools {

/// As `store::AuthorMarks::list_gone`; none where no marks can be found.
[[nodiscard]] Outcome<std::vector<store::GoneLog>> find_gone(
    const Context& context, const store::Store& store,
    store::GoneFrom from = store::GoneFrom::kThis);

/// "alice.1, AUTHOR.2 and 7 others", as commands take them, with `separator` between.
[[nodiscard]] std::string human_gone(const std::vector<store::GoneLog>& gone,
                                     const std::string& separator);

/// Says that they are not here, and how they come back from `peer`, a HOST:PORT. JSON says nothing
/// where there are none.
[[nodiscard]] Outcome<void> tell_gone(Context& context, const std::vector<store::GoneLog>& gone,
                                      const std::string& peer = "HOST:PORT");

}  // namespace culm::tools
