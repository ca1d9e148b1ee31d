// What happens to the node's connections, in time, and to what it writes.
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/replication/node/node.hpp"

namespace culm::node {
namespace {

using replication::SecureChannel;
using replication::Session;

/// Logs that a session cares for at a time: named, awaited, denied, wanted by it and of it.
constexpr std::size_t kCaredForMax =
    2 * limits::kLogsNamedPerSessionMax + 3 * limits::kWantsPerSessionMax;
/// More is a sign that it cares no longer for some; for half of these, so that to look is rare.
constexpr std::size_t kSubscriptionsMax = 2 * kCaredForMax;

/// Sessions whose time has come that go on before anything else does.
constexpr std::size_t kDueAtATime = 16;

/// Whether something was committed that was not held before.
bool has_brought(const replication::WorkReport& report) {
  return report.outcome && (!report.outcome->added.empty() ||
                            !report.outcome->payloads_added.empty() || report.outcome->defect);
}

}  // namespace

Node::Link* Node::find(SessionId session) {
  const auto found = links_.find(session);
  return found == links_.end() ? nullptr : &found->second;
}

Node::Link* Node::find_open(SessionId session) {
  Link* const link = find(session);
  return link != nullptr && link->connection.is_open() ? link : nullptr;
}

const Node::Link* Node::find_open(SessionId session) const {
  return const_cast<Node*>(this)->find_open(session);
}

std::optional<SessionId> Node::accepted(const Endpoint& remote, const Address& address,
                                        Instant now) {
  if (stopping_) return std::nullopt;
  ++stats_.accepted;
  const SessionId session = start_session(SessionRef{0, 0, remote, std::nullopt}, now);
  if (const auto displaced = admission_.arrived(session, address)) {
    ++stats_.displaced;
    displace(*displaced);
  }
  return session;
}

SessionId Node::start_session(SessionRef ref, Instant now) {
  const SessionId id = ++last_session_;
  ref.id = id;
  const auto dial = dials_.find(ref.dial);
  const bool is_outbound = dial != dials_.end();
  Session::Options options{
      .channel = {.role = is_outbound ? SecureChannel::Role::kInitiator
                                      : SecureChannel::Role::kResponder,
                  .identity = options_.identity,
                  .network_id = options_.network_id,
                  .psk = options_.psk,
                  .expected_peer = is_outbound ? dial->second.options.expected_peer : std::nullopt},
      .id = id,
      .agent = options_.agent,
      .damage = damage_};
  auto session = std::make_unique<Session>(std::move(options), store_, policy_, credit_, payloads_,
                                           verifier_, random_, now);
  using Asked = Result<std::vector<replication::Denied>>;
  const Asked asked = is_outbound ? ask(dial->second.options, *session) : Asked();
  if (is_outbound) dial->second.session = id;
  Link& link =
      links_.try_emplace(id, Link{std::move(ref), {}, Connection(std::move(session)), now, {}})
          .first->second;
  if (is_outbound) tell_fetches_of_dial(link.ref.dial, id);
  if (!asked) link.connection.fail(asked.error());
  if (asked) {
    for (const replication::Denied& failed : *asked) tell(SessionEvent{link.ref, failed});
  }
  settle(link, now);
  return id;
}

void Node::received(SessionId session, ByteView bytes, Instant now) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.received(bytes, now);
  settle(*link, now);
  bound_input(now);
}

void Node::receive_ended(SessionId session, Instant now) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.receive_ended();
  settle(*link, now);
}

ByteView Node::pending_output(SessionId session) const {
  const auto found = links_.find(session);
  return found == links_.end() ? ByteView() : found->second.connection.pending_output();
}

void Node::sent(SessionId session, std::size_t bytes, Instant now) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.sent(bytes, now);
  settle(*link, now);
}

void Node::send_failed(SessionId session, Instant now) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.send_failed();
  settle(*link, now);
}

bool Node::wants_input(SessionId session) const {
  const auto found = links_.find(session);
  return found != links_.end() && found->second.connection.wants_input();
}

void Node::settle(Link& link, Instant now) {
  now_ = now;
  Connection& connection = link.connection;
  while (auto event = connection.next_event()) take_event(link, *event);
  if (link.ref.dial == 0) note_use(link);
  if (connection.advance(now)) actions_.push_back(ShutDown{link.ref.id});
  if (connection.state() == Connection::State::kClosed) return forget(link.ref.id, now);
  if (!std::exchange(link.transfers, true)) actions_.push_back(Transfer{link.ref.id});
  arm(link);
}

void Node::arm(Link& link) {
  const auto deadline = link.connection.next_deadline();
  // One that comes too early costs less than one that is set again for each read.
  if (!deadline || (link.armed && *link.armed <= *deadline)) return;
  if (link.armed) timers_.erase({*link.armed, link.ref.id});
  link.armed = deadline;
  timers_.emplace(*deadline, link.ref.id);
}

void Node::take_event(Link& link, replication::Event& event) {
  if (auto* const received = std::get_if<replication::WorkReceived>(&event)) {
    const auto keeps = link.keeps.find(received->work.log);
    if (keeps != link.keeps.end()) received->work.keeps = keeps->second;
    received->work.while_known = is_while_known(link, received->work.log);
    tell_fetches_received(received->work);
    return queue_.push(std::move(received->work));
  }
  if (link.is_refused) {
    auto* const ended = std::get_if<replication::Ended>(&event);
    if (ended == nullptr) return;
    ended->error = Error{Errc::kBusy};  // it may have hung up before it was told
  }
  if (const auto* const named = std::get_if<replication::LogNamed>(&event)) {
    return subscribe(link, named->log);
  }
  if (const auto* const established = std::get_if<replication::Established>(&event)) {
    ++stats_.established;
    link.ref.peer = established->peer;
    link.agent = established->agent;
    // One that has hung up by now takes no place from anybody.
    if (link.ref.dial == 0 && link.connection.is_open() && !admit(link)) return;
  }
  if (const auto* const damaged = std::get_if<replication::Damaged>(&event)) {
    const bool is_news = drop_damaged(&link.connection.session(), *damaged);
    const auto dial = sync_dials_.find(link.ref.dial);
    Sync* const sync = is_news || dial == sync_dials_.end() ? nullptr : find_sync(dial->second);
    if (sync != nullptr) sync->take(SessionEvent{link.ref, event});
    if (!is_news) return;
  }
  if (take_fetch_event(link, event)) return;
  if (const auto* const accepted = std::get_if<replication::OfferAccepted>(&event)) {
    static_cast<void>(keep_interest(link, accepted->log, accepted->interest));
  }
  if (const auto* const has = std::get_if<replication::PeerHas>(&event)) {
    if (has->head != 0) keep_wanted(link, has->log);
  }
  tell(SessionEvent{link.ref, std::move(event)});
}

void Node::subscribe(Link& link, const LogKey& log) {
  const SessionId id = link.ref.id;
  subscriptions_.add(id, log);
  if (subscriptions_.count(id) <= kSubscriptionsMax) return;
  for (const LogKey& entered : subscriptions_.logs_of(id)) {
    if (!link.connection.session().cares_for(entered)) subscriptions_.remove(id, entered);
  }
}

void Node::forget(SessionId session, Instant now) {
  const auto found = links_.find(session);
  const Link& link = found->second;
  stats_.sessions += link.connection.session().stats();
  if (link.armed) timers_.erase({*link.armed, session});
  subscriptions_.remove_all(session);
  admission_.leave(session);
  if (link.ref.dial != 0) tell_fetches_ended(session);
  const DialId dial = link.ref.dial;
  const Duration lasted = now - link.since;
  actions_.push_back(Close{session, link.last_words});
  links_.erase(found);
  if (dial != 0) dial_over(dial, lasted, now);
  stop_when_alone();
}

std::optional<Instant> Node::next_deadline() const {
  if (stopped_) return std::nullopt;
  auto next = plan_.next_deadline();
  if (!timers_.empty() && (!next || timers_.begin()->first < *next)) next = timers_.begin()->first;
  if (!fetch_timers_.empty() && (!next || fetch_timers_.begin()->first < *next)) {
    next = fetch_timers_.begin()->first;
  }
  for (const auto& other : {next_sync_deadline(), next_look(), drops_.next_deadline()}) {
    if (other && (!next || *other < *next)) next = other;
  }
  return next;
}

void Node::deadline_reached(Instant now) {
  now_ = now;
  std::vector<SessionId> due;
  // The rest stays due, so that sockets have their turn meanwhile.
  while (!timers_.empty() && timers_.begin()->first <= now && due.size() < kDueAtATime) {
    due.push_back(timers_.begin()->second);
    links_.at(due.back()).armed.reset();
    timers_.erase(timers_.begin());
  }
  for (const SessionId id : due) {
    Link* const link = find(id);
    if (link == nullptr) continue;
    link->connection.deadline_reached(now);
    settle(*link, now);
  }
  bound_input(now);
  wake_fetches(now);
  drops_.deadline_reached(now);
  call_due(now);
}

void Node::finished(JobResult result, Instant now) {
  now_ = now;
  queue_.finished(result);
  if (!result.reports.empty()) ++stats_.commits;
  stats_.works += result.reports.size();
  std::set<SessionId> told;
  for (replication::WorkReport& report : result.reports) {
    if (Link* const link = find(report.id.session)) {
      link->connection.session().work_finished(report);
      told.insert(report.id.session);
    } else {
      credit_.give_back(report.credit);
    }
    if (has_brought(report)) admission_.brought(report.id.session);
    keep_after(report);
    tell_fetches_stored(report);
    tell_syncs_stored(report);
    actions_.push_back(WorkCommitted{std::move(report)});
  }
  for (const LogKey& log : result.changed) actions_.push_back(LogChanged{log});
  fan_out(result.changed, std::move(told), now);
  for (const LogKey& log : result.damaged) entries_lost(log, now);
  if (result.task != 0) task_finished(result.task, result.outcome, now);
  stop_when_alone();
}

void Node::task_finished(TaskId task, const Result<void>& outcome, Instant now) {
  const auto found = own_tasks_.find(task);
  if (found == own_tasks_.end()) {
    actions_.push_back(TaskFinished{task, outcome});
    return;
  }
  const auto purpose = std::move(found->second);
  own_tasks_.erase(found);
  if (const auto* const start = std::get_if<DialStart>(&purpose)) {
    plan_.release(start->dial, now);
    return call_due(now);
  }
  if (const auto* const end = std::get_if<SyncEnd>(&purpose)) {
    if (Sync* const sync = find_sync(end->sync)) sync->conclude();
    return;
  }
  if (const auto* const dropped = std::get_if<RowDrops::Task>(&purpose)) {
    return drop_finished(*dropped, outcome, now);
  }
  const auto& kept = std::get<InterestTask>(purpose);
  if (outcome) return;
  if (const auto dial = dials_.find(kept.dial); dial != dials_.end()) {
    dial->second.kept.erase(kept.log);
  }
  if (ends(outcome.error().code) < Scope::kSession) return;  // of this log alone
  if (Link* const link = find_open(kept.session)) {
    link->connection.fail(outcome.error());
    settle(*link, now);
  }
}

void Node::wake_for_credit() {
  while (const auto session = credit_.take_waiting()) {
    Link* const link = find_open(*session);
    if (link == nullptr) continue;
    link->connection.session().credit_freed(now_);
    settle(*link, now_);
  }
}

void Node::fan_out(std::span<const LogKey> logs, std::set<SessionId> told, Instant now) {
  for (const LogKey& log : logs) {
    for (auto& [id, running] : syncs_) running.sync.take_changed(log);
    for (const SessionId id : subscriptions_.of(log)) {
      Link* const link = find_open(id);
      if (link == nullptr) continue;
      if (link->connection.session().cares_for(log)) {
        link->connection.session().log_changed(log);
        told.insert(id);
      } else {
        subscriptions_.remove(id, log);
      }
    }
  }
  for (const SessionId id : told) {
    if (Link* const link = find(id)) settle(*link, now);
  }
}

}  // namespace culm::node
