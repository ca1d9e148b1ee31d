#include "culm/replication/detail/credit_window.hpp"

#include <algorithm>
#include <utility>

namespace culm::replication {

std::uint64_t CreditWindow::open() {
  if (is_open()) return 0;
  grow(limits::kCreditBytesMin);
  return grant();
}

Result<void> CreditWindow::spend(std::uint64_t bytes) {
  if (bytes > granted_) return fail(Errc::kFlow);
  granted_ -= bytes;
  return {};
}

std::uint64_t CreditWindow::work_done(std::uint64_t bytes) {
  in_works_ -= bytes;
  return passed_over(bytes);
}

std::uint64_t CreditWindow::passed_over(std::uint64_t bytes) {
  owed_ += bytes;
  // As long as enough is left for others to begin.
  if (pool_.free() > pool_.size() / 2) grow(bytes);
  return owed_ >= size_ / 4 || !can_be_used() ? grant() : 0;
}

void CreditWindow::grow(std::uint64_t bytes) {
  const std::uint64_t wanted = std::min(bytes, limits::kSessionCreditBytes - size_);
  const std::uint64_t taken = pool_.take(wanted, wanted);
  size_ += taken;
  owed_ += taken;
}

std::uint64_t CreditWindow::grant() {
  granted_ += owed_;
  return std::exchange(owed_, 0);
}

}  // namespace culm::replication
