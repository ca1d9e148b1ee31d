#pragma once

#include <cstdint>
#include <optional>

#include "culm/feed/range_set.hpp"

namespace culm::replication {

/// Finds the lowest seqnum at which two peers hold different entries, by bisecting over those that
/// both hold. Closed sets that are equal at a seqnum are equal at every common one below.
/// Spec: replication.md#compare
class Comparison {
 public:
  /// `common`: held by both below the caps; known to differ at its maximum, or not known.
  /// Precondition: not empty.
  explicit Comparison(RangeSet common);

  [[nodiscard]] const RangeSet& common() const noexcept { return common_; }

  /// The seqnum to ask the peer about; nothing when the search is over.
  [[nodiscard]] std::optional<SeqNum> query() const;

  /// The peer's answer to `query()`.
  void answer(bool is_equal);

  /// After the search: the lowest seqnum at which they differ, or nothing when they agree.
  [[nodiscard]] std::optional<SeqNum> lowest_difference() const;

 private:
  [[nodiscard]] SeqNum at(std::uint64_t index) const;

  RangeSet common_;
  std::uint64_t count_;
  std::uint64_t equal_below_ = 0;  ///< members with a smaller index are equal
  std::uint64_t differs_from_;     ///< members from this index on differ
  bool started_ = false;
};

}  // namespace culm::replication
