#include <algorithm>

#include "culm/store/store.hpp"

/// How long the file would be if `compact` wrote it.
namespace culm::store {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kPageRoomBytes = kPageBytes - 16;
constexpr std::uint64_t kNodeBytes = 8 + 2;  ///< of a row beside key and value, with its offset
constexpr std::uint64_t kInPageMax = 2038;   ///< larger rows have pages of their own
constexpr std::uint64_t kOtherPages = 4;     ///< what the tables are kept track of with

/// Pages of one level of a tree, each filled before the next begins.
class Level {
 public:
  explicit Level(std::uint64_t room_bytes) : room_bytes_(room_bytes) {}

  /// Whether a page begins with it.
  bool add(std::uint64_t size_bytes) {
    const bool begins = left_ < size_bytes;
    if (begins) {
      ++pages_;
      left_ = room_bytes_;
    }
    left_ -= std::min(left_, size_bytes);
    return begins;
  }
  [[nodiscard]] std::uint64_t pages() const noexcept { return pages_; }

 private:
  std::uint64_t room_bytes_;
  std::uint64_t left_ = 0;
  std::uint64_t pages_ = 0;
};

constexpr std::uint64_t even(std::uint64_t bytes) { return (bytes + 1) / 2 * 2; }

Result<std::uint64_t> count_pages(const KvReadTransaction& kv, Table table) {
  Level leaves(kPageRoomBytes);
  Level branches(kPageRoomBytes / 2);  // LMDB fills those by half when rows are appended
  std::uint64_t own_pages = 0;
  CULM_TRY(const auto cursor, kv.cursor(table));
  constexpr std::uint8_t kFirst[1] = {0};
  CULM_TRY(auto row, cursor->seek(kFirst));
  while (row) {
    std::uint64_t value_bytes = row->value.size();
    if (kNodeBytes - 2 + row->key.size() + value_bytes > kInPageMax) {
      own_pages += (kPageBytes - kPageRoomBytes + value_bytes + kPageBytes - 1) / kPageBytes;
      value_bytes = sizeof(std::uint64_t);
    }
    const bool begins = leaves.add(even(kNodeBytes + row->key.size() + value_bytes));
    if (begins) branches.add(even(kNodeBytes + row->key.size()));
    CULM_TRY(row, cursor->next());
  }
  return own_pages + leaves.pages() + (leaves.pages() > 1 ? branches.pages() : 0);
}

}  // namespace

Result<std::uint64_t> ReadTransaction::packed_bytes() const {
  std::uint64_t pages = kOtherPages;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    CULM_TRY(const std::uint64_t more, count_pages(*kv_, static_cast<Table>(i)));
    pages += more;
  }
  return pages * kPageBytes;
}

}  // namespace culm::store
