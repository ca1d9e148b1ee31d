// What the node does about damage that its sessions meet.
#include <chrono>

#include "culm/replication/node/node.hpp"

namespace culm::node {

constexpr auto kDropAgainAfter = std::chrono::minutes(1);

bool Node::drop_damaged(replication::Session* session, const replication::Damaged& damaged) {
  constexpr std::size_t kDropsMax = 64;
  forgive_damage(now_);
  const auto known = damaged_.find({damaged.log, damaged.seqnum});
  const bool is_under_way = known != damaged_.end() && !known->second;
  if (is_under_way) return false;
  if (damaged.seqnum == 0) {
    // Said once, and again later.
    return damaged_.try_emplace({damaged.log, 0}, now_ + kDropAgainAfter).second;
  }
  if (known != damaged_.end() || drops_ >= kDropsMax) {  // those when they are met again
    if (known == damaged_.end()) keep_damaged(damaged);
    if (session != nullptr) session->drop_finished(damaged);
    return false;
  }
  damaged_.try_emplace({damaged.log, damaged.seqnum});
  damage_->drops(damaged.log, damaged.seqnum);
  ++drops_;
  const TaskId task = run([damaged](store::Store& store) {
    return store.update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.drop_damaged(damaged.log, {{damaged.seqnum, damaged.seqnum}}));
      return {};
    });
  });
  own_tasks_.emplace(task, DropTask{damaged});
  return true;
}

void Node::keep_damaged(const replication::Damaged& damaged) {
  const auto& [log, seqnum] = damaged;
  damaged_[{log, seqnum}] = now_ + kDropAgainAfter;
  damage_->found_unreadable(log, {{seqnum, seqnum}});
  damage_->dropped(log, seqnum);
}

void Node::forgive_damage(Instant now) {
  std::erase_if(damaged_, [&](const auto& row) {
    const bool is_due = row.second && *row.second <= now;
    if (is_due && row.first.second != 0) damage_->forget(row.first.first, row.first.second);
    return is_due;
  });
}

void Node::drop_finished(const replication::Damaged& damaged, bool is_done, Instant now) {
  --drops_;
  if (is_done) {
    damaged_.erase({damaged.log, damaged.seqnum});
    damage_->dropped(damaged.log, damaged.seqnum);
  } else {
    keep_damaged(damaged);
  }
  for (const SessionId id : subscriptions_.of(damaged.log)) {
    Link* const link = find_open(id);
    if (link == nullptr) continue;
    link->connection.session().drop_finished(damaged);
    settle(*link, now);
  }
}

/// As where a session meets it.
void Node::damage_found(const LogKey& log, const store::RowDamage& damage, Instant now) {
  now_ = now;
  const auto meet = [&](SeqNum seqnum) {
    const replication::Damaged damaged{log, seqnum};
    if (drop_damaged(nullptr, damaged)) tell(SessionEvent{SessionRef(), damaged});
  };
  for (const SeqRange& range : damage.rows.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) meet(n);
  }
  if (damage.unreadable.empty()) return;
  damage_->found_unreadable(log, damage.unreadable);
  meet(0);
}

void Node::entries_lost(const LogKey& log, Instant now) {
  for (const SessionId id : subscriptions_.of(log)) {
    Link* const link = find_open(id);
    if (link == nullptr) continue;
    link->connection.session().entries_lost(log);
    settle(*link, now);
  }
}

}  // namespace culm::node
