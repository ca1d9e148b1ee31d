#include "tools/cli/arguments.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

/// An event for programs and for people; of some nothing is said.
struct Line {
  Json json;
  std::string text;
};

std::string the_peer(const SyncOptions& options, const node::Endpoint& endpoint) {
  return options.also.empty() ? "the peer" : "the peer at " + node::to_string(endpoint);
}

Line line_of(const SyncOptions& /*options*/, const node::SyncConnected& told) {
  const std::string address = node::to_string(told.endpoint);
  return {{{"event", "connected"}, {"peer", to_hex(told.peer.bytes)}, {"address", address}},
          "connected to peer " + short_name(told.peer) + " at " + address};
}

Line line_of(const SyncOptions& options, const node::SyncDisconnected& told) {
  const std::string message = why_lost(told.error, told.text, told.has_answered).message;
  const std::string where = options.also.empty() ? "" : " to " + node::to_string(told.endpoint);
  return {{{"event", "disconnected"},
           {"address", node::to_string(told.endpoint)},
           {"message", message},
           {"given_up", told.is_given_up}},
          "no connection" + where + ": " + message +
              (told.is_given_up ? "; given up" : "; trying again")};
}

Line line_of(const SyncOptions& /*options*/, const node::SyncReceived& told) {
  return {{{"event", "received"},
           {"log", to_string(told.log)},
           {"entries", told.entries},
           {"up_to", told.up_to}},
          short_name(told.log) + ": " + human_entries(told.entries) + " received, up to " +
              human_count(told.up_to)};
}

Line line_of(const SyncOptions& options, const node::SyncCaughtUp& told) {
  return {{{"event", "caught_up"},
           {"log", to_string(told.log)},
           {"address", node::to_string(told.endpoint)},
           {"head", told.head}},
          short_name(told.log) + ": caught up with " + the_peer(options, told.endpoint) + " at " +
              human_count(told.head)};
}

Line line_of(const SyncOptions& options, const node::SyncPushed& told) {
  return {{{"event", "pushed"},
           {"log", to_string(told.log)},
           {"address", node::to_string(told.endpoint)},
           {"head", told.head}},
          short_name(told.log) + ": " + the_peer(options, told.endpoint) +
              " holds everything up to " + human_count(told.head)};
}

Line line_of(const SyncOptions& options, const node::SyncDenied& told) {
  if (options.push && !told.is_offer) return {};  // the peer is about to learn of the log
  return {{{"event", told.is_offer ? "offer_denied" : "want_denied"},
           {"log", to_string(told.log)},
           {"address", node::to_string(told.endpoint)}},
          short_name(told.log) + ": " +
              (told.error ? message(*told.error)
                          : the_peer(options, told.endpoint) + " " +
                                why_denied(told.reason, told.is_offer)) +
              (told.is_offer ? "" : "; asking again now and then")};
}

Line line_of(const SyncOptions& /*options*/, const node::SyncForked& told) {
  return {{{"event", "defect"}, {"log", to_string(told.log)}, {"at", told.at}},
          short_name(told.log) + ": the author forked the log at " + human_count(told.at)};
}

Line line_of(const SyncOptions& /*options*/, const node::SyncEnded& /*told*/) { return {}; }

}  // namespace

Outcome<void> say(Context& context, const SyncOptions& options, const node::SyncEvent& event) {
  if (!options.live) return {};
  const Line line = std::visit([&](const auto& one) { return line_of(options, one); }, event);
  if (line.text.empty()) return {};
  CULM_TOOLS_CHECK(context.json ? context.out.write_json(line.json)
                                : context.out.write(line.text + "\n"));
  return context.out.flush();
}

}  // namespace culm::tools
