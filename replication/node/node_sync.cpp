// The syncs of the node.
#include <tuple>
#include <utility>

#include "culm/replication/node/interests.hpp"
#include "culm/replication/node/node.hpp"

namespace culm::node {

using replication::WantId;
using replication::WantRequest;

DialId Node::RunningSync::dial(const Endpoint& endpoint, DialOptions options) {
  const DialId dial = node_.dial(endpoint, std::move(options));
  node_.sync_dials_.emplace(dial, id_);
  return dial;
}

void Node::RunningSync::end_dial(DialId dial) { node_.end_dial(dial, node_.now_); }

FetchId Node::RunningSync::fetch(FetchRequest request) {
  const FetchId fetch = node_.fetch(std::move(request));
  node_.fetches_.at(fetch).sync = id_;
  return fetch;
}

void Node::RunningSync::end_fetch(FetchId fetch) { node_.end_fetch(fetch, node_.now_); }

Result<WantId> Node::RunningSync::want(SessionId session, const WantRequest& request) {
  return node_.want_and_keep(session, request);
}

void Node::RunningSync::cancel(SessionId session, WantId want) { node_.cancel(session, want); }

Result<void> Node::RunningSync::offer(SessionId session, const LogKey& log) {
  return node_.offer(session, log, node_.now_);
}

replication::SessionStats Node::RunningSync::stats(SessionId session) const {
  const Link* const link = node_.find_open(session);
  return link == nullptr ? replication::SessionStats() : link->connection.session().stats();
}

void Node::RunningSync::conclude_after_commits() {
  // Once nothing is taken any more, nothing is under way.
  if (node_.stopping_ && node_.links_.empty()) return sync.conclude();
  const TaskId task = node_.run([](store::Store& /*store*/) { return Result<void>(); }, true);
  node_.own_tasks_.emplace(task, SyncEnd{id_});
}

SyncId Node::sync(SyncRequest request, Instant now) {
  now_ = now;
  const SyncId id = ++last_sync_;
  RunningSync& running = syncs_
                             .emplace(std::piecewise_construct, std::forward_as_tuple(id),
                                      std::forward_as_tuple(*this, id, std::move(request)))
                             .first->second;
  Sync& sync = running.sync;
  const auto prepared = sync.prepare();
  if (stopping_) {
    sync.end(SyncOutcome::kStopped, now);
  } else if (!prepared) {
    sync.end(SyncOutcome::kFailed, now, prepared.error());
  } else {
    // A dial waits for what is dropped.
    running.look_for_damage();
    sync.begin(now);
    for (const auto& want : sync.request().logs) {
      const RangeSet unreadable = damage_->unreadable(want.log);
      // The sessions tell of pages.
      if (unreadable.empty() || damage_->has_bad_pages(want.log)) continue;
      sync.take_undropped(want.log, unreadable, Error{Errc::kStoreDamaged});
    }
  }
  return id;
}

void Node::end_sync(SyncId sync, Instant now, std::optional<Error> error) {
  now_ = now;
  const auto outcome = error ? SyncOutcome::kFailed : SyncOutcome::kStopped;
  if (Sync* const found = find_sync(sync)) found->end(outcome, now, error);
}

std::optional<std::pair<SyncId, SyncRequest>> Node::find_sync_of(DialId dial) const {
  const auto id = sync_dials_.find(dial);
  if (id == sync_dials_.end()) return std::nullopt;
  const auto running = syncs_.find(id->second);
  if (running == syncs_.end()) return std::nullopt;
  return std::pair{id->second, running->second.sync.request()};
}

Sync* Node::find_sync(SyncId sync) {
  const auto found = syncs_.find(sync);
  return found == syncs_.end() ? nullptr : &found->second.sync;
}

bool Node::is_while_known(const Link& link, const LogKey& log) {
  const auto dial = sync_dials_.find(link.ref.dial);
  const Sync* const sync = dial == sync_dials_.end() ? nullptr : find_sync(dial->second);
  return sync != nullptr && sync->request().while_known.contains(log);
}

void Node::log_forgotten(const LogKey& log, Instant now) {
  now_ = now;
  damage_->forget(log);
  for (auto& [id, running] : syncs_) running.sync.take_forgotten(log);
}

void Node::tell(SessionEvent event) {
  const auto dial = sync_dials_.find(event.session.dial);
  Sync* const sync = dial == sync_dials_.end() ? nullptr : find_sync(dial->second);
  if (sync != nullptr) sync->take(event);
  actions_.push_back(std::move(event));
}

Result<WantId> Node::want_and_keep(SessionId session, const WantRequest& request) {
  const Link* const link = find_open(session);
  if (link == nullptr) return fail(Errc::kPeerClosed);
  if (request.quote_only) return want(session, request);
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(request.log));
  const auto interest = interest_of(request, state.get());
  dials_.at(link->ref.dial).wanted.insert_or_assign(request.log, *interest);
  return want(session, state ? widened(request, state->interest) : request);
}

void Node::tell_syncs_stored(const replication::WorkReport& report) {
  if (!report.outcome) return;
  for (auto& [id, running] : syncs_) {
    if (running.sync.cares_for(report.log)) running.sync.take(report.log, *report.outcome);
  }
}

void Node::advance_syncs() {
  for (auto running = syncs_.begin(); running != syncs_.end();) {
    Sync& sync = running->second.sync;
    sync.advance(now_);
    while (auto event = sync.next_event()) {
      actions_.push_back(SyncTold{running->first, *std::move(event)});
    }
    running = sync.is_over() ? syncs_.erase(running) : std::next(running);
  }
}

std::optional<Instant> Node::next_sync_deadline() const {
  std::optional<Instant> next;
  for (const auto& [id, running] : syncs_) {
    const auto deadline = running.sync.next_deadline();
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

}  // namespace culm::node
