#include "culm/store/detail/meta_pages.hpp"

#include <algorithm>

namespace culm::store::detail {
namespace {

using Page = std::vector<std::uint8_t>;

/// What a page says, and the list of free pages to which it leads.
struct Found {
  Page page;
  MetaPage meta;
  Page last_leaf;
  std::optional<std::uint64_t> listed{};  ///< the commit by that list
  bool is_usable = false;

  [[nodiscard]] bool is(std::uint64_t commit) const {
    return meta.transaction == commit || listed == commit;
  }
};

Found find(const ReadPage& read, std::uint64_t number) {
  Found found;
  if (!read(number, found.page)) {
    found.page.clear();
    return found;
  }
  const ByteView bytes(found.page);
  found.meta = {read_tree(bytes.subspan(kMetaFreeAt)), read_tree(bytes.subspan(kMetaMainAt)),
                number_at<std::uint64_t>(bytes, kMetaLastPageAt),
                number_at<std::uint64_t>(bytes, kMetaTransactionAt)};
  Page page;
  const ByteView leaf = last_leaf_of(found.meta.free, [&](std::uint64_t of) {
    return read(of, page) ? ByteView(page) : ByteView();
  });
  found.last_leaf.assign(leaf.begin(), leaf.end());
  found.listed = commit_of(found.last_leaf);
  // Where its first bytes alone are damaged the rest says so.
  found.is_usable = is_meta_page(bytes, number) ||
                    (found.listed == found.meta.transaction && *found.listed % 2 == number);
  return found;
}

/// The last record of the list: a count, and so many numbers of pages.
Page last_record_of(const ReadPage& read, const Found& found) {
  const ByteView leaf(found.last_leaf);
  const auto node = leaf.empty() ? std::nullopt : last_node_of(leaf);
  if (!node) return {};
  const std::size_t begin = *node + kNodeBytes + key_bytes_of(leaf, *node);
  const std::size_t size = value_bytes_of(leaf, *node);
  if (!is_value_elsewhere(leaf, *node)) {
    if (begin + size > leaf.size()) return {};
    return {found.last_leaf.begin() + static_cast<std::ptrdiff_t>(begin),
            found.last_leaf.begin() + static_cast<std::ptrdiff_t>(begin + size)};
  }
  if (begin + sizeof(std::uint64_t) > leaf.size() || size > kListBytesMax) return {};
  Page record;
  Page page;
  for (auto number = number_at<std::uint64_t>(leaf, begin); record.size() < kHeaderBytes + size;
       ++number) {
    if (!read(number, page)) return {};
    record.insert(record.end(), page.begin(), page.end());
  }
  record.erase(record.begin(), record.begin() + kHeaderBytes);
  record.resize(size);
  return record;
}

/// Whether it has freed that page.
bool has_freed(const ReadPage& read, const Found& commit, std::uint64_t number) {
  const Page record = last_record_of(read, commit);
  for (std::size_t at = sizeof(number); at + sizeof(number) <= record.size();
       at += sizeof(number)) {
    if (number_at<std::uint64_t>(record, at) == number) return true;
  }
  return false;
}

/// A commit frees the root of the one before it, and none of a later one.
bool is_newer(const ReadPage& read, const Found& one, const Found& other) {
  if (!one.is_usable || !other.is_usable) return one.is_usable;
  if (has_freed(read, one, other.meta.main.root)) return true;
  if (has_freed(read, other, one.meta.main.root)) return false;
  return one.meta.transaction > other.meta.transaction;
}

}  // namespace

MetaPages read_meta_pages(const ReadPage& read) {
  std::array<Found, kMetaPages> found{find(read, 0), find(read, 1)};
  for (Found& one : found) {
    if (has_freed(read, one, one.meta.main.root)) one.is_usable = false;
  }
  const auto says_one = [](const Found& one) {
    return one.is_usable && (!one.listed || *one.listed == one.meta.transaction);
  };
  const auto& [even, odd] = found;
  const bool do_fit = even.is_usable && odd.is_usable && do_meta_pages_fit(even.page, odd.page) &&
                      is_meta_page(even.page, 0) && is_meta_page(odd.page, 1);
  if (do_fit && std::ranges::all_of(found, says_one)) return {{even.meta, odd.meta}, true};
  const std::size_t newer = is_newer(read, odd, even) ? 1 : 0;
  Found& chosen = found[newer];
  const Found& other = found[1 - newer];
  if (!chosen.is_usable) return {};
  const auto listed = chosen.listed;
  if (listed && (!other.is(chosen.meta.transaction - 1) || other.is(*listed - 1))) {
    chosen.meta.transaction = *listed;
  }
  MetaPages metas;
  metas.pages[newer] = chosen.meta;
  metas.are_last = do_fit || (other.is_usable && (has_freed(read, chosen, other.meta.main.root) ||
                                                  other.listed == chosen.meta.transaction - 1));
  return metas;
}

}  // namespace culm::store::detail
