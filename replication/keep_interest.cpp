#include "culm/replication/keep_interest.hpp"

#include <algorithm>

namespace culm::replication {

void widen(Interest& interest, const Interest& by) {
  interest.ranges |= by.ranges;
  interest.newest = std::max(interest.newest, by.newest);
}

void widen(store::LogInterest& interest, const store::LogInterest& by) {
  widen(interest.entries, by.entries);
  interest.payloads |= by.payloads;
}

store::LogInterest grown(const store::LogInterest& kept, const store::LogInterest& more) {
  store::LogInterest interest = more;
  if (!kept.entries.empty()) widen(interest.entries, kept.entries);
  return interest;
}

Result<void> keep_interest(store::WriteTransaction& transaction, const LogKey& log,
                           const store::LogInterest& more) {
  CULM_TRY(const auto state, transaction.find_log(log));
  const store::LogInterest interest = state ? grown(state->interest, more) : more;
  if (state && interest == state->interest) return {};
  return transaction.set_interest(log, interest);
}

}  // namespace culm::replication
