#pragma once

#include <cstdint>

#include "culm/replication/detail/served_want.hpp"

namespace culm::replication {

/// Rows of a sample. Of very many, so many tell of all.
inline constexpr std::uint64_t kSampleRows = 1024;
/// Members of `set` in even distances, about `count` of them.
[[nodiscard]] RangeSet sample_of(const RangeSet& set, std::uint64_t count);

/// What is said around what moves: the answer `have`, a quote, and what ends the want.
[[nodiscard]] std::uint64_t answer_bytes(const Have& have);

/// What the peer has already of a payload that is to be sent.
[[nodiscard]] std::uint64_t bytes_held(const ServedWant& served, SeqNum payload);

/// What serving the want will move, whatever its budget, behind the answer `have`. Reads the sizes
/// of at most `rows_left` payloads, and takes those from it; of more it estimates.
[[nodiscard]] Result<Quote> make_quote(const ServedWant& served, const Have& have,
                                       const store::ReadTransaction& transaction,
                                       const store::LogState& log, std::uint64_t& rows_left);

/// Makes the quote of a want for which its budget is too small say what comes nevertheless, by the
/// sizes alone. `around`: `answer_bytes`. Reads at most `rows_left` rows, and takes those from it.
[[nodiscard]] Result<void> fit_budget(const ServedWant& served, std::uint64_t around,
                                      const store::ReadTransaction& transaction,
                                      const store::LogState& log, std::uint64_t& rows_left,
                                      Quote& quote);

}  // namespace culm::replication
