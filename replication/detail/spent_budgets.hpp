#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "culm/replication/message.hpp"

namespace culm::replication {

/// What one session has used up of budgets, which its wants share with those of other sessions.
/// Null is no budget. Spec: replication.md#wants
class SpentBudgets {
 public:
  using Budget = std::shared_ptr<std::uint64_t>;

  /// A message has come.
  void add(const Budget& budget, std::uint64_t bytes) {
    take_back_begun();
    charge(budget, bytes);
  }
  /// So many bytes have come of messages that are not whole: of which want nobody can tell, so that
  /// they count against one budget, the last.
  void set_begun(const Budget& budget, std::uint64_t bytes) {
    if (is_over_ || !budget) return;
    take_back_begun();
    charge(budget, bytes);
    begun_ = {budget, bytes};
  }
  /// The session has ended: nothing more counts. `budget`: of a want that was open; null: of the
  /// last that was cancelled, if any.
  void end(const Budget& budget, std::uint64_t begun_bytes) {
    set_begun(budget ? budget : begun_.first.lock(), begun_bytes);
    is_over_ = true;
  }
  /// What had come was refused here.
  void give_back(const Budget& budget, std::uint64_t bytes) {
    if (is_over_ || !budget) return;
    const std::uint64_t back = std::min(bytes, spent_[budget]);
    *budget -= back;
    spent_[budget] -= back;
  }
  /// The peer was at fault: what it sent keeps nobody else from bringing as much.
  void give_back_all() {
    for (const auto& [spent, bytes] : spent_) {
      if (const Budget budget = spent.lock()) *budget -= bytes;
    }
    spent_.clear();
    is_over_ = true;
  }

  /// A want was ended from here: what is under way of it will count as it comes.
  void want_ended(WantId want, const Budget& budget) {
    if (!budget) return;
    std::erase_if(late_, [](const auto& row) { return row.second.expired(); });
    late_[want] = budget;
  }
  [[nodiscard]] Budget find_late(WantId want) const {
    const auto found = late_.find(want);
    return found == late_.end() ? nullptr : found->second.lock();
  }
  /// Nothing more comes of it.
  void forget_late(WantId want) { late_.erase(want); }

 private:
  using Spent = std::weak_ptr<std::uint64_t>;

  void charge(const Budget& budget, std::uint64_t bytes) {
    if (is_over_ || !budget) return;
    if (!spent_.contains(budget)) {
      std::erase_if(spent_, [](const auto& row) { return row.first.expired(); });
    }
    *budget += bytes;
    spent_[budget] += bytes;
  }
  void take_back_begun() {
    const auto [spent, bytes] = std::exchange(begun_, {});
    give_back(spent.lock(), bytes);
  }

  std::map<Spent, std::uint64_t, std::owner_less<>> spent_;
  std::map<WantId, Spent> late_;
  std::pair<Spent, std::uint64_t> begun_;
  bool is_over_ = false;
};

}  // namespace culm::replication
