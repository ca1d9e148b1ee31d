#include "culm/replication/detail/comparison.hpp"

#include <utility>

#include "culm/core/assert.hpp"

namespace culm::replication {

Comparison::Comparison(RangeSet common)
    : common_(std::move(common)), count_(common_.count()), differs_from_(count_) {
  CULM_ASSERT(count_ != 0);
}

std::optional<SeqNum> Comparison::query() const {
  if (!started_) return common_.max();
  if (equal_below_ >= differs_from_) return std::nullopt;
  return at(equal_below_ + (differs_from_ - equal_below_) / 2);
}

void Comparison::answer(bool is_equal) {
  const std::uint64_t index =
      started_ ? equal_below_ + (differs_from_ - equal_below_) / 2 : count_ - 1;
  started_ = true;
  if (is_equal) {
    equal_below_ = index + 1;
  } else {
    differs_from_ = index;
  }
}

std::optional<SeqNum> Comparison::lowest_difference() const {
  if (!started_ || differs_from_ == count_) return std::nullopt;
  return at(differs_from_);
}

SeqNum Comparison::at(std::uint64_t index) const {
  for (const SeqRange& range : common_.ranges()) {
    const std::uint64_t size_less_one = range.last - range.first;
    if (index <= size_less_one) return range.first + index;
    index -= size_less_one + 1;
  }
  CULM_ASSERT(false);
  return 0;
}

}  // namespace culm::replication
