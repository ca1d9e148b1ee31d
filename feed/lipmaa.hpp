#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/core/types.hpp"

/// The arithmetic of links: which entries link to which, from seqnums alone. Exact over the whole
/// 64-bit range; no function here can fail or overflow, none but those that return a vector
/// allocates, and each is safe to call from any thread.
///
/// Each entry links to the one before it (backlink). Some have a link further back as well
/// (lipmaalink); here are those of the first 13, each drawn from the entry to its target:
///
///    1   2   3   4   5   6   7   8   9  10  11  12  13
///    <-----------4
///                <---------------8
///                                <--------------12
///                <----------------------------------13
///
/// Links nest and never cross. A *block* of level k is s(k) = (3^k - 1) / 2 entries in a row: three
/// blocks of level k - 1 and one last entry, which links to the entry just before the block. So 5
/// to 8 is a block of level 2 and links to 4. The spine, 1, 4, 13, 40, ..., are the numbers s(k);
/// they end the blocks that begin with entry 1 and link to each other instead.
namespace culm {

/// The lipmaalink target of `n`; 0 for n = 1, which links to nothing. Precondition: n >= 1.
/// Spec: lipmaa.md#target
[[nodiscard]] SeqNum lipmaa(SeqNum n);

/// Whether an entry at `n` carries a lipmaalink field of its own: not at 1, nor where the target is
/// n - 1. Precondition: n >= 1.
[[nodiscard]] bool has_lipmaalink(SeqNum n);

/// All seqnums with a link to one entry, ascending: its successor and those whose lipmaalink target
/// it is. Empty for the last seqnum. Costs about one `lipmaa` and needs no heap.
class InLinks {
 public:
  /// Precondition: target >= 1.
  explicit InLinks(SeqNum target);

  [[nodiscard]] const SeqNum* begin() const noexcept { return seqnums_.data(); }
  [[nodiscard]] const SeqNum* end() const noexcept { return seqnums_.data() + size_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::array<SeqNum, limits::kInLinksMax> seqnums_;
  std::size_t size_ = 0;
};

/// The head path of `n`: the shortest path from `n` down to 1 along links, both ends included, at
/// most `limits::kPathEntriesMax`. Precondition: n >= 1. Spec: lipmaa.md#paths
[[nodiscard]] std::vector<SeqNum> path_to_first(SeqNum n);

/// The shortest path from `from` down to `to`, both ends included. Precondition: from >= to >= 1.
/// Spec: lipmaa.md#paths
[[nodiscard]] std::vector<SeqNum> path(SeqNum from, SeqNum to);

/// The entry just before `n` on the tail path of `n`: the largest seqnum within that path with a
/// link to `n`. Nothing when n is on the spine or that seqnum exceeds 2^64 - 1.
/// Precondition: n >= 1. Spec: lipmaa.md#spine
[[nodiscard]] std::optional<SeqNum> up(SeqNum n);

/// The part of the tail path z(n)..n that is not above `head`, descending, `n` included when
/// n <= head; at most `limits::kPathEntriesMax`. z(n) itself, the least spine number from n on, may
/// exceed 64 bits. Precondition: n >= 1. Spec: lipmaa.md#spine
[[nodiscard]] std::vector<SeqNum> tail_path(SeqNum n, SeqNum head);

/// Whether n = (3^k - 1) / 2 with k >= 1. Spec: lipmaa.md#spine
[[nodiscard]] bool is_on_spine(SeqNum n);

}  // namespace culm
