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

/// One of these sets. Fails likewise.
[[nodiscard]] Result<RangeSet> read_set(const KvReadTransaction& kv, const LogRow& row,
                                        std::size_t set);

/// The state for who changes it from seqnum `from` on: of sets that lie in blocks those from the
/// last one that begins below, so that they cost the same however large the set is. What is missing
/// is not checked. Fails as `read_sets`. Precondition: the row `may_be_read_in_part`.
[[nodiscard]] Result<UpperState> read_upper_sets(const KvReadTransaction& kv, LogRow row,
                                                 SeqNum from);
/// A touched state with what is missing in it. `stored`: all that the rows hold.
[[nodiscard]] LogState whole_of(const TouchedLog& touched, const LogState& stored);
/// Whether a set of which something is missing is to lie in the row by now, which takes all of it.
[[nodiscard]] bool is_small(const TouchedLog& touched);
/// Null where the log was not touched.
[[nodiscard]] const TouchedLog* find(const TouchedLogs& touched, const LogKey& log);

/// What those blocks of a log's set say that can be read, whatever the row of the log says.
[[nodiscard]] Result<RangeSet> read_sound_blocks(const KvReadTransaction& kv, std::uint64_t number,
                                                 std::size_t set);

/// Writes the state; of blocks only those that changed since `before`, the state that the rows
/// hold. Without it, all that the rows hold is replaced, whatever it is. `row` is memory to use.
/// Both states may be those of an `UpperState`. Fails with kLogFragmented before anything is
/// written, or as the `Kv`. Precondition: a set of which ranges lie `below` is too large for the
/// row.
[[nodiscard]] Result<void> write_log(KvWriteTransaction& kv, const LogState* before,
                                     const LogState& state, Bytes& row,
                                     const RangesBelow& below = {});

/// Replaces all that the rows hold with a state of which it is not known what is held: that set is
/// said to lie in a block, which is not there. Fails as `write_log`.
[[nodiscard]] Result<void> write_lost_log(KvWriteTransaction& kv, LogState state);

}  // namespace culm::store::detail
