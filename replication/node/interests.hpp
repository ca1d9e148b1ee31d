#pragma once

#include <optional>
#include <span>

#include "culm/replication/event.hpp"
#include "culm/store/store.hpp"

/// How wants become the store's interest: the one rule. A want is added to what the store keeps of
/// its log and never replaces it, because other wants and peers share the log. Of a log that is
/// here it is added when a peer first says that it holds some of it. Of another it waits in memory
/// and is added in the commit that takes the first entries: what a peer says stores nothing, and
/// nothing is stored which nobody wants. A quote adds nothing.
namespace culm::node {

/// What `wants` ask of `log` together; nothing where none does.
[[nodiscard]] std::optional<store::LogInterest> interest_of(
    std::span<const replication::WantRequest> wants, const LogKey& log);

/// What the store is to keep for `want` of `log`, if that is here. What is wanted already
/// stays wanted as it was, and for as long, where its deleted payloads are taken again.
[[nodiscard]] std::optional<store::LogInterest> interest_of(const replication::WantRequest& want,
                                                            const store::LogState* log);

/// Payloads that were selected away stay so, whichever entries are wanted now.
void leave_out_payloads(replication::WantRequest& want, const store::LogInterest& kept);

/// `want` extended by all else that the store keeps of the log: a session that asks for part of
/// what is kept would leave the rest to nobody. Unchanged for a quote, and where that would be more
/// than limits::kRangesPerMessageMax ranges.
[[nodiscard]] replication::WantRequest widened(replication::WantRequest want,
                                               const store::LogInterest& kept);

}  // namespace culm::node
