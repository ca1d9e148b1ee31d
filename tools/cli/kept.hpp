#pragma once

#include <string>
#include <vector>

#include "culm/store/salvage.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"

/// Damaged files that repairs have kept beside that of the store.
namespace culm::tools {

/// "store/data.mdb.damaged, store/data.mdb.damaged.2".
[[nodiscard]] std::string human_kept(const std::vector<store::KeptFile>& files);

/// Says that they are there, and until when. Nothing else tells of a log of which nothing is left.
[[nodiscard]] Outcome<void> tell_kept(Context& context);

}  // namespace culm::tools
