// Logs that a sync takes: those of its request, and, while live, those that join and leave it.
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/node/interests.hpp"
#include "culm/replication/node/sync.hpp"

namespace culm::node {

Result<Sync::Log*> Sync::add(replication::WantRequest want, Group& group,
                             const store::ReadTransaction& transaction) {
  Log& log = logs_.emplace_back(Log{SyncLog(std::move(want), request_.peers.size())});
  log.group = &group;
  group.logs.push_back(&log);
  CULM_CHECK(begin(log, transaction));
  return &log;
}

Result<void> Sync::begin(Log& log, const store::ReadTransaction& transaction) {
  by_key_.emplace(log.state.key(), &log);
  const auto begun = log.state.begin(transaction, request_.undelete);
  // What is wrong with one log here takes no other.
  if (!begun && !log.state.takes(begun.error())) return begun;
  return {};
}

bool Sync::may_join(const LogKey& log) const {
  const JoiningLogs& joining = request_.joining;
  return request_.live && (joining.are_all || joining.authors.contains(log.author));
}

Sync::Group* Sync::find_place(bool must_ask) {
  if (is_ending_) return &placeless_;
  const bool is_full =
      must_ask || groups_.empty() || groups_.back().logs.size() >= limits::kWantsPerSessionMax;
  if (!is_full) return &groups_.back();
  return groups_.size() < kGroupsMax ? &groups_.emplace_back() : nullptr;
}

void Sync::join(const LogKey& key) {
  if (!may_join(key)) return;
  const auto transaction = store_.read();
  if (!transaction) return fail_with(transaction.error());
  replication::WantRequest want = request_.joining.want;
  want.log = key;
  want.live = true;
  const auto state = transaction->find_log(key);
  // Forgotten meanwhile, or about to begin, which will be heard of.
  if (state && (!*state || (*state)->served().empty())) return;
  if (state) {
    const store::LogInterest& kept = (*state)->interest;
    if (!request_.push && want.interest.empty() && kept.is_none()) return;
    leave_out_payloads(want, kept);
  }
  const bool must_ask = peers_.must_ask(key);
  const auto dropped = dropped_.extract(key);
  if (dropped && !must_ask) {
    // Its sessions have named it, so it takes no other place.
    Log& log = *dropped.mapped();
    Group* const group = is_ending_ ? &placeless_ : log.group;
    log = Log{SyncLog(std::move(want), request_.peers.size())};
    log.group = group;
    if (!request_.push) log.state.joined();
    if (const auto begun = begin(log, *transaction); !begun) return fail_with(begun.error());
    events_.emplace_back(SyncJoined{key, log.state.report().error});
    if (!is_ending_) start(log);
    return;
  }
  Group* const place = find_place(must_ask);
  const auto log = add(want, place == nullptr ? placeless_ : *place, *transaction);
  if (!log) return fail_with(log.error());
  if (!request_.push) (*log)->state.joined();
  if (place == nullptr) (*log)->state.failed(Error{Errc::kBusy});
  events_.emplace_back(SyncJoined{key, (*log)->state.report().error});
  if (is_ending_ || place == nullptr) return;
  if (request_.while_known.insert(key).second) request_.logs.push_back(std::move(want));
  if (place->dials.empty()) return start_group();
  go_on(*place);
}

void Sync::on(const Forgotten& forgotten) {
  const auto found = by_key_.find(forgotten.log);
  if (found == by_key_.end() || is_ending_) return;
  Log& log = *found->second;
  by_key_.erase(found);
  log.is_dropped = true;
  dropped_.emplace(forgotten.log, &log);
  unsaid_.erase(&log);
  log.unsaid = 0;
  log.unoffered.clear();
  log.ask_again.reset();
  leave_source(log);
  for (auto& [dial, call] : calls_) {
    std::erase_if(call.asked, [&, session = call.session](const auto& asked) {
      if (asked.second.log != &log) return false;
      peers_.cancel(session, asked.first);
      return true;
    });
  }
  std::erase_if(by_fetch_, [&](const auto& fetch) {
    if (fetch.second != &log) return false;
    peers_.end_fetch(fetch.first);
    return true;
  });
  events_.emplace_back(SyncForgotten{forgotten.log});
  join(forgotten.log);  // where it has come back meanwhile
  if (request_.live && by_key_.empty()) return finish();
  settle(log);
}

}  // namespace culm::node
