#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/repair_findings.hpp"

/// What is lost once `culm repair` has dropped what it found, and what it asks peers for. In a dry
/// run nothing is dropped: it is what a run would leave.
namespace culm::tools {

/// What peers are asked for of each log.
using Wanted = std::map<LogKey, store::Lost>;

/// What is lost and, of all logs that something is wanted of, what is missing: entries behind the
/// head may be lost with a state, which nothing here tells. `untold`: what was not surely here.
[[nodiscard]] Outcome<Wanted> find_wanted(const Context& context, const RepairOptions& options,
                                          const Findings& findings, const store::Store& store);

/// How a log comes back of which nothing is left to ask for.
[[nodiscard]] Outcome<std::string> next_if_logs_lost(const Context& context,
                                                     const store::Store& store);

/// Less by so many that something accounts for.
void account_for(LostRows& rows, std::uint64_t entries);

/// Says what is lost that no line before says, and fails where that is anything or nobody knows.
/// `lost_rows`: entries that the file had, and of which no row nor state tells.
[[nodiscard]] Outcome<void> unless_lost(Context& context, const RepairOptions& options,
                                        const Findings& findings, const store::Store& store,
                                        LostRows lost_rows);

/// Says behind what a dry run found all that a run would say, and what one with --from would ask
/// for. Whether anything is lost, or may be.
[[nodiscard]] Outcome<bool> tell_what_would_be(Context& context, const RepairOptions& options,
                                               const Findings& findings, bool is_sound,
                                               const store::Store& store, LostRows lost_rows);

}  // namespace culm::tools
