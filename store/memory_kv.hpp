#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "culm/store/kv.hpp"

namespace culm::store {

namespace detail {
struct MemoryNode;
}

/// The contents of a `MemoryKv` at one moment. A value that never changes and costs nothing to
/// copy.
struct MemoryImage {
  std::array<std::shared_ptr<const detail::MemoryNode>, kTableCount> tables;
  /// Keys and values together.
  std::uint64_t size_bytes = 0;
};

/// Rows of a table, by their keys.
struct MemoryPage {
  Table table{};
  Bytes first;
  Bytes last;

  [[nodiscard]] bool has(Table of, ByteView key) const;
};

/// What goes wrong, and when.
struct MemoryOptions {
  /// The put, erase or commit with this number fails with kStoreIo, counted from 1; 0: none.
  std::uint64_t fail_operation = 0;
  /// Whether a commit that fails so is on the "disk" all the same.
  bool failed_commit_lands = false;
  /// A put that would take keys and values beyond this many bytes fails with kStoreFull.
  std::uint64_t full_after_bytes = std::numeric_limits<std::uint64_t>::max();
  /// Whether `grow` doubles that number or finds the disk full.
  bool may_grow = true;
  /// What meets a row of this page, and writes there, fails with kStoreDamaged.
  std::optional<MemoryPage> damaged{};
};

/// A `Kv` in memory, for tests and simulations. It promises and refuses what the durable one does:
/// a crash is to destroy it and to make another from `image`.
class MemoryKv final : public Kv {
 public:
  explicit MemoryKv(const MemoryOptions& options = {}, MemoryImage image = {});
  ~MemoryKv() override;

  [[nodiscard]] Result<std::unique_ptr<KvReadTransaction>> begin_read() override;
  [[nodiscard]] Result<std::unique_ptr<KvWriteTransaction>> begin_write() override;
  [[nodiscard]] Result<void> grow() override;
  /// Nothing is ever free here.
  [[nodiscard]] Result<void> compact() override { return {}; }
  [[nodiscard]] Result<KvClaim> claim() override;
  [[nodiscard]] bool is_claimed(std::uint64_t number) override;

  /// What would be found after a crash now: the committed, and nothing else.
  [[nodiscard]] MemoryImage image() const;
  /// Puts, erases and commits so far, for a test that lets each one fail in turn.
  [[nodiscard]] std::uint64_t operations() const;

 private:
  struct State;
  class Cursor;
  class Transaction;

  std::unique_ptr<State> state_;
};

}  // namespace culm::store
