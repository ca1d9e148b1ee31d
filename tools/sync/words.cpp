// What happens in a sync, and why it is no success.
#include <algorithm>
#include <chrono>
#include <sstream>
#include <utility>

#include "culm/replication/host/sync_lines.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

/// Where a peer cannot serve or take a log.
constexpr std::string_view kIfCannot =
    "try again later, or another peer; the log of that relay says which it is";

/// Where damage to its store is why.
constexpr std::string_view kIfDamaged =
    "who runs the peer must mend its store: its log says which log, `culm verify` there what is "
    "damaged, and `culm repair --from HOST:PORT` there takes it again; or name another peer with "
    "--also";

/// How to do without payloads that nobody has kept.
std::string without_payloads(const node::LogReport& log) {
  const RangeSet lacking = log.payloads_missing - log.payloads_left_out;
  if (lacking.empty()) return {};
  return "; or do without them: `culm delete " + name_of_one(log.log) + " --payloads --range " +
         to_string(fit_in_command(lacking)) + "`" + then_others(lacking);
}

/// What no peer can take, and is wanted here all the same.
RangeSet owed_cut_off(const node::LogReport& log) {
  RangeSet owed;
  for (const node::Unconfirmed& one : log.unconfirmed) owed |= one.entries & log.cut_off;
  return owed;
}

/// Logs of which all that was named is here, where it lies beyond the head of another one.
std::string which_fit(const node::SyncReport& report) {
  constexpr std::size_t kNamedMax = 5;
  std::string names;
  std::size_t count = 0;
  for (const node::LogReport& log : report.logs) {
    if (!log.beyond_head.empty() || log.outcome != node::LogOutcome::kComplete) continue;
    if (++count <= kNamedMax) names += (names.empty() ? "" : ", ") + short_name(log.log);
  }
  if (count > kNamedMax) names += " and " + human_count(count - kNamedMax) + " more";
  return names.empty() ? "" : "; --range fits " + names + ", of which all of it is here";
}

/// Of a log of which the peers have brought, and taken, all that they do.
Failure explain_partial(const node::SyncRequest& request, const node::SyncReport& report,
                        const node::LogReport& log, const Error& error) {
  if (log.error) {
    const std::string again =
        log.head != 0 || request.joining.are_all
            ? ""
            : "; then run the same again: as nothing of this log is here, a sync that "
              "names none does not ask for it";
    return Failure(Exit::kNetwork, error.code,
                   std::string("not all that is wanted ") +
                       (request.quote_only ? "would come" : "came") +
                       ": the peer's store is damaged")
        .next(std::string(kIfDamaged) + again);
  }
  if (const RangeSet owed = owed_cut_off(log); !owed.empty()) {
    return Failure(Exit::kNotFound, error.code,
                   "what " + human_entries(owed.count()) +
                       " here lead to was lost, so that nobody can take them")
        .next(std::string(kTakeLostAgain) +
              "; where nobody has it, want less (`culm select`; `culm verify` says what is lost): "
              "then they stay readable here, and the push is whole with the rest");
  }
  if (!log.unconfirmed.empty()) {
    return Failure(Exit::kNotFound, error.code, "not all that is here is confirmed to be there")
        .next(
            "keep it here. What was deleted at the peer comes back by `culm sync HOST:PORT " +
            whole_name_of_one(log.log) +
            " --undelete` there, HOST:PORT being a relay that holds it (`culm relay` makes one of "
            "this store); where nobody needs it, delete it here too, and the push is whole");
  }
  Failure failure(Exit::kNotFound, error.code, "not all that is wanted is here");
  if (log.missing.empty() && log.payloads_missing == log.payloads_left_out) {
    return std::move(failure).next("without --payload-max the rest comes too");
  }
  if (log.payloads_missing.empty() && log.beyond_head.contains(log.missing)) {
    const std::string fits = which_fit(report);
    if (log.end_of_log == 0) {
      return std::move(failure).next("run it again when the log has grown" + fits);
    }
    return std::move(failure).next("ask for less: the author ended the log with entry " +
                                   std::to_string(log.end_of_log) + ", and nothing follows it" +
                                   fits);
  }
  if (!log.damaged.empty()) {
    return std::move(failure).next(std::string(kIfDamaged) + without_payloads(log));
  }
  if (log.silent.empty()) {
    return std::move(failure).next("another peer may hold it: name it with --also" +
                                   without_payloads(log));
  }
  return std::move(failure).next("the peer at " + node::to_string(log.silent.front()) +
                                 " has not said what it holds: run the same again when it "
                                 "answers, or name another with --also");
}

/// Peers that are not told to take it.
std::vector<node::Endpoint> unwilling(const node::LogReport& log) {
  std::vector<node::Endpoint> peers;
  for (const node::OfferDenied& denied : log.offer_denied_by) {
    if (denied.reason == replication::DenyReason::kNotWanted) peers.push_back(denied.endpoint);
  }
  return peers;
}

/// What a relay is to be started with, for all logs that it does not take.
std::string accepting(const node::SyncReport& report, const node::LogReport& first) {
  constexpr std::size_t kNamedMax = 20;
  std::string text;
  std::size_t count = 0;
  for (const node::LogReport& log : report.logs) {
    const bool is_same = unwilling(log) == unwilling(first);
    if (is_same && ++count <= kNamedMax) text += " --accept " + whole_name_of_one(log.log);
  }
  if (count <= kNamedMax) return text + " besides";
  return text + " besides, and likewise for " + human_logs(count - kNamedMax) + " more";
}

/// By each peer that declines what is pushed of it.
std::string why_refused(const node::LogReport& log) {
  std::string text;
  for (const node::OfferDenied& denied : log.offer_denied_by) {
    text += (text.empty() ? "the peer at " : "; the peer at ") + to_string(denied.endpoint) + " " +
            why_denied(denied.reason, true);
  }
  return text;
}

/// For each that declines what is pushed.
std::string how_taken(const node::SyncReport& report, const node::LogReport& log) {
  constexpr auto kDamaged = replication::DenyReason::kDamaged;
  const bool is_damaged = std::ranges::any_of(
      log.offer_denied_by, [](const auto& denied) { return denied.reason == kDamaged; });
  const std::vector<node::Endpoint> peers = unwilling(log);
  if (peers.empty()) {
    return is_damaged ? "keep it here; " + std::string(kIfDamaged) : std::string(kIfCannot);
  }
  std::string text = peers.size() == 1 ? "start that relay with" : "start these relays with";
  if (peers.size() != log.offer_denied_by.size()) {
    text = "start the relay at";
    for (const node::Endpoint& peer : peers) {
      text += (peer == peers.front() ? " " : " and at ") + to_string(peer);
    }
    text += " with";
  }
  text += accepting(report, log) +
          "; or push it to another and name the logs to push here; where it takes what it refuses "
          "already, and was appended to there, `culm ls` there says what to do first";
  return is_damaged ? text + "; where the store is damaged, " + std::string(kIfDamaged) : text;
}

Failure explain(const node::SyncRequest& request, const node::SyncReport& report,
                const node::LogReport& log, const Error& error) {
  if (log.outcome == node::LogOutcome::kBudget && error.code == Errc::kUsage) {
    return Failure(Exit::kUsage, error.code, "nothing that is missing fits into the budget")
        .next("with --budget 64KiB or more something comes each time");
  }
  const bool is_offer = !log.offer_denied_by.empty();
  if (node::is_partial(log) && !is_offer) return explain_partial(request, report, log, error);
  const bool is_lost_there = log.error == Error{Errc::kPeerStore};
  const bool is_placeless = request.live && log.outcome == node::LogOutcome::kFailed;
  if (is_placeless && log.error == Error{Errc::kBusy}) {
    return Failure(Exit::kNetwork, error.code,
                   "begun here while the sync ran, which has no room for more logs")
        .next("run the same again, which takes it from the beginning");
  }
  if (is_offer) {
    return Failure(Exit::kNetwork, error.code, why_refused(log)).next(how_taken(report, log));
  }
  if (log.error && !is_lost_there) return *log.error;
  const auto reason = log.denied.value_or(replication::DenyReason::kNotServed);
  const std::string who = is_of_one(request) ? "the peer" : "no peer brings it: the last";
  Failure failure(Exit::kNetwork, error.code, who + " " + why_denied(reason, false));
  if (reason == replication::DenyReason::kNotServed && log.head != 0) {
    const std::string address = is_of_one(request) ? to_string(request.peers[0].endpoint) : "";
    return std::move(failure).next("push it there: `culm sync " +
                                   (address.empty() ? "HOST:PORT" : address) + " " +
                                   name_of_one(log.log) +
                                   " --push`; where that relay does not take it, another may: name "
                                   "the logs to fetch here");
  }
  if (reason == replication::DenyReason::kNotServed) {
    std::string step =
        "check the name of the log; or push it there first, from where it is; where it was "
        "appended to there, `culm ls` there says whether a sync has to come first";
    if (log.log.log_id == LogId{}) {
      step += "; other logs of the author are asked for by name, like ";
      step += whole_name_of_one({log.log.author, LogId{1}});
    }
    return std::move(failure).next(step);
  }
  if (reason == replication::DenyReason::kDamaged) return std::move(failure).next(kIfDamaged);
  if (reason == replication::DenyReason::kBusy) return std::move(failure).next(kIfCannot);
  return failure;
}

Failure explain(const node::PeerReport& peer, const Error& error) {
  Failure failure = why_lost(error, peer.text);
  if (!peer.error) {
    failure.message = "it did not answer";
    failure.step = "what the others confirm is there; run the same again when it answers";
  }
  // With an error of this side's own no peer is concerned.
  if (fault(error.code) == Fault::kOwnStore) return failure;
  return std::move(failure).about("peer " + node::to_string(peer.endpoint));
}

std::string no_answer(const node::SyncRequest& request, const node::SyncReport& report) {
  if (!is_of_one(request)) return "no peer has answered";
  const node::PeerReport& peer = report.peers[0];
  return peer.error ? why_lost(*peer.error, peer.text).message : "the peer has not answered";
}

/// As it was given, however short.
std::string human_limit(Duration limit) {
  if (limit >= std::chrono::seconds(1)) return human_duration(limit);
  std::ostringstream text;
  text << std::chrono::duration<double, std::milli>(limit).count() << " ms";
  return std::move(text).str();
}

/// What ended the sync before its logs had theirs; nothing if nothing did.
std::string how_ended(const node::SyncRequest& request, const node::SyncReport& report) {
  switch (report.outcome) {
    case node::SyncOutcome::kStopped:
      return "interrupted";
    case node::SyncOutcome::kDeadline:
      return "not done within " + human_limit(*request.whole_max);
    case node::SyncOutcome::kIdle:
      return "nothing has moved for " + human_limit(request.idle_max);
    default:
      return {};
  }
}

Failure explain(const node::SyncRequest& request, const node::SyncReport& report,
                const node::SyncShortfall& why) {
  if (why.log != nullptr) {
    return explain(request, report, *why.log, why.error).about(short_name(why.log->log));
  }
  const std::string ended = how_ended(request, report);
  if (why.peer != nullptr) {
    Failure failure = explain(*why.peer, why.error);
    if (!ended.empty()) failure.message.insert(0, ended + ": ");
    return failure;
  }
  if (report.outcome == node::SyncOutcome::kFailed) return why.error;
  Failure failure(Exit::kNetwork, why.error.code, ended);
  if (report.outcome == node::SyncOutcome::kStopped) {
    failure.fields["error"] = failure.message;
  } else if (report.outcome == node::SyncOutcome::kIdle) {
    failure.what =
        is_of_one(request) ? "peer " + node::to_string(request.peers[0].endpoint) : "the peers";
  } else if (ended.empty()) {
    failure.message = is_of_one(request) ? "the peer did not bring all that it says it holds"
                                         : "no peer brought all that one of them says it holds";
  }
  if (is_answered(report)) return std::move(failure).next(kGoOn);
  failure.message += ": " + no_answer(request, report);
  if (report.outcome == node::SyncOutcome::kStopped) return failure;
  return std::move(failure).next("check the address, and that `culm relay` runs behind it");
}

bool has_gone(const node::SyncRequest& request, const node::SyncReport& report) {
  return request.push && report.stats.entries_sent + report.stats.payload_bytes_sent != 0;
}

/// What moved before is said, and where nothing did, nothing is said to be kept.
Outcome<void> fail_with_why(const node::SyncRequest& request, const node::SyncReport& report,
                            const node::SyncShortfall& why) {
  Failure failure = explain(request, report, why);
  if (failure.step == kGoOn) {
    const std::string came = what_came(request, report);
    failure.step = has_come(report) || has_gone(request, report)
                       ? "run the same again to go on; " + came
                       : came + "; run the same again";
  }
  return fail_with(std::move(failure));
}

/// A live sync ends when somebody ends it: what counts is that nothing was left to come or to go.
bool is_done_live(const node::SyncRequest& request, const node::SyncReport& report) {
  using enum node::LogOutcome;
  const bool was_ended = report.outcome == node::SyncOutcome::kStopped ||
                         report.outcome == node::SyncOutcome::kDeadline;
  return request.live && was_ended && std::ranges::none_of(report.logs, [](const auto& log) {
           return log.outcome == kIncomplete || log.outcome == kUnfinished;
         });
}

Failure explain_fork(const node::LogReport& log) {
  Failure failure(Exit::kFork, Errc::kFork,
                  "the author forked the log at " + std::to_string(log.cap) +
                      human_dropped(log.dropped, log.payloads_dropped) +
                      (log.cap > 1 ? "; what lies below stays valid" : "; nothing of it is valid") +
                      ", and the evidence is kept");
  failure.fields = {{"log", to_string(log.log)}, {"cap", log.cap}};
  const std::string name = short_name(log.log);
  if (!log.dropped.empty()) failure.fields["seqnums"] = to_string(log.dropped);
  const std::string kept =
      "`culm cat " + name_of_one(log.log) + " --dropped` prints what was dropped; ";
  failure.step = (log.payloads_dropped.empty() ? "" : kept) + "`culm verify` shows the evidence";
  failure.step += "; its author goes on with another log: `culm append --key FILE --log-id N`";
  return std::move(failure).about(name);
}

std::string reason_of(const node::SyncDisconnected& told) {
  return why_lost(told.error, told.text).message;
}

/// An event for people; of some nothing is said.
class Words {
 public:
  explicit Words(const node::SyncRequest& request) : request_(request) {}

  std::string operator()(const node::SyncConnected& told) const {
    return "connected to peer " + short_name(told.peer) + " at " + node::to_string(told.endpoint);
  }
  std::string operator()(const node::SyncDisconnected& told) const {
    const bool is_own = fault(told.error.code) == Fault::kOwnStore;
    const std::string peer = is_of_one(request_) ? "" : " to " + node::to_string(told.endpoint);
    return (is_own ? "the store takes nothing" : "no connection" + peer) + ": " + reason_of(told) +
           (told.is_given_up ? "; given up" : "; trying again");
  }
  std::string operator()(const node::SyncReceived& told) const {
    return of(told, human_entries(told.entries) + " received, up to ", told.up_to);
  }
  std::string operator()(const node::SyncCaughtUp& told) const {
    const bool is_all = told.missing.empty() && told.payloads_missing.empty();
    return of(told, "caught up with " + the_peer(told.endpoint) + " at ", told.head) +
           (is_all
                ? ""
                : "; it does not hold " + human_unconfirmed(told.missing, told.payloads_missing));
  }
  std::string operator()(const node::SyncPushed& told) const {
    const bool is_all = told.unconfirmed.empty() && told.payloads_unconfirmed.empty();
    return of(told, the_peer(told.endpoint) + " holds everything that is here, up to ", told.head) +
           (is_all ? ""
                   : ", except " + human_unconfirmed(told.unconfirmed, told.payloads_unconfirmed));
  }
  std::string operator()(const node::SyncForked& told) const {
    return of(told, "the author forked the log at ", told.at) +
           human_dropped(told.dropped, told.payloads_dropped);
  }
  std::string operator()(const node::SyncForgotten& told) const {
    return short_name(told.log) + ": forgotten here, and not synced any more";
  }
  std::string operator()(const node::SyncJoined& told) const {
    return short_name(told.log) + ": known here now, and " +
           (told.error ? "not synced: " + message(*told.error) : "synced as well");
  }
  std::string operator()(const node::SyncDenied& told) const {
    if (request_.push && !told.is_offer) return {};  // the peer is about to learn of the log
    return short_name(told.log) + ": " +
           (told.error ? message(*told.error)
                       : the_peer(told.endpoint) + " " + why_denied(told.reason, told.is_offer)) +
           (told.is_offer ? "" : "; asking again now and then");
  }
  template <class Other>
  std::string operator()(const Other& /*told*/) const {
    return {};
  }

 private:
  template <class Told>
  static std::string of(const Told& told, const std::string& what, SeqNum seqnum) {
    return short_name(told.log) + ": " + what + std::to_string(seqnum);
  }
  [[nodiscard]] std::string the_peer(const node::Endpoint& endpoint) const {
    return tools::the_peer(request_, endpoint);
  }

  const node::SyncRequest& request_;
};

}  // namespace

std::string what_came(const node::SyncRequest& request, const node::SyncReport& report) {
  const bool is_pushed =
      request.push && std::ranges::any_of(report.logs, &node::LogReport::is_pushed);
  const std::string here = has_come(report) ? "what came is kept" : "";
  std::string there;
  if (has_gone(request, report)) there = "what arrived there is kept";
  if (is_pushed) there = "what is confirmed is there";
  if (!here.empty() || !there.empty()) {
    return here + (here.empty() || there.empty() ? "" : ", ") + there;
  }
  if (!is_answered(report)) return no_answer(request, report);
  return request.push ? "nothing has moved" : "nothing came";
}

std::string human_unconfirmed(const RangeSet& entries, const RangeSet& payloads) {
  const std::string these = human_entries(entries.count()) + ": " + human_ranges(entries);
  const RangeSet others = payloads - entries;
  if (others.empty()) return these;
  return (entries.empty() ? "" : these + ", and ") +
         ("the payloads of " + human_entries(others.count())) + ": " + human_ranges(others);
}

void SyncTeller::show(const node::SyncProgress& now) {
  // What will be sent nobody knows before.
  const std::uint64_t total = request_.push ? 0 : now.bytes_expected.value_or(0);
  if (!line_) line_.emplace(request_.push ? "moving" : "receiving", total, Progress::Unit::kBytes);
  line_->set_total(total);
  line_->show(now.stats.bytes_received + (request_.push ? now.stats.bytes_sent : 0));
}

bool SyncTeller::tell(const node::SyncEvent& event) {
  if (told_) told_ = say(event);
  return told_.has_value();
}

Outcome<void> SyncTeller::say(const node::SyncEvent& event) {
  const auto* const now = std::get_if<node::SyncProgress>(&event);
  if (now != nullptr && !request_.quote_only && !context_.json) show(*now);
  const bool is_told = request_.live || std::holds_alternative<node::SyncForgotten>(event);
  std::string text = is_told ? std::visit(Words(request_), event) : "";
  if (text.empty()) return {};
  if (context_.json) {
    Json line = *control::event_line(event);
    const auto* const lost = std::get_if<node::SyncDisconnected>(&event);
    if (lost != nullptr) {
      line["error"] = name(lost->error.code);
      line["message"] = reason_of(*lost);
    }
    CULM_TOOLS_CHECK(context_.out.write_json(line));
  } else {
    CULM_TOOLS_CHECK(context_.out.say(text + "\n"));
  }
  return context_.out.flush();
}

Outcome<void> judge(const node::SyncRequest& request, const node::SyncReport& report) {
  if (is_done_live(request, report)) {
    node::SyncReport done = report;
    done.outcome = node::SyncOutcome::kDone;
    return judge(request, done);
  }
  const auto why = node::why_not_done(report);
  if (why && why->log == nullptr) return fail_with_why(request, report, *why);
  const auto forked =
      std::ranges::find_if(report.logs, [](const node::LogReport& log) { return log.cap != 0; });
  if (forked != report.logs.end()) return fail_with(explain_fork(*forked));
  return why ? fail_with_why(request, report, *why) : Outcome<void>();
}

}  // namespace culm::tools
