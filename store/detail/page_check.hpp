#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "culm/core/result.hpp"
#include "culm/store/detail/page.hpp"

/// LMDB trusts each page. One that is damaged may read as if it were sound and say that a row is
/// not there, or have a new one put where nobody finds it: who is told that there is none, and who
/// writes, looks first whether the pages on the way are what they say.
namespace culm::store::detail {

/// What a meta page says.
struct Commit {
  Tree free;
  Tree main;
  std::uint64_t last_page = 0;
};

/// LMDB's file, as it is now, beside LMDB's own map of it.
class PageMap {
 public:
  PageMap() = default;
  PageMap(PageMap&& other) noexcept;
  PageMap& operator=(PageMap&& other) noexcept;
  ~PageMap();

  /// `bytes` of address space, which may be more than the file has. Fails with kStoreIo.
  [[nodiscard]] static Result<PageMap> map(int file, std::size_t bytes, std::size_t page_bytes);

  /// How many pages can be read now: 0 where the file cannot be looked at.
  [[nodiscard]] std::size_t pages() const;
  /// Precondition: it is one of `pages`. To read from it may raise SIGBUS: see `call_safely`.
  [[nodiscard]] ByteView page(std::uint64_t number) const {
    return {bytes_ + number * page_bytes_, page_bytes_};
  }
  /// Both can be read, are LMDB's and fit together. Not, for a moment, while others commit.
  [[nodiscard]] bool are_metas_sound() const;
  /// Nothing where that commit was overwritten since.
  [[nodiscard]] std::optional<Commit> find_commit(std::uint64_t transaction) const;

 private:
  int file_ = -1;  ///< not ours
  const std::uint8_t* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t page_bytes_ = 0;
};

/// Of the pages that a transaction has begun with; nobody changes them while it lives. Nothing is
/// made or destroyed: SIGBUS may end each call.
class PageCheck {
 public:
  explicit PageCheck(const PageMap& map) : map_(&map) {}

  /// Whether the pages are sound in which a row of that key would be.
  [[nodiscard]] bool is_sound_at(const Tree& tree, ByteView key);
  /// Likewise the next row after that key, and the last one before it.
  [[nodiscard]] bool is_sound_after(const Tree& tree, ByteView key);
  [[nodiscard]] bool is_sound_before(const Tree& tree, ByteView key);
  /// Likewise where a value begins that is replaced, and the pages that are joined with one of
  /// which much is erased.
  [[nodiscard]] bool is_sound_to_put(const Tree& tree, ByteView key);
  [[nodiscard]] bool is_sound_to_erase(const Tree& tree, ByteView key);
  /// Likewise a list of free pages, at both ends of it.
  [[nodiscard]] bool is_sound_list(const Tree& tree);

 private:
  struct Keys {
    ByteView from;
    std::optional<ByteView> end;
  };
  /// A leaf, and where its keys lie by the branches that lead to it.
  struct Place {
    ByteView leaf;
    Keys keys;
  };
  enum class Side { kAt, kBefore };
  /// Who erases may join a page with those beside it.
  enum class Use : std::uint8_t { kRead, kPut, kErase };

  [[nodiscard]] std::optional<Place> find(const Tree& tree, ByteView key, Side side,
                                          Use use = Use::kRead);
  [[nodiscard]] bool is_there(std::uint64_t number);
  [[nodiscard]] bool is_sound(std::uint64_t number, PageKind kind, const Keys& keys, Use use);
  [[nodiscard]] bool parses(std::uint64_t number, PageKind kind, const Keys* keys) const;
  [[nodiscard]] bool is_list_end_sound(const Tree& tree, bool last);
  [[nodiscard]] bool is_sound_to_write(const Tree& tree, ByteView key, Use use);
  [[nodiscard]] bool is_value_sound(ByteView leaf, std::size_t node);

  const PageMap* map_;
  std::size_t pages_ = 0;  ///< in the file, when last asked for
  /// Pages that were found sound, to read and to write, each in the one place that is left of its
  /// number.
  std::array<std::array<std::uint64_t, 64>, 2> sound_{};
};

}  // namespace culm::store::detail
