#include "culm/replication/detail/field_reader.hpp"

#include <algorithm>
#include <vector>

#include "culm/core/varu64.hpp"

namespace culm::replication {
namespace {

/// Bytes of the UTF-8 character that `text` begins with, or 0. RFC 3629; NUL is none here.
std::size_t character_size(ByteView text) {
  const std::uint8_t first = text[0];
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size == 0 || first > 0xf4 || text.size() < size) return 0;
  // What is too long for its number, a surrogate or beyond the last character shows in the second.
  const std::uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const std::uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (text[1] < low || text[1] > high) return 0;
  const auto is_further = [](std::uint8_t byte) { return (byte & 0xc0U) == 0x80; };
  return std::all_of(text.begin() + 2, text.begin() + static_cast<std::ptrdiff_t>(size), is_further)
             ? size
             : 0;
}

Result<std::uint64_t> take_varu64(ByteView& bytes) {
  CULM_TRY(const auto decoded, varu64::decode(bytes));
  bytes = bytes.subspan(decoded.size_bytes);
  return decoded.value;
}

}  // namespace

bool is_text(ByteView text) noexcept {
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0) return false;
    text = text.subspan(size);
  }
  return true;
}

Result<RangeSet> decode_ranges(ByteView bytes) {
  std::vector<SeqRange> ranges;
  ranges.reserve(std::min(bytes.size() / 2, limits::kRangesPerMessageMax));
  SeqNum lowest = 1;  // 0: none is left
  while (!bytes.empty()) {
    if (ranges.size() == limits::kRangesPerMessageMax) return fail(Errc::kRangesTooMany);
    CULM_TRY(const std::uint64_t passed, take_varu64(bytes));
    CULM_TRY(const std::uint64_t further, take_varu64(bytes));
    if (lowest == 0 || passed > kSeqnumMax - lowest) return fail(Errc::kRange);
    const SeqNum first = lowest + passed;
    if (further > kSeqnumMax - first) return fail(Errc::kRange);
    const SeqNum last = first + further;
    ranges.push_back({first, last});
    lowest = last < kSeqnumMax - 1 ? last + 2 : 0;
  }
  return RangeSet::from_canonical(std::move(ranges));
}

}  // namespace culm::replication
