#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culm/core/result.hpp"
#include "culm/core/types.hpp"

namespace culm {

/// Seqnums from `first` to `last`, both included; 1 <= first <= last. Inclusive, because a range
/// with an excluded end could not reach 2^64 - 1.
struct SeqRange {
  SeqNum first = 1;
  SeqNum last = 1;

  friend auto operator<=>(const SeqRange&, const SeqRange&) = default;
};

/// A set of seqnums as sorted, disjoint, non-adjacent ranges: one form for each set, so equal sets
/// are equal bytes. Costs are in ranges, never in seqnums. A value, and a copy costs nothing until
/// one of both changes; const members are safe to call from several threads.
/// Spec: closure.md#range-sets
class RangeSet {
 public:
  RangeSet() = default;
  /// Any ranges, in any order, overlapping or not. Precondition: each has 1 <= first <= last.
  RangeSet(std::initializer_list<SeqRange> ranges);

  /// Ranges that must be in canonical form; for input from elsewhere. Fails with kRange when one
  /// has first = 0 or first > last, with kRangeOrder when they do not ascend or touch.
  [[nodiscard]] static Result<RangeSet> from_canonical(std::vector<SeqRange> ranges);

  [[nodiscard]] bool empty() const noexcept { return ranges_.get().empty(); }
  /// The canonical form; valid until the set changes. Not of a temporary: name the set first.
  [[nodiscard]] std::span<const SeqRange> ranges() const& noexcept { return ranges_.get(); }
  std::span<const SeqRange> ranges() const&& = delete;
  /// O(log ranges).
  [[nodiscard]] bool contains(SeqNum n) const noexcept;
  /// Whether every member of `other` is one.
  [[nodiscard]] bool contains(const RangeSet& other) const noexcept;
  /// How many seqnums.
  [[nodiscard]] std::uint64_t count() const noexcept;
  /// Precondition: not empty.
  [[nodiscard]] SeqNum min() const;
  /// Precondition: not empty.
  [[nodiscard]] SeqNum max() const;
  /// The largest member that is not above `n`, or 0.
  [[nodiscard]] SeqNum largest_up_to(SeqNum n) const noexcept;
  /// The smallest member that is not below `n`, or 0.
  [[nodiscard]] SeqNum smallest_from(SeqNum n) const noexcept;

  /// Adds the members of `range`. Amortised constant time when `range` begins at or above the last
  /// range, else O(ranges). Precondition: 1 <= first <= last.
  void insert(SeqRange range);
  void insert(SeqNum n) { insert(SeqRange{n, n}); }
  /// Takes the members of `range` away. O(ranges). Precondition: 1 <= first <= last.
  void erase(SeqRange range);

  /// Linear in the ranges of both, and less where one has few.
  RangeSet& operator|=(const RangeSet& other);
  RangeSet& operator&=(const RangeSet& other);
  RangeSet& operator-=(const RangeSet& other);
  friend RangeSet operator|(RangeSet a, const RangeSet& b) { return a |= b; }
  friend RangeSet operator&(RangeSet a, const RangeSet& b) { return a &= b; }
  friend RangeSet operator-(RangeSet a, const RangeSet& b) { return a -= b; }

  friend bool operator==(const RangeSet& a, const RangeSet& b) noexcept {
    return &a.ranges_.get() == &b.ranges_.get() || a.ranges_.get() == b.ranges_.get();
  }

 private:
  using Ranges = std::vector<SeqRange>;

  /// Ranges that a set and its copies have in common until one of them changes.
  class Shared {
   public:
    Shared() = default;
    Shared(const Shared& other) noexcept : owned_(other.owned_) {
      if (owned_ != nullptr) owned_->owners.fetch_add(1, std::memory_order_relaxed);
    }
    Shared(Shared&& other) noexcept : owned_(std::exchange(other.owned_, nullptr)) {}
    Shared& operator=(Shared other) noexcept {
      std::swap(owned_, other.owned_);
      return *this;
    }
    ~Shared() { release(); }

    [[nodiscard]] const Ranges& get() const noexcept {
      return owned_ == nullptr ? none : owned_->ranges;
    }
    /// For changing them: of this set alone.
    Ranges& own();
    void set(Ranges ranges);

   private:
    struct Owned {
      std::atomic<std::uint32_t> owners = 1;
      Ranges ranges{};
    };
    static const Ranges none;

    void release() noexcept;

    Owned* owned_ = nullptr;
  };

  Shared ranges_;
};

/// The lowest `count` members of `set`.
[[nodiscard]] RangeSet lowest(const RangeSet& set, std::uint64_t count);

/// The highest `count` members of `set`.
[[nodiscard]] RangeSet highest(const RangeSet& set, std::uint64_t count);

/// "1-5,7,9-", where the end of an open range (one to 2^64 - 1) is left out; "" for the empty set.
[[nodiscard]] std::string to_string(const RangeSet& set);

/// What people write: ranges "5-9", numbers "7", open ranges "9-", joined by commas, in any order,
/// at least one. Fails with kRange and the offset of the range that is wrong.
[[nodiscard]] Result<RangeSet> parse_ranges(std::string_view text);

}  // namespace culm
