#include "culm/replication/host/damage_search.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include "culm/core/bytes.hpp"

namespace culm::host {

DamageSearch::DamageSearch(const store::Store& store, Found found, std::chrono::milliseconds pause)
    : store_(store), found_(std::move(found)), pause_(pause), thread_([this] { loop(); }) {}

DamageSearch::~DamageSearch() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool DamageSearch::rest() {
  const auto took = Clock::now() - began_;
  {
    std::unique_lock lock(mutex_);
    const auto pause = std::max<Clock::duration>(pause_, took);
    if (changed_.wait_for(lock, pause, [this] { return is_stopping_; })) return false;
  }
  began_ = Clock::now();
  rows_left_ = kPortion;
  return true;
}

void DamageSearch::loop() {
  // On Linux that is this thread's own. Where it is refused all works, only less politely.
  ::setpriority(PRIO_PROCESS, 0, 10);
  if (!rest()) return;
  // Not all names at once: there may be very many.
  const auto list = [&](std::uint8_t first) -> Result<std::vector<LogKey>> {
    CULM_TRY(const auto transaction, store_.read());
    return transaction.list_logs(to_hex(std::array{first}));
  };
  for (unsigned first = 0; first <= 0xff; ++first) {
    const auto logs = list(static_cast<std::uint8_t>(first));
    if (!logs) continue;  // left to those who ask for one of them
    for (const LogKey& log : *logs) {
      if (!search(log)) return;
    }
  }
}

bool DamageSearch::search(const LogKey& log) {
  for (SeqNum from = 1; from != 0;) {
    const auto next = look(log, from);
    const bool is_busy = !next && next.error().code == Errc::kStoreBusy;
    if (!is_busy) from = next ? *next : 0;
    if ((is_busy || rows_left_ == 0) && !rest()) return false;
  }
  return true;
}

Result<SeqNum> DamageSearch::look(const LogKey& log, SeqNum from) {
  --rows_left_;  // for the log, which may have none
  bool is_last = false;
  RangeSet rows;
  store::RowDamage damage;
  {
    CULM_TRY(const auto transaction, store_.read());
    CULM_TRY(const auto state, transaction.get_log(log));
    if (std::exchange(number_, state->number) != state->number && from > 1) return 1;
    RangeSet left = state->served();
    if (from > 1) left.erase({1, from - 1});
    if (left.empty()) return 0;
    rows = lowest(left, rows_left_ + 1);
    rows_left_ -= std::min(rows_left_, rows.count());
    CULM_TRY(damage, store::find_row_damage(transaction, *state, rows, {from, rows.max()}));
    is_last = rows.max() == left.max();
  }
  for (SeqNum n = damage.chunked.smallest_from(1); n != 0;) {
    if (!is_sound(log, n)) damage.rows.insert(n);
    n = n == kSeqnumMax ? 0 : damage.chunked.smallest_from(n + 1);
  }
  found_(log, {from, is_last ? kSeqnumMax : rows.max()}, damage);
  return is_last ? 0 : rows.max() + 1;
}

bool DamageSearch::is_sound(const LogKey& log, SeqNum seqnum) {
  for (std::uint64_t offset = 0;;) {
    if (rows_left_ == 0 && !rest()) return true;
    const auto next = read_on(log, seqnum, offset);
    const bool is_busy = !next && next.error().code == Errc::kStoreBusy;
    if (is_busy && !rest()) return true;
    if (is_busy) continue;
    if (!next) return next.error().code != Errc::kStoreDamaged;  // or deleted meanwhile
    if (*next == offset) return true;
    offset = *next;
  }
}

Result<std::uint64_t> DamageSearch::read_on(const LogKey& log, SeqNum seqnum,
                                            std::uint64_t offset) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  for (; rows_left_ != 0; --rows_left_) {
    CULM_TRY(const ByteView part, transaction.read_payload(*state, seqnum, offset, SIZE_MAX));
    if (part.empty()) break;
    offset += part.size();
  }
  return offset;
}

}  // namespace culm::host
