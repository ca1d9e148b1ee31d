// What a sync asks of which peer, and whom it asks next.
#include <algorithm>
#include <utility>

#include "culm/replication/node/sync.hpp"

namespace culm::node {
namespace {

/// Whether a call fails for want of room or of a session: then something else will happen.
bool is_passing(const Error& error) {
  return error.code == Errc::kBusy || error.code == Errc::kPeerClosed;
}

}  // namespace

void Sync::ask_and_offer(Call& call, Log& log) {
  if (is_ending_ || log.is_dropped) return;
  if (request_.push) offer(call, log);
  if (log.state.wants_nothing()) return;
  if (request_.live) {
    log.asked_after.erase(call.dial);
    if (log.source != 0 && log.is_caught_up) return ask_after(log);
    if (log.source == 0 && !set_source(log, call)) ask_later(log);
    return;
  }
  if (request_.quote_only) ask(call, log, Question::kQuote);
  if (call.peer == 0) ask(call, log, Question::kWhole);
}

void Sync::offer(Call& call, Log& log) {
  const auto offered = peers_.offer(call.session, log.state.key());
  if (offered) log.state.offered(call.peer);
  if (offered || is_passing(offered.error())) return;
  // Of a log that is new here there is nothing to offer, until there is.
  if (offered.error().code == Errc::kLogUnknown) {
    log.unoffered.insert(call.dial);
  } else if (log.state.takes(offered.error())) {
    settle(log);
  } else {
    fail_with(offered.error());
  }
}

void Sync::ask(Call& call, Log& log, Question question) {
  if (is_ending_ || log.is_dropped || log.state.wants_nothing()) return;
  replication::WantRequest want = log.state.want();
  want.live = false;
  want.quote_only = true;
  if (question == Question::kHead) want.interest = log.state.interest_now();
  if (question == Question::kWhole) {
    want = {.log = want.log, .interest = everything(), .quote_only = true, .from_nothing = true};
  }
  const auto asked = peers_.want(call.session, want);
  if (asked) {
    call.asked.emplace(*asked, Asked{&log, question, log.source});
  } else if (!is_passing(asked.error())) {
    if (!log.state.takes(asked.error())) return fail_with(asked.error());
    settle(log);
  } else if (question == Question::kWhole) {
    log.state.end_whole();
  } else if (question == Question::kQuote && log.quoting.erase(call.peer) != 0 &&
             log.quoting.empty()) {
    log.state.end_quotes();
  }
}

void Sync::answered(const Call& call, const Asked& asked) {
  Log& log = *asked.log;
  if (asked.question == Question::kWhole) log.state.end_whole();
  if (asked.question == Question::kQuote && log.quoting.erase(call.peer) != 0 &&
      log.quoting.empty()) {
    log.state.end_quotes();
  }
  settle(log);
}

void Sync::choose_source(Log& log) {
  if (is_ending_ || log.is_dropped || log.source != 0 || log.state.wants_nothing()) return;
  const auto& dials = log.group->dials;
  auto dial = dials.upper_bound(log.last_source);
  bool is_anybody = false;
  for (std::size_t i = 0; i < dials.size(); ++i, ++dial) {
    if (dial == dials.end()) dial = dials.begin();
    Call& call = calls_.at(*dial);
    if (call.session == 0) continue;
    if (set_source(log, call)) return;
    is_anybody = true;
  }
  if (is_anybody) ask_later(log);
}

bool Sync::set_source(Log& log, Call& call) {
  if (is_ending_ || log.is_dropped) return false;
  log.last_source = call.dial;
  const auto want = peers_.want(call.session, log.state.want());
  if (want) {
    log.source = call.dial;
    log.source_head = 0;
    log.is_caught_up = false;
    log.want = *want;
    log.active_at = log.asked_at = now_;
  } else if (!is_passing(want.error()) && !log.state.takes(want.error())) {
    fail_with(want.error());
  }
  return want.has_value();
}

void Sync::leave_source(Log& log) {
  const auto call = calls_.find(log.source);
  if (call != calls_.end()) peers_.cancel(call->second.session, log.want);
  log.source = 0;
}

void Sync::ask_lower(Log& log) {
  if (log.source == 0 || log.state.want().interest.newest == 0) return;
  leave_source(log);
  choose_source(log);
}

void Sync::source_declined(Log& log) {
  log.source = 0;
  if (now_ - log.asked_at >= kAskAgainAfter) log.declined = 0;
  const auto connected = std::ranges::count_if(
      log.group->dials, [this](DialId dial) { return calls_.at(dial).session != 0; });
  if (std::cmp_less(++log.declined, connected)) return choose_source(log);
  ask_later(log);
}

void Sync::ask_later(Log& log) {
  log.declined = 0;
  log.ask_again = now_ + kAskAgainAfter;
  asks_again_ = true;
}

void Sync::ask_after(Log& log) {
  log.asked_after.insert(log.source);
  for (const DialId dial : log.group->dials) {
    Call& call = calls_.at(dial);
    if (call.session != 0 && log.asked_after.insert(dial).second) ask(call, log, Question::kHead);
  }
}

void Sync::take_news(Log& log, const Call& call) {
  if (!request_.live || is_ending_) return;
  if (log.source == 0) {
    // Not for ever in a row of one that then declines.
    const Instant soon = std::max(now_, log.asked_at + kLookEvery);
    if (log.ask_again && soon < *log.ask_again) log.ask_again = soon;
    return;
  }
  const bool is_answer =
      std::ranges::any_of(call.asked, [&](const auto& asked) { return asked.second.log == &log; });
  if (is_answer) return;
  if (log.news.empty()) log.active_at = now_;  // the source has its time to bring it
  log.news.insert(call.dial);
}

void Sync::look_after_logs() {
  asks_again_ = false;
  for (Log& log : logs_) {
    if (log.ask_again && now_ >= *log.ask_again) {
      log.ask_again.reset();
      choose_source(log);
    }
    asks_again_ = asks_again_ || log.ask_again;
    const bool is_news = log.is_caught_up && !log.news.empty();
    const Duration quiet_max = is_news ? kNewsAfter : kQuietAfter;
    if (!has_several() || now_ < log.active_at + quiet_max) continue;
    log.active_at = now_;
    if (!is_news) log.asked_after.clear();
    for (const DialId dial : std::exchange(log.news, {})) log.asked_after.erase(dial);
    ask_after(log);
  }
}

}  // namespace culm::node
