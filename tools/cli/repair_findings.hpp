#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "culm/store/audit.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"
#include "tools/relay/config.hpp"

/// What `culm repair` finds, and what it says of it.
namespace culm::tools {

struct RepairOptions {
  std::vector<std::string> logs;
  std::vector<std::string> from;
  bool dry_run = false;
  HostOptions host_options;
};

/// The state of a log in the place of a damaged one.
struct Made {
  store::Restored restored;
  RangeSet untold;  ///< payloads of which nothing tells whether they were here, or were deleted
  RangeSet absent;  ///< entries below the highest of which nothing tells whether they were here
};

/// What was found of the logs, and why some could not be looked at.
struct Findings {
  std::map<LogKey, store::Damage> damaged;
  std::map<LogKey, RangeSet> cut_off;  ///< wanted entries that do not lead to entry 1 any more
  std::map<LogKey, Made> made;
  std::optional<LogKey> any_log;   ///< through which the list of known peers is dropped
  bool are_peers_damaged = false;  ///< that list
  std::optional<Failure> failure;  ///< of one of them
};

[[nodiscard]] Outcome<Findings> look(const Context& context, const RepairOptions& options,
                                     const store::Store& store);
[[nodiscard]] std::set<LogKey> logs_of(const Findings& findings);
/// "2 entries: 5-6 prove nothing and are not served until ..."; nothing where there are none.
[[nodiscard]] std::string cut_off_line(const LogKey& log, const RangeSet& cut_off);
enum class Tense { kWould, kDone, kGoesOn };  ///< kGoesOn: what is lost is asked for behind this
[[nodiscard]] Outcome<void> tell_log(Context& context, const Findings& findings, const LogKey& log,
                                     Tense tense);
[[nodiscard]] Outcome<void> tell_peers(Context& context, Tense tense);

}  // namespace culm::tools
