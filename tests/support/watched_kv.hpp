#pragma once

#include <memory>
#include <utility>

#include "culm/store/kv.hpp"

#include "tests/support/held_log.hpp"

namespace culm::test {

/// Tells, by `is_writing`, when a thread is inside of a write transaction.
class WatchedKv final : public store::Kv {
 public:
  explicit WatchedKv(std::unique_ptr<store::Kv> kv) : kv_(std::move(kv)) {}

  Result<std::unique_ptr<store::KvReadTransaction>> begin_read() override {
    return kv_->begin_read();
  }
  Result<std::unique_ptr<store::KvWriteTransaction>> begin_write() override {
    CULM_TRY(auto begun, kv_->begin_write());
    return std::make_unique<Writing>(std::move(begun));
  }
  Result<void> grow() override { return kv_->grow(); }

 private:
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
      return kv_->cursor(table);
    }
    Result<void> put(store::Table table, ByteView key, ByteView value) override {
      return kv_->put(table, key, value);
    }
    Result<void> erase(store::Table table, ByteView key) override { return kv_->erase(table, key); }
    Result<void> commit() override { return kv_->commit(); }

   private:
    std::unique_ptr<store::KvWriteTransaction> kv_;
  };

  std::unique_ptr<store::Kv> kv_;
};

}  // namespace culm::test
