#pragma once

#include "culm/core/limits.hpp"
#include "culm/store/store.hpp"

/// The one codec of row bodies. `encode_` overwrites `out` with version and body, ready for `seal`;
/// `decode_` takes the body that `unseal` gave and fails with kStoreFormat. Spec: store.md#rows
namespace culm::store::detail {

void encode_meta(Bytes& out, const StoreMeta& meta);
[[nodiscard]] Result<StoreMeta> decode_meta(ByteView body);

/// Fails with kRangesTooMany.
[[nodiscard]] Result<void> encode_log(Bytes& out, const LogState& log);
[[nodiscard]] Result<LogState> decode_log(const LogKey& log, ByteView body);

/// Whether the payload lies in the entry's row; a larger one in rows of its own.
[[nodiscard]] inline bool is_inline(const EntryView& entry) noexcept {
  return entry.payload_size() <= limits::kPayloadInlineBytesMax;
}

/// An entry's row; borrows.
struct EntryRow {
  EntryView entry;
  ByteView payload;  ///< empty, or as long as the entry says
};
/// Precondition: `out` does not own what is borrowed here.
void encode_entry(Bytes& out, ByteView entry, ByteView payload);
[[nodiscard]] Result<EntryRow> decode_entry(ByteView body);

void encode_chunk(Bytes& out, ByteView chunk);

void encode_change(Bytes& out, const LogKey& log);
[[nodiscard]] Result<LogKey> decode_change(ByteView body);

void encode_evidence(Bytes& out, const Evidence& evidence);
[[nodiscard]] Result<Evidence> decode_evidence(ByteView body);

}  // namespace culm::store::detail
