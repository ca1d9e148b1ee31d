#include "culm/store/detail/log_sets.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

using Ranges = std::span<const SeqRange>;

std::uint64_t checksum_in(ByteView value) {
  return value.size() < kChecksumSizeBytes ? 0 : from_big_endian(value.last(kChecksumSizeBytes));
}

/// A block as far as who writes it again needs it.
struct Block {
  SeqNum first = 0;
  std::uint64_t checksum = 0;
};

/// Nothing where the row is of another set.
Result<std::optional<Block>> block_in(const std::optional<KvRow>& row, std::uint64_t number,
                                      std::size_t set) {
  if (!row) return std::nullopt;
  CULM_TRY(const SetPlace place, parse_set_place(row->key));
  if (place.number != number || place.set != set) return std::nullopt;
  return Block{place.first, checksum_in(row->value)};
}

/// Where of `ranges`, from `at` on, those begin that do not lie below `block`.
std::size_t index_of(Ranges ranges, std::size_t at, const std::optional<Block>& block) {
  if (!block) return ranges.size();
  const auto found =
      std::ranges::lower_bound(ranges.subspan(at), block->first, {}, &SeqRange::first);
  return at + static_cast<std::size_t>(found - ranges.subspan(at).begin());
}

/// Writes one range set of a log.
class SetWriter {
 public:
  SetWriter(KvWriteTransaction& kv, std::uint64_t number, std::size_t set, SetBlocks& blocks,
            Bytes& row)
      : kv_(kv), number_(number), set_(set), blocks_(blocks), row_(row) {}

  Result<void> erase_all() {
    CULM_TRY(const auto cursor, kv_.cursor(Table::kSets));
    CULM_TRY(auto row, cursor->seek(set_row_key(number_, set_, 0)));
    CULM_TRY(auto block, block_in(row, number_, set_));
    while (block) {
      CULM_CHECK(erase(*block));
      CULM_TRY(row, cursor->next());
      CULM_TRY(block, block_in(row, number_, set_));
    }
    return {};
  }

  /// In as few blocks as can be, of about the same size.
  Result<void> put_all(Ranges ranges) {
    for (std::size_t left =
             (ranges.size() + limits::kRangesPerBlockMax - 1) / limits::kRangesPerBlockMax;
         left > 0; --left) {
      const std::size_t size = ranges.size() / left;
      CULM_CHECK(put(ranges.first(size)));
      ranges = ranges.subspan(size);
    }
    return {};
  }

  /// Writes those blocks again that `before` and `after` differ in. Precondition: the set lies in
  /// blocks, and they hold `before`.
  Result<void> put_changed(Ranges before, Ranges after);

 private:
  Result<void> put(Ranges ranges) {
    const auto key = set_row_key(number_, set_, ranges.front().first);
    encode_block(row_, ranges.front().first, ranges);
    blocks_.sum += seal(row_, Table::kSets, key);
    ++blocks_.count;
    return kv_.put(Table::kSets, key, row_);
  }
  Result<void> erase(const Block& block) {
    blocks_.sum -= block.checksum;
    --blocks_.count;
    return kv_.erase(Table::kSets, set_row_key(number_, set_, block.first));
  }

  KvWriteTransaction& kv_;
  std::uint64_t number_;
  std::size_t set_;
  SetBlocks& blocks_;
  Bytes& row_;
};

Result<void> SetWriter::put_changed(Ranges before, Ranges after) {
  const auto [old_from, new_from] = std::ranges::mismatch(before, after);
  const bool is_longer = old_from == before.end();
  if (is_longer && new_from == after.end()) return {};
  const bool is_shorter = new_from == after.end();
  SeqNum from = is_longer ? new_from->first : old_from->first;
  if (!is_longer && !is_shorter) from = std::min(from, new_from->first);
  // Behind these both are the same again.
  const auto [old_tail, new_tail] =
      std::mismatch(before.rbegin(), std::make_reverse_iterator(old_from), after.rbegin(),
                    std::make_reverse_iterator(new_from));
  const auto old_end = static_cast<std::size_t>(old_tail.base() - before.begin());
  const auto new_end = static_cast<std::size_t>(new_tail.base() - after.begin());

  CULM_TRY(const auto cursor, kv_.cursor(Table::kSets));
  CULM_TRY(auto row, cursor->seek_before(set_row_key(number_, set_, from)));
  CULM_TRY(auto block, block_in(row, number_, set_));
  // What comes to lie below the first block becomes part of it.
  std::size_t old_at = block ? index_of(before, 0, block) : 0;
  std::size_t new_at = block ? index_of(after, 0, block) : 0;
  if (!block) {
    CULM_TRY(row, cursor->seek(set_row_key(number_, set_, 0)));
    CULM_TRY(block, block_in(row, number_, set_));
  }
  bool is_waiting = false;  // ranges from `begin` on are to be written
  std::size_t begin = 0;
  while (block && (is_waiting || old_at < old_end || new_at < new_end)) {
    CULM_TRY(row, cursor->next());
    CULM_TRY(const auto next, block_in(row, number_, set_));
    const std::size_t old_next = index_of(before, old_at, next);
    const std::size_t new_next = index_of(after, new_at, next);
    const bool is_same = std::ranges::equal(before.subspan(old_at, old_next - old_at),
                                            after.subspan(new_at, new_next - new_at));
    if (is_waiting || !is_same) {
      if (!is_waiting) begin = new_at;
      is_waiting = true;
      CULM_CHECK(erase(*block));
      const Ranges waiting = after.subspan(begin, new_next - begin);
      // One that became small is joined with the next.
      if (!next || waiting.size() >= limits::kRangesPerBlockMin) {
        CULM_CHECK(put_all(waiting));
        is_waiting = false;
      }
    }
    old_at = old_next;
    new_at = new_next;
    block = next;
  }
  return {};
}

/// The last block that begins below `from`, or else the first of all.
Result<std::optional<KvRow>> seek_block(KvCursor& cursor, std::uint64_t number, std::size_t set,
                                        SeqNum from) {
  if (from != 0) {
    CULM_TRY(const auto row, cursor.seek_before(set_row_key(number, set, from)));
    CULM_TRY(const auto block, block_in(row, number, set));
    if (block) return row;
  }
  return cursor.seek(set_row_key(number, set, 0));
}

/// The blocks from there on.
Result<RangeSet> read_blocks(KvCursor& cursor, std::uint64_t number, std::size_t set,
                             const SetBlocks& blocks, SeqNum from) {
  std::vector<SeqRange> ranges;
  if (from == 0) ranges.reserve(static_cast<std::size_t>(blocks.ranges));
  SetBlocks found;
  CULM_TRY(auto row, seek_block(cursor, number, set, from));
  for (;;) {
    CULM_TRY(const auto block, block_in(row, number, set));
    if (!block) break;
    CULM_TRY(const ByteView body, unseal(Table::kSets, row->key, row->value));
    CULM_CHECK(decode_block(ranges, block->first, body));
    found.sum += block->checksum;
    if (++found.count == blocks.count) break;
    CULM_TRY(row, cursor.next());
  }
  found.ranges = ranges.size();
  const bool is_part = from != 0 && found.count != 0 && found.count < blocks.count;
  const bool may_be = is_part ? found.ranges < blocks.ranges : found == blocks;
  if (!may_be) return fail(Errc::kStoreDamaged);
  auto read = RangeSet::from_canonical(std::move(ranges));
  if (!read) return fail(Errc::kStoreFormat);
  return *std::move(read);
}

Result<LogBlocks> blocks_of(const KvReadTransaction& kv, const LogKey& log) {
  CULM_TRY(const auto value, kv.get(Table::kLogs, log_row_key(log)));
  if (!value) return fail(Errc::kStoreDamaged);
  CULM_TRY(const LogRow row, open_log(log, *value));
  return row.blocks;
}

Result<void> erase_blocks(KvWriteTransaction& kv, std::uint64_t number) {
  CULM_TRY(const auto cursor, kv.cursor(Table::kSets));
  CULM_TRY(auto row, cursor->seek(set_row_key(number, 0, 0)));
  while (row) {
    CULM_TRY(const SetPlace place, parse_set_place(row->key));
    if (place.number != number) return {};
    CULM_CHECK(kv.erase(Table::kSets, set_row_key(number, place.set, place.first)));
    CULM_TRY(row, cursor->next());
  }
  return {};
}

Result<void> read_all(const KvReadTransaction& kv, LogRow& row, SeqNum from) {
  if (!row.has_blocks()) return {};
  CULM_TRY(const auto cursor, kv.cursor(Table::kSets));
  const auto sets = sets_of(row.state);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    if (row.blocks[i].count == 0) continue;
    CULM_TRY(*sets[i], read_blocks(*cursor, row.state.number, i, row.blocks[i], from));
  }
  return {};
}

}  // namespace

Result<LogRow> open_log(const LogKey& log, ByteView value) {
  CULM_TRY(const ByteView body, unseal(Table::kLogs, log_row_key(log), value));
  return decode_log(log, body);
}

Result<LogState> read_sets(const KvReadTransaction& kv, LogRow row) {
  CULM_CHECK(read_all(kv, row, 0));
  return std::move(row.state);
}

Result<RangeSet> read_set(const KvReadTransaction& kv, const LogRow& row, std::size_t set) {
  const SetBlocks& blocks = row.blocks[set];
  if (blocks.count == 0) return *sets_of(row.state)[set];
  CULM_TRY(const auto cursor, kv.cursor(Table::kSets));
  return read_blocks(*cursor, row.state.number, set, blocks, 0);
}

Result<UpperState> read_upper_sets(const KvReadTransaction& kv, LogRow row, SeqNum from) {
  CULM_ASSERT(row.may_be_read_in_part());
  CULM_CHECK(read_all(kv, row, from));
  UpperState upper;
  const auto sets = sets_of(row.state);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    if (row.blocks[i].count == 0) continue;
    upper.below[i] = static_cast<std::size_t>(row.blocks[i].ranges) - sets[i]->ranges().size();
    if (upper.below[i] != 0) upper.from = from;
  }
  upper.state = std::make_shared<const LogState>(std::move(row.state));
  return upper;
}

SharedLogState UpperState::whole() const {
  CULM_ASSERT(from == 0);
  return state;
}

LogState whole_of(const TouchedLog& touched, const LogState& stored) {
  LogState whole = touched.state;
  if (touched.from == 0) return whole;
  const auto upper = sets_of(whole);
  const auto before = sets_of(*touched.before);
  const auto all = sets_of(stored);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    if (touched.below[i] != 0) *upper[i] |= *all[i] - *before[i];
  }
  return whole;
}

bool is_small(const TouchedLog& touched) {
  const auto sets = sets_of(touched.state);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    const std::size_t count = touched.below[i] + sets[i]->ranges().size();
    if (touched.below[i] != 0 && count <= limits::kRangesPerRowMax) return true;
  }
  return false;
}

const TouchedLog* find(const TouchedLogs& touched, const LogKey& log) {
  const auto found = touched.find(log);
  return found == touched.end() ? nullptr : &found->second;
}

Result<RangeSet> read_sound_blocks(const KvReadTransaction& kv, std::uint64_t number,
                                   std::size_t set) {
  RangeSet found;
  CULM_TRY(const auto cursor, kv.cursor(Table::kSets));
  CULM_TRY(auto row, cursor->seek(set_row_key(number, set, 0)));
  CULM_TRY(auto block, block_in(row, number, set));
  while (block) {
    std::vector<SeqRange> ranges;
    const auto body = unseal(Table::kSets, row->key, row->value);
    const auto read = body ? decode_block(ranges, block->first, *body) : fail(body.error());
    for (const SeqRange range : read ? ranges : std::vector<SeqRange>()) found.insert(range);
    CULM_TRY(row, cursor->next());
    CULM_TRY(block, block_in(row, number, set));
  }
  return found;
}

Result<void> write_log(KvWriteTransaction& kv, const LogState* before, const LogState& state,
                       Bytes& row, const RangesBelow& below) {
  const auto sets = sets_of(state);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    const std::size_t count = below[i] + sets[i]->ranges().size();
    if (count > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
    CULM_ASSERT(below[i] == 0 || count > limits::kRangesPerRowMax);
  }
  LogBlocks blocks{};
  if (before == nullptr) {
    CULM_CHECK(erase_blocks(kv, state.number));
  } else {
    CULM_TRY(blocks, blocks_of(kv, state.log));
  }
  for (std::size_t i = 0; i < kSetCount; ++i) {
    SetWriter writer(kv, state.number, i, blocks[i], row);
    const Ranges ranges = sets[i]->ranges();
    const std::size_t count = below[i] + ranges.size();
    const bool is_in_row = count <= limits::kRangesPerRowMax;
    if (blocks[i].count != 0 && !is_in_row) {
      CULM_CHECK(writer.put_changed(sets_of(*before)[i]->ranges(), ranges));
    } else {
      if (blocks[i].count != 0) CULM_CHECK(writer.erase_all());
      if (!is_in_row) CULM_CHECK(writer.put_all(ranges));
    }
    blocks[i].ranges = count;
  }
  encode_log(row, state, blocks);
  const auto key = log_row_key(state.log);
  seal(row, Table::kLogs, key);
  return kv.put(Table::kLogs, key, row);
}

Result<void> write_lost_log(KvWriteTransaction& kv, LogState state) {
  state.held = {};
  Bytes row;
  CULM_CHECK(write_log(kv, nullptr, state, row));
  CULM_TRY(LogBlocks blocks, blocks_of(kv, state.log));
  blocks[kHeldSet] = {limits::kRangesPerRowMax + 1, 1, 0};
  encode_log(row, state, blocks);
  const auto key = log_row_key(state.log);
  seal(row, Table::kLogs, key);
  return kv.put(Table::kLogs, key, row);
}

}  // namespace culm::store::detail
