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

Sync::Sync(Context& context, const SyncOptions& options, const SyncPlace& place,
           std::vector<LogSync>& logs)
    : context_(context), options_(options), place_(place), timer_(place.io) {
  make_groups(logs);
}

Sync::~Sync() {
  if (observer_ != 0) place_.node.end_observe(observer_);
}

void Sync::make_groups(std::vector<LogSync>& logs) {
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (i % kLogsPerSession == 0) groups_.emplace_back();
    Group& group = groups_.back();
    LogSync& log = logs[i];
    by_key_.emplace(log.log, &log);
    group.logs.push_back(&log);
  }
}

void Sync::begin(const node::Endpoint& endpoint,
                 const std::optional<sealing::PeerKey>& expected_peer,
                 std::function<void(Outcome<void>)> done) {
  endpoint_ = endpoint;
  expected_peer_ = expected_peer;
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
  node::DialOptions dial;
  dial.expected_peer = expected_peer_;
  dial.reconnect = options_.live;
  group.wants.clear();
  replication::WantId id = 0;  // a session counts its wants from 1
  for (LogSync* const log : group.logs) {
    dial.wants.push_back(log->want);
    group.wants[++id] = {log, Part::kWanted};
    if (!options_.live) {
      replication::WantRequest whole;
      whole.log = log->log;
      whole.interest = everything();
      whole.quote_only = true;
      whole.from_nothing = true;
      dial.wants.push_back(whole);
      group.wants[++id] = {log, Part::kWhole};
    }
    if (options_.push) dial.offers.push_back(log->log);
  }
  group.dial = place_.node.dial(endpoint_, std::move(dial),
                                guarded([this, &group](const auto& session, const auto& event) {
                                  on_event(group, session, event);
                                }));
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
  progressed_ = Clock::now();
  if (const auto* established = std::get_if<replication::Established>(&event)) {
    group.last_failure.clear();
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
    on_ended(group, *over);
  }
  look_later();
}

void Sync::on_established(const node::SessionRef& session, const replication::Established& event) {
  totals_.peer = event.peer;
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

void Sync::on_ended(Group& group, const replication::Ended& ended) {
  totals_.stats += ended.stats;
  if (finished_) return;
  if (group.is_closing) {
    group.is_over = true;
    return;
  }
  const Error error = ended.error.value_or(Error{Errc::kPeerClosed});
  Failure failure = to_failure(error, ended.text, totals_.peer.has_value());
  if (!options_.live || is_final(error)) {
    return finish(fail_with(std::move(failure).about("peer " + node::to_string(endpoint_))));
  }
  if (failure.message == group.last_failure) return;
  group.last_failure = failure.message;
  say({{"event", "disconnected"}, {"message", failure.message}},
      "no connection: " + failure.message + "; trying again");
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
      place_.node.end_dial(group.dial);
    }
    return;
  }
  finish({});
}

void Sync::tick() {
  timer_.expires_after(kTick);
  timer_.async_wait(guarded([this](const ErrorCode& code) {
    if (code || finished_) return;
    const auto moved = stats();
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
      return finish(
          fail_with(Failure(Exit::kNetwork, Errc::kTimeout,
                            "nothing has moved for " + human_duration(options_.timeout_seconds))
                        .about("peer " + node::to_string(endpoint_))
                        .next("run the same again to go on; what came is kept")));
    }
    tick();
  }));
}

replication::SessionStats Sync::stats() const {
  replication::SessionStats sum = totals_.stats;
  for (const node::SessionStatus& session : place_.node.sessions()) {
    const auto is_own = [&](const Group& group) {
      return group.dial != 0 && group.dial == session.session.dial;
    };
    if (std::ranges::any_of(groups_, is_own)) sum += session.stats;
  }
  return sum;
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
               totals_.stats = stats();
               for (const Group& group : groups_) {
                 if (group.dial != 0) place_.node.end_dial(group.dial);
               }
               totals_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
               const auto done = std::move(done_);
               done(outcome);
             }));
}

}  // namespace culm::tools
