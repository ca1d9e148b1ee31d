#include "culm/store/store.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "culm/feed/closure.hpp"
#include "culm/store/detail/log_cache.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store {
namespace {

using detail::StoreMeta;

Result<bool> is_empty(const KvReadTransaction& kv) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    CULM_TRY(const auto cursor, kv.cursor(static_cast<Table>(i)));
    const std::uint8_t lowest_key[] = {0};
    CULM_TRY(const auto row, cursor->seek(lowest_key));
    if (row) return false;
  }
  return true;
}

/// Nothing in a store that was never written to.
Result<std::optional<StoreMeta>> find_meta(const KvReadTransaction& kv) {
  const ByteView key = detail::meta_row_key();
  CULM_TRY(const auto value, kv.get(Table::kMeta, key));
  if (!value) {
    CULM_TRY(const bool empty, is_empty(kv));
    if (!empty) return fail(Errc::kStoreDamaged);
    return std::nullopt;
  }
  CULM_TRY(const ByteView body, detail::unseal(Table::kMeta, key, *value));
  CULM_TRY(const auto meta, detail::decode_meta(body));
  return meta;
}

/// Unless another process was faster.
Result<StoreMeta> create(Kv& kv, Random& random, bool& was_made) {
  auto begun = kv.begin_write();
  if (!begun) {
    const bool is_read_only = begun.error().code == Errc::kStoreReadOnly;
    return fail(is_read_only ? Error{Errc::kStoreNotFound} : begun.error());
  }
  KvWriteTransaction& transaction = **begun;
  CULM_TRY(const auto found, find_meta(transaction));
  if (found) return *found;
  StoreMeta meta;
  random.fill(meta.id);
  Bytes value;
  detail::encode_meta(value, meta);
  detail::seal(value, Table::kMeta, detail::meta_row_key());
  CULM_CHECK(transaction.put(Table::kMeta, detail::meta_row_key(), value));
  CULM_CHECK(transaction.commit());
  was_made = true;
  return meta;
}

}  // namespace

/// The highest that is served, if it is held.
static SeqNum last_served(const LogState& log) {
  // Each is the first that is not, or 0.
  return std::min(log.cap - 1, log.held_back - 1);
}

RangeSet LogInterest::payloads_wanted(SeqNum head) const {
  if (!payloads) return {};
  return entries.empty() ? everything().ranges : resolve(entries, head);
}

RangeSet LogState::shown() const {
  RangeSet out = held;
  if (held_back != 0) out.erase({held_back, kSeqnumMax});
  return out;
}

RangeSet LogState::served() const {
  RangeSet out = held;
  const SeqNum last = last_served(*this);
  if (last != kSeqnumMax) out.erase({last + 1, kSeqnumMax});
  return out;
}

RangeSet LogState::certificate() const {
  if (interest.is_none()) return served();
  if (interest.entries.empty()) return {};
  return served() - resolve(interest.entries, head());
}

SeqNum LogState::head() const { return held.largest_up_to(last_served(*this)); }

bool LogState::serves(SeqNum seqnum) const {
  return seqnum <= last_served(*this) && held.contains(seqnum);
}

Store::Store(std::unique_ptr<Kv> kv, const StoreId& id)
    : kv_(std::move(kv)), cache_(std::make_unique<detail::LogCache>()), id_(id) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(std::unique_ptr<Kv> kv, Random& random) {
  std::optional<StoreMeta> meta;
  {
    CULM_TRY(const auto transaction, kv->begin_read());
    CULM_TRY(meta, find_meta(*transaction));
  }
  bool was_made = false;
  if (!meta) {
    CULM_TRY(meta, create(*kv, random, was_made));
  }
  std::unique_ptr<Store> store(new Store(std::move(kv), meta->id));
  store->was_made_ = was_made;
  return store;
}

Result<ReadTransaction> Store::read() const {
  CULM_TRY(auto kv, kv_->begin_read());
  ReadTransaction transaction(std::move(kv));
  transaction.cache_ = cache_.get();
  return transaction;
}

Result<void> Store::update(const Body& body) {
  // What the last transaction freed can be written to in the one after the next.
  bool is_aged = false;
  for (;;) {
    const auto done = update_once(body);
    if (done || done.error().code != Errc::kStoreFull) return done;
    const auto grown = kv_->grow();
    if (grown) continue;
    if (std::exchange(is_aged, true) || !update_once(touch_meta)) return grown;
  }
}

Result<void> Store::touch_meta(WriteTransaction& transaction) {
  transaction.is_meta_changed_ = true;
  return {};
}

Result<void> Store::update_once(const Body& body) {
  CULM_TRY(auto kv, kv_->begin_write());
  CULM_TRY(const auto meta, find_meta(*kv));
  if (!meta) return fail(Errc::kStoreDamaged);
  WriteTransaction transaction(std::move(kv), *meta);
  transaction.cache_ = cache_.get();
  CULM_CHECK(body(transaction));
  CULM_CHECK(transaction.commit());
  if (transaction.is_deletion_) ++deletions_;
  if (transaction.dropped().empty()) return {};
  const std::lock_guard lock(damaged_mutex_);
  for (const auto& [log, seqnums] : transaction.dropped()) damaged_.insert(log);
  return {};
}

/// What erases has to write before anything is free.
Result<void> Store::update_within_room(const Step& step) {
  std::size_t rows = rows_per_step_;
  for (;;) {
    const auto done =
        update([&](WriteTransaction& transaction) { return step(transaction, rows); });
    if (done) break;
    if (done.error().code != Errc::kStoreFull) return fail(done.error());
    if (rows > 1) {
      rows = std::max<std::size_t>(rows / 16, 1);
    } else if (!kv_->release_reserve()) {
      return fail(done.error());
    }
  }
  rows_per_step_ = std::min(rows * 4, limits::kRowsPerStepMax);
  return {};
}

Result<RangeSet> Store::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  RangeSet rest;
  CULM_CHECK(update_within_room([&](WriteTransaction& transaction, std::size_t rows_max) {
    const auto left = transaction.delete_payloads(log, seqnums, rows_max);
    if (left) rest = *left;
    return left ? Result<void>() : fail(left.error());
  }));
  if (rest.empty()) kv_->keep_reserve();
  return rest;
}

Result<bool> Store::reclaim() {
  const auto is_claimed = [&](std::uint64_t claim) { return kv_->is_claimed(claim); };
  {
    CULM_TRY(const auto transaction, read());
    CULM_TRY(const auto stages, transaction.unbound_stages());
    const auto stays = [&](const Stage& stage) { return is_claimed(stage.seqnum); };
    if (std::ranges::all_of(stages, stays)) return true;
  }
  bool is_done = false;
  CULM_CHECK(
      update_within_room([&](WriteTransaction& transaction, std::size_t rows_max) -> Result<void> {
        CULM_TRY(is_done, transaction.drop_unclaimed(is_claimed, rows_max));
        return {};
      }));
  if (is_done) kv_->keep_reserve();
  return is_done;
}

Result<void> Store::compact() {
  auto done = kv_->compact();
  const bool is_full = !done && done.error().code == Errc::kStoreFull;
  if (is_full && kv_->release_reserve()) done = kv_->compact();
  kv_->keep_reserve();
  return done;
}

void Store::hold_back(const LogKey& log, SeqNum from) { cache_->hold_back(log, from); }
void Store::release(const LogKey& log) { cache_->release(log); }

std::set<LogKey> Store::take_damaged() {
  const std::lock_guard lock(damaged_mutex_);
  return std::exchange(damaged_, {});
}

}  // namespace culm::store
