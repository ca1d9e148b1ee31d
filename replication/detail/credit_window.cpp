#include "culm/replication/detail/credit_window.hpp"

#include <algorithm>
#include <utility>

namespace culm::replication {

std::uint64_t CreditWindow::open() {
  if (is_open()) return 0;
  size_ = owed_ = limits::kCreditBytesMin;
  return grant();
}

Result<void> CreditWindow::spend(std::uint64_t bytes) {
  if (bytes > granted_) return fail(Errc::kFlow);
  granted_ -= bytes;
  return {};
}

std::uint64_t CreditWindow::work_done(std::uint64_t bytes) {
  in_works_ -= bytes;
  take();
  return passed_over(bytes);
}

std::uint64_t CreditWindow::passed_over(std::uint64_t bytes) {
  owed_ += bytes;
  grow(bytes);
  return owed_ >= size_ / 4 || !can_be_used() ? grant() : 0;
}

void CreditWindow::grow(std::uint64_t bytes) {
  const std::uint64_t more = std::min(bytes, limit_ - std::min(limit_, size_));
  // What is granted is not there for what comes, and may stay out for ever: no more than half.
  if (pool_.free() < pool_.size() / 2 + limits::kCreditBytesMin + more) return;
  size_ += more;
  owed_ += more;
  take();
}

void CreditWindow::take() {
  const std::uint64_t grown = size_ - std::min(size_, limits::kCreditBytesMin);
  const std::uint64_t due = std::max(grown, in_works_);
  if (due > taken_) {
    pool_.charge(due - taken_);
  } else {
    pool_.give_back(taken_ - due);
  }
  taken_ = due;
}

std::uint64_t CreditWindow::grant() {
  const std::uint64_t more = std::min(owed_, limit_ - std::min(limit_, granted_));
  granted_ += more;
  owed_ -= more;
  return more;
}

}  // namespace culm::replication
