#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"

/// The seam below the store: ordered tables of bytes with transactions. It knows nothing of logs.
namespace culm::store {

/// The tables. Keys of one table sort bytewise.
enum class Table : std::uint8_t {
  kMeta,
  kLogs,
  kEntries,
  kPayloads,
  kChanges,
  kEvidence,
  kStages,
  kSets,
};
inline constexpr std::size_t kTableCount = 8;

/// Keys have 1 to this many bytes, in every call; values may be empty.
inline constexpr std::size_t kKeyBytesMax = 511;

/// A row at a cursor. Borrows from the transaction: valid until it ends or, in a write
/// transaction, until the next write.
struct KvRow {
  ByteView key;
  ByteView value;
};

/// Walks one table in key order. Ends before its transaction does, and before `commit`. Stays
/// usable after writes of its transaction: `next` goes on behind the key of the current row, even
/// if that row was erased.
class KvCursor {
 public:
  virtual ~KvCursor() = default;

  /// The first row whose key is not below `key`, or nothing.
  [[nodiscard]] virtual Result<std::optional<KvRow>> seek(ByteView key) = 0;
  /// The row after the current one, or nothing at the end. Precondition: the last call found a row.
  [[nodiscard]] virtual Result<std::optional<KvRow>> next() = 0;
  /// The last row whose key is below `key`, or nothing.
  [[nodiscard]] virtual Result<std::optional<KvRow>> seek_before(ByteView key) = 0;
};

/// Where the bytes of the file are. The rest of it is what the tables are kept track of with.
struct KvSpace {
  std::uint64_t file_bytes = 0;
  std::array<std::uint64_t, kTableCount> table_bytes{};  ///< of each table, in whole pages
  std::uint64_t free_bytes = 0;  ///< used again by what is written next, or given back by `compact`

  [[nodiscard]] std::uint64_t used_bytes() const noexcept {
    return file_bytes < free_bytes ? 0 : file_bytes - free_bytes;
  }
};

/// A consistent snapshot. Stays in the thread that began it; several may live at once.
class KvReadTransaction {
 public:
  virtual ~KvReadTransaction() = default;

  /// The value, valid until the transaction ends or, in a write transaction, until the next write.
  /// Fails with kStoreIo or kStoreDamaged.
  [[nodiscard]] virtual Result<std::optional<ByteView>> get(Table table, ByteView key) const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<KvCursor>> cursor(Table table) const = 0;
  /// All 0 where there is no file. Fails with kStoreIo.
  [[nodiscard]] virtual Result<KvSpace> space() const = 0;
};

/// The only writer. Ends undone unless `commit` succeeds; after a failed call of any kind it can
/// only be destroyed.
class KvWriteTransaction : public KvReadTransaction {
 public:
  /// Fails with kStoreFull or kStoreIo.
  [[nodiscard]] virtual Result<void> put(Table table, ByteView key, ByteView value) = 0;
  /// Nothing happens if the row is not there.
  [[nodiscard]] virtual Result<void> erase(Table table, ByteView key) = 0;
  /// Makes the writes durable and visible to transactions begun later. When it fails nothing was
  /// acknowledged, but after kStoreIo the outcome is unknown until the store is opened again.
  [[nodiscard]] virtual Result<void> commit() = 0;
};

/// A number that nobody else claims, in whatever process, while this or a copy of it exists. Ends
/// before its `Kv`.
struct KvClaim {
  std::uint64_t number = 0;  ///< from 1
  std::shared_ptr<const void> held;
};

/// A set of tables. All calls are safe from any thread. Outlives its transactions.
class Kv {
 public:
  virtual ~Kv() = default;

  /// Fails with kStoreIo, kStoreDamaged, or kStoreBusy when too many snapshots are held.
  [[nodiscard]] virtual Result<std::unique_ptr<KvReadTransaction>> begin_read() = 0;
  /// Waits for the writer before. Fails with kStoreReadOnly when opened for reading, and with
  /// kStoreIo once a write has failed with kStoreIo: only opening again tells what is on the disk.
  /// Precondition: this thread holds no write transaction.
  [[nodiscard]] virtual Result<std::unique_ptr<KvWriteTransaction>> begin_write() = 0;
  /// Makes room after kStoreFull; the caller then repeats its whole write transaction. Waits until
  /// no thread of this process has a transaction open. Fails with kStoreFull when this thread holds
  /// one itself, or when there is no room to be had.
  [[nodiscard]] virtual Result<void> grow() = 0;
  /// Gives the disk back what is free. Takes as long as writing all that is left, and nobody writes
  /// meanwhile; who reads goes on. Either all of it happens or nothing. Fails with kStoreReadOnly;
  /// with kStoreFull where the disk has no room for a second file with what is left, or when this
  /// thread has a transaction open; with kStoreLocked or kStoreBusy when others write.
  [[nodiscard]] virtual Result<void> compact() = 0;
  /// Claims some number, until the claim ends or the process, however it ends. Fails with kStoreIo.
  [[nodiscard]] virtual Result<KvClaim> claim() = 0;
  /// Whether somebody claims it; also where that cannot be found out.
  [[nodiscard]] virtual bool is_claimed(std::uint64_t number) = 0;
  /// Gives up room that was kept for a full disk; false where there is none.
  [[nodiscard]] virtual bool release_reserve() { return false; }
  /// Keeps such room again, where there is enough.
  virtual void keep_reserve() {}
};

}  // namespace culm::store
