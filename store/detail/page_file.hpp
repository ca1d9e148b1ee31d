#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "culm/store/detail/meta_pages.hpp"
#include "culm/store/detail/page.hpp"
#include "culm/store/kv.hpp"
#include "culm/store/store.hpp"

/// LMDB's file, read without LMDB, which trusts each page. Nothing in it is trusted here.
namespace culm::store::detail {

class PageFile {
 public:
  /// Where neither meta page can be read nothing leads to the rest.
  [[nodiscard]] static Result<PageFile> open(const std::string& path);
  PageFile(PageFile&& other) noexcept;
  PageFile& operator=(PageFile&&) = delete;
  ~PageFile();

  /// Where a row was found.
  struct Place {
    std::optional<Table> table;  ///< of the tree that leads to it
    bool may_be_old = false;     ///< of an older commit: which pages are free nobody knows
    bool may_be_later =
        false;  ///< also of a later one than what trees lead to, all of which is there
    bool may_be_bytes = false;  ///< the page, of a value, which others choose
    /// All rows of such a page are sound, of `entries` and in order. Who chose a value may do that.
    bool is_like_entries = false;
  };
  /// Borrows the row.
  using VisitRow = std::function<Result<void>(const Place&, const KvRow&)>;
  /// Follows the tree of each table, in the order of keys, and calls `visit` with each row; where
  /// pages on the way are damaged, or a later commit may be lost, also with what looks like rows in
  /// pages that nothing leads to and that are not free, then with those that may be old, last with
  /// those that may be bytes. Fails as `visit` does. Returns how many pages are damaged. Either of
  /// these two is called once.
  [[nodiscard]] Result<std::uint64_t> read(const VisitRow& visit);
  /// The same number, without a look at the rows.
  [[nodiscard]] Result<std::uint64_t> count_damaged();
  /// Whether nothing led to some pages, so that there may be more that are damaged. After these.
  [[nodiscard]] bool may_more_be_damaged() const noexcept { return is_cut_; }

  /// Whether it can be read how many rows the table had, and the file has room for them. After
  /// `read`.
  [[nodiscard]] bool counts_rows_of(Table table) const noexcept;
  /// How many rows the table had, 0 where that is not known.
  [[nodiscard]] std::uint64_t rows_of(Table table) const noexcept {
    return counts_rows_of(table) ? tables_[static_cast<std::size_t>(table)]->rows : 0;
  }
  [[nodiscard]] std::uint64_t pages() const noexcept { return known_.size(); }
  /// Numbers the commit that is read: one more than before where a lost one is found.
  [[nodiscard]] std::uint64_t transaction() const noexcept { return meta_.transaction; }
  /// Whether there was a later one, or may have been, to which a damaged meta page has led, and not
  /// all of it is there. After either.
  [[nodiscard]] bool may_be_older() const noexcept { return may_be_older_; }
  /// Whether pages of tables are damaged, as far as they were read.
  [[nodiscard]] bool are_tables_damaged() const noexcept { return damaged_ != 0; }

 private:
  using Page = std::vector<std::uint8_t>;
  /// Where the keys of a page lie, by the branches that lead to it.
  struct Keys {
    ByteView from;
    std::optional<ByteView> end;
  };
  /// And whether it lies where its key belongs.
  using VisitNode = std::function<Result<void>(const KvRow&, bool is_here)>;
  /// What is done with the pages of a row: led to by a tree whose values are read, or passed over;
  /// visited, which claims no page again; in pages that nothing leads to, in ones that may be
  /// bytes.
  enum class Pass : std::uint8_t { kFind, kClaim, kVisit, kLost, kBytes };

  /// What lies in pages to which the commit that is read does not lead.
  struct Unled {
    bool is_later_listed = false;      ///< the end of the next one's list of free pages
    std::vector<std::uint64_t> roots;  ///< leaves that lead to all tables
  };

  explicit PageFile(int file) : file_(file) {}
  [[nodiscard]] bool read_page(std::uint64_t number, Page& page) const;
  [[nodiscard]] bool is_inside(std::uint64_t first, std::uint64_t pages) const;
  void damage(std::uint64_t page);
  void claim(std::uint64_t first, std::uint64_t pages, std::vector<bool>& as);
  [[nodiscard]] bool is_led(std::uint64_t number) const { return own_[number] || run_[number]; }
  /// Where the whole value can be read.
  [[nodiscard]] std::optional<KvRow> read_row(const Page& page, std::size_t at, Page& value);
  [[nodiscard]] bool is_run_cut_off(ByteView page, std::size_t node);
  [[nodiscard]] bool is_in_place(ByteView key, const Keys& keys) const;
  [[nodiscard]] bool is_leaf_here(const Page& page, std::uint64_t number, unsigned int level) const;
  [[nodiscard]] bool has_row_in_place(const Page& page, const Keys& keys) const;
  [[nodiscard]] bool is_row_of_tree(const KvRow& row) const;
  [[nodiscard]] bool is_surely_here(const Page& page, const Keys& keys);
  Result<void> walk(const Tree& tree, Pass pass, const VisitNode& visit,
                    std::optional<Table> table = std::nullopt);
  Result<void> walk_tables(Pass pass, const VisitRow& visit);
  Result<void> walk_page(std::uint64_t number, unsigned int level, const Keys& keys,
                         const VisitNode& visit);
  Result<void> walk_leaf(const Page& page, std::uint64_t number, bool has_header, const Keys& keys,
                         const VisitNode& visit);
  Result<void> visit_rows(const Page& page, std::uint64_t number, const Keys& keys,
                          const VisitNode& visit);
  [[nodiscard]] bool mark_free(const KvRow& row);
  void forget_claims();
  Result<void> find_free();
  Result<void> find_tables();
  Result<void> find_pages();
  [[nodiscard]] bool has_greedy_run() const;
  [[nodiscard]] Unled find_unled() const;
  [[nodiscard]] Result<StoreMeta> find_store_row(std::uint64_t root) const;
  [[nodiscard]] bool may_be_traceless(const StoreMeta& before) const;
  [[nodiscard]] bool leads_behind_end(std::uint64_t root) const;
  Result<void> find_lost_commit();
  void doubt_free();
  void find_lost();
  Result<void> visit_lost(std::uint64_t number, Pass pass, const VisitRow& visit);

  int file_;
  MetaPage meta_;
  std::uint64_t meta_damaged_ = 0;
  bool is_last_ = true;                         ///< the commit of that, by both meta pages
  std::uint64_t pages_said_ = 0;                ///< in the file, by that
  bool is_list_lost_ = false;                   ///< that of free pages
  std::optional<std::uint64_t> first_spare_{};  ///< of those that a later commit may have taken
  std::uint64_t lost_end_ = 0;  ///< behind the last page that either meta page says there is
  bool may_be_older_ = false;
  bool are_tables_whole_ = false;
  std::uint64_t damaged_ = 0;     ///< places of the tables
  std::set<std::uint64_t> hurt_;  ///< pages of both
  bool is_asking_ = false;        ///< what is found now counts as no damage
  bool is_cut_ = false;           ///< what leads on is damaged
  std::uint64_t rows_ = 0;
  Pass pass_ = Pass::kFind;
  unsigned int depth_ = 0;      ///< of the tree that is walked
  std::optional<Table> table_;  ///< whose tree that is
  bool are_keys_bytes_ = true;
  bool is_free_sure_ = true;  ///< whether the list of free pages is whole, and no tree leads to one
  std::array<std::optional<Tree>, kTableCount> tables_;
  // Leaves that nothing leads to, or not for sure:
  std::vector<std::uint64_t> lost_;
  std::vector<std::uint64_t> old_;    ///< perhaps
  std::vector<std::uint64_t> bytes_;  ///< perhaps of a value
  // Of each page:
  std::vector<bool> known_;  ///< it was walked over
  std::vector<bool> own_;    ///< a tree leads to it, as to a page of its own
  std::vector<bool> run_;    ///< it is of a value, or may be
  std::vector<bool> free_;   ///< it is in the list
  std::vector<bool> spare_;  ///< likewise, and a later commit may have taken it
  std::vector<bool> named_;  ///< a tree leads to it, and it is no page of that tree
  std::vector<bool> tails_;  ///< it is left over behind a value that became shorter
};

}  // namespace culm::store::detail
