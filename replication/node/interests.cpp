#include "culm/replication/node/interests.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::node {
namespace {

void widen(Interest& interest, const Interest& by) {
  interest.ranges |= by.ranges;
  interest.newest = std::max(interest.newest, by.newest);
}

}  // namespace

std::optional<store::LogInterest> interest_of(std::span<const replication::WantRequest> wants,
                                              const LogKey& log) {
  std::optional<store::LogInterest> wanted;
  for (const auto& want : wants) {
    if (want.quote_only || want.log != log) continue;
    if (!wanted) wanted = store::LogInterest{{}, false};
    widen(wanted->entries, want.interest);
    wanted->payloads |= want.payloads;
  }
  return wanted;
}

Result<void> keep(store::WriteTransaction& transaction, const LogKey& log,
                  const store::LogInterest& more) {
  CULM_TRY(const auto state, transaction.find_log(log));
  store::LogInterest interest = more;
  if (state && !state->interest.entries.empty()) {
    widen(interest.entries, state->interest.entries);
    interest.payloads |= state->interest.payloads;
  }
  if (state && interest == state->interest) return {};
  return transaction.set_interest(log, interest);
}

replication::WantRequest widened(replication::WantRequest want, const store::LogInterest& kept) {
  if (want.quote_only) return want;
  Interest wide = want.interest;
  widen(wide, kept.entries);
  if (wide.ranges.ranges().size() <= limits::kRangesPerMessageMax) want.interest = std::move(wide);
  return want;
}

}  // namespace culm::node
