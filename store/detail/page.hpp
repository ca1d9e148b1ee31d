#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "culm/core/bytes.hpp"

/// The parts of LMDB's file that it has no call for. Numbers are the machine's own.
/// Spec: LMDB 0.9, mdb.c, "Page Format"
namespace culm::store::detail {

inline constexpr std::size_t kMetaPages = 2;
inline constexpr std::size_t kMetaBytes = 152;
inline constexpr std::size_t kMetaMagicAt = 16;
inline constexpr std::size_t kMetaVersionAt = 20;
inline constexpr std::size_t kMetaMapBytesAt = 32;
inline constexpr std::size_t kMetaPageBytesAt = 40;
inline constexpr std::size_t kMetaFreeAt = 40;
inline constexpr std::size_t kMetaMainAt = 88;
inline constexpr std::size_t kMetaLastPageAt = 136;
inline constexpr std::size_t kMetaTransactionAt = 144;
inline constexpr std::uint32_t kMetaMagic = 0xBEEFC0DE;
inline constexpr std::uint32_t kLmdbVersion = 1;

inline constexpr std::size_t kTreeBytes = 48;
inline constexpr std::size_t kTreeFlagsAt = 4;
inline constexpr std::size_t kTreeDepthAt = 6;
inline constexpr std::size_t kTreeRowsAt = 32;
inline constexpr std::size_t kTreeRootAt = 40;
/// The keys of the list of free pages are numbers. Beside that LMDB keeps how the file was opened.
inline constexpr std::uint16_t kNumberKeys = 8;
inline constexpr std::uint16_t kOpenedAlone = 0x4000;
inline constexpr std::uint64_t kNoPage = UINT64_MAX;
inline constexpr unsigned int kDepthMax = 32;

inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kNodeBytes = 8;
enum PageKind : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMetaPage = 8 };
inline constexpr std::uint16_t kBigData = 1;

template <class Number>
[[nodiscard]] Number number_at(ByteView bytes, std::size_t offset) {
  Number number = 0;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

/// The order of keys.
[[nodiscard]] inline bool is_less(ByteView one, ByteView two) {
  const std::size_t common = std::min(one.size(), two.size());
  const int order = common == 0 ? 0 : std::memcmp(one.data(), two.data(), common);
  return order != 0 ? order < 0 : one.size() < two.size();
}

[[nodiscard]] inline bool has_header(ByteView page, std::uint64_t number, PageKind kind) {
  return number_at<std::uint64_t>(page, 0) == number && number_at<std::uint16_t>(page, 10) == kind;
}

[[nodiscard]] inline bool is_meta_page(ByteView page, std::uint64_t number) {
  return has_header(page, number, kMetaPage) &&
         number_at<std::uint32_t>(page, kMetaMagicAt) == kMetaMagic &&
         number_at<std::uint32_t>(page, kMetaVersionAt) == kLmdbVersion;
}

/// The size of a page, which all meta pages of a file name.
[[nodiscard]] inline std::uint32_t page_bytes_of(ByteView meta) {
  return number_at<std::uint32_t>(meta, kMetaPageBytesAt);
}

/// What leads to the rows of a table.
struct Tree {
  unsigned int depth = 0;
  std::uint64_t rows = 0;
  std::uint64_t root = kNoPage;
};

[[nodiscard]] inline Tree read_tree(ByteView bytes) {
  return {number_at<std::uint16_t>(bytes, kTreeDepthAt),
          number_at<std::uint64_t>(bytes, kTreeRowsAt),
          number_at<std::uint64_t>(bytes, kTreeRootAt)};
}

/// Whether LMDB would look for keys in the order in which they are.
[[nodiscard]] inline bool has_tree_flags(ByteView meta) {
  const auto of_free = number_at<std::uint16_t>(meta, kMetaFreeAt + kTreeFlagsAt);
  return (of_free & ~kOpenedAlone) == kNumberKeys &&
         number_at<std::uint16_t>(meta, kMetaMainAt + kTreeFlagsAt) == 0;
}

/// Whether the two meta pages are of the last two commits: N is written to page N & 1, and lists
/// what it has freed. In a new file there is none yet. The last page never comes to be a lower one.
[[nodiscard]] inline bool do_meta_pages_fit(ByteView even, ByteView odd) {
  if (page_bytes_of(even) != page_bytes_of(odd)) return false;
  if (!has_tree_flags(even) || !has_tree_flags(odd)) return false;
  const auto one = number_at<std::uint64_t>(even, kMetaTransactionAt);
  const auto other = number_at<std::uint64_t>(odd, kMetaTransactionAt);
  if (one == 0 && other == 0) {
    return read_tree(even.subspan(kMetaMainAt)).root == kNoPage &&
           read_tree(odd.subspan(kMetaMainAt)).root == kNoPage;
  }
  const bool has_list = read_tree(even.subspan(kMetaFreeAt)).root != kNoPage;
  const bool has_other_list = read_tree(odd.subspan(kMetaFreeAt)).root != kNoPage;
  if (one % 2 != 0) return false;
  const auto last = number_at<std::uint64_t>(even, kMetaLastPageAt);
  const auto other_last = number_at<std::uint64_t>(odd, kMetaLastPageAt);
  return one < other ? other - one == 1 && (has_other_list || !has_list) && last <= other_last
                     : one - other == 1 && (has_list || !has_other_list) && other_last <= last;
}

/// Where the list of nodes of a branch or a leaf ends, and where the nodes begin.
[[nodiscard]] inline std::size_t lower_of(ByteView page) {
  return number_at<std::uint16_t>(page, 12);
}
[[nodiscard]] inline std::size_t upper_of(ByteView page) {
  return number_at<std::uint16_t>(page, 14);
}

[[nodiscard]] inline bool has_node_list(ByteView page) {
  const std::size_t lower = lower_of(page);
  return lower >= kHeaderBytes && lower <= upper_of(page) && upper_of(page) <= page.size() &&
         lower % 2 == 0;
}

[[nodiscard]] inline std::size_t key_bytes_of(ByteView page, std::size_t node) {
  return number_at<std::uint16_t>(page, node + 6);
}

/// Of which all is in the page, but perhaps for the value.
[[nodiscard]] inline bool is_node_inside(ByteView page, std::size_t node, std::size_t from) {
  return node >= from && node + kNodeBytes <= page.size() &&
         node + kNodeBytes + key_bytes_of(page, node) <= page.size();
}

[[nodiscard]] inline ByteView key_of(ByteView page, std::size_t node) {
  return page.subspan(node + kNodeBytes, key_bytes_of(page, node));
}

[[nodiscard]] inline bool is_value_elsewhere(ByteView page, std::size_t node) {
  return (number_at<std::uint16_t>(page, node + 4) & kBigData) != 0;
}

[[nodiscard]] inline std::size_t value_bytes_of(ByteView page, std::size_t node) {
  return number_at<std::uint16_t>(page, node) |
         std::size_t{number_at<std::uint16_t>(page, node + 2)} << 16U;
}

[[nodiscard]] inline std::uint64_t child_of(ByteView page, std::size_t node) {
  return number_at<std::uint32_t>(page, node) |
         std::uint64_t{number_at<std::uint16_t>(page, node + 4)} << 32U;
}

/// Whether no byte lies between nodes, nor in two: LMDB moves all below one that it erases by its
/// length. Precondition: the list of nodes, and each node of it but for its value, is in the page.
[[nodiscard]] inline bool is_packed(ByteView page, PageKind kind) {
  std::size_t bytes = 0;
  for (std::size_t at = kHeaderBytes; at + 2 <= lower_of(page); at += 2) {
    const std::size_t node = number_at<std::uint16_t>(page, at);
    std::size_t size = kNodeBytes + key_bytes_of(page, node);
    if (kind == kLeaf) {
      size += is_value_elsewhere(page, node) ? sizeof(std::uint64_t) : value_bytes_of(page, node);
    }
    bytes += size + size % 2;
  }
  return upper_of(page) + bytes == page.size();
}

}  // namespace culm::store::detail
