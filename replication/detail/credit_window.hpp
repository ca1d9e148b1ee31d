#pragma once

#include <cstdint>

#include "culm/core/result.hpp"
#include "culm/replication/credit_pool.hpp"

namespace culm::replication {

/// How much the peer of one session may send. It goes round:
///
///   grow --> owed --grant--> granted --spend--> looked at --submitted--> in works
///             ^                                    |                        |
///             '----------- passed over ------------'------ work done -------'
///
/// A window begins with the least that a payload part needs and grows by what the peer makes use
/// of. Of the node's pool it takes what it has grown by, or what is in works where that is more: so
/// those who bring nothing take nothing from the others. When the session ends all goes back to the
/// pool but what is in works: that follows with their reports.
/// Spec: replication.md#credit
class CreditWindow {
 public:
  /// `pool` outlives the window.
  explicit CreditWindow(CreditPool& pool) : pool_(pool) {}
  CreditWindow(const CreditWindow&) = delete;
  CreditWindow& operator=(const CreditWindow&) = delete;
  ~CreditWindow() { pool_.give_back(taken_ - in_works_); }

  /// Returns what the peer is to be granted to begin with: the least, and 0 from the second call
  /// on.
  [[nodiscard]] std::uint64_t open();
  [[nodiscard]] bool is_open() const noexcept { return size_ != 0; }

  /// No more is outstanding from now on, but for what is already. At least limits::kCreditBytesMin.
  void set_limit(std::uint64_t bytes) { limit_ = bytes; }

  /// The peer has sent what counts so much. Fails with kFlow when that is more than was granted.
  [[nodiscard]] Result<void> spend(std::uint64_t bytes);
  /// So much of what was spent is with the committer now.
  void submitted(std::uint64_t bytes) {
    in_works_ += bytes;
    take();
  }
  /// A work is done, or what was spent came to none. Returns what the peer is to be granted: 0
  /// while that would be little.
  [[nodiscard]] std::uint64_t work_done(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t passed_over(std::uint64_t bytes);

  /// What the window takes of the pool: 0 before something useful has come.
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

  /// Whether the peer can send whatever it has.
  [[nodiscard]] bool can_be_used() const noexcept { return granted_ >= limits::kCreditBytesMin; }

 private:
  void grow(std::uint64_t bytes);
  /// Takes from the pool what is due, or gives back what no longer is.
  void take();
  [[nodiscard]] std::uint64_t grant();

  CreditPool& pool_;
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;  // from the pool
  std::uint64_t granted_ = 0;
  std::uint64_t in_works_ = 0;
  std::uint64_t owed_ = 0;
  std::uint64_t limit_ = limits::kSessionCreditBytes;
};

}  // namespace culm::replication
