#include "culm/store/detail/page_file.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/limits.hpp"
#include "culm/store/detail/lmdb.hpp"
#include "culm/store/detail/meta_pages.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

/// No row of ours is longer: a part of a payload, with what each value is wrapped in.
constexpr std::size_t kValueBytesMax = limits::kPayloadChunkBytes + 1 + kChecksumSizeBytes;

/// LMDB takes that of the machine.
std::size_t page_bytes() {
  static const auto bytes =
      static_cast<std::size_t>(std::clamp(::sysconf(_SC_PAGESIZE), 4096L, 32768L));
  return bytes;
}

/// That a value of so many bytes lies in.
std::uint64_t pages_of(std::size_t bytes) { return (kHeaderBytes - 1 + bytes) / page_bytes() + 1; }

/// Where the nodes of a branch or a leaf begin; those that lie in the page.
std::vector<std::size_t> nodes_of(ByteView page, PageKind kind, bool& is_whole) {
  std::vector<std::size_t> nodes;
  is_whole = has_node_list(page);
  const std::size_t end = std::clamp(lower_of(page), kHeaderBytes, page.size());
  nodes.reserve((end - kHeaderBytes) / 2);
  for (std::size_t at = kHeaderBytes; at + 2 <= end; at += 2) {
    const std::size_t node = number_at<std::uint16_t>(page, at);
    // How long the list is may be damaged as well.
    const bool is_inside = is_node_inside(page, node, at + 2);
    is_whole = is_whole && is_inside && node >= upper_of(page);
    if (is_inside) nodes.push_back(node);
  }
  is_whole = is_whole && is_packed(page, kind);
  return nodes;
}

/// Whether all nodes lie in the page and no byte of it is of two rows: who chose them must not make
/// much of little. Where the nodes begin in all nobody asks who reads.
bool is_tight(ByteView page) {
  bool is_whole = true;
  std::size_t bytes = 0;
  const auto nodes = nodes_of(page, kLeaf, is_whole);
  for (const std::size_t node : nodes) {
    bytes += kNodeBytes + key_bytes_of(page, node) +
             (is_value_elsewhere(page, node) ? sizeof(std::uint64_t) : value_bytes_of(page, node));
  }
  return lower_of(page) == kHeaderBytes + 2 * nodes.size() && lower_of(page) + bytes <= page.size();
}

}  // namespace

Result<PageFile> PageFile::open(const std::string& path) {
  PageFile file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (file.file_ < 0 || ::fstat(file.file_, &status) != 0) {
    return fail(errno == ENOENT ? Error{Errc::kStoreNotFound}
                                : error_system(Errc::kStoreIo, errno));
  }
  if (!S_ISREG(status.st_mode)) return fail(error_system(Errc::kStoreIo, EINVAL));
  const auto metas = read_meta_pages(
      [&](std::uint64_t number, Page& page) { return file.read_page(number, page); });
  std::optional<MetaPage> newest;
  std::uint64_t last = 0;
  Page page;
  for (std::uint64_t number = 0; number < kMetaPages; ++number) {
    const auto& meta = metas.pages[number];
    if (!meta) ++file.meta_damaged_;
    if (meta && (!newest || newest->transaction < meta->transaction)) newest = meta;
    if (!file.read_page(number, page)) continue;
    last = std::max(last, number_at<std::uint64_t>(page, kMetaLastPageAt));
  }
  // Behind that look: a commit makes the file longer before it leads there.
  if (::fstat(file.file_, &status) != 0) return fail(error_system(Errc::kStoreIo, errno));
  const auto in_file = static_cast<std::uint64_t>(status.st_size) / page_bytes();
  file.lost_end_ = newest && last < in_file ? last + 1 : in_file;
  file.meta_ = newest.value_or(MetaPage{{}, {}, in_file});
  file.is_last_ = metas.are_last;
  file.pages_said_ = file.meta_.last_page + 1;
  // It may be what is damaged.
  if (file.meta_damaged_ != 0) file.meta_.last_page = std::max(file.pages_said_, in_file) - 1;
  for (auto* pages : {&file.known_, &file.own_, &file.run_, &file.free_, &file.spare_, &file.named_,
                      &file.tails_}) {
    pages->resize(in_file);
  }
  return file;
}

PageFile::PageFile(PageFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      meta_(other.meta_),
      meta_damaged_(other.meta_damaged_),
      is_last_(other.is_last_),
      pages_said_(other.pages_said_),
      lost_end_(other.lost_end_),
      known_(std::move(other.known_)),
      own_(std::move(other.own_)),
      run_(std::move(other.run_)),
      free_(std::move(other.free_)),
      spare_(std::move(other.spare_)),
      named_(std::move(other.named_)),
      tails_(std::move(other.tails_)) {}

PageFile::~PageFile() {
  if (file_ >= 0) ::close(file_);
}

bool PageFile::read_page(std::uint64_t number, Page& page) const {
  page.resize(page_bytes());
  const auto offset = static_cast<off_t>(number * page_bytes());
  return ::pread(file_, page.data(), page_bytes(), offset) == std::ssize(page);
}

bool PageFile::is_inside(std::uint64_t first, std::uint64_t pages) const {
  return first >= kMetaPages && first < known_.size() && pages <= known_.size() - first;
}

/// Where `page` is none of the file, what leads there is damaged.
void PageFile::damage(std::uint64_t page) {
  if (is_asking_) return;
  ++damaged_;
  if (page <= meta_.last_page) hurt_.insert(page);
}

/// A sound file has no page that two lead to, nor one that is free and led to, nor one behind its
/// last.
void PageFile::claim(std::uint64_t first, std::uint64_t pages, std::vector<bool>& as) {
  bool is_alone = first + pages - 1 <= meta_.last_page;
  for (std::uint64_t page = first; page < first + pages; ++page) {
    if (free_[page]) is_free_sure_ = false;
    is_alone = is_alone && !is_led(page) && !free_[page];
    as[page] = true;
  }
  if (!is_alone) damage(first);
}

std::optional<KvRow> PageFile::read_row(const Page& page, std::size_t at, Page& value) {
  const ByteView bytes(page);
  const ByteView key = key_of(bytes, at);
  const std::size_t size = value_bytes_of(bytes, at);
  const std::size_t begin = at + kNodeBytes + key.size();
  if (!is_value_elsewhere(bytes, at)) {
    if (begin + size > page_bytes()) return std::nullopt;
    return KvRow{key, bytes.subspan(begin, size)};
  }
  if (begin + sizeof(std::uint64_t) > page_bytes()) return std::nullopt;
  const std::size_t longest = pass_ == Pass::kFind ? kListBytesMax : kValueBytesMax;
  if (size > longest) return std::nullopt;
  const auto first = number_at<std::uint64_t>(bytes, begin);
  const std::uint64_t pages = pages_of(size);
  if (!is_inside(first, pages)) return std::nullopt;
  const auto read = [&](std::size_t bytes_read) {
    value.resize(bytes_read);
    const auto offset = static_cast<off_t>(first * page_bytes());
    return ::pread(file_, value.data(), value.size(), offset) == std::ssize(value);
  };
  if (!read(kHeaderBytes)) return std::nullopt;
  // LMDB keeps a longer run where a value became shorter.
  const auto run = number_at<std::uint32_t>(value, 12);
  const bool is_sound = has_header(value, first, kOverflow) && run >= pages;
  if (pass_ == Pass::kBytes && (!is_sound || is_led(first))) return std::nullopt;
  // A node that is damaged must not claim the pages of others. Its row may be good all the same.
  if (!is_sound || run > pages_of(longest) || !is_inside(first, run)) damage(first);
  if (is_sound && pass_ != Pass::kVisit && pass_ != Pass::kBytes) {
    claim(first, pages, run_);
    const std::uint64_t end =
        std::min(first + std::min<std::uint64_t>(run, pages_of(kValueBytesMax)),
                 static_cast<std::uint64_t>(known_.size()));
    for (std::uint64_t rest = first + pages; rest < end; ++rest) tails_[rest] = true;
  }
  if (pass_ != Pass::kClaim && !read(kHeaderBytes + size)) return std::nullopt;
  return KvRow{key, ByteView(value).subspan(kHeaderBytes)};
}

bool PageFile::is_in_place(ByteView key, const Keys& keys) const {
  return !are_keys_bytes_ || (!is_less(key, keys.from) && (!keys.end || is_less(key, *keys.end)));
}

/// Whether the file was cut where the value lies, so that the leaf is not to blame.
bool PageFile::is_run_cut_off(ByteView page, std::size_t node) {
  const std::size_t begin = node + kNodeBytes + key_bytes_of(page, node);
  if (!is_value_elsewhere(page, node) || begin + sizeof(std::uint64_t) > page.size()) return false;
  const std::uint64_t end =
      number_at<std::uint64_t>(page, begin) + pages_of(value_bytes_of(page, node));
  if (end <= known_.size() || end - 1 > meta_.last_page) return false;
  damage(end - 1);
  return true;
}

Result<void> PageFile::visit_rows(const Page& page, std::uint64_t number, const Keys& keys,
                                  const VisitNode& visit) {
  bool is_whole = true;
  Page value;
  Bytes last;
  for (const std::size_t node : nodes_of(page, kLeaf, is_whole)) {
    const auto row = read_row(page, node, value);
    if (!row) {
      is_whole = is_whole && is_run_cut_off(page, node);
      continue;
    }
    const bool is_here = is_in_place(row->key, keys);
    const bool is_behind = last.empty() || is_less(last, row->key) || !are_keys_bytes_;
    is_whole = is_whole && is_here && is_behind && !row->key.empty();
    last.assign(row->key.begin(), row->key.end());
    ++rows_;
    if (!row->key.empty() && row->key.size() <= kKeyBytesMax) CULM_CHECK(visit(*row, is_here));
  }
  if (!is_whole) damage(number);
  return {};
}

/// As its header says or, where that is damaged, its place in the tree.
bool PageFile::is_leaf_here(const Page& page, std::uint64_t number, unsigned int level) const {
  const bool is_last = level + 1 == depth_;
  return has_header(page, number, is_last ? kBranch : kLeaf) ? !is_last : is_last;
}

bool PageFile::has_row_in_place(const Page& page, const Keys& keys) const {
  bool is_whole = true;
  return std::ranges::any_of(nodes_of(page, kLeaf, is_whole), [&](std::size_t node) {
    return is_in_place(key_of(page, node), keys);
  });
}

bool PageFile::is_row_of_tree(const KvRow& row) const {
  if (table_) return unseal(*table_, row.key, row.value).has_value();
  return table_named(as_text(row.key)) && row.value.size() == kTreeBytes;
}

/// Without its header a page is taken for that of its place where all of it says so: bytes of a
/// value that came to lie there have rows of that table alone, in order, and of those keys, only
/// where their author knew the place.
bool PageFile::is_surely_here(const Page& page, const Keys& keys) {
  if (!are_keys_bytes_ || !is_tight(page)) return false;
  const Pass pass = std::exchange(pass_, Pass::kVisit);
  is_asking_ = true;
  bool is_whole = true;
  bool is_sure = true;
  Page value;
  Bytes last;
  for (const std::size_t node : nodes_of(page, kLeaf, is_whole)) {
    const auto row = read_row(page, node, value);
    is_sure = row && is_in_place(row->key, keys) && is_row_of_tree(*row) &&
              (last.empty() || is_less(last, row->key));
    if (!is_sure) break;
    last.assign(row->key.begin(), row->key.end());
  }
  pass_ = pass;
  is_asking_ = false;
  return is_sure;
}

Result<void> PageFile::walk_leaf(const Page& page, std::uint64_t number, bool has_header,
                                 const Keys& keys, const VisitNode& visit) {
  const bool is_page = has_header || is_surely_here(page, keys);
  if (is_page && (pass_ != Pass::kVisit || (!run_[number] && !free_[number]))) {
    return visit_rows(page, number, keys, visit);
  }
  if (pass_ == Pass::kVisit) bytes_.push_back(number);
  return {};
}

Result<void> PageFile::walk_page(std::uint64_t number, unsigned int level, const Keys& keys,
                                 const VisitNode& visit) {
  Page page;
  const bool is_leaf_level = level + 1 == depth_;
  if (level == kDepthMax || !is_inside(number, 1) || !read_page(number, page)) {
    damage(number);
    is_cut_ = is_cut_ || !is_leaf_level;
    return {};
  }
  const bool is_leaf = is_leaf_here(page, number, level);
  const bool has_its_header = has_header(page, number, is_leaf ? kLeaf : kBranch);
  if (!has_its_header || is_leaf != is_leaf_level) damage(number);
  // Where not even one row belongs there, it is another's page.
  const bool is_other = is_leaf ? !has_row_in_place(page, keys) : false;
  if (is_other || (!has_its_header && free_[number])) {
    if (has_its_header) damage(number);
    named_[number] = true;
    return {};
  }
  if (pass_ != Pass::kVisit) claim(number, 1, own_);
  if (known_[number]) return {};
  known_[number] = true;
  if (is_leaf) return walk_leaf(page, number, has_its_header, keys, visit);
  bool is_whole = true;
  const auto nodes = nodes_of(page, kBranch, is_whole);
  if (!is_whole || nodes.empty()) {
    damage(number);
    is_cut_ = true;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // The first has no key.
    const bool is_last = i + 1 == nodes.size();
    const Keys of_child{i == 0 ? keys.from : key_of(page, nodes[i]),
                        is_last ? keys.end : key_of(page, nodes[i + 1])};
    CULM_CHECK(walk_page(child_of(page, nodes[i]), level + 1, of_child, visit));
  }
  return {};
}

Result<void> PageFile::walk(const Tree& tree, Pass pass, const VisitNode& visit,
                            std::optional<Table> table) {
  if (tree.root == kNoPage) return {};
  pass_ = pass;
  depth_ = tree.depth;
  table_ = table;
  rows_ = 0;
  const std::uint64_t damaged = damaged_;
  CULM_CHECK(walk_page(tree.root, 0, {}, visit));
  if (damaged_ == damaged && rows_ != tree.rows) damage(tree.root);
  return {};
}

/// A record is a count, and so many pages in descending order. None is free twice.
bool PageFile::mark_free(const KvRow& row) {
  const ByteView record = row.value;
  if (record.size() < sizeof(std::uint64_t)) return false;
  const auto count = number_at<std::uint64_t>(record, 0);
  if (count > record.size() / sizeof(std::uint64_t) - 1) return false;
  const bool is_of_last = row.key.size() == sizeof(std::uint64_t) &&
                          number_at<std::uint64_t>(row.key, 0) == meta_.transaction;
  std::uint64_t last = meta_.last_page + 1;
  for (std::size_t i = 1; i <= count; ++i) {
    const auto page = number_at<std::uint64_t>(record, i * sizeof(std::uint64_t));
    if (page < kMetaPages || page >= last) return false;
    last = page;
    if (page >= free_.size()) continue;  // the file was cut
    if (free_[page]) return false;
    free_[page] = true;
    spare_[page] = !is_of_last;
  }
  if (!first_spare_ && !is_of_last && count != 0) first_spare_ = last;
  return true;
}

void PageFile::forget_claims() {
  for (auto* pages : {&known_, &own_, &run_, &named_, &tails_}) {
    pages->assign(pages->size(), false);
  }
}

/// A list that is damaged must not hide what a tree leads to.
Result<void> PageFile::find_free() {
  damaged_ = 0;
  first_spare_.reset();
  for (auto* pages : {&free_, &spare_}) pages->assign(pages->size(), false);
  is_free_sure_ = true;
  is_cut_ = false;
  hurt_.clear();
  are_keys_bytes_ = false;
  CULM_CHECK(walk(meta_.free, Pass::kFind, [&](const KvRow& row, bool /*is_here*/) -> Result<void> {
    if (!mark_free(row)) damage(meta_.free.root);
    return {};
  }));
  are_keys_bytes_ = true;
  is_free_sure_ = damaged_ == 0 && meta_damaged_ < kMetaPages && !is_list_lost_;
  is_cut_ = !is_free_sure_;
  damaged_ = 0;
  if (is_free_sure_) return {};
  forget_claims();
  free_.assign(free_.size(), false);
  return {};
}

Result<void> PageFile::find_tables() {
  tables_.fill(std::nullopt);
  CULM_CHECK(walk(meta_.main, Pass::kFind, [&](const KvRow& row, bool /*is_here*/) -> Result<void> {
    const auto table = table_named(as_text(row.key));
    if (table && row.value.size() == kTreeBytes) {
      tables_[static_cast<std::size_t>(*table)] = read_tree(row.value);
      // Ours have none: LMDB would look for keys in another order, and put them there.
      if (number_at<std::uint16_t>(row.value, kTreeFlagsAt) != 0) damage(meta_.main.root);
    }
    return {};
  }));
  if (!std::ranges::all_of(tables_, [](const auto& tree) { return tree.has_value(); })) {
    damage(meta_.main.root);
    is_cut_ = true;
  }
  return walk_tables(Pass::kClaim, [](const Place&, const KvRow&) { return Result<void>(); });
}

Result<void> PageFile::walk_tables(Pass pass, const VisitRow& visit) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (!tables_[i]) continue;
    const auto table = Table{static_cast<std::uint8_t>(i)};
    const auto visit_node = [&](const KvRow& row, bool is_here) {
      return visit({is_here ? std::optional(table) : std::nullopt}, row);
    };
    known_.assign(known_.size(), false);  // another's may lead here as well
    CULM_CHECK(walk(*tables_[i], pass, visit_node, table));
  }
  return {};
}

Result<void> PageFile::find_pages() {
  forget_claims();
  CULM_CHECK(find_free());
  CULM_CHECK(find_tables());
  if (has_greedy_run()) damage(meta_.main.root);
  return {};
}

Result<std::uint64_t> PageFile::count_damaged() {
  CULM_CHECK(find_pages());
  may_be_older_ = meta_damaged_ == kMetaPages;
  if (!is_last_ && !may_be_older_) CULM_CHECK(find_lost_commit());
  const std::uint64_t pages = hurt_.size() + meta_damaged_;
  return pages == 0 && damaged_ != 0 ? 1 : pages;
}

bool PageFile::counts_rows_of(Table table) const noexcept {
  const auto& tree = tables_[static_cast<std::size_t>(table)];
  return tree && tree->rows <= known_.size() * (page_bytes() / kNodeBytes);
}

/// One that is longer than its value may be, but not by pages of others: erased, it frees them.
bool PageFile::has_greedy_run() const {
  for (std::size_t page = 0; page < tails_.size(); ++page) {
    if (tails_[page] && (is_led(page) || free_[page])) return true;
  }
  return false;
}

/// Pages that nothing leads to and that look like leaves. Those that may lie in a run of pages,
/// inside of a value, go to `bytes_`: behind its first page, or behind a page that may have been
/// that and is damaged. A page inside of a run that nothing leads to is no page of a tree.
void PageFile::find_lost() {
  std::uint64_t run_end = 0;
  std::uint64_t doubt_end = 0;
  Page page;
  for (std::uint64_t number = kMetaPages; number < lost_end_; ++number) {
    const bool is_in_run = number < run_end;
    if (is_led(number) && is_in_run) run_[number] = true;
    if (run_[number] || free_[number]) continue;
    const bool is_read = read_page(number, page);
    const bool is_run = is_read && has_header(page, number, kOverflow);
    if (own_[number] && !is_run) continue;
    if (is_read && has_header(page, number, kLeaf)) {
      const bool is_page = !is_in_run && number >= doubt_end && !tails_[number];
      (!is_page ? bytes_ : is_free_sure_ ? lost_ : old_).push_back(number);
      continue;
    }
    if (is_in_run || (named_[number] && !is_run) || tails_[number]) continue;
    if (is_read && has_header(page, number, kBranch)) continue;
    std::uint64_t end = pages_of(kValueBytesMax);
    if (is_run) end = std::min<std::uint64_t>(end, number_at<std::uint32_t>(page, 12));
    end += number;
    // Where a run may have begun before, this may be bytes of it.
    std::uint64_t& what_ends = is_run && number >= doubt_end ? run_end : doubt_end;
    what_ends = std::max(what_ends, end);
  }
}

/// What may be old claims no pages: others may have taken them since.
Result<void> PageFile::visit_lost(std::uint64_t number, Pass pass, const VisitRow& visit) {
  Page page;
  const bool may_be_bytes = pass == Pass::kBytes;
  // A run of pages that a lost row has claimed since is none of leaves.
  if ((may_be_bytes && run_[number] && !own_[number]) || !read_page(number, page)) return {};
  if (may_be_bytes && !own_[number] && !is_tight(page)) return {};
  table_ = Table::kEntries;
  const bool is_later = may_be_older_ && are_tables_whole_;
  const Place place{std::nullopt, !is_free_sure_, is_later, may_be_bytes,
                    may_be_bytes && is_surely_here(page, {})};
  pass_ = pass;
  return visit_rows(page, number, {},
                    [&](const KvRow& row, bool /*is_here*/) { return visit(place, row); });
}

Result<std::uint64_t> PageFile::read(const VisitRow& visit) {
  CULM_TRY(const std::uint64_t damaged, count_damaged());
  const std::uint64_t of_tables = damaged_;
  are_tables_whole_ = of_tables == 0 && meta_damaged_ < kMetaPages;
  if (may_be_older_) doubt_free();
  if (of_tables != 0 || may_be_older_) find_lost();
  CULM_CHECK(walk_tables(Pass::kVisit, visit));
  for (const std::uint64_t number : lost_) CULM_CHECK(visit_lost(number, Pass::kLost, visit));
  for (const std::uint64_t number : old_) CULM_CHECK(visit_lost(number, Pass::kVisit, visit));
  for (const std::uint64_t number : bytes_) CULM_CHECK(visit_lost(number, Pass::kBytes, visit));
  damaged_ = of_tables;  // whether what was lost was one of ours is not known
  return damaged;
}

}  // namespace culm::store::detail
