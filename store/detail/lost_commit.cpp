#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "culm/core/bytes.hpp"
#include "culm/store/detail/lmdb.hpp"
#include "culm/store/detail/page_file.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

/// Of PageFile: a commit whose meta page is lost. LMDB writes that last, so all of it may be there.
/// Spec: damage.md#damaged-pages
namespace culm::store::detail {
namespace {

/// Of a table, by a page that leads to all of them.
std::optional<Tree> tree_of(ByteView root, Table table) {
  for (std::size_t at = kHeaderBytes; at + 2 <= lower_of(root); at += 2) {
    const std::size_t node = number_at<std::uint16_t>(root, at);
    if (!is_node_inside(root, node, at + 2)) return std::nullopt;
    const ByteView name = key_of(root, node);
    const bool is_inside = node + kNodeBytes + name.size() + kTreeBytes <= root.size();
    if (table_named(as_text(name)) == table && is_inside) {
      return read_tree(root.subspan(node + kNodeBytes + name.size()));
    }
  }
  return std::nullopt;
}

bool leads_to_tables(ByteView root) {
  if (!has_node_list(root) || lower_of(root) != kHeaderBytes + 2 * kTableCount) return false;
  return tree_of(root, Table::kMeta) && tree_of(root, Table::kEntries);
}

/// What never becomes less.
std::array<std::uint64_t, 4> counts(const StoreMeta& of) {
  return {of.log_count, of.last_change, of.last_stage, of.forgotten};
}

/// Whether the first came later.
bool is_behind(const StoreMeta& row, const StoreMeta& other) {
  const auto [one, two] = std::pair(counts(row), counts(other));
  return one != two && std::ranges::equal(one, two, std::greater_equal());
}

}  // namespace

/// Each commit but the first of a file lists what it freed.
PageFile::Unled PageFile::find_unled() const {
  Unled unled;
  Page page;
  for (std::uint64_t number = kMetaPages; number < known_.size(); ++number) {
    if (is_led(number) || !read_page(number, page) || !has_header(page, number, kLeaf)) continue;
    unled.is_later_listed = unled.is_later_listed || commit_of(page) == meta_.transaction + 1;
    if (leads_to_tables(page)) unled.roots.push_back(number);
  }
  return unled;
}

/// What it says of the store: the row is the last of its table. `kStoreNotFound` where there is
/// none.
Result<StoreMeta> PageFile::find_store_row(std::uint64_t root) const {
  Page page;
  const auto tree = read_page(root, page) ? tree_of(page, Table::kMeta) : std::nullopt;
  if (!tree) return fail(Errc::kStoreNotFound);
  const ByteView leaf = last_leaf_of(*tree, [&](std::uint64_t number) {
    return read_page(number, page) ? ByteView(page) : ByteView();
  });
  const auto node = leaf.empty() ? std::nullopt : last_node_of(leaf);
  if (!node || !equal(key_of(leaf, *node), meta_row_key())) return fail(Errc::kStoreNotFound);
  const std::size_t begin = *node + kNodeBytes + key_bytes_of(leaf, *node);
  const std::size_t size = value_bytes_of(leaf, *node);
  const bool is_inside = !is_value_elsewhere(leaf, *node) && begin + size <= leaf.size();
  if (!is_inside) return fail(Errc::kStoreDamaged);
  CULM_TRY(const ByteView body, unseal(Table::kMeta, meta_row_key(), leaf.subspan(begin, size)));
  return decode_meta(body);
}

/// Whether it leads to pages that the commit which is read did not have: it came later.
bool PageFile::leads_behind_end(std::uint64_t root) const {
  Page page;
  if (!read_page(root, page)) return false;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto tree = tree_of(page, Table{static_cast<std::uint8_t>(i)});
    if (tree && tree->root != kNoPage && tree->root >= pages_said_) return true;
  }
  return false;
}

/// Whether a later commit may be lost without a trace. What it writes first is the page that leads
/// to all tables: to the lowest page of the first record of free ones, or else behind the last one.
bool PageFile::may_be_traceless(const StoreMeta& before) const {
  if (known_.size() != pages_said_ || !is_free_sure_) return true;
  if (!first_spare_) return false;
  Page page;
  if (!read_page(*first_spare_, page)) return true;
  // A payload that was erased leaves bytes there as well, but seldom such.
  const bool is_blank = std::ranges::all_of(page, [&](auto byte) { return byte == page.front(); });
  const bool is_root = has_header(page, *first_spare_, kLeaf) && leads_to_tables(page);
  if (is_blank || !is_root) return is_blank;
  const auto row = find_store_row(*first_spare_);
  return row && row->id == before.id && counts(*row) == counts(before);
}

/// It is read in place of the one before where all its trees are whole, and its row `store` says
/// that it came behind that. Who chose the bytes of a payload cannot have written that row: nobody
/// else knows the id. Where two fit, one of them was forged to lead to the row of the other.
Result<void> PageFile::find_lost_commit() {
  const auto before = find_store_row(meta_.main.root);
  const Unled unled = find_unled();
  may_be_older_ = unled.is_later_listed || !before || may_be_traceless(*before);
  if (!before) return {};
  std::vector<std::uint64_t> fitting;
  for (const std::uint64_t root : unled.roots) {
    const auto row = find_store_row(root);
    const bool is_damaged = !row && row.error().code == Errc::kStoreDamaged;
    const bool is_later = row && row->id == before->id && is_behind(*row, *before);
    if (is_later) fitting.push_back(root);
    may_be_older_ = may_be_older_ || is_damaged || is_later || leads_behind_end(root);
  }
  if (fitting.size() != 1) return {};
  const MetaPage read = std::exchange(
      meta_, {{}, {1, kTableCount, fitting.front()}, meta_.last_page, meta_.transaction + 1});
  is_list_lost_ = true;
  CULM_CHECK(find_pages());
  may_be_older_ = damaged_ != 0;
  is_cut_ = !unled.is_later_listed;
  if (!may_be_older_) return {};
  meta_ = read;
  is_list_lost_ = false;
  return find_pages();
}

/// A commit takes pages that were free, but for those which the one before it has freed.
void PageFile::doubt_free() {
  for (std::size_t page = 0; page < spare_.size(); ++page) {
    if (spare_[page] && !is_led(page)) free_[page] = false;
  }
  is_free_sure_ = false;
}

}  // namespace culm::store::detail
