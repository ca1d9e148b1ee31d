#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/feed/verify.hpp"

/// Entries as JSON lines. Spec: verification.md#jsonl
namespace culm {

/// A line with the largest payload, and room for other keys.
inline constexpr std::uint64_t kJsonlLineBytesMax = 2 * limits::kPayloadSizeBytesMax + 64 * 1024;

/// What a line says; nothing of it is checked yet.
struct JsonlEntry {
  Bytes encoded;
  std::optional<Bytes> payload;
};

/// The same as it stands in the line.
struct JsonlTexts {
  std::string encoded;
  std::optional<std::string> payload;
};
/// Fails as `decode_jsonl`, but for kHexFormat.
[[nodiscard]] Result<JsonlTexts> pick_jsonl(std::string_view line);

/// Reads one line. Fails with kFileFormat when it is not an object with the text `encoded` and
/// perhaps the text `payload`, with kHexFormat when one of these is not hex.
[[nodiscard]] Result<JsonlEntry> decode_jsonl(std::string_view line);

/// Appends a line with its line end.
void append_jsonl(std::string& out, ByteView encoded, const std::optional<ByteView>& payload);

/// Whether the line says nothing.
[[nodiscard]] bool is_blank(std::string_view line);

/// The entries as a unit, hashed; borrows from `entries`. Fails with the error of the entry that is
/// not well-formed, whatever its seqnum.
[[nodiscard]] Result<std::vector<UnitEntry>> to_unit(std::span<const JsonlEntry> entries);

}  // namespace culm
