#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "culm/core/bytes.hpp"
#include "culm/store/kv.hpp"

#include "tests/support/held_log.hpp"

namespace culm::test {

/// What a thread has read of such stores.
struct ReadCounts {
  std::uint64_t transactions = 0;
  std::uint64_t entries = 0;        ///< rows
  std::uint64_t entries_found = 0;  ///< rows that were asked for by their key
  std::uint64_t steps = 0;          ///< of cursors, also of who writes, but in kSets
};
inline thread_local ReadCounts read_counts;

/// Tells, by `is_writing`, when a thread is inside of a write transaction. Hands out the state of a
/// log of many ranges undamaged only once until it changes: who takes it, or the blocks that belong
/// to it, apart again is told so.
class WatchedKv final : public store::Kv {
 public:
  explicit WatchedKv(std::unique_ptr<store::Kv> kv) : kv_(std::move(kv)) {}

  Result<std::unique_ptr<store::KvReadTransaction>> begin_read() override {
    CULM_TRY(auto begun, kv_->begin_read());
    ++read_counts.transactions;
    return std::make_unique<Reading>(*this, std::move(begun));
  }
  Result<std::unique_ptr<store::KvWriteTransaction>> begin_write() override {
    CULM_TRY(auto begun, kv_->begin_write());
    return std::make_unique<Writing>(std::move(begun));
  }
  Result<void> grow() override { return kv_->grow(); }
  Result<void> compact() override { return kv_->compact(); }
  Result<store::KvClaim> claim() override { return kv_->claim(); }
  bool is_claimed(std::uint64_t number) override { return kv_->is_claimed(number); }

 private:
  static constexpr std::size_t kManyRangesBytes = 512;

  /// Whether this is the first time that it is handed out.
  bool note(ByteView key, ByteView checksum) {
    const std::lock_guard lock(mutex_);
    Bytes& last = handed_out_[Bytes(key.begin(), key.end())];
    if (equal(last, checksum)) return false;
    last.assign(checksum.begin(), checksum.end());
    return true;
  }

  /// Finds no block of a set that was looked for before with the same row of the log.
  class WatchedBlocks final : public store::KvCursor {
   public:
    WatchedBlocks(WatchedKv& watched, std::unique_ptr<store::KvCursor> rows, Bytes checksum)
        : watched_(watched), rows_(std::move(rows)), checksum_(std::move(checksum)) {}

    Result<std::optional<store::KvRow>> seek(ByteView key) override {
      if (!watched_.note(key, checksum_)) return std::nullopt;
      return rows_->seek(key);
    }
    Result<std::optional<store::KvRow>> next() override { return rows_->next(); }
    Result<std::optional<store::KvRow>> seek_before(ByteView key) override {
      return rows_->seek_before(key);
    }

   private:
    WatchedKv& watched_;
    std::unique_ptr<store::KvCursor> rows_;
    Bytes checksum_;
  };

  class CountedRows final : public store::KvCursor {
   public:
    CountedRows(std::unique_ptr<store::KvCursor> rows, bool is_entries)
        : rows_(std::move(rows)), is_entries_(is_entries) {}

    Result<std::optional<store::KvRow>> seek(ByteView key) override {
      count();
      return rows_->seek(key);
    }
    Result<std::optional<store::KvRow>> next() override {
      count();
      return rows_->next();
    }
    Result<std::optional<store::KvRow>> seek_before(ByteView key) override {
      count();
      return rows_->seek_before(key);
    }

   private:
    void count() const {
      ++read_counts.steps;
      if (is_entries_) ++read_counts.entries;
    }

    std::unique_ptr<store::KvCursor> rows_;
    bool is_entries_;
  };

  class Reading final : public store::KvReadTransaction {
   public:
    Reading(WatchedKv& watched, std::unique_ptr<store::KvReadTransaction> kv)
        : watched_(watched), kv_(std::move(kv)) {}

    Result<std::optional<ByteView>> get(store::Table table, ByteView key) const override {
      CULM_TRY(const auto value, kv_->get(table, key));
      if (table == store::Table::kEntries) ++read_counts.entries_found;
      if (table != store::Table::kLogs || !value) return value;
      const ByteView checksum = value->last(8);
      log_.assign(checksum.begin(), checksum.end());
      if (value->size() < kManyRangesBytes || watched_.note(key, checksum)) return value;
      Bytes& damaged = damaged_.emplace_back(value->begin(), value->end());
      damaged[damaged.size() / 2] ^= 1U;
      return ByteView(damaged);
    }
    Result<std::unique_ptr<store::KvCursor>> cursor(store::Table table) const override {
      CULM_TRY(auto rows, kv_->cursor(table));
      if (table != store::Table::kSets) {
        return std::make_unique<CountedRows>(std::move(rows), table == store::Table::kEntries);
      }
      if (log_.empty()) return rows;
      return std::make_unique<WatchedBlocks>(watched_, std::move(rows), std::exchange(log_, {}));
    }
    Result<store::KvSpace> space() const override { return kv_->space(); }

   private:
    WatchedKv& watched_;
    mutable Bytes log_;  ///< checksum of the row that was asked for last
    std::unique_ptr<store::KvReadTransaction> kv_;
    mutable std::list<Bytes> damaged_;
  };

  class Writing final : public store::KvWriteTransaction {
   public:
    explicit Writing(std::unique_ptr<store::KvWriteTransaction> kv) : kv_(std::move(kv)) {
      is_writing = true;
    }
    ~Writing() override { is_writing = false; }

    Result<std::optional<ByteView>> get(store::Table table, ByteView key) const override {
      return kv_->get(table, key);
    }
    Result<std::unique_ptr<store::KvCursor>> cursor(store::Table table) const override {
      CULM_TRY(auto rows, kv_->cursor(table));
      return std::make_unique<CountedRows>(std::move(rows), false);
    }
    Result<store::KvSpace> space() const override { return kv_->space(); }
    Result<void> put(store::Table table, ByteView key, ByteView value) override {
      return kv_->put(table, key, value);
    }
    Result<void> erase(store::Table table, ByteView key) override { return kv_->erase(table, key); }
    Result<void> commit() override { return kv_->commit(); }

   private:
    std::unique_ptr<store::KvWriteTransaction> kv_;
  };

  std::unique_ptr<store::Kv> kv_;
  std::mutex mutex_;
  std::map<Bytes, Bytes> handed_out_;  ///< keys, and the checksums of what lay there
};

}  // namespace culm::test
