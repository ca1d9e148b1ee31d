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

std::optional<store::LogInterest> interest_of(const replication::WantRequest& want,
                                              const store::LogState* log) {
  auto wanted = interest_of({&want, 1}, want.log);
  const bool undeletes = wanted && log != nullptr && !want.undelete.empty();
  if (!undeletes || log->interest.is_none()) return wanted;
  const Interest& said = log->interest.entries;
  const Interest kept = said.empty() ? everything() : said;
  const RangeSet more = want.interest.ranges - kept.ranges;
  const bool is_wanted = resolve(kept, log->head()).contains(more);
  if (is_wanted && want.interest.newest <= kept.newest) wanted->entries = {};
  return wanted;
}

void leave_out_payloads(replication::WantRequest& want, const store::LogInterest& kept) {
  if (!kept.entries.empty()) want.payloads = want.payloads && kept.payloads;
}

replication::WantRequest widened(replication::WantRequest want, const store::LogInterest& kept) {
  if (want.quote_only) return want;
  Interest wide = want.interest;
  replication::widen(wide, kept.entries);
  if (wide.ranges.ranges().size() <= limits::kRangesPerMessageMax) want.interest = std::move(wide);
  return want;
}

}  // namespace culm::node
