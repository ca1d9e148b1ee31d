// Whom the node calls and what the application asks for.
#include "culm/replication/node/node.hpp"

#include <utility>

#include "culm/core/assert.hpp"
#include "culm/replication/keep_interest.hpp"
#include "culm/replication/node/interests.hpp"

namespace culm::node {

using replication::Session;

Node::Node(NodeOptions options, const store::Store& store, replication::Policy& policy,
           SignatureVerifier& verifier, Random& random)
    : options_(std::move(options)),
      store_(store),
      policy_(policy),
      verifier_(verifier),
      random_(random),
      credit_(options_.credit_bytes),
      admission_(options_.admission),
      plan_(random),
      damage_(std::make_shared<replication::KnownDamage>()) {}

std::optional<Action> Node::next_action() {
  if (actions_.empty()) {
    wake_for_credit();
    // What was said of them holds no longer.
    for (const LogKey& log : damage_->take_changed()) fan_out({&log, 1}, {}, now_);
    do {
      advance_fetches();
      advance_syncs();
    } while (!changed_fetches_.empty());
    start_drops();
  }
  if (actions_.empty()) {
    auto job = queue_.next();
    if (!job) return std::nullopt;
    return Perform{*std::move(job)};
  }
  Action action = std::move(actions_.front());
  actions_.pop_front();
  if (const auto* const transfer = std::get_if<Transfer>(&action)) {
    if (Link* const link = find(transfer->session)) link->transfers = false;
  }
  return action;
}

DialId Node::dial(const Endpoint& endpoint, DialOptions options) {
  const DialId id = ++last_dial_;
  if (stopping_) {
    tell_stopped(id, endpoint);
    return id;
  }
  plan_.add(id, options.reconnect);
  std::map<LogKey, store::LogInterest> wanted;
  for (const replication::WantRequest& want : options.wants) {
    if (const auto interest = interest_of(options.wants, want.log)) {
      wanted.emplace(want.log, *interest);
    }
  }
  dials_.emplace(id, Dial{endpoint, std::move(options), 0, std::move(wanted), {}});
  own_tasks_.emplace(run([](store::Store& /*store*/) { return Result<void>(); }), DialStart{id});
  return id;
}

void Node::tell_stopped(DialId dial, const Endpoint& endpoint) {
  tell(SessionEvent{SessionRef{0, dial, endpoint, std::nullopt},
                    replication::Ended{Error{Errc::kPeerClosed}, {}, {}}});
  tell_dial_over(dial);
}

void Node::end_dial(DialId dial, Instant now) {
  const auto found = dials_.find(dial);
  if (found == dials_.end()) return;
  const SessionId session = found->second.session;
  if (plan_.is_calling(dial)) actions_.push_back(CancelConnect{dial});
  plan_.remove(dial);
  dials_.erase(found);
  if (session == 0) tell_dial_over(dial);
  close_session(session, std::nullopt, now);
}

void Node::call_due(Instant now) {
  for (const DialId dial : plan_.late(now)) {
    actions_.push_back(CancelConnect{dial});
    dial_failed(dial, Error{Errc::kTimeout}, now);
  }
  for (const DialId dial : plan_.take_due(now)) {
    actions_.push_back(Connect{dial, dials_.at(dial).endpoint});
  }
}

std::optional<SessionId> Node::connected(DialId dial, Instant now) {
  if (!plan_.is_calling(dial)) return std::nullopt;
  plan_.connected(dial);
  ++stats_.dialed;
  return start_session(SessionRef{0, dial, dials_.at(dial).endpoint, std::nullopt}, now);
}

void Node::connect_failed(DialId dial, const Error& error, Instant now) {
  if (plan_.is_calling(dial)) dial_failed(dial, error, now);
}

void Node::dial_failed(DialId dial, const Error& error, Instant now) {
  tell(SessionEvent{SessionRef{0, dial, dials_.at(dial).endpoint, std::nullopt},
                    replication::Ended{error, {}, {}}});
  dial_over(dial, Duration::zero(), now);
}

void Node::dial_over(DialId dial, Duration lasted, Instant now) {
  const auto found = dials_.find(dial);
  if (found != dials_.end() && !stopping_) {
    found->second.session = 0;
    if (plan_.over(dial, lasted, now)) return;
  }
  dials_.erase(dial);
  tell_dial_over(dial);
}

void Node::tell_dial_over(DialId dial) {
  tell_fetches_of_dial(dial, 0);
  const auto sync = sync_dials_.extract(dial);
  if (sync && find_sync(sync.mapped()) != nullptr) find_sync(sync.mapped())->take(DialOver{dial});
  actions_.push_back(DialOver{dial});
}

Result<std::vector<replication::Denied>> Node::ask(const DialOptions& options, Session& session) {
  std::vector<replication::Denied> failed;
  const auto is_of_log = [&](const LogKey& log, const Error& error) {
    if (ends(error.code) >= Scope::kSession) return false;
    failed.push_back({0, log, replication::DenyReason::kBusy, error});
    return true;
  };
  for (const LogKey& log : options.offers) {
    const auto offered = session.offer(log);
    if (offered || offered.error().code == Errc::kLogUnknown) continue;
    if (!is_of_log(log, offered.error())) return fail(offered.error());
  }
  if (options.wants.empty()) return failed;
  CULM_TRY(const auto transaction, store_.read());
  for (const replication::WantRequest& want : options.wants) {
    const auto asked = [&]() -> Result<void> {
      CULM_TRY(const auto state, transaction.find_log(want.log));
      CULM_CHECK(session.want(state ? widened(want, state->interest) : want));
      return {};
    }();
    if (!asked && !is_of_log(want.log, asked.error())) return fail(asked.error());
  }
  return failed;
}

Result<replication::WantId> Node::want(SessionId session, const replication::WantRequest& request,
                                       Instant now) {
  Link* const link = find_open(session);
  if (link == nullptr) return fail(Errc::kPeerClosed);
  auto want = link->connection.session().want(request);
  settle(*link, now);
  return want;
}

void Node::cancel(SessionId session, replication::WantId want, Instant now) {
  Link* const link = find_open(session);
  if (link == nullptr) return;
  link->connection.session().cancel(want);
  settle(*link, now);
}

Result<void> Node::offer(SessionId session, const LogKey& log, Instant now) {
  Link* const link = find_open(session);
  if (link == nullptr) return fail(Errc::kPeerClosed);
  auto offered = link->connection.session().offer(log);
  settle(*link, now);
  return offered;
}

void Node::close_session(SessionId session, std::optional<Errc> code, Instant now) {
  Link* const link = find_open(session);
  if (link == nullptr) return;
  link->connection.session().close(code);
  settle(*link, now);
}

TaskId Node::run(StoreTask body) { return run(std::move(body), false); }

TaskId Node::run(StoreTask body, bool waits) {
  const TaskId id = ++last_task_;
  if (stopping_ && links_.empty()) {
    actions_.push_back(TaskFinished{id, fail(Errc::kStoreReadOnly)});
  } else {
    queue_.push(Task{id, std::move(body), waits});
  }
  return id;
}

void Node::log_changed(const LogKey& log, Instant now) {
  actions_.push_back(LogChanged{log});
  fan_out({&log, 1}, {}, now);
}

void Node::keep_wanted(Link& link, const LogKey& log) {
  const auto found = dials_.find(link.ref.dial);
  if (found == dials_.end() || found->second.kept.contains(log)) return;
  const auto wanted = found->second.wanted.find(log);
  if (wanted == found->second.wanted.end()) return;
  if (keep_interest(link, log, wanted->second)) found->second.kept.insert(log);
}

bool Node::keep_interest(Link& link, const LogKey& log, const store::LogInterest& interest) {
  const auto transaction = store_.read();
  const auto state = transaction ? transaction->find_log(log) : fail(transaction.error());
  if (!state || !*state || (*state)->held.empty()) {
    auto& waits = link.keeps[log];
    store::LogInterest all = interest;
    if (waits) replication::widen(all, *waits);
    if (!waits || all != *waits) waits = std::make_shared<const store::LogInterest>(std::move(all));
    return false;
  }
  if (replication::grown((*state)->interest, interest) == (*state)->interest) return true;
  const bool while_known = is_while_known(link, log);
  const TaskId task = run([log, interest, while_known](store::Store& store) {
    return store.update([&](store::WriteTransaction& writing) -> Result<void> {
      CULM_TRY(const auto known, writing.find_log(log));
      if (while_known && !known) return {};
      return replication::keep_interest(writing, log, interest);
    });
  });
  own_tasks_.emplace(task, InterestTask{link.ref.id, link.ref.dial, log});
  return true;
}

void Node::keep_after(const replication::WorkReport& report) {
  Link* const link = find(report.id.session);
  if (link == nullptr || !report.outcome || report.outcome->added.empty()) return;
  const auto waited = link->keeps.extract(report.log);
  // It may have grown since the unit was handed out.
  if (waited) static_cast<void>(keep_interest(*link, report.log, *waited.mapped()));
}

std::vector<SessionStatus> Node::sessions() const {
  std::vector<SessionStatus> out;
  for (const auto& [id, link] : links_) {
    if (!link.connection.is_open()) continue;
    out.push_back({link.ref, link.agent, link.connection.session().stats()});
  }
  return out;
}

NodeStats Node::stats() const {
  NodeStats out = stats_;
  for (const auto& [id, link] : links_) out.sessions += link.connection.session().stats();
  return out;
}

void Node::stop(Instant now) {
  CULM_ASSERT(!stopping_);
  now_ = now;
  for (auto& [id, running] : syncs_) running.sync.end(SyncOutcome::kStopped, now);
  stopping_ = true;
  std::vector<DialId> idle;
  for (const auto& [id, dial] : dials_) {
    if (plan_.is_calling(id)) actions_.push_back(CancelConnect{id});
    plan_.remove(id);
    if (dial.session == 0) idle.push_back(id);
  }
  for (const DialId id : idle) {
    tell_stopped(id, dials_.at(id).endpoint);
    dials_.erase(id);
  }
  std::vector<SessionId> all;
  for (const auto& [id, link] : links_) all.push_back(id);
  for (const SessionId id : all) close_session(id, std::nullopt, now);
  stop_when_alone();
}

void Node::stop_when_alone() {
  if (!stopping_ || stopped_ || !links_.empty() || !queue_.is_idle()) return;
  stopped_ = true;
  advance_syncs();  // their reports come before
  actions_.push_back(Stopped{});
}

}  // namespace culm::node
