#pragma once

#include <cstdint>

#include "culm/replication/detail/served_want.hpp"

namespace culm::replication {

/// What is said around what moves: the answer `have`, a quote, and what ends the want.
[[nodiscard]] std::uint64_t answer_bytes(const Have& have);

/// What serving the want will move, whatever its budget, behind the answer `have`. Reads the sizes
/// of at most `rows_left` payloads, and takes those from it; of more it estimates.
[[nodiscard]] Result<Quote> make_quote(const ServedWant& served, const Have& have,
                                       const store::ReadTransaction& transaction,
                                       const store::LogState& log, std::uint64_t& rows_left);

}  // namespace culm::replication
