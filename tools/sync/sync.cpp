#include "tools/sync/sync.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kAskAgainAfter = std::chrono::seconds(10);
/// A session has room for so many wants, and each log may take two.
constexpr std::size_t kLogsPerSession = limits::kWantsPerSessionMax / 2;
/// Of several peers: a quote for the whole, one for what is wanted, and two segments.
constexpr std::size_t kLogsPerFetch = limits::kWantsPerSessionMax / 5;
/// So many of them at a time, or each would seem late while the others have their turn.
constexpr std::size_t kFetchesAtATime = 3;
/// Less than this is pings.
constexpr std::uint64_t kMovedBytesMin = 1024;

bool is_refused(const Error& error) {
  return error.code == Errc::kNetwork && error.detail == ECONNREFUSED;
}

/// Whether another try, some time later, cannot help.
bool is_final(const Error& error) {
  return error.code == Errc::kPeerUnexpected || error.code == Errc::kHandshake ||
         exit_of(error) == Exit::kVerification || exit_of(error) == Exit::kStore;
}

/// Takes away what a have had no room to speak of.
void cut_to_said(RangeSet& set, const RangeSet& said) {
  if (said.ranges().size() < limits::kRangesPerMessageMax || said.max() == kSeqnumMax) return;
  set.erase({said.max() + 1, kSeqnumMax});
}

Failure to_failure(const Error& error, const std::string& text, bool is_established) {
  Failure failure(error);
  if (failure.exit == Exit::kUsage) failure.exit = Exit::kNetwork;
  if (is_refused(error)) {
    failure.message = "nobody listens there (connection refused)";
  } else if (!is_established && error.code == Errc::kFrameTruncated) {
    failure.message = "hung up on the handshake: another network key, or no culm peer";
  } else if (error.code == Errc::kFrameTruncated) {
    failure.message = "went away";
    failure.step = "run the same again to go on; what came is kept";
  } else if (error.code == Errc::kPeerUnexpected) {
    failure.message = "is not the peer that --peer names";
  } else if (!text.empty()) {
    failure.message += ": \"" + preview(as_bytes(text), 200) + "\"";
  }
  return failure;
}

}  // namespace

template <class Handler>
auto Sync::guarded(Handler handler) {
  return [alive = std::weak_ptr<const bool>(alive_),
          handler = std::move(handler)](const auto&... arguments) {
    if (!alive.expired()) handler(arguments...);
  };
}

bool SyncTotals::is_established() const {
  return std::ranges::any_of(peers, [](const PeerSync& peer) { return peer.peer.has_value(); });
}

Sync::Sync(Context& context, const SyncOptions& options, const SyncPlace& place,
           std::vector<LogSync>& logs)
    : context_(context), options_(options), place_(place), timer_(place.io) {
  make_groups(logs);
}

Sync::~Sync() {
  if (observer_ != 0) place_.node.end_observe(observer_);
}

void Sync::make_groups(std::vector<LogSync>& logs) {
  const std::size_t logs_per_group = options_.also.empty() ? kLogsPerSession : kLogsPerFetch;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (i % logs_per_group == 0) groups_.emplace_back();
    Group& group = groups_.back();
    LogSync& log = logs[i];
    by_key_.emplace(log.log, &log);
    group.logs.push_back(&log);
  }
}

void Sync::begin(const SyncTarget& target, std::function<void(Outcome<void>)> done) {
  for (const node::Endpoint& endpoint : target.endpoints) {
    totals_.peers.push_back({endpoint, std::nullopt, {}, std::nullopt});
  }
  expected_peer_ = target.peer;
  done_ = std::move(done);
  started_ = progressed_ = Clock::now();
  transport::NodeObserver observer;
  observer.committed = guarded([this](const auto& report) { on_committed(report); });
  observer_ = place_.node.observe(std::move(observer));
  if (options_.undelete) {
    undelete();
  } else {
    start_groups();
  }
  tick();
}

void Sync::interrupt() {
  if (options_.live) return finish({});
  Failure interrupted(Exit::kNetwork, Errc::kPeerClosed, "interrupted");
  interrupted.fields["reason"] = "interrupted";
  finish(fail_with(std::move(interrupted).next("run the same again to go on; what came is kept")));
}

void Sync::start_groups() {
  // For ever, all at a time; once, one after the other.
  for (Group& group : groups_) {
    start(group);
    if (!options_.live) break;
  }
}

void Sync::start(Group& group) {
  node::DialOptions options;
  options.expected_peer = expected_peer_;
  options.reconnect = options_.live;
  group.wants.clear();
  replication::WantId id = 0;  // a session counts its wants from 1
  for (LogSync* const log : group.logs) {
    if (!has_several()) {
      options.wants.push_back(log->want);
      group.wants[++id] = {log, Part::kWanted};
    }
    if (!options_.live) {
      replication::WantRequest whole;
      whole.log = log->log;
      whole.interest = everything();
      whole.quote_only = true;
      whole.from_nothing = true;
      options.wants.push_back(whole);
      group.wants[++id] = {log, Part::kWhole};
    }
    if (options_.push) options.offers.push_back(log->log);
  }
  dial(group, 0, std::move(options));
  if (!has_several()) return;
  for (std::size_t peer = 1; peer < totals_.peers.size(); ++peer) dial(group, peer, {});
  fetch(group);
}

void Sync::dial(Group& group, std::size_t peer, node::DialOptions options) {
  const node::DialId id =
      place_.node.dial(totals_.peers[peer].endpoint, std::move(options),
                       guarded([this, &group](const auto& session, const auto& event) {
                         on_event(group, session, event);
                       }));
  if (peer == 0) group.dial = id;
  group.under_way.emplace(id, peer);
}

void Sync::fetch(Group& group) {
  for (; group.fetching < kFetchesAtATime && group.fetched < group.logs.size(); ++group.fetching) {
    LogSync* const log = group.logs[group.fetched++];
    node::FetchRequest request{log->want, {}};
    for (const auto& [dial, peer] : group.under_way) request.from.push_back(dial);
    transport::FetchHandlers handlers;
    handlers.quoted = guarded([log](const node::FetchQuoted& quoted) {
      const bool is_more = !log->quote || quoted.quote.wire_bytes > log->quote->wire_bytes;
      if (is_more) log->quote = quoted.quote;
    });
    handlers.ended = guarded([this, &group, log](const node::FetchEnded& ended) {
      on_fetched(*log, ended);
      --group.fetching;
      if (!finished_) fetch(group);
    });
    place_.node.fetch(std::move(request), std::move(handlers));
  }
}

void Sync::on_fetched(LogSync& log, const node::FetchEnded& ended) {
  progressed_ = Clock::now();
  log.whole_over = true;  // nobody waits for that alone
  log.is_incomplete =
      !ended.error && !ended.missing.empty() && ended.outcome != node::FetchOutcome::kBudget;
  if (ended.error || !ended.is_served) {
    log.error = ended.error;
    log.want_denied =
        ended.error ? replication::DenyReason::kBusy : replication::DenyReason::kNotServed;
  } else {
    log.done = ended.outcome == node::FetchOutcome::kBudget ? replication::DoneReason::kBudget
                                                            : replication::DoneReason::kComplete;
  }
  look_later();
}

void Sync::undelete() {
  // Runs in the node's own thread: it shares nothing with this one.
  std::map<LogKey, Interest> wanted;
  for (const auto& [key, log] : by_key_) wanted.emplace(key, log->want.interest);
  place_.node.update(
      [wanted](store::WriteTransaction& transaction) -> Result<void> {
        for (const auto& [key, interest] : wanted) {
          CULM_TRY(const auto state, transaction.find_log(key));
          if (!state) continue;
          CULM_CHECK(transaction.undelete_payloads(key, resolve(interest, state->head())));
        }
        return {};
      },
      guarded([this](const Result<void>& done) {
        if (done) return start_groups();
        finish(fail_with(Failure(done.error()).about("--undelete")));
      }));
}

void Sync::on_event(Group& group, const node::SessionRef& session,
                    const replication::Event& event) {
  if (!group.under_way.contains(session.dial)) return;
  progressed_ = Clock::now();
  if (const auto* established = std::get_if<replication::Established>(&event)) {
    group.last_failure.clear();
    PeerSync& peer = totals_.peers[group.under_way.at(session.dial)];
    peer.peer = established->peer;
    peer.failure.reset();
    on_established(session, *established);
  } else if (const auto* has = std::get_if<replication::PeerHas>(&event)) {
    on_peer_has(*has);
  } else if (const auto* quoted = std::get_if<replication::Quoted>(&event)) {
    const auto asked = group.wants.find(quoted->want);
    if (asked == group.wants.end()) return;
    LogSync& log = *asked->second.log;
    (asked->second.part == Part::kWhole ? log.whole_quote : log.quote) = quoted->quote;
  } else if (const auto* caught_up = std::get_if<replication::CaughtUp>(&event)) {
    // A node may take other logs from the peer as well.
    const auto found = by_key_.find(caught_up->log);
    if (!options_.live || found == by_key_.end()) return;
    say_received();
    const LogSync& log = *found->second;
    say({{"event", "caught_up"}, {"log", to_string(log.log)}, {"head", log.peer_head}},
        short_name(log.log) + ": caught up with the peer at " + human_count(log.peer_head));
  } else if (const auto* ended = std::get_if<replication::WantEnded>(&event)) {
    on_want_ended(group, *ended);
  } else if (const auto* denied = std::get_if<replication::Denied>(&event)) {
    on_denied(group, *denied);
  } else if (const auto* over = std::get_if<replication::Ended>(&event)) {
    on_ended(group, session, *over);
  }
  look_later();
}

void Sync::on_established(const node::SessionRef& session, const replication::Established& event) {
  if (!options_.live) return;
  const std::string address = node::to_string(session.remote);
  say({{"event", "connected"}, {"peer", to_hex(event.peer.bytes)}, {"address", address}},
      "connected to peer " + short_name(event.peer) + " at " + address);
}

void Sync::on_peer_has(const replication::PeerHas& has) {
  const auto found = by_key_.find(has.log);
  if (found == by_key_.end()) return;
  LogSync& log = *found->second;
  log.peer_head = std::max(log.peer_head, has.head);
  log.peer_held = has.held;
  log.peer_payloads = has.payloads;
  if (!has.payloads_excepted.empty()) log.peer_refuses = has.payloads_excepted;
  if (!options_.push) return;
  if (auto checked = check_pushed(log); !checked) finish(std::move(checked));
}

Outcome<void> Sync::check_pushed(LogSync& log) {
  CULM_TOOLS_TRY(const auto transaction, place_.store.read());
  CULM_TOOLS_TRY(const auto known, transaction.find_log(log.log));
  if (!known) {  // of a log that is new here there is nothing to be confirmed
    log.pushed = true;
    return {};
  }
  const store::LogState& state = *known;
  // Of very many ranges a have names the lowest; the head vouches for the rest.
  RangeSet held = state.served();
  RangeSet payloads = state.payloads & held;
  cut_to_said(held, log.peer_held);
  cut_to_said(payloads, log.peer_payloads);
  log.pushed = log.peer_head >= state.head() && log.peer_held.contains(held) &&
               (log.peer_payloads | log.peer_refuses).contains(payloads);
  if (!log.pushed) return {};
  const SeqNum said = std::exchange(log.pushed_head, state.head());
  if (options_.live && log.pushed_head > said) {
    say({{"event", "pushed"}, {"log", to_string(log.log)}, {"head", state.head()}},
        short_name(log.log) + ": the peer holds everything up to " + human_count(state.head()));
  }
  return {};
}

void Sync::on_denied(Group& group, const replication::Denied& denied) {
  const auto found = by_key_.find(denied.log);
  if (found == by_key_.end()) return;
  LogSync& log = *found->second;
  if (denied.want == 0) {
    log.offer_denied = denied.reason;
    if (options_.live) {
      say({{"event", "offer_denied"}, {"log", to_string(log.log)}},
          short_name(log.log) + ": " + why_offer_denied(denied.reason));
    }
    return;
  }
  const auto asked = group.wants.find(denied.want);
  if (asked != group.wants.end() && asked->second.part == Part::kWhole) {
    log.whole_over = true;
    return;
  }
  log.want_denied = denied.reason;
  log.error = denied.error;
  if (!options_.live) return;
  to_ask_.push_back({Clock::now() + kAskAgainAfter, &group, &log});
  if (options_.push) return;  // it is about to learn of the log
  say({{"event", "want_denied"}, {"log", to_string(log.log)}},
      short_name(log.log) + ": " +
          (log.error ? message(*log.error) : "the peer does not serve this log") +
          "; asking again now and then");
}

void Sync::ask_again() {
  const auto now = Clock::now();
  while (!to_ask_.empty() && to_ask_.front().at <= now) {
    const Retry retry = to_ask_.front();
    to_ask_.pop_front();
    for (const auto& session : place_.node.sessions()) {
      if (session.session.dial != retry.group->dial || !session.session.peer) continue;
      const auto want = place_.node.want(session.session.id, retry.log->want);
      if (want) retry.group->wants[*want] = {retry.log, Part::kWanted};
    }
  }
}

void Sync::on_want_ended(Group& group, const replication::WantEnded& ended) {
  const auto asked = group.wants.find(ended.want);
  if (asked == group.wants.end()) return;
  if (asked->second.part == Part::kWhole) {
    asked->second.log->whole_over = true;
  } else {
    asked->second.log->done = ended.reason;
  }
}

void Sync::on_ended(Group& group, const node::SessionRef& session,
                    const replication::Ended& ended) {
  const std::size_t peer = group.under_way.at(session.dial);
  PeerSync& from = totals_.peers[peer];
  from.stats += ended.stats;
  if (!options_.live) group.under_way.erase(session.dial);
  if (finished_) return;
  if (group.is_closing) {
    group.is_over = group.under_way.empty();
    return;
  }
  const Error error = ended.error.value_or(Error{Errc::kPeerClosed});
  Failure failure = to_failure(error, ended.text, from.peer.has_value());
  const std::string about = "peer " + node::to_string(from.endpoint);
  if (has_several()) return on_peer_lost(group, peer, std::move(failure).about(about));
  if (!options_.live || is_final(error)) return finish(fail_with(std::move(failure).about(about)));
  if (failure.message == group.last_failure) return;
  group.last_failure = failure.message;
  say({{"event", "disconnected"}, {"message", failure.message}},
      "no connection: " + failure.message + "; trying again");
}

void Sync::on_peer_lost(Group& group, std::size_t peer, Failure failure) {
  if (peer == 0) {
    for (LogSync* const log : group.logs) log->whole_over = true;
  }
  totals_.peers[peer].failure = failure;
  // Those who are left may bring all of it.
  if (group.under_way.empty()) finish(fail_with(std::move(failure)));
}

void Sync::on_committed(const replication::WorkReport& report) {
  progressed_ = Clock::now();
  const auto found = by_key_.find(report.log);
  if (found == by_key_.end() || !report.outcome) return;
  LogSync& log = *found->second;
  log.added |= report.outcome->added;
  if (report.outcome->defect && options_.live) {
    say({{"event", "defect"}, {"log", to_string(log.log)}, {"at", report.outcome->defect->at}},
        short_name(log.log) + ": the author forked the log at " +
            human_count(report.outcome->defect->at));
  }
  if (options_.live) unsaid_[report.log] += report.outcome->added.count();
  // What the peer said it holds may now be all of what is valid here: a fork was just found.
  if (options_.push && report.outcome->defect) {
    if (auto checked = check_pushed(log); !checked) finish(std::move(checked));
    look_later();
  }
}

bool Sync::is_complete(const LogSync& log) const {
  const bool has_come = log.done || log.want_denied;
  const bool has_gone = !options_.push || log.pushed || log.offer_denied;
  return has_come && has_gone && log.whole_over;
}

void Sync::look_later() {
  if (std::exchange(look_posted_, true)) return;
  asio::post(place_.io, guarded([this] {
               look_posted_ = false;
               look();
             }));
}

void Sync::look() {
  if (options_.live || finished_) return;
  for (Group& group : groups_) {
    if (group.is_over) continue;
    if (group.dial == 0) return start(group);
    const auto complete = [this](const LogSync* log) { return is_complete(*log); };
    if (!group.is_closing && std::ranges::all_of(group.logs, complete)) {
      group.is_closing = true;
      const auto sessions = place_.node.sessions();
      std::erase_if(group.under_way, [&](const auto& row) {
        place_.node.end_dial(row.first);
        // Of one that has no session nothing more is told.
        return std::ranges::none_of(sessions, [&](const node::SessionStatus& session) {
          return session.session.dial == row.first;
        });
      });
      group.is_over = group.under_way.empty();
      if (group.is_over) look_later();
    }
    return;
  }
  const bool is_incomplete =
      std::ranges::any_of(by_key_, [](const auto& row) { return row.second->is_incomplete; });
  if (!is_incomplete) return finish({});
  const auto lost = std::ranges::find_if(
      totals_.peers, [](const PeerSync& peer) { return peer.failure.has_value(); });
  if (lost != totals_.peers.end()) return finish(fail_with(*lost->failure));
  finish(fail_with(Failure(Exit::kNetwork, Errc::kPeerStalled,
                           "no peer brought all that one of them says it holds")
                       .next("run the same again to go on; what came is kept")));
}

void Sync::tick() {
  timer_.expires_after(kTick);
  timer_.async_wait(guarded([this](const ErrorCode& code) {
    if (code || finished_) return;
    const auto moved = totals().stats;
    const std::uint64_t bytes = moved.bytes_received + moved.bytes_sent;
    const auto now = Clock::now();
    if (bytes >= moved_bytes_ + kMovedBytesMin) {
      moved_bytes_ = bytes;
      progressed_ = now;
    }
    say_received();
    ask_again();
    show_progress(moved);
    const std::chrono::duration<double> idle = now - progressed_;
    if (!options_.live && idle.count() > options_.timeout_seconds) {
      return finish(fail_with(
          Failure(Exit::kNetwork, Errc::kTimeout,
                  "nothing has moved for " + human_duration(options_.timeout_seconds))
              .about(has_several() ? "the peers"
                                   : "peer " + node::to_string(totals_.peers.front().endpoint))
              .next("run the same again to go on; what came is kept")));
    }
    tick();
  }));
}

SyncTotals Sync::totals() const {
  SyncTotals totals = totals_;
  for (const node::SessionStatus& session : place_.node.sessions()) {
    for (const Group& group : groups_) {
      const auto own = group.under_way.find(session.session.dial);
      if (own != group.under_way.end()) totals.peers[own->second].stats += session.stats;
    }
  }
  for (const PeerSync& peer : totals.peers) totals.stats += peer.stats;
  return totals;
}

void Sync::show_progress(const replication::SessionStats& stats) {
  if (!place_.has_terminal || options_.live || options_.quote || context_.json) return;
  std::uint64_t total = 0;
  for (const auto& [key, log] : by_key_) {
    if (!log->quote && !log->want_denied) return;
    if (log->quote) total += log->quote->wire_bytes;
    if (options_.push && log->want_denied) total = 0;
  }
  if (!progress_) {
    progress_.emplace(options_.push ? "moving" : "receiving", total, Progress::Unit::kBytes);
  }
  progress_->show(options_.push ? stats.bytes_sent + stats.bytes_received : stats.bytes_received);
}

void Sync::say(const Json& event, const std::string& text) {
  auto written = context_.json ? context_.out.write_json(event) : context_.out.write(text + "\n");
  if (written) written = context_.out.flush();
  if (!written) finish(std::move(written));
}

void Sync::say_received() {
  for (const auto& [key, count] : std::exchange(unsaid_, {})) {
    if (count == 0) continue;
    const LogSync& log = *by_key_.at(key);
    const SeqNum highest = log.added.max();
    say({{"event", "received"}, {"log", to_string(key)}, {"entries", count}, {"up_to", highest}},
        short_name(key) + ": " + human_entries(count) + " received, up to " + human_count(highest));
  }
}

void Sync::finish(Outcome<void> outcome) {
  if (std::exchange(finished_, true)) return;
  timer_.cancel();
  progress_.reset();
  // A handler of the node may be what came here.
  asio::post(place_.io, guarded([this, outcome = std::move(outcome)] {
               totals_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
               std::vector<node::DialId> dials;
               for (const Group& group : groups_) {
                 for (const auto& [dial, peer] : group.under_way) dials.push_back(dial);
               }
               transport::Node& node = place_.node;
               const auto done = std::move(done_);
               done(outcome);  // this may be gone then
               for (const node::DialId dial : dials) node.end_dial(dial);
             }));
}

}  // namespace culm::tools
