// What the node fetches of several peers together.
#include <utility>

#include "culm/replication/node/interests.hpp"
#include "culm/replication/node/node.hpp"

namespace culm::node {

template <class Told>
void Node::tell(SyncId id, Told told) {
  Sync* const sync = find_sync(id);
  if (sync != nullptr) return sync->take(std::move(told));
  actions_.push_back(std::move(told));
}

FetchId Node::fetch(FetchRequest request) {
  const FetchId id = ++last_fetch_;
  const LogKey log = request.want.log;
  // As a dial's wants; what cannot be read now is met again when it is looked for.
  const auto transaction = store_.read();
  const auto state = transaction ? transaction->find_log(log) : fail(Errc::kStoreReadOnly);
  if (state && *state) request.want = widened(std::move(request.want), (*state)->interest);
  Running& running =
      fetches_.emplace(id, Running{Fetch(std::move(request)), false, true, {}, 0}).first->second;
  fetches_by_log_.emplace(log, id);
  changed_fetches_.push_back(id);
  Fetch& fetch = running.fetch;
  for (const DialId dial : fetch.request().from) {
    const auto found = dials_.find(dial);
    if (found == dials_.end()) fetch.dial_over(dial);
    if (found == dials_.end() || find_open(found->second.session) == nullptr) continue;
    fetch.session_began(found->second.session, dial);
  }
  return id;
}

void Node::end_fetch(FetchId fetch, Instant now) {
  const auto found = fetches_.find(fetch);
  if (found == fetches_.end()) return;
  now_ = now;
  found->second.fetch.cancel(*this);
  forget_fetch(found);
}

void Node::forget_fetch(std::map<FetchId, Running>::iterator fetch) {
  const auto& [id, running] = *fetch;
  if (running.armed) fetch_timers_.erase({*running.armed, id});
  const auto [first, last] = fetches_by_log_.equal_range(running.fetch.log());
  for (auto one = first; one != last; ++one) {
    if (one->second != id) continue;
    fetches_by_log_.erase(one);
    break;
  }
  fetches_.erase(fetch);
}

Result<replication::WantId> Node::want(SessionId session, const replication::WantRequest& request) {
  return want(session, request, now_);
}

void Node::cancel(SessionId session, replication::WantId want) { cancel(session, want, now_); }

template <class Change>
void Node::change_fetch(FetchId id, Change change) {
  Running& running = fetches_.at(id);
  change(running);
  if (!std::exchange(running.is_changed, true)) changed_fetches_.push_back(id);
}

template <class Change>
void Node::change_fetches_of(const LogKey& log, Change change) {
  const auto [first, last] = fetches_by_log_.equal_range(log);
  for (auto one = first; one != last; ++one) change_fetch(one->second, change);
}

void Node::tell_fetches_received(const replication::Work& work) {
  change_fetches_of(work.log, [&](Running& running) { running.fetch.received(work); });
}

void Node::tell_fetches_stored(const replication::WorkReport& report) {
  change_fetches_of(report.log, [&](Running& running) { running.fetch.stored(report, now_); });
}

void Node::tell_fetches_of_dial(DialId dial, SessionId began) {
  for (auto& [id, running] : fetches_) {
    if (!running.fetch.is_source(dial)) continue;
    change_fetch(id, [&](Running& changed) {
      if (began != 0) {
        changed.fetch.session_began(began, dial);
      } else {
        changed.fetch.dial_over(dial);
      }
    });
  }
}

void Node::tell_fetches_ended(SessionId session) {
  for (auto& [id, running] : fetches_) {
    change_fetch(id, [&](Running& changed) { changed.fetch.session_ended(session); });
  }
}

bool Node::take_fetch_event(Link& link, const replication::Event& event) {
  const SessionId session = link.ref.id;
  bool is_taken = false;
  const auto take = [&](const auto& told, const auto& change) {
    change_fetches_of(told.log, [&](Running& running) {
      if (is_taken || !running.fetch.owns(session, told.want)) return;
      is_taken = true;
      change(running.fetch);
    });
  };
  if (const auto* const ended = std::get_if<replication::WantEnded>(&event)) {
    take(*ended, [&](Fetch& fetch) { fetch.want_ended(session, ended->want, ended->reason); });
  } else if (const auto* const denied = std::get_if<replication::Denied>(&event)) {
    take(*denied, [&](Fetch& fetch) { fetch.denied(session, *denied); });
  } else if (const auto* const quoted = std::get_if<replication::Quoted>(&event)) {
    const auto [first, last] = fetches_by_log_.equal_range(quoted->log);
    for (auto one = first; one != last && !is_taken; ++one) {
      Fetch& fetch = fetches_.at(one->second).fetch;
      is_taken = fetch.owns(session, quoted->want);
      if (!fetch.quoted(session, *quoted)) continue;
      tell(fetches_.at(one->second).sync, FetchQuoted{one->second, session, quoted->quote});
    }
  } else if (const auto* const has = std::get_if<replication::PeerHas>(&event)) {
    change_fetches_of(has->log, [&](Running& running) {
      running.fetch.peer_has(session, *has);
      const bool is_wanted = has->head != 0 && running.fetch.is_source(link.ref.dial);
      if (!is_wanted || running.keeps_interest) return;
      const auto transaction = store_.read();
      const auto log = transaction ? transaction->find_log(has->log) : fail(transaction.error());
      const auto interest = interest_of(running.fetch.request().want, log ? log->get() : nullptr);
      running.keeps_interest = interest && keep_interest(link, has->log, *interest);
    });
  }
  return is_taken;
}

void Node::advance_fetches() {
  while (!changed_fetches_.empty()) {
    const FetchId id = changed_fetches_.front();
    changed_fetches_.pop_front();
    const auto found = fetches_.find(id);
    if (found == fetches_.end()) continue;
    Running& running = found->second;
    running.is_changed = false;
    Fetch& fetch = running.fetch;
    const auto advanced = fetch.advance(store_, *this, now_);
    for (const DialId dial : fetch.take_passed_over()) {
      if (Sync* const sync = find_sync(running.sync)) sync->take_passed_over(id, dial);
    }
    if (advanced && !*advanced) {
      arm(id, running);
      continue;
    }
    FetchEnded ended{id, fetch.log(), FetchOutcome::kNobody, fetch.is_served(), fetch.missing()};
    if (advanced) ended.outcome = **advanced;
    if (!advanced) ended.error = advanced.error();
    ended.denied = fetch.denied();
    ended.head = fetch.head();
    ended.is_damaged = fetch.is_damaged();
    ended.damaged = fetch.damaged();
    ended.declined = fetch.declined();
    fetch.cancel(*this);
    const SyncId sync = running.sync;
    forget_fetch(found);
    tell(sync, std::move(ended));
  }
}

void Node::arm(FetchId id, Running& running) {
  const auto deadline = running.fetch.next_deadline();
  if (running.armed == deadline) return;
  if (running.armed) fetch_timers_.erase({*running.armed, id});
  running.armed = deadline;
  if (deadline) fetch_timers_.emplace(*deadline, id);
}

void Node::wake_fetches(Instant now) {
  while (!fetch_timers_.empty() && fetch_timers_.begin()->first <= now) {
    const FetchId id = fetch_timers_.begin()->second;
    fetch_timers_.erase(fetch_timers_.begin());
    change_fetch(id, [](Running& running) { running.armed.reset(); });
  }
}

}  // namespace culm::node
