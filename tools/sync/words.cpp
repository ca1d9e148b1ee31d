// What happens in a sync, and why it is no success.
#include "tools/cli/arguments.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr const char* kGoOn = "run the same again to go on; what came is kept";

bool is_of_one(const node::SyncRequest& request) { return request.peers.size() == 1; }

Failure explain(const node::SyncRequest& request, const node::LogReport& log, const Error& error) {
  if (log.offer_denied) {
    const bool is_busy = log.offer_denied == replication::DenyReason::kBusy;
    const std::string where = log.offer_denied_by ? node::to_string(*log.offer_denied_by) : "";
    return Failure(Exit::kNetwork, error.code,
                   "the peer at " + where + " " + why_denied(*log.offer_denied, true))
        .next(is_busy ? "try again later" : "start that relay with --accept " + to_string(log.log));
  }
  if (log.error) return error;
  const auto reason = log.denied.value_or(replication::DenyReason::kNotServed);
  return {Exit::kNetwork, error.code,
          (is_of_one(request) ? "the peer " : "no peer brings it: the last ") +
              why_denied(reason, false)};
}

Failure explain(const node::SyncRequest& request, const node::SyncReport& report,
                const node::SyncShortfall& why) {
  if (why.log != nullptr) {
    return explain(request, *why.log, why.error).about(short_name(why.log->log));
  }
  if (why.peer != nullptr) {
    Failure failure = why_lost(why.error, why.peer->text, why.peer->peer.has_value());
    if (why.error.code == Errc::kFrameTruncated && why.peer->peer) failure.step = kGoOn;
    return std::move(failure).about("peer " + node::to_string(why.peer->endpoint));
  }
  if (report.outcome == node::SyncOutcome::kFailed) return why.error;
  Failure failure(Exit::kNetwork, why.error.code, "interrupted");
  if (report.outcome == node::SyncOutcome::kStopped) {
    failure.fields["reason"] = failure.message;
  } else if (report.outcome == node::SyncOutcome::kDeadline) {
    failure.message = "not done within " +
                      human_duration(std::chrono::duration<double>(*request.whole_max).count());
  } else if (report.outcome == node::SyncOutcome::kIdle) {
    const double seconds = std::chrono::duration<double>(request.idle_max).count();
    failure.message = "nothing has moved for " + human_duration(seconds);
    failure.what =
        is_of_one(request) ? "peer " + node::to_string(request.peers[0].endpoint) : "the peers";
  } else {
    failure.message = is_of_one(request) ? "the peer did not bring all that it says it holds"
                                         : "no peer brought all that one of them says it holds";
  }
  return std::move(failure).next(kGoOn);
}

/// An event for programs and for people; of some nothing is said.
struct Line {
  Json json;
  std::string text;
};

class Lines {
 public:
  explicit Lines(const node::SyncRequest& request) : request_(request) {}

  Line operator()(const node::SyncConnected& told) const {
    const std::string address = node::to_string(told.endpoint);
    return {{{"event", "connected"}, {"peer", to_hex(told.peer.bytes)}, {"address", address}},
            "connected to peer " + short_name(told.peer) + " at " + address};
  }
  Line operator()(const node::SyncDisconnected& told) const {
    const std::string address = node::to_string(told.endpoint);
    const std::string message = why_lost(told.error, told.text, told.has_answered).message;
    return {{{"event", "disconnected"},
             {"address", address},
             {"message", message},
             {"given_up", told.is_given_up}},
            "no connection" + (is_of_one(request_) ? "" : " to " + address) + ": " + message +
                (told.is_given_up ? "; given up" : "; trying again")};
  }
  Line operator()(const node::SyncReceived& told) const {
    return {{{"event", "received"},
             {"log", to_string(told.log)},
             {"entries", told.entries},
             {"up_to", told.up_to}},
            short_name(told.log) + ": " + human_entries(told.entries) + " received, up to " +
                human_count(told.up_to)};
  }
  Line operator()(const node::SyncCaughtUp& told) const {
    return reached("caught_up", told, "caught up with " + the_peer(told.endpoint) + " at ");
  }
  Line operator()(const node::SyncPushed& told) const {
    return reached("pushed", told, the_peer(told.endpoint) + " holds everything up to ");
  }
  Line operator()(const node::SyncDenied& told) const {
    if (request_.push && !told.is_offer) return {};  // the peer is about to learn of the log
    return {
        {{"event", told.is_offer ? "offer_denied" : "want_denied"},
         {"log", to_string(told.log)},
         {"address", node::to_string(told.endpoint)}},
        short_name(told.log) + ": " +
            (told.error ? message(*told.error)
                        : the_peer(told.endpoint) + " " + why_denied(told.reason, told.is_offer)) +
            (told.is_offer ? "" : "; asking again now and then")};
  }
  Line operator()(const node::SyncForked& told) const {
    return {{{"event", "defect"}, {"log", to_string(told.log)}, {"at", told.at}},
            short_name(told.log) + ": the author forked the log at " + human_count(told.at)};
  }
  Line operator()(const node::SyncProgress& /*told*/) const { return {}; }
  Line operator()(const node::SyncEnded& /*told*/) const { return {}; }

 private:
  [[nodiscard]] std::string the_peer(const node::Endpoint& endpoint) const {
    return is_of_one(request_) ? "the peer" : "the peer at " + node::to_string(endpoint);
  }
  template <class Told>
  [[nodiscard]] static Line reached(const char* event, const Told& told, const std::string& how) {
    return {{{"event", event},
             {"log", to_string(told.log)},
             {"address", node::to_string(told.endpoint)},
             {"head", told.head}},
            short_name(told.log) + ": " + how + human_count(told.head)};
  }

  const node::SyncRequest& request_;
};

}  // namespace

Outcome<void> say(Context& context, const node::SyncRequest& request,
                  const node::SyncEvent& event) {
  if (!request.live) return {};
  const Line line = std::visit(Lines(request), event);
  if (line.text.empty()) return {};
  CULM_TOOLS_CHECK(context.json ? context.out.write_json(line.json)
                                : context.out.write(line.text + "\n"));
  return context.out.flush();
}

Outcome<void> judge(const node::SyncRequest& request, const node::SyncReport& report) {
  const bool is_done_live = request.live && (report.outcome == node::SyncOutcome::kStopped ||
                                             report.outcome == node::SyncOutcome::kDeadline);
  const auto why = node::why_not_done(report);
  if (why && why->log == nullptr && !is_done_live) return fail_with(explain(request, report, *why));
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
  // What was denied live was said, and may have been granted since.
  return why && !request.live ? fail_with(explain(request, report, *why)) : Outcome<void>();
}

}  // namespace culm::tools
