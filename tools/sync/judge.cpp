#include <algorithm>
#include <cerrno>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr const char* kGoOn = "run the same again to go on; what came is kept";

Failure denied(std::string why) { return {Exit::kNetwork, Errc::kDenied, std::move(why)}; }

/// Of the first peer that was given up, if there is one.
std::optional<Failure> first_lost(const node::SyncReport& report) {
  const auto lost = std::ranges::find_if(
      report.peers, [](const node::PeerReport& peer) { return peer.error.has_value(); });
  if (lost == report.peers.end()) return std::nullopt;
  return why_lost(*lost->error, lost->text, lost->peer.has_value())
      .about("peer " + node::to_string(lost->endpoint));
}

/// What has ended the sync before its logs had come to their ends.
Outcome<void> judge_end(const SyncOptions& options, const node::SyncReport& report) {
  switch (report.outcome) {
    case node::SyncOutcome::kDone:
      return {};
    case node::SyncOutcome::kFailed:
      return fail_with(Failure(report.error.value_or(Error{Errc::kStoreIo})));
    case node::SyncOutcome::kIncomplete:
    case node::SyncOutcome::kNoPeer:
      if (const auto lost = first_lost(report)) return fail_with(*lost);
      return fail_with(Failure(Exit::kNetwork, Errc::kPeerStalled,
                               options.also.empty()
                                   ? "the peer did not bring all that it says it holds"
                                   : "no peer brought all that one of them says it holds")
                           .next(kGoOn));
    case node::SyncOutcome::kIdle:
      return fail_with(Failure(Exit::kNetwork, Errc::kTimeout,
                               "nothing has moved for " + human_duration(options.timeout_seconds))
                           .about(options.also.empty() ? "peer " + options.address : "the peers")
                           .next(kGoOn));
    case node::SyncOutcome::kDeadline:
      if (options.live) return {};
      return fail_with(Failure(Exit::kNetwork, Errc::kTimeout,
                               "not done within " + human_duration(options.deadline_seconds))
                           .next(kGoOn));
    case node::SyncOutcome::kStopped:
      break;
  }
  if (options.live) return {};
  Failure interrupted(Exit::kNetwork, Errc::kPeerClosed, "interrupted");
  interrupted.fields["reason"] = "interrupted";
  return fail_with(std::move(interrupted).next(kGoOn));
}

Outcome<void> judge_log(const SyncOptions& options, const node::LogReport& log) {
  const auto fail_of_log = [&](Failure failure) {
    return fail_with(std::move(failure).about(short_name(log.log)));
  };
  if (log.offer_denied) {
    const bool is_busy = log.offer_denied == replication::DenyReason::kBusy;
    const std::string where = log.offer_denied_by ? node::to_string(*log.offer_denied_by) : "";
    return fail_of_log(denied("the peer at " + where + " " + why_denied(*log.offer_denied, true))
                           .next(is_busy ? "try again later"
                                         : "start that relay with --accept " + to_string(log.log)));
  }
  if (log.error) return fail_of_log(*log.error);
  if (log.outcome != node::LogOutcome::kDenied || log.is_pushed) return {};
  return fail_of_log(
      denied((options.also.empty() ? "the peer " : "no peer brings it: the last ") +
             why_denied(log.denied.value_or(replication::DenyReason::kNotServed), false)));
}

}  // namespace

Failure why_lost(const Error& error, const std::string& text, bool has_answered) {
  Failure failure(error);
  if (failure.exit == Exit::kUsage) failure.exit = Exit::kNetwork;
  if (error.code == Errc::kNetwork && error.detail == ECONNREFUSED) {
    failure.message = "nobody listens there (connection refused)";
  } else if (!has_answered && error.code == Errc::kFrameTruncated) {
    failure.message = describe(Errc::kHandshake);
  } else if (error.code == Errc::kFrameTruncated) {
    failure.message = "went away";
    failure.step = kGoOn;
  } else if (error.code == Errc::kPeerUnexpected) {
    failure.message = "is not the peer that --peer names";
  } else if (!text.empty()) {
    failure.message += ": \"" + preview(as_bytes(text), 200) + "\"";
  }
  return failure;
}

std::string why_denied(replication::DenyReason reason, bool is_offer) {
  switch (reason) {
    case replication::DenyReason::kBusy:
      return is_offer ? "cannot take this log for now" : "is busy; try again later";
    case replication::DenyReason::kCapped:
      return "knows of a fork of this log";
    case replication::DenyReason::kUnanchored:
      return "sent what proves nothing here";
    case replication::DenyReason::kNotServed:
    case replication::DenyReason::kNotWanted:
      break;
  }
  return is_offer ? "does not take this log" : "does not serve this log";
}

Outcome<void> judge(const SyncOptions& options, const node::SyncReport& report) {
  CULM_TOOLS_CHECK(judge_end(options, report));
  for (const node::LogReport& log : report.logs) {
    if (log.cap == 0) continue;
    Failure failure(Exit::kFork, Errc::kFork,
                    "the author forked the log at " + human_count(log.cap) +
                        "; what lies below stays valid, and the evidence is kept");
    failure.fields["log"] = to_string(log.log);
    failure.fields["cap"] = log.cap;
    return fail_with(
        std::move(failure).about(short_name(log.log)).next("`culm verify` shows the evidence"));
  }
  if (options.live) return {};  // what was denied was said, and may have been granted since
  for (const node::LogReport& log : report.logs) CULM_TOOLS_CHECK(judge_log(options, log));
  return {};
}

}  // namespace culm::tools
