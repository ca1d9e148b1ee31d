#include "culm/replication/node/interests.hpp"

#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/keep_interest.hpp"

namespace culm::node {

std::optional<store::LogInterest> interest_of(std::span<const replication::WantRequest> wants,
                                              const LogKey& log) {
  std::optional<store::LogInterest> wanted;
  for (const auto& want : wants) {
    if (want.quote_only || want.log != log) continue;
    if (!wanted) wanted = store::LogInterest{{}, false};
    // One that leaves payloads out is for the others this once.
    replication::widen(*wanted, {want.interest, want.payloads && want.bare.empty()});
  }
  return wanted;
}

replication::WantRequest widened(replication::WantRequest want, const store::LogInterest& kept) {
  if (want.quote_only) return want;
  Interest wide = want.interest;
  replication::widen(wide, kept.entries);
  if (wide.ranges.ranges().size() <= limits::kRangesPerMessageMax) want.interest = std::move(wide);
  return want;
}

}  // namespace culm::node
