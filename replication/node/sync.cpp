// The course of a sync: groups of logs, the turns of the logs, and the end.
#include "culm/replication/node/sync.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"
#include "culm/replication/node/fetch_planner.hpp"

namespace culm::node {
namespace {

/// With one peer: a fetch has three wants at most, and the quote of the whole is one.
constexpr std::size_t kLogsAtATime = limits::kWantsPerSessionMax / 5;
/// With several, or each would seem late while the others have their turn.
constexpr std::size_t kLogsOfSeveralAtATime = 3;
/// So much may come before something new is there: on slow links a message takes long.
constexpr std::uint64_t kVainBytesMax = limits::kMessageBytesMax;
/// What comes in a session before anything of the logs, and of each log: what the peer holds and
/// quotes of it, twice. Measured.
constexpr std::uint64_t kSessionBytes = 190;
constexpr std::uint64_t kAnswersBytes = 240;
/// Less than this is pings.
constexpr std::uint64_t kActiveBytesMin = limits::kProgressBytes;

}  // namespace

Sync::Sync(SyncRequest request, const store::Store& store, Peers& peers)
    : request_(std::move(request)), store_(store), peers_(peers) {
  CULM_ASSERT(is_sound(request_));
  for (const SyncPeer& peer : request_.peers) reports_.push_back({.endpoint = peer.endpoint});
}

Result<void> Sync::prepare() {
  // A peer that takes a log wants it for as long as the session lasts.
  const bool is_wanted_throughout = request_.live || request_.push;
  const std::size_t group_max =
      is_wanted_throughout ? limits::kWantsPerSessionMax : limits::kLogsNamedPerSessionMax;
  CULM_TRY(const auto transaction, store_.read());
  for (replication::WantRequest want : request_.logs) {
    if (request_.while_known.contains(want.log)) {
      const auto state = transaction.find_log(want.log);
      if (state && !*state) {
        events_.emplace_back(SyncForgotten{want.log});
        continue;
      }
    }
    if (request_.live && logs_.size() == kLiveLogsMax) return fail(Errc::kBusy);
    want.live = request_.live;
    want.quote_only = request_.quote_only;
    if (logs_.size() % group_max == 0) groups_.emplace_back();
    CULM_CHECK(add(std::move(want), groups_.back(), transaction));
  }
  return {};
}

void Sync::begin(Instant now) {
  if (is_ending_) return;
  now_ = ticked_ = active_at_ = now;
  began_ = now;
  if (groups_.empty()) return finish();
  start_group();
  while (request_.live && groups_begun_ < groups_.size()) start_group();
}

void Sync::start_group() {
  Group& group = groups_[groups_begun_++];
  for (std::size_t peer = 0; peer < request_.peers.size(); ++peer) {
    if (given_up_.contains(peer)) continue;
    const auto& [endpoint, expected] = request_.peers[peer];
    const DialId dial =
        peers_.dial(endpoint, {.expected_peer = expected, .reconnect = request_.live});
    group.dials.insert(dial);
    calls_.emplace(dial, Call{dial, &group, peer});
  }
  if (group.dials.empty()) return end(SyncOutcome::kNoPeer, now_);
  go_on(group);
}

std::size_t Sync::logs_at_a_time() const {
  if (request_.live) return limits::kWantsPerSessionMax;
  return has_several() ? kLogsOfSeveralAtATime : kLogsAtATime;
}

void Sync::go_on(Group& group) {
  while (!is_ending_ && group.turns < logs_at_a_time() && group.begun < group.logs.size()) {
    Log& log = *group.logs[group.begun++];
    ++group.turns;
    start(log);
    count_if_over(log);
  }
  if (!is_ending_ && !group.is_closing && group.over == group.logs.size()) close(group);
}

void Sync::start(Log& log) {
  log.is_begun = log.has_turn = true;
  log.active_at = now_;
  if (log.state.has_failed() || log.is_dropped) return;
  std::set<std::size_t> peers;
  for (const DialId dial : log.group->dials) {
    if (!calls_.at(dial).is_given_up) peers.insert(calls_.at(dial).peer);
  }
  for (std::size_t peer = 0; peer < request_.peers.size(); ++peer) {
    if (!peers.contains(peer)) log.state.peer_lost(peer);
  }
  const bool asks = !log.state.wants_nothing();
  if (request_.live || !peers.contains(0) || !asks) log.state.end_whole();
  if (request_.quote_only) log.quoting = std::move(peers);
  for (const DialId dial : log.group->dials) {
    Call& call = calls_.at(dial);
    if (call.session != 0) ask_and_offer(call, log);
  }
  if (request_.quote_only) {
    if (log.quoting.empty() || !asks) log.state.end_quotes();
  } else if (!request_.live && !is_ending_ && asks) {
    const FetchId fetch =
        peers_.fetch({log.state.want(), {log.group->dials.begin(), log.group->dials.end()}});
    by_fetch_.emplace(fetch, &log);
  }
}

void Sync::settle(Log& log) {
  if (request_.live || !log.is_begun) return;
  count_if_over(log);
  go_on(*log.group);
}

void Sync::count_if_over(Log& log) {
  if (request_.live) return;
  if (log.has_turn && (log.is_dropped || log.state.is_turn_over())) {
    log.has_turn = false;
    --log.group->turns;
  }
  if (!log.is_over && (log.is_dropped || log.state.is_over(request_.push))) {
    log.is_over = true;
    ++log.group->over;
  }
}

void Sync::close(Group& group) {
  group.is_closing = true;
  for (const DialId dial : group.dials) peers_.end_dial(dial);
}

void Sync::finish() {
  const bool is_incomplete = std::ranges::any_of(logs_, [this](const Log& log) {
    return !log.is_dropped && (log.state.report().outcome == LogOutcome::kIncomplete ||
                               (request_.push && log.state.is_push_lost()));
  });
  end(is_incomplete ? SyncOutcome::kIncomplete : SyncOutcome::kDone, now_);
}

void Sync::end(SyncOutcome outcome, Instant now, std::optional<Error> error) {
  if (std::exchange(is_ending_, true)) return;
  report_.outcome = outcome;
  report_.error = error;
  report_.took = now - began_.value_or(now);
  // Rows stay: a caller may hold one.
  for (const auto& [fetch, log] : by_fetch_) peers_.end_fetch(fetch);
  for (const auto& [dial, call] : calls_) peers_.end_dial(dial);
  peers_.conclude_after_commits();
}

void Sync::conclude() {
  take_what_happened();
  for (Log& log : logs_) tell_received(log);
  SyncReport& report = report_;
  report.peers = reports_;
  for (const PeerReport& peer : report.peers) report.stats += peer.stats;
  const auto transaction = store_.read();
  if (!transaction && !report.error) report.error = transaction.error();
  const std::span pushed_to(report.peers.data(), request_.push ? report.peers.size() : 0);
  for (Log& log : logs_) {
    if (log.is_dropped) continue;
    auto concluded = transaction ? log.state.conclude(*transaction, pushed_to)
                                 : Result<LogReport>(log.state.report());
    if (!concluded && ends(concluded.error().code) < Scope::kSession) {
      log.state.failed(concluded.error());
    } else if (!concluded && !report.error) {
      report.error = concluded.error();
    }
    report.logs.push_back(concluded ? *std::move(concluded) : log.state.report());
    // Of a push that was cut off nobody knows what the peer would confirm in the end.
    const bool is_cut = request_.push && (!log.is_over || log.state.is_push_lost());
    LogReport& told = report.logs.back();
    if (is_cut && !request_.live && told.outcome == LogOutcome::kPartial && !told.error) {
      told.outcome = LogOutcome::kUnfinished;
    }
    told.silent = find_silent(log);
    const bool is_whole = told.missing.empty() && told.payloads_missing.empty();
    for (const std::size_t peer : log.damaged) {
      if (!is_whole) told.damaged.push_back(report.peers[peer].endpoint);
    }
  }
  add_connections_to_quotes();
  if (report.error) report.outcome = SyncOutcome::kFailed;
  is_over_ = true;
  events_.emplace_back(SyncEnded{std::move(report)});
}

void Sync::take_what_happened() {
  while (!inbox_.empty()) {
    const Happened happened = std::move(inbox_.front());
    inbox_.pop_front();
    std::visit([this](const auto& one) { on(one); }, happened);
  }
}

void Sync::advance(Instant now) {
  if (!began_ || is_over_) return;
  now_ = now;
  take_what_happened();
  if (request_.whole_max && now - *began_ >= *request_.whole_max) end(SyncOutcome::kDeadline, now);
  const auto tick = next_tick();
  if (is_ending_ || !tick || now < *tick) return;
  ticked_ = now;
  for (Log* const log : std::exchange(unsaid_, {})) tell_received(*log);
  if (request_.live) return look_after_logs();
  const SyncProgress moved = progress();
  events_.emplace_back(moved);
  const std::uint64_t bytes = moved.stats.bytes_received + moved.stats.bytes_sent;
  std::uint64_t pieces = moved.stats.pieces_new;
  if (request_.push) pieces += moved.stats.entries_sent + moved.stats.payload_bytes_sent;
  if (std::exchange(new_pieces_, pieces) != pieces) {
    new_bytes_ = bytes;
    active_at_ = now;
  }
  const bool may_be_new = bytes <= new_bytes_ + kVainBytesMax;
  if (may_be_new && bytes >= active_bytes_ + kActiveBytesMin) {
    active_bytes_ = bytes;
    active_at_ = now;
  }
  if (now - active_at_ >= std::min(FetchPlanner::kLateAfter, request_.idle_max / 2)) {
    pass_over_mute();
  }
  const bool is_closing = groups_[groups_begun_ - 1].is_closing;
  if (!is_closing && now - active_at_ > request_.idle_max) end(SyncOutcome::kIdle, now);
}

std::optional<Instant> Sync::next_deadline() const {
  if (is_ending_ || !began_) return std::nullopt;
  std::optional<Instant> next;
  // What is too far away for an Instant never comes.
  const Duration left = Instant::max() - *began_;
  if (request_.whole_max && *request_.whole_max < left) next = *began_ + *request_.whole_max;
  const auto tick = next_tick();
  return tick && next ? std::min(*tick, *next) : tick ? tick : next;
}

std::optional<Instant> Sync::next_tick() const {
  if (!request_.live || !unsaid_.empty()) return ticked_ + kTickEvery;
  if (has_several() || asks_again_) return ticked_ + kLookEvery;
  return std::nullopt;
}

std::optional<SyncEvent> Sync::next_event() {
  if (events_.empty()) return std::nullopt;
  SyncEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

SyncProgress Sync::progress() const {
  SyncProgress progress{{}, connection_bytes()};
  for (const PeerReport& peer : reports_) progress.stats += peer.stats;
  for (const auto& [dial, call] : calls_) progress.stats += peers_.stats(call.session);
  for (const Log& log : logs_) {
    if (log.is_dropped) continue;
    const LogReport& report = log.state.report();
    if (!report.quote && !report.denied) progress.bytes_expected.reset();
    if (!progress.bytes_expected) break;
    if (report.quote) *progress.bytes_expected += report.quote->wire_bytes;
  }
  return progress;
}

std::uint64_t Sync::connection_bytes() const {
  return request_.peers.size() * (kSessionBytes + logs_.size() * kAnswersBytes);
}

void Sync::add_connections_to_quotes() {
  const std::uint64_t expected = connection_bytes();
  // A quote has received just that.
  const std::uint64_t received = request_.quote_only ? report_.stats.bytes_received : expected;
  const std::size_t logs = report_.logs.size();
  for (std::size_t i = 0; i < logs; ++i) {
    const auto add = [&](std::optional<replication::Quote>& quote, std::uint64_t all) {
      if (!quote) return;
      // Where nothing is missing, nothing is asked for.
      const bool is_nothing = quote->entries + quote->payload_bytes == 0 && quote->exact;
      if (is_nothing) quote->wire_bytes = 0;
      quote->wire_bytes += all / logs + (i < all % logs ? 1 : 0);
    };
    add(report_.logs[i].quote, received);
    add(report_.logs[i].whole_quote, expected);
  }
}

void Sync::tell_received(Log& log) {
  if (log.unsaid == 0) return;
  events_.emplace_back(
      SyncReceived{log.state.key(), std::exchange(log.unsaid, 0), log.state.added().max()});
}

Sync::Log* Sync::find(const LogKey& log) {
  const auto found = by_key_.find(log);
  return found == by_key_.end() ? nullptr : found->second;
}

}  // namespace culm::node
