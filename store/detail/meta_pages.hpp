#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "culm/store/detail/page.hpp"

/// The two pages from which LMDB finds all others. It takes the one with the higher number, which
/// one wrong bit makes that of an older commit.
/// Spec: damage.md#damaged-pages
namespace culm::store::detail {

/// No record of a list of free pages is longer.
inline constexpr std::size_t kListBytesMax = std::size_t{64} << 20U;

struct MetaPage {
  Tree free;
  Tree main;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};

/// Whether it is there.
using ReadPage = std::function<bool(std::uint64_t number, std::vector<std::uint8_t>& page)>;

struct MetaPages {
  /// Both where they fit together, otherwise the one that leads to the later commit, or none.
  std::array<std::optional<MetaPage>, kMetaPages> pages{};
  bool are_last = false;  ///< no page of a later commit was lost
};
[[nodiscard]] MetaPages read_meta_pages(const ReadPage& read);

/// The last node of a branch or a leaf.
[[nodiscard]] inline std::optional<std::size_t> last_node_of(ByteView page) {
  if (!has_node_list(page) || lower_of(page) == kHeaderBytes) return std::nullopt;
  const std::size_t node = number_at<std::uint16_t>(page, lower_of(page) - 2);
  return is_node_inside(page, node, upper_of(page)) ? std::optional(node) : std::nullopt;
}

/// The last leaf of a list of free pages, where it can be read. `page_of` returns nothing of a page
/// that is not there.
template <class PageOf>
[[nodiscard]] ByteView last_leaf_of(const Tree& list, PageOf page_of) {
  std::uint64_t number = list.root;
  for (unsigned int depth = list.depth; depth > 0 && depth <= kDepthMax; --depth) {
    const PageKind kind = depth == 1 ? kLeaf : kBranch;
    const ByteView page = page_of(number);
    const auto node = page.empty() ? std::nullopt : last_node_of(page);
    if (!node || !has_header(page, number, kind)) return {};
    if (kind == kLeaf) return page;
    number = child_of(page, *node);
  }
  return {};
}

/// The commit that wrote the list: the last record is of what itself has freed.
[[nodiscard]] inline std::optional<std::uint64_t> commit_of(ByteView last_leaf) {
  const auto node = last_leaf.empty() ? std::nullopt : last_node_of(last_leaf);
  if (!node || key_bytes_of(last_leaf, *node) != sizeof(std::uint64_t)) return std::nullopt;
  return number_at<std::uint64_t>(key_of(last_leaf, *node), 0);
}

}  // namespace culm::store::detail
