#include "culm/replication/node/damage_look.hpp"

#include <algorithm>
#include <array>

#include "culm/core/bytes.hpp"
#include "culm/feed/closure.hpp"

namespace culm::node {

std::vector<LookedAt> DamageLook::look(const SyncRequest& request) {
  std::vector<LookedAt> found;
  for (const replication::WantRequest& want : request.logs) {
    if (rows_left_ == 0) break;
    auto damage = look_at(want);
    if (damage && !damage->empty()) found.push_back({want.log, *std::move(damage)});
  }
  return found;
}

Result<store::RowDamage> DamageLook::look_at(const replication::WantRequest& want) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(want.log));
  if (!state || state->served().empty()) return store::RowDamage();
  const RangeSet held = state->served();
  const RangeSet named = resolve(want.interest, state->head()) & held;
  const std::uint64_t rows = std::min(rows_left_, kRowsOfLogMax);
  RangeSet sample = some_of(named, rows);
  if (!known_.is_looked_for(want.log)) sample |= some_of(held - named, rows - sample.count());
  if (sample.empty()) return store::RowDamage();
  rows_left_ -= sample.count();
  CULM_TRY(auto damage, store::find_row_damage(transaction, *state, sample, {1, kSeqnumMax}));
  damage.unreadable &= sample;
  if (sample == held && damage.unreadable.empty()) known_.looked(want.log);
  // What is named first: the others take what is left.
  for (const RangeSet& part : {damage.chunked & named, damage.chunked - named}) {
    for (SeqNum n = part.smallest_from(1); n != 0 && bytes_left_ != 0;) {
      if (!is_sound(transaction, *state, n)) damage.rows.insert(n);
      n = n == kSeqnumMax ? 0 : part.smallest_from(n + 1);
    }
  }
  return damage;
}

/// In even distances, beginning anywhere.
RangeSet DamageLook::some_of(const RangeSet& set, std::uint64_t count) {
  if (count == 0 || set.count() <= count) return count == 0 ? RangeSet() : set;
  const std::uint64_t step = (set.count() - 1) / count + 1;
  std::array<std::uint8_t, 2> chance{};
  random_.fill(chance);
  RangeSet some;
  std::uint64_t next = (chance[0] * 256U + chance[1]) % step;  // as the members are counted
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
