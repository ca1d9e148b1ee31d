#include "culm/store/detail/page_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/detail/lmdb.hpp"

/// Numbers are the machine's own. Spec: LMDB 0.9, mdb.c, "Page Format"
namespace culm::store::detail {
namespace {

constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kNodeBytes = 8;
constexpr std::size_t kTreeBytes = 48;
constexpr std::uint64_t kMetaPages = 2;
constexpr std::uint64_t kNoPage = UINT64_MAX;
constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr unsigned int kDepthMax = 32;
/// No row is longer: an entry with the longest payload that lies beside it, or a log's state.
constexpr std::size_t kValueBytesMax = std::size_t{64} << 20U;

/// LMDB takes that of the machine.
std::size_t page_bytes() {
  static const auto bytes =
      static_cast<std::size_t>(std::clamp(::sysconf(_SC_PAGESIZE), 4096L, 32768L));
  return bytes;
}

enum PageKind : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMetaPage = 8 };
constexpr std::uint16_t kBigData = 1;

template <class Number>
Number number_at(ByteView bytes, std::size_t offset) {
  Number number = 0;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

bool has_header(ByteView page, std::uint64_t number, PageKind kind) {
  return number_at<std::uint64_t>(page, 0) == number && number_at<std::uint16_t>(page, 10) == kind;
}

/// Where the nodes of a branch or a leaf begin; those that lie in the page.
std::vector<std::size_t> nodes_of(ByteView page, bool& is_whole) {
  const std::size_t lower = number_at<std::uint16_t>(page, 12);
  const std::size_t upper = number_at<std::uint16_t>(page, 14);
  std::vector<std::size_t> nodes;
  is_whole = lower >= kHeaderBytes && lower <= upper && upper <= page_bytes() && lower % 2 == 0;
  const std::size_t end = std::clamp(lower, kHeaderBytes, page_bytes());
  nodes.reserve((end - kHeaderBytes) / 2);
  for (std::size_t at = kHeaderBytes; at + 2 <= end; at += 2) {
    const std::size_t node = number_at<std::uint16_t>(page, at);
    const bool is_inside =
        node >= end && node + kNodeBytes <= page_bytes() &&
        node + kNodeBytes + number_at<std::uint16_t>(page, node + 6) <= page_bytes();
    is_whole = is_whole && is_inside && node >= upper;
    if (is_inside) nodes.push_back(node);
  }
  return nodes;
}

ByteView key_of(ByteView page, std::size_t node) {
  return page.subspan(node + kNodeBytes, number_at<std::uint16_t>(page, node + 6));
}

bool is_less(ByteView one, ByteView two) { return std::ranges::lexicographical_compare(one, two); }

std::uint64_t child_of(ByteView page, std::size_t node) {
  return number_at<std::uint32_t>(page, node) |
         std::uint64_t{number_at<std::uint16_t>(page, node + 4)} << 32U;
}

}  // namespace

Result<PageFile> PageFile::open(const std::string& path) {
  PageFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (file.file_ < 0 || ::fstat(file.file_, &status) != 0) {
    return fail(errno == ENOENT ? Error{Errc::kStoreNotFound}
                                : error_system(Errc::kStoreIo, errno));
  }
  std::optional<Meta> newest;
  std::uint64_t damaged = 0;
  for (std::uint64_t number = 0; number < kMetaPages; ++number) {
    const auto meta = file.read_meta(number);
    if (!meta) ++damaged;
    if (meta && (!newest || newest->transaction < meta->transaction)) newest = meta;
  }
  if (!newest) return fail(Errc::kStoreDamaged);
  file.meta_ = *newest;
  file.meta_damaged_ = damaged;
  const auto in_file = static_cast<std::uint64_t>(status.st_size) / page_bytes();
  file.known_.resize(std::min(in_file, newest->last_page + 1));
  return file;
}

PageFile::PageFile(PageFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      meta_(other.meta_),
      meta_damaged_(other.meta_damaged_),
      known_(std::move(other.known_)) {}

PageFile::~PageFile() {
  if (file_ >= 0) ::close(file_);
}

PageFile::Tree PageFile::read_tree(ByteView bytes) {
  return {number_at<std::uint16_t>(bytes, 6), number_at<std::uint64_t>(bytes, 32),
          number_at<std::uint64_t>(bytes, 40)};
}

std::optional<PageFile::Meta> PageFile::read_meta(std::uint64_t number) const {
  Page page;
  if (!read_page(number, page) || !has_header(page, number, kMetaPage)) return std::nullopt;
  if (number_at<std::uint32_t>(page, 16) != kMagic) return std::nullopt;
  if (number_at<std::uint32_t>(page, 20) != kVersion) return std::nullopt;
  const ByteView bytes(page);
  return Meta{read_tree(bytes.subspan(40)), read_tree(bytes.subspan(88)),
              number_at<std::uint64_t>(bytes, 136), number_at<std::uint64_t>(bytes, 144)};
}

bool PageFile::read_page(std::uint64_t number, Page& page) const {
  page.resize(page_bytes());
  const auto offset = static_cast<off_t>(number * page_bytes());
  return ::pread(file_, page.data(), page_bytes(), offset) == std::ssize(page);
}

/// Whether the page is in the file and nothing has led to it yet.
bool PageFile::take(std::uint64_t number) {
  if (number < kMetaPages || number >= known_.size() || known_[number]) return false;
  known_[number] = true;
  return true;
}

std::optional<KvRow> PageFile::read_row(const Page& page, std::size_t at, Page& value) {
  const ByteView bytes(page);
  const ByteView key = key_of(bytes, at);
  const std::size_t size = number_at<std::uint16_t>(bytes, at) |
                           std::size_t{number_at<std::uint16_t>(bytes, at + 2)} << 16U;
  const std::size_t begin = at + kNodeBytes + key.size();
  if ((number_at<std::uint16_t>(bytes, at + 4) & kBigData) == 0) {
    if (begin + size > page_bytes()) return std::nullopt;
    return KvRow{key, bytes.subspan(begin, size)};
  }
  if (begin + sizeof(std::uint64_t) > page_bytes() || size > kValueBytesMax) return std::nullopt;
  const auto first = number_at<std::uint64_t>(bytes, begin);
  const std::uint64_t pages = (kHeaderBytes - 1 + size) / page_bytes() + 1;
  if (first < kMetaPages || first >= known_.size() || pages > known_.size() - first) {
    return std::nullopt;
  }
  const auto begun = known_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto end = begun + static_cast<std::ptrdiff_t>(pages);
  if (std::find(begun, end, true) != end) return std::nullopt;
  value.resize(kHeaderBytes + size);
  const auto offset = static_cast<off_t>(first * page_bytes());
  if (::pread(file_, value.data(), value.size(), offset) != std::ssize(value)) return std::nullopt;
  // LMDB keeps a longer run where a value became shorter.
  const auto run = number_at<std::uint32_t>(value, 12);
  const bool is_sound = has_header(value, first, kOverflow) && run >= pages;
  // A node that is damaged must not claim the pages of others. Its row may be good all the same.
  if (is_sound) std::fill(begun, end, true);
  if (!is_sound) ++damaged_;
  return KvRow{key, ByteView(value).subspan(kHeaderBytes)};
}

Result<void> PageFile::visit_rows(const Page& page, const Keys& keys, const VisitNode& visit) {
  bool is_whole = true;
  Page value;
  Bytes last;
  for (const std::size_t node : nodes_of(page, is_whole)) {
    const auto row = read_row(page, node, value);
    if (!row) {
      is_whole = false;
      continue;
    }
    const bool is_in_place = (last.empty() || is_less(last, row->key)) &&
                             !is_less(row->key, keys.from) &&
                             (!keys.end || is_less(row->key, *keys.end));
    if (are_keys_bytes_ && !is_in_place) is_whole = false;
    last.assign(row->key.begin(), row->key.end());
    ++rows_;
    if (!row->key.empty() && row->key.size() <= kKeyBytesMax) CULM_CHECK(visit(*row));
  }
  if (!is_whole) ++damaged_;
  return {};
}

Result<void> PageFile::walk_page(std::uint64_t number, unsigned int depth, const Keys& keys,
                                 const VisitNode& visit) {
  Page page;
  const bool is_leaf = depth == 1;
  if (!take(number)) {
    ++damaged_;
    return {};
  }
  if (!read_page(number, page) || !has_header(page, number, is_leaf ? kLeaf : kBranch)) {
    ++damaged_;
    known_[number] = false;  // what leads here may be wrong, and the page another's
    return {};
  }
  if (is_leaf) return visit_rows(page, keys, visit);
  bool is_whole = true;
  const auto nodes = nodes_of(page, is_whole);
  if (!is_whole || nodes.empty()) ++damaged_;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // The first has no key.
    const bool is_last = i + 1 == nodes.size();
    const Keys of_child{i == 0 ? keys.from : key_of(page, nodes[i]),
                        is_last ? keys.end : key_of(page, nodes[i + 1])};
    CULM_CHECK(walk_page(child_of(page, nodes[i]), depth - 1, of_child, visit));
  }
  return {};
}

Result<void> PageFile::walk(const Tree& tree, const VisitNode& visit) {
  if (tree.root == kNoPage) return {};
  rows_ = 0;
  const std::uint64_t damaged = damaged_;
  if (tree.depth == 0 || tree.depth > kDepthMax) {
    ++damaged_;
    return {};
  }
  CULM_CHECK(walk_page(tree.root, tree.depth, {}, visit));
  if (damaged_ == damaged && rows_ != tree.rows) ++damaged_;
  return {};
}

void PageFile::mark_free(const KvRow& row) {
  for (std::size_t at = sizeof(std::uint64_t); at + sizeof(std::uint64_t) <= row.value.size();
       at += sizeof(std::uint64_t)) {
    const auto page = number_at<std::uint64_t>(row.value, at);
    if (page >= kMetaPages && page < known_.size()) known_[page] = true;
  }
}

Result<void> PageFile::visit_lost(const Visit& visit) {
  Page page;
  for (std::uint64_t number = kMetaPages; number < known_.size(); ++number) {
    if (known_[number] || !read_page(number, page) || !has_header(page, number, kLeaf)) continue;
    known_[number] = true;
    const std::uint64_t damaged = damaged_;
    CULM_CHECK(visit_rows(page, {}, [&](const KvRow& row) { return visit(std::nullopt, row); }));
    damaged_ = damaged;  // whether it was one of ours is not known
  }
  return {};
}

Result<std::uint64_t> PageFile::read(const Visit& visit) {
  damaged_ = 0;
  std::array<std::optional<Tree>, kTableCount> tables;
  const auto find_table = [&](const KvRow& row) -> Result<void> {
    const auto table = table_named(as_text(row.key));
    if (table && row.value.size() == kTreeBytes) {
      tables[static_cast<std::size_t>(*table)] = read_tree(row.value);
    }
    return {};
  };
  CULM_CHECK(walk(meta_.main, find_table));
  if (!std::ranges::all_of(tables, [](const auto& tree) { return tree.has_value(); })) ++damaged_;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (!tables[i]) continue;
    const auto table = Table{static_cast<std::uint8_t>(i)};
    const auto visit_row = [&](const KvRow& row) { return visit(table, row); };
    CULM_CHECK(walk(*tables[i], visit_row));
  }
  // Which pages are free is asked last: a damaged list must not hide what a tree leads to.
  const std::uint64_t of_tables = damaged_;
  const auto free_row = [&](const KvRow& row) -> Result<void> {
    mark_free(row);
    return {};
  };
  are_keys_bytes_ = false;
  CULM_CHECK(walk(meta_.free, free_row));
  are_keys_bytes_ = true;
  const bool is_free_known = damaged_ == of_tables;
  if (of_tables != 0 && is_free_known) CULM_CHECK(visit_lost(visit));
  return damaged_ + meta_damaged_;
}

}  // namespace culm::store::detail
