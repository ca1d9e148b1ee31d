// Implements Follower: looks at the store when something was committed.
#include <algorithm>
#include <chrono>
#include <utility>

#include "culm/replication/host/commit_watch.hpp"
#include "culm/replication/host/replica.hpp"

namespace culm {
namespace {

constexpr Duration kWaitMax = std::chrono::hours(24 * 365);

}  // namespace

Follower::Follower(const store::Store& store, std::unique_ptr<host::CommitWatch> watch,
                   const LogKey& log, SeqNum from)
    : store_(&store), watch_(std::move(watch)), log_(log) {
  if (from > 1) told_.insert({1, from - 1});
}
Follower::Follower(Follower&&) noexcept = default;
Follower& Follower::operator=(Follower&&) noexcept = default;
Follower::~Follower() = default;

Result<RangeSet> Follower::next(Duration wait_max) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::min(wait_max, kWaitMax);
  while (true) {
    CULM_TRY(RangeSet come, look());
    const auto now = Clock::now();
    if (!come.empty() || now >= end) return come;
    watch_->wait(std::chrono::duration_cast<Duration>(end - now));
  }
}

Result<RangeSet> Follower::look() {
  CULM_TRY(const auto transaction, store_->read());
  CULM_TRY(const std::uint64_t last, transaction.last_change());
  if (last == change_) return RangeSet();
  CULM_TRY(const auto state, transaction.find_log(log_));
  change_ = last;
  if (!state) return RangeSet();
  RangeSet come = (state->held & state->payloads) - told_;  // also what is withheld from peers
  if (state->cap != 0) come.erase({state->cap, kSeqnumMax});
  told_ |= come;
  return come;
}

}  // namespace culm
