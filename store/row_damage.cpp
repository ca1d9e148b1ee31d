#include "culm/store/row_damage.hpp"

#include <utility>

#include "culm/core/limits.hpp"

namespace culm::store {

Result<RowDamage> find_row_damage(const ReadTransaction& transaction, const LogState& log,
                                  const RangeSet& sample, const SeqRange& part) {
  RowDamage damage;
  damage.number = log.number;
  SeqNum doubtful_from = part.first;
  bool is_doubtful = false;
  for (SeqNum n = sample.min(); n != 0; n = n == kSeqnumMax ? 0 : sample.smallest_from(n + 1)) {
    const auto read = transaction.get_entry(log, n);
    if (read) {
      if (std::exchange(is_doubtful, false)) damage.unreadable.insert({doubtful_from, n - 1});
      doubtful_from = n + 1;
      if (read->inline_payload) damage.payload_bytes += read->inline_payload->size();
      if (!read->inline_payload && log.payloads.contains(n)) damage.chunked.insert(n);
    } else if (is_of_pages(read.error())) {
      is_doubtful = true;
    } else if (damaged_entry(read.error()) == n) {
      damage.rows.insert(n);
      damage.payload_bytes += limits::kPayloadInlineBytesMax;
    } else {
      return fail(read.error());
    }
  }
  if (is_doubtful) damage.unreadable.insert({doubtful_from, part.last});
  damage.rows -= damage.unreadable;
  damage.chunked -= damage.unreadable;
  return damage;
}

}  // namespace culm::store
