// What the node does about damage that its sessions meet.
#include <chrono>

#include "culm/replication/node/damage_look.hpp"
#include "culm/replication/node/node.hpp"

namespace culm::node {
namespace {

/// What of it is so still: meanwhile a session may have dropped some, or the log was forgotten and
/// taken again.
std::optional<store::RowDamage> still_so(const store::Store& store, const LogKey& log,
                                         store::RowDamage damage) {
  const auto transaction = store.read();
  const auto state = transaction ? transaction->find_log(log) : fail(transaction.error());
  if (!state || !*state || (*state)->number != damage.number) return std::nullopt;
  const RangeSet found = damage.rows & (*state)->held;
  damage.rows = found;
  for (SeqNum n = found.smallest_from(1); n != 0;
       n = n == kSeqnumMax ? 0 : found.smallest_from(n + 1)) {
    const auto entry = transaction->get_entry(**state, n);
    const bool is_payload_held = (*state)->payloads.contains(n);
    if (entry && (entry->inline_payload || !is_payload_held)) damage.rows.erase({n, n});
  }
  return damage;
}

/// Where the table of logs is damaged, any log that a stranger names may be one that it lost: so
/// many are told by themselves, of the others one.
bool is_to_tell(std::map<LogKey, Instant>& told, const LogKey& log, Instant now) {
  constexpr std::size_t kLogsMax = 1024;
  constexpr auto kTellAgainAfter = std::chrono::minutes(1);
  const auto has_room = [&] { return told.size() < kLogsMax || told.contains(log); };
  if (!has_room()) std::erase_if(told, [&](const auto& one) { return one.second <= now; });
  Instant& until = told[has_room() ? log : LogKey()];
  if (now < until) return false;
  until = now + kTellAgainAfter;
  return true;
}

}  // namespace

bool Node::drop_damaged(replication::Session* session, const replication::Damaged& damaged) {
  const auto& [log, seqnum] = damaged;
  if (seqnum == 0) return is_to_tell(told_damaged_, log, now_);
  switch (drops_.meet(log, seqnum)) {
    case RowDrops::Met::kNew:
      damage_->drops(log, seqnum);
      return true;
    case RowDrops::Met::kUnderWay:
      return false;
    case RowDrops::Met::kFailed:
      damage_->drop_finished(log, {{seqnum, seqnum}}, false);
      if (session != nullptr) session->drop_finished(log, {{seqnum, seqnum}});
      return false;
  }
  return false;
}

void Node::start_drops() {
  if (stopping_) return;
  while (auto drop = drops_.next()) {
    const TaskId task = run([drop = *drop](store::Store& store) {
      return store.update([&](store::WriteTransaction& transaction) -> Result<void> {
        CULM_CHECK(transaction.drop_damaged(drop.log, drop.rows));
        return {};
      });
    });
    own_tasks_.emplace(task, *std::move(drop));
  }
}

void Node::drop_finished(const RowDrops::Task& drop, const Result<void>& outcome, Instant now) {
  // It may have been forgotten meanwhile.
  const bool is_done = outcome || outcome.error().code == Errc::kLogUnknown;
  drops_.finished(drop, is_done, now);
  damage_->drop_finished(drop.log, drop.rows, is_done);
  const auto why = is_done ? std::nullopt : std::optional(outcome.error());
  for (auto& [id, running] : syncs_) running.sync.take_undropped(drop.log, drop.rows, why);
  for (const SessionId id : subscriptions_.of(drop.log)) {
    Link* const link = find_open(id);
    if (link == nullptr) continue;
    link->connection.session().drop_finished(drop.log, drop.rows);
    settle(*link, now);
  }
}

/// As where a session meets it.
void Node::damage_found(const LogKey& log, const SeqRange& part, const store::RowDamage& found,
                        Instant now) {
  now_ = now;
  const auto damage = still_so(store_, log, found);
  if (!damage) return;
  damage_->found_readable(log, part, damage->unreadable);
  // All of it was read: a sample would tell less.
  if (part.last == kSeqnumMax) damage_->looked(log);
  meet(log, *damage);
}

void Node::meet(const LogKey& log, const store::RowDamage& damage) {
  const auto meet = [&](SeqNum seqnum) {
    const replication::Damaged damaged{log, seqnum};
    if (drop_damaged(nullptr, damaged)) tell(SessionEvent{SessionRef(), damaged});
  };
  const RangeSet& rows = damage.rows;
  for (SeqNum n = rows.smallest_from(1); n != 0;) {
    meet(n);
    n = n == kSeqnumMax ? 0 : rows.smallest_from(n + 1);
  }
  if (!damage.unreadable.empty()) meet(0);
}

/// What is damaged counts as held until it is dropped, and would not be asked for. In a push the
/// sessions look, once nothing speaks against it: an author's store that lacks its last entry as
/// well would seem to be another than was published from.
void Node::RunningSync::look_for_damage() {
  if (sync.request().quote_only || sync.request().push) return;
  DamageLook looks(node_.store_, node_.random_, *node_.damage_);
  for (const auto& [log, damage] : looks.look(sync.request())) {
    node_.meet(log, damage);
    if (damage.unreadable.empty()) continue;
    sync.take_undropped(log, damage.unreadable, Error{Errc::kStoreDamaged});
  }
  node_.start_drops();
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
