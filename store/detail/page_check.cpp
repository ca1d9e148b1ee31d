#include "culm/store/detail/page_check.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

#include "culm/store/detail/meta_pages.hpp"

namespace culm::store::detail {
namespace {

std::size_t count_of(ByteView page) { return (lower_of(page) - kHeaderBytes) / 2; }

std::size_t node_of(ByteView page, std::size_t index) {
  return number_at<std::uint16_t>(page, kHeaderBytes + 2 * index);
}

/// The first node from `first` on whose key does not go.
template <class Goes>
std::size_t count_while(ByteView page, std::size_t first, Goes goes) {
  std::size_t low = first;
  std::size_t high = count_of(page);
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (goes(key_of(page, node_of(page, middle)))) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

Result<PageMap> PageMap::map(int file, std::size_t bytes, std::size_t page_bytes) {
  void* const begin = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (begin == MAP_FAILED) return fail(error_system(Errc::kStoreIo, errno));
  PageMap map;
  map.file_ = file;
  map.bytes_ = static_cast<const std::uint8_t*>(begin);
  map.size_ = bytes;
  map.page_bytes_ = page_bytes;
  return map;
}

PageMap::PageMap(PageMap&& other) noexcept { *this = std::move(other); }

PageMap& PageMap::operator=(PageMap&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  std::swap(page_bytes_, other.page_bytes_);
  return *this;
}

PageMap::~PageMap() {
  if (bytes_ != nullptr) ::munmap(const_cast<std::uint8_t*>(bytes_), size_);
}

std::size_t PageMap::pages() const {
  struct stat status = {};
  if (bytes_ == nullptr || ::fstat(file_, &status) != 0) return 0;
  return std::min(size_, static_cast<std::size_t>(status.st_size)) / page_bytes_;
}

bool PageMap::are_metas_sound() const {
  const std::size_t there = pages();
  const auto page_of = [&](std::uint64_t number) {
    return number < there ? page(number) : ByteView();
  };
  const auto is_sound = [&](std::uint64_t number) {
    const ByteView meta = page(number);
    if (!is_meta_page(meta, number)) return false;
    const auto listed = commit_of(last_leaf_of(read_tree(meta.subspan(kMetaFreeAt)), page_of));
    return !listed || *listed == number_at<std::uint64_t>(meta, kMetaTransactionAt);
  };
  return there >= kMetaPages && is_sound(0) && is_sound(1) && do_meta_pages_fit(page(0), page(1));
}

std::optional<Commit> PageMap::find_commit(std::uint64_t transaction) const {
  for (std::uint64_t number = 0; number < kMetaPages; ++number) {
    const ByteView meta = page(number);
    if (number_at<std::uint64_t>(meta, kMetaTransactionAt) != transaction) continue;
    return Commit{read_tree(meta.subspan(kMetaFreeAt)), read_tree(meta.subspan(kMetaMainAt)),
                  number_at<std::uint64_t>(meta, kMetaLastPageAt)};
  }
  return std::nullopt;
}

bool PageCheck::is_there(std::uint64_t number) {
  if (number >= pages_) pages_ = map_->pages();
  return number >= kMetaPages && number < pages_;
}

/// Without `keys` these are no bytes, and in no order that is known here.
bool PageCheck::parses(std::uint64_t number, PageKind kind, const Keys* keys) const {
  const ByteView page = map_->page(number);
  if (!has_node_list(page)) return false;
  const std::size_t count = count_of(page);
  if (count == 0) return false;
  // The first of a branch has no key.
  ByteView last = keys != nullptr ? keys->from : ByteView();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t node = node_of(page, i);
    if (!is_node_inside(page, node, upper_of(page))) return false;
    const ByteView key = key_of(page, node);
    if (kind == kLeaf) {
      const std::size_t beside =
          is_value_elsewhere(page, node) ? sizeof(std::uint64_t) : value_bytes_of(page, node);
      if (node + kNodeBytes + key.size() + beside > page.size()) return false;
    }
    if (keys == nullptr || (i == 0 && kind == kBranch)) continue;
    const bool is_in_order = i == 0 ? !is_less(key, last) : is_less(last, key);
    if (key.empty() || !is_in_order) return false;
    last = key;
  }
  return keys == nullptr || !keys->end || is_less(last, *keys->end);
}

bool PageCheck::is_sound(std::uint64_t number, PageKind kind, const Keys& keys, Use use) {
  if (!is_there(number) || !has_header(map_->page(number), number, kind)) return false;
  const bool is_written = use != Use::kRead;
  auto& sound = sound_[is_written ? 1 : 0];
  std::uint64_t& known = sound[number % sound.size()];
  if (known == number) return true;
  if (!parses(number, kind, &keys)) return false;
  if (is_written && !is_packed(map_->page(number), kind)) return false;
  known = number;
  return true;
}

std::optional<PageCheck::Place> PageCheck::find(const Tree& tree, ByteView key, Side side,
                                                Use use) {
  Keys keys;
  std::uint64_t number = tree.root;
  if (tree.depth == 0 || tree.depth > kDepthMax) return std::nullopt;
  for (unsigned int depth = tree.depth; depth > 1; --depth) {
    if (!is_sound(number, kBranch, keys, use)) return std::nullopt;
    const ByteView page = map_->page(number);
    const std::size_t taken =
        count_while(page, 1,
                    [&](ByteView from) {
                      return side == Side::kAt ? !is_less(key, from) : is_less(from, key);
                    }) -
        1;
    const auto keys_of = [&](std::size_t i) {
      Keys found = keys;
      if (i != 0) found.from = key_of(page, node_of(page, i));
      if (i + 1 < count_of(page)) found.end = key_of(page, node_of(page, i + 1));
      return found;
    };
    const PageKind kind = depth == 2 ? kLeaf : kBranch;
    for (const std::size_t i : {taken - 1, taken + 1}) {
      if (use != Use::kErase || i >= count_of(page)) continue;
      if (!is_sound(child_of(page, node_of(page, i)), kind, keys_of(i), use)) {
        return std::nullopt;
      }
    }
    number = child_of(page, node_of(page, taken));
    keys = keys_of(taken);
  }
  if (!is_sound(number, kLeaf, keys, use)) return std::nullopt;
  return Place{map_->page(number), keys};
}

bool PageCheck::is_sound_at(const Tree& tree, ByteView key) {
  return tree.root == kNoPage || find(tree, key, Side::kAt);
}

bool PageCheck::is_sound_after(const Tree& tree, ByteView key) {
  if (tree.root == kNoPage) return true;
  const auto place = find(tree, key, Side::kAt);
  if (!place) return false;
  const ByteView last = key_of(place->leaf, node_of(place->leaf, count_of(place->leaf) - 1));
  return !place->keys.end || is_less(key, last) || find(tree, *place->keys.end, Side::kAt);
}

bool PageCheck::is_sound_before(const Tree& tree, ByteView key) {
  if (tree.root == kNoPage) return true;
  const auto place = find(tree, key, Side::kAt);
  if (!place) return false;
  const ByteView first = key_of(place->leaf, node_of(place->leaf, 0));
  const ByteView from = place->keys.from;
  return from.empty() || is_less(first, key) || find(tree, from, Side::kBefore);
}

bool PageCheck::is_value_sound(ByteView leaf, std::size_t node) {
  if (!is_value_elsewhere(leaf, node)) return true;
  const auto first = number_at<std::uint64_t>(leaf, node + kNodeBytes + key_bytes_of(leaf, node));
  if (!is_there(first)) return false;
  const ByteView page = map_->page(first);
  const std::size_t run = number_at<std::uint32_t>(page, 12);
  return has_header(page, first, kOverflow) && run <= pages_ - first &&
         kHeaderBytes + value_bytes_of(leaf, node) <= run * page.size();
}

bool PageCheck::is_sound_to_put(const Tree& tree, ByteView key) {
  return is_sound_to_write(tree, key, Use::kPut);
}

bool PageCheck::is_sound_to_erase(const Tree& tree, ByteView key) {
  return is_sound_to_write(tree, key, Use::kErase);
}

bool PageCheck::is_sound_to_write(const Tree& tree, ByteView key, Use use) {
  if (tree.root == kNoPage) return true;
  const auto place = find(tree, key, Side::kAt, use);
  if (!place) return false;
  const std::size_t at =
      count_while(place->leaf, 0, [&](ByteView other) { return is_less(other, key); });
  if (at == count_of(place->leaf)) return true;
  return is_value_sound(place->leaf, node_of(place->leaf, at));
}

bool PageCheck::is_list_end_sound(const Tree& tree, bool last) {
  std::uint64_t number = tree.root;
  for (unsigned int depth = tree.depth; depth > 0; --depth) {
    const PageKind kind = depth == 1 ? kLeaf : kBranch;
    if (!is_there(number)) return false;
    const ByteView page = map_->page(number);
    if (!has_header(page, number, kind) || !parses(number, kind, nullptr)) return false;
    if (!is_packed(page, kind)) return false;
    const std::size_t node = node_of(page, last ? count_of(page) - 1 : 0);
    if (depth == 1) return is_value_sound(page, node);
    number = child_of(page, node);
  }
  return false;
}

bool PageCheck::is_sound_list(const Tree& tree) {
  if (tree.root == kNoPage) return true;
  return tree.depth <= kDepthMax && is_list_end_sound(tree, false) && is_list_end_sound(tree, true);
}

}  // namespace culm::store::detail
