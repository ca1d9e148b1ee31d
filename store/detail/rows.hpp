#pragma once

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
void encode_peers(Bytes& out, const std::vector<std::string>& addresses);
[[nodiscard]] Result<std::vector<std::string>> decode_peers(ByteView body);

/// Fails with kRangesTooMany.
[[nodiscard]] Result<void> encode_log(Bytes& out, const LogState& log);
[[nodiscard]] Result<LogState> decode_log(const LogKey& log, ByteView body);

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
