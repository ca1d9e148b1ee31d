#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "culm/core/types.hpp"
#include "culm/store/kv.hpp"

/// Keys of the rows, and what every value is wrapped in. Spec: store.md#rows
///
///   kMeta      "store"                        the store as a whole
///   kMeta      "forgotten", log number 8      that rows of a log that is known no more may be left
///   kMeta      "lost", log number 8           what damage took of the log
///   kMeta      "peers"                        addresses of peers that it has synced with
///   kMeta      "peer_keys"                    keys of those that answered there
///   kLogs      author 32, log_id 8            state of a log
///   kEntries   log number 8, seqnum 8         entry and inline payload
///   kPayloads  stage 8, index 4               one chunk of a payload
///   kChanges   change number 8                the log whose last change it is
///   kEvidence  log number 8, at 8             evidence
///   kStages    log number 8, seqnum 8, stage 8   whether it is the payload
///   kSets      log number 8, set 1, seqnum 8   a block of one of the log's range sets
namespace culm::store::detail {

/// First byte of every value.
inline constexpr std::uint8_t kFormatVersion = 3;
inline constexpr std::size_t kChecksumSizeBytes = 8;

using LogRowKey = std::array<std::uint8_t, 40>;
using EntryRowKey = std::array<std::uint8_t, 16>;
using ChunkRowKey = std::array<std::uint8_t, 12>;
using StageRowKey = std::array<std::uint8_t, 24>;
using ChangeRowKey = std::array<std::uint8_t, 8>;
using SetRowKey = std::array<std::uint8_t, 17>;
using ForgottenRowKey = std::array<std::uint8_t, 17>;
using LostRowKey = std::array<std::uint8_t, 12>;

/// Lives for ever.
[[nodiscard]] ByteView meta_row_key() noexcept;
[[nodiscard]] ByteView peers_row_key() noexcept;
[[nodiscard]] ByteView peer_keys_row_key() noexcept;
[[nodiscard]] LogRowKey log_row_key(const LogKey& log) noexcept;
/// Also of evidence, with `at` as seqnum.
[[nodiscard]] EntryRowKey entry_row_key(std::uint64_t number, SeqNum seqnum) noexcept;
[[nodiscard]] ChunkRowKey chunk_row_key(std::uint64_t stage, std::uint32_t index) noexcept;
[[nodiscard]] StageRowKey stage_row_key(std::uint64_t number, SeqNum seqnum,
                                        std::uint64_t stage) noexcept;
[[nodiscard]] ChangeRowKey change_row_key(std::uint64_t change) noexcept;
/// `set` is the place in `sets_of`.
[[nodiscard]] SetRowKey set_row_key(std::uint64_t number, std::size_t set, SeqNum first) noexcept;
[[nodiscard]] ForgottenRowKey forgotten_row_key(std::uint64_t number) noexcept;
[[nodiscard]] LostRowKey lost_row_key(std::uint64_t number) noexcept;
/// 0 where the key is no such row's.
[[nodiscard]] std::uint64_t parse_lost_row_key(ByteView key) noexcept;
/// The number; 0 where `key` is that of another row of kMeta.
[[nodiscard]] std::uint64_t parse_forgotten_row_key(ByteView key) noexcept;

/// Fails with kStoreDamaged when `key` has another size.
[[nodiscard]] Result<LogKey> parse_log_row_key(ByteView key);

/// Where a row of kEntries, kStages or kEvidence belongs.
struct RowPlace {
  std::uint64_t number = 0;
  SeqNum seqnum = 0;
  std::uint64_t stage = 0;  ///< 0 but in kStages
};
/// Fails with kStoreDamaged when `key` has the size of neither kind.
[[nodiscard]] Result<RowPlace> parse_row_place(ByteView key);

struct ChunkPlace {
  std::uint64_t stage = 0;
  std::uint32_t index = 0;
};
/// Fails with kStoreDamaged when `key` has another size.
[[nodiscard]] Result<ChunkPlace> parse_chunk_place(ByteView key);

struct SetPlace {
  std::uint64_t number = 0;
  std::size_t set = 0;
  SeqNum first = 0;  ///< of the block
};
/// Fails with kStoreDamaged when `key` has another size.
[[nodiscard]] Result<SetPlace> parse_set_place(ByteView key);

/// XXH64 of `content`, seeded with XXH64 of `key`, seeded with `space`.
[[nodiscard]] std::uint64_t checksum(std::uint64_t space, ByteView key, ByteView content) noexcept;

/// Completes `value`, which holds the version byte and the body, with the checksum that binds it to
/// its table and key. Returns that.
std::uint64_t seal(Bytes& value, Table table, ByteView key);

/// The body of `value`; borrows from it. Fails with kStoreDamaged, or with kStoreVersion when the
/// checksum is good and the version is not ours.
[[nodiscard]] Result<ByteView> unseal(Table table, ByteView key, ByteView value);

}  // namespace culm::store::detail
