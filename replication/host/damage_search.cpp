#include "culm/replication/host/damage_search.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include "culm/core/bytes.hpp"

namespace culm::host {
namespace {

/// The lowest `count` of those from `from` on.
RangeSet lowest_from(RangeSet set, SeqNum from, std::uint64_t count) {
  if (from > 1) set.erase({1, from - 1});
  RangeSet out;
  for (const SeqRange& range : set.ranges()) {
    if (count == 0) break;
    const std::uint64_t taken = std::min(count - 1, range.last - range.first) + 1;
    out.insert(SeqRange{range.first, range.first + (taken - 1)});
    count -= taken;
  }
  return out;
}

}  // namespace

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

bool DamageSearch::wait() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, pause_, [this] { return is_stopping_; });
}

void DamageSearch::loop() {
  // On Linux that is this thread's own. Where it is refused all works, only less politely.
  ::setpriority(PRIO_PROCESS, 0, 10);
  // Not all names at once: there may be very many.
  const auto list = [&](std::uint8_t first) -> Result<std::vector<LogKey>> {
    CULM_TRY(const auto transaction, store_.read());
    return transaction.list_logs(to_hex(std::array{first}));
  };
  for (unsigned first = 0; first <= 0xff; ++first) {
    const auto logs = list(static_cast<std::uint8_t>(first));
    if (!logs) continue;  // left to those who ask for one of them
    for (const LogKey& log : *logs) {
      if (!wait()) return;
      search(log);
    }
  }
}

void DamageSearch::search(const LogKey& log) {
  for (SeqNum from = 1;;) {
    const auto next = look(log, from);
    if (!next && next.error().code != Errc::kStoreBusy) return;
    if (next) from = *next;
    if (from == 0 || !wait()) return;
  }
}

Result<SeqNum> DamageSearch::look(const LogKey& log, SeqNum from) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  const RangeSet rows = lowest_from(state->served(), from, kPortion);
  if (rows.empty()) return 0;
  CULM_TRY(const auto damage,
           store::find_row_damage(transaction, *state, rows, {from, rows.max()}));
  if (!damage.empty()) found_(log, damage);
  return rows.max() == kSeqnumMax ? 0 : rows.max() + 1;
}

}  // namespace culm::host
