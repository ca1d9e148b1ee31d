#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "culm/store/kv.hpp"

/// LMDB's file, read without LMDB, which trusts each page. Nothing in it is trusted here.
namespace culm::store::detail {

class PageFile {
 public:
  /// Fails with kStoreDamaged where neither meta page can be read: then nothing leads to the rest.
  [[nodiscard]] static Result<PageFile> open(const std::string& path);
  PageFile(PageFile&& other) noexcept;
  PageFile& operator=(PageFile&&) = delete;
  ~PageFile();

  /// A row, its table where a tree leads to it. Borrows.
  using Visit = std::function<Result<void>(std::optional<Table>, const KvRow&)>;
  /// Follows the tree of each table, in the order of keys, and calls `visit` with each row; where
  /// pages on the way are damaged, also with what looks like rows in pages that nothing leads to
  /// and that are not free. Fails as `visit` does. Returns how many pages are damaged.
  /// Called once.
  [[nodiscard]] Result<std::uint64_t> read(const Visit& visit);

  /// Numbers the commit that is read.
  [[nodiscard]] std::uint64_t transaction() const noexcept { return meta_.transaction; }
  /// Whether there may have been a later one: a meta page is damaged.
  [[nodiscard]] bool may_be_older() const noexcept { return meta_damaged_ != 0; }

 private:
  struct Tree {
    unsigned int depth = 0;
    std::uint64_t rows = 0;
    std::uint64_t root = 0;
  };
  struct Meta {
    Tree free;
    Tree main;
    std::uint64_t last_page = 0;
    std::uint64_t transaction = 0;
  };
  using Page = std::vector<std::uint8_t>;
  /// Where the keys of a page lie, by the branches that lead to it.
  struct Keys {
    ByteView from;
    std::optional<ByteView> end;
  };
  using VisitNode = std::function<Result<void>(const KvRow&)>;

  explicit PageFile(int file) : file_(file) {}
  [[nodiscard]] std::optional<Meta> read_meta(std::uint64_t number) const;
  [[nodiscard]] static Tree read_tree(ByteView bytes);
  [[nodiscard]] bool read_page(std::uint64_t number, Page& page) const;
  /// Where the whole value can be read.
  [[nodiscard]] std::optional<KvRow> read_row(const Page& page, std::size_t at, Page& value);
  [[nodiscard]] bool take(std::uint64_t number);
  Result<void> walk(const Tree& tree, const VisitNode& visit);
  Result<void> walk_page(std::uint64_t number, unsigned int depth, const Keys& keys,
                         const VisitNode& visit);
  Result<void> visit_rows(const Page& page, const Keys& keys, const VisitNode& visit);
  Result<void> visit_lost(const Visit& visit);
  void mark_free(const KvRow& row);

  int file_;
  Meta meta_;
  std::uint64_t meta_damaged_ = 0;
  std::uint64_t damaged_ = 0;
  std::uint64_t rows_ = 0;
  bool are_keys_bytes_ = true;
  std::vector<bool> known_;  ///< pages that are free, or that something leads to
};

}  // namespace culm::store::detail
