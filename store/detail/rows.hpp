#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/store/store.hpp"

/// The one codec of row bodies. `encode_` overwrites `out` with version and body, ready for `seal`;
/// `decode_` takes the body that `unseal` gave and fails with kStoreFormat. Spec: store.md#rows
namespace culm::store::detail {

void encode_meta(Bytes& out, const StoreMeta& meta);
[[nodiscard]] Result<StoreMeta> decode_meta(ByteView body);

/// Of a row that says all by its key.
void encode_forgotten(Bytes& out);

/// Fails, reading, where there are more of them, or longer ones, than a store keeps.
void encode_peers(Bytes& out, const std::vector<KnownPeer>& peers);
void encode_peer_keys(Bytes& out, const std::vector<KnownPeer>& peers);
/// Without keys.
[[nodiscard]] Result<std::vector<KnownPeer>> decode_peers(ByteView body);
/// Adds the keys to those of `peers`; those of an address that is not among them are left out.
[[nodiscard]] Result<void> decode_peer_keys(ByteView body, std::vector<KnownPeer>& peers);

/// Of a set with very many ranges those that are left are taken for one.
void encode_lost(Bytes& out, const Lost& lost);
[[nodiscard]] Result<Lost> decode_lost(ByteView body);
/// What the row of the log with this number says; a damaged one, as none, says nothing.
[[nodiscard]] Lost open_lost(std::uint64_t number, const std::optional<ByteView>& value);

inline constexpr std::size_t kSetCount = std::tuple_size_v<RangesBelow>;
inline constexpr std::size_t kHeldSet = 0;
inline constexpr std::size_t kPayloadsSet = 1;
inline constexpr std::size_t kVerifiedSet = 2;
inline constexpr std::size_t kDeletedSet = 3;
inline constexpr std::size_t kInterestSet = 4;
/// The range sets of a log, each at its place.
template <class State>
[[nodiscard]] auto sets_of(State& log) noexcept {
  return std::array{&log.held, &log.payloads, &log.verified, &log.deleted,
                    &log.interest.entries.ranges};
}

/// A range set that lies in blocks.
struct SetBlocks {
  std::uint64_t ranges = 0;  ///< in all of them
  std::uint64_t count = 0;   ///< 0: the set lies in the row of its log
  std::uint64_t sum = 0;     ///< of their checksums, modulo 2^64

  friend bool operator==(const SetBlocks&, const SetBlocks&) = default;
};
using LogBlocks = std::array<SetBlocks, kSetCount>;

/// A log's row. A set that lies in blocks is empty in the state.
struct LogRow {
  LogState state;
  LogBlocks blocks;

  [[nodiscard]] bool has_blocks() const noexcept;
  /// What is held is asked for far below what changes, by links: it lies in the row then.
  [[nodiscard]] bool may_be_read_in_part() const noexcept;
};
/// In the place of a row that was lost with pages of the file, as others of the log may be.
inline constexpr std::array<std::uint8_t, 1> kLostState{0};
/// Of a set that lies in blocks nothing is taken from `log`.
void encode_log(Bytes& out, const LogState& log, const LogBlocks& blocks);
[[nodiscard]] Result<LogRow> decode_log(const LogKey& log, ByteView body);

/// Precondition: `first` is where the first of `ranges` begins.
void encode_block(Bytes& out, SeqNum first, std::span<const SeqRange> ranges);
/// Appends the ranges to `out`; whether they are in order is for who has the whole set.
[[nodiscard]] Result<void> decode_block(std::vector<SeqRange>& out, SeqNum first, ByteView body);

/// Whether the payload lies in the entry's row; a larger one in a stage.
[[nodiscard]] inline bool is_inline(const EntryView& entry) noexcept {
  return entry.payload_size() <= limits::kPayloadInlineBytesMax;
}

/// An empty payload is there as soon as its entry is, unless the hash is of another.
[[nodiscard]] bool has_empty_payload(const EntryView& entry);

/// An entry's row; borrows.
struct EntryRow {
  EntryView entry;
  ByteView payload;  ///< empty, or as long as the entry says
};
/// Precondition: `out` does not own what is borrowed here.
void encode_entry(Bytes& out, ByteView entry, ByteView payload);
[[nodiscard]] Result<EntryRow> decode_entry(ByteView body);
/// Of the row as it lies in the store. Fails as `unseal` too.
[[nodiscard]] Result<EntryRow> open_entry_row(const KvRow& row);
/// Takes the whole row, and trusts no checksum. Fails with kStoreFormat.
[[nodiscard]] Result<EntryRow> decode_damaged_entry(ByteView value);

void encode_chunk(Bytes& out, ByteView chunk);

/// How far a stage is.
///
///   kArriving --all parts are there, and their hash is the entry's--> kPayload
///       '------------given up------------> kGoing <----deleted----------'
enum class StageState : std::uint8_t { kArriving, kPayload, kGoing };

/// A row of kStages.
struct StageRow {
  Stage stage;
  StageState state{};
  std::uint64_t size_bytes = 0;  ///< that arrived
  Bearer bearer{};               ///< while it arrives
};
void encode_stage(Bytes& out, const StageRow& row);
/// Takes the whole row. Fails with kStoreDamaged, kStoreVersion, kStoreFormat.
[[nodiscard]] Result<StageRow> open_stage(const KvRow& row);

void encode_change(Bytes& out, const LogKey& log);
[[nodiscard]] Result<LogKey> decode_change(ByteView body);

void encode_evidence(Bytes& out, const Evidence& evidence);
[[nodiscard]] Result<Evidence> decode_evidence(ByteView body);

}  // namespace culm::store::detail
