#pragma once

#include "culm/store/store.hpp"

/// The state of a log in its rows: one of kLogs, and blocks of those range sets that do not fit
/// there. Spec: store.md#range-sets
namespace culm::store::detail {

struct LogRow;

/// The row, without what lies in blocks. `value` lies under the log's key. Fails as `unseal` and
/// `decode_log`.
[[nodiscard]] Result<LogRow> open_log(const LogKey& log, ByteView value);
/// The whole state. Fails with kStoreDamaged where blocks do not fit to the row, and as `unseal`
/// and `decode_block`.
[[nodiscard]] Result<LogState> read_sets(const KvReadTransaction& kv, LogRow row);

/// What those blocks of a log's set say that can be read, whatever the row of the log says.
[[nodiscard]] Result<RangeSet> read_sound_blocks(const KvReadTransaction& kv, std::uint64_t number,
                                                 std::size_t set);

/// Writes the state; of blocks only those that changed since `before`, the state that the rows
/// hold. Without it, all that the rows hold is replaced, whatever it is. `row` is memory to use.
/// Fails with kLogFragmented before anything is written, or as the `Kv`.
[[nodiscard]] Result<void> write_log(KvWriteTransaction& kv, const LogState* before,
                                     const LogState& state, Bytes& row);

}  // namespace culm::store::detail
