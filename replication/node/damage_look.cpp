#include "culm/replication/node/damage_look.hpp"

#include <algorithm>
#include <array>

#include "culm/core/bytes.hpp"
#include "culm/feed/closure.hpp"

namespace culm::node {

std::vector<LookedAt> DamageLook::look(const SyncRequest& request) {
  std::vector<LookedAt> found;
  const std::size_t count = request.logs.size();
  const std::size_t first = count == 0 ? 0 : any_below(count);
  for (std::size_t n = 0; n != count && rows_left_ != 0 && bytes_left_ != 0; ++n) {
    const replication::WantRequest& want = request.logs[(first + n) % count];
    auto damage = look_at(want);
    if (damage && !damage->empty()) found.push_back({want.log, *std::move(damage)});
  }
  return found;
}

Result<store::RowDamage> DamageLook::look_at(const replication::WantRequest& want) {
  store::RowDamage damage;
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(want.log));
  if (!state || state->served().empty()) return damage;
  damage.number = state->number;
  const RangeSet held = state->served();
  const RangeSet named = resolve(want.interest, state->head()) & held;
  const std::uint64_t rows = std::min(rows_left_, kRowsOfLogMax);
  const RangeSet first = some_of(named, rows);
  CULM_TRY(RangeSet seen, read(transaction, *state, first, damage));
  if (!known_.is_looked_for(want.log)) {
    const RangeSet others = some_of(held - named, rows - first.count());
    CULM_TRY(const RangeSet also, read(transaction, *state, others, damage));
    seen |= also;
  }
  if (seen == held && bytes_left_ != 0 && damage.unreadable.empty()) known_.looked(want.log);
  return damage;
}

/// In slices, as what rows hold is known once they are read, and beginning anywhere, so that where
/// bytes_left_ does not suffice it is not always the same that is left out.
Result<RangeSet> DamageLook::read(const store::ReadTransaction& transaction,
                                  const store::LogState& log, const RangeSet& sample,
                                  store::RowDamage& damage) {
  RangeSet seen;
  if (sample.empty()) return seen;
  const RangeSet below = lowest(sample, any_below(sample.count()));
  RangeSet chunked;
  for (RangeSet left : {sample - below, below}) {
    while (!left.empty() && bytes_left_ != 0) {
      const RangeSet slice = lowest(left, kSliceRows);
      const SeqRange part{slice.min(), slice.max()};
      CULM_TRY(const auto found, store::find_row_damage(transaction, log, slice, part));
      left -= slice;
      seen |= slice;
      rows_left_ -= slice.count();
      bytes_left_ -= std::min(bytes_left_, found.payload_bytes);
      damage.rows |= found.rows;
      damage.unreadable |= found.unreadable & slice;
      chunked |= found.chunked;
    }
  }
  for (const RangeSet& part : {chunked - below, chunked & below}) {
    for (SeqNum n = part.smallest_from(1); n != 0 && bytes_left_ != 0;) {
      if (!is_sound(transaction, log, n)) damage.rows.insert(n);
      n = n == kSeqnumMax ? 0 : part.smallest_from(n + 1);
    }
  }
  return seen;
}

std::uint64_t DamageLook::any_below(std::uint64_t count) {
  std::array<std::uint8_t, 4> chance{};
  random_.fill(chance);
  std::uint64_t number = 0;
  for (const std::uint8_t byte : chance) number = number << 8U | byte;
  return number % count;
}

/// In even distances, beginning anywhere.
RangeSet DamageLook::some_of(const RangeSet& set, std::uint64_t count) {
  if (count == 0 || set.count() <= count) return count == 0 ? RangeSet() : set;
  const std::uint64_t step = (set.count() - 1) / count + 1;
  RangeSet some;
  std::uint64_t next = any_below(step);  // as the members are counted
  std::uint64_t passed = 0;
  for (const SeqRange& range : set.ranges()) {
    const std::uint64_t last = passed + (range.last - range.first);
    for (; next <= last; next += step) some.insert(range.first + (next - passed));
    passed = last + 1;
  }
  return some;
}

bool DamageLook::is_sound(const store::ReadTransaction& transaction, const store::LogState& log,
                          SeqNum seqnum) {
  for (std::uint64_t offset = 0; bytes_left_ != 0;) {
    const auto part = transaction.read_payload(log, seqnum, offset, SIZE_MAX);
    if (!part) return part.error().code != Errc::kStoreDamaged;
    if (part->empty()) break;
    offset += part->size();
    bytes_left_ -= std::min<std::uint64_t>(bytes_left_, part->size());
  }
  return true;
}

}  // namespace culm::node
