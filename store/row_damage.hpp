#pragma once

#include "culm/store/store.hpp"

namespace culm::store {

/// Rows of entries that cannot be read. Spec: damage.md#damage
struct RowDamage {
  RangeSet rows;             ///< damaged, each by itself
  RangeSet unreadable;       ///< lie in damaged pages, so that nobody knows how many they are
  RangeSet chunked{};        ///< readable, with a payload that is held in rows of its own
  std::uint64_t number = 0;  ///< of the log, as `LogState::number`
  /// Of payloads in rows that were read, a damaged one taken for the largest.
  std::uint64_t payload_bytes = 0;

  [[nodiscard]] bool empty() const noexcept { return rows.empty() && unreadable.empty(); }
};

/// Of a damaged page: no row tells whose it is.
[[nodiscard]] inline bool is_of_pages(const Error& error) {
  return error.code == Errc::kStoreDamaged && damaged_entry(error) == 0;
}

/// Reads the rows of `sample`. Where pages are damaged, all of `part` between two of these that can
/// be read is unreadable. Precondition: `sample` is held, not empty, and lies in `part`.
[[nodiscard]] Result<RowDamage> find_row_damage(const ReadTransaction& transaction,
                                                const LogState& log, const RangeSet& sample,
                                                const SeqRange& part);

}  // namespace culm::store
