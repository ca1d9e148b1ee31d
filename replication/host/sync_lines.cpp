#include "culm/replication/host/sync_lines.hpp"

#include <chrono>
#include <initializer_list>
#include <string_view>

#include "culm/replication/host/sync_json.hpp"

namespace culm::control {
namespace {

struct EventLine {
  using Line = std::optional<Json>;

  Line operator()(const node::SyncConnected& told) const {
    return Json{{"type", "event"},
                {"event", "connected"},
                {"peer", to_hex(told.peer.bytes)},
                {"address", node::to_string(told.endpoint)}};
  }
  Line operator()(const node::SyncDisconnected& told) const {
    return Json{{"type", "event"},
                {"event", "disconnected"},
                {"address", node::to_string(told.endpoint)},
                {"message", message(told.error)},
                {"given_up", told.is_given_up}};
  }
  Line operator()(const node::SyncReceived& told) const {
    return Json{{"type", "event"},
                {"event", "received"},
                {"log", to_string(told.log)},
                {"entries", told.entries},
                {"up_to", told.up_to}};
  }
  Line operator()(const node::SyncCaughtUp& told) const {
    Json line = reached("caught_up", told);
    if (!told.missing.empty()) line["missing"] = to_string(told.missing);
    if (!told.payloads_missing.empty()) line["payloads_missing"] = to_string(told.payloads_missing);
    return line;
  }
  Line operator()(const node::SyncPushed& told) const {
    if (told.unconfirmed.empty() && told.payloads_unconfirmed.empty()) {
      return reached("pushed", told);
    }
    Json line = reached("pushed_in_part", told);
    line["unconfirmed_entries"] = to_string(told.unconfirmed);
    line["unconfirmed_payloads"] = to_string(told.payloads_unconfirmed);
    return line;
  }
  Line operator()(const node::SyncDenied& told) const {
    return of_log(told.is_offer ? "offer_denied" : "want_denied", told);
  }
  Line operator()(const node::SyncForked& told) const {
    return Json{{"type", "event"},
                {"event", "defect"},
                {"log", to_string(told.log)},
                {"at", told.at},
                {"dropped", to_string(told.dropped)},
                {"payloads_dropped", to_string(told.payloads_dropped)}};
  }
  Line operator()(const node::SyncForgotten& told) const {
    return Json{{"type", "event"}, {"event", "forgotten"}, {"log", to_string(told.log)}};
  }
  Line operator()(const node::SyncJoined& told) const {
    Json line = {{"type", "event"},
                 {"event", told.error ? "not_joined" : "joined"},
                 {"log", to_string(told.log)}};
    if (told.error) line["message"] = message(*told.error);
    return line;
  }
  Line operator()(const node::SyncProgress& /*told*/) const { return std::nullopt; }
  Line operator()(const node::SyncEnded& /*told*/) const { return std::nullopt; }

 private:
  template <class Told>
  static Json of_log(const char* event, const Told& told) {
    return {{"type", "event"},
            {"event", event},
            {"log", to_string(told.log)},
            {"address", node::to_string(told.endpoint)}};
  }
  template <class Told>
  static Json reached(const char* event, const Told& told) {
    Json line = of_log(event, told);
    line["head"] = told.head;
    return line;
  }
};

/// Some members of an object, as far as it has them.
Json some_of(const Json& object, std::initializer_list<std::string_view> keys) {
  Json some = Json::object();
  for (const std::string_view key : keys) {
    if (const Json* const member = object.find(key)) some[key] = *member;
  }
  return some;
}

/// With the peers that could not bring some of it.
Json with_silent(Json line, const node::LogReport& log, const Json& whole) {
  if (!log.damaged.empty()) line.update(some_of(whole, {"peers_damaged"}));
  if (!log.silent.empty()) line.update(some_of(whole, {"silent"}));
  return line;
}

Json log_line(const node::SyncRequest& request, const node::LogReport& log) {
  const Json whole = control::to_json(log);
  Json line = {{"type", request.quote_only ? "quote" : "synced"}};
  if (request.quote_only) {
    line.update(some_of(whole, {"log", "peer_head", "quote", "whole"}));
    if (is_partial(log)) line.update(some_of(whole, {"missing", "payloads_missing"}));
    return with_silent(std::move(line), log, whole);
  }
  line.update(some_of(whole, {"log", "state", "entries", "certificate_entries", "payload_bytes",
                              "head", "peer_head", "missing", "beyond_head", "payloads_missing",
                              "payloads_left_out", "deleted_here", "whole"}));
  if (request.live && log.outcome == node::LogOutcome::kComplete) line["state"] = "live";
  if (is_partial(log)) line["state"] = "partial";
  if (log.error) line["error"] = name(log.error->code);
  if (request.push) line.update(some_of(whole, {"pushed", "unconfirmed", "cut_off"}));
  if (!log.dropped.empty()) line.update(some_of(whole, {"dropped", "payloads_dropped"}));
  return with_silent(std::move(line), log, whole);
}

Json with_peer(Json line, const node::PeerReport& peer) {
  if (peer.peer) line["peer"] = to_hex(peer.peer->bytes);
  return line;
}

Json peer_part(const node::SyncReport& report, const node::PeerReport& peer) {
  std::string_view state = is_unanswered(report, peer) ? "unanswered" : "ok";
  if (peer.error) state = name(peer.error->code);
  return with_peer({{"address", node::to_string(peer.endpoint)},
                    {"bytes_received", peer.stats.bytes_received},
                    {"bytes_sent", peer.stats.bytes_sent},
                    {"entries", peer.stats.entries_received},
                    {"state", state}},
                   peer);
}

}  // namespace

std::optional<Json> event_line(const node::SyncEvent& event) {
  return std::visit(EventLine(), event);
}

std::vector<Json> report_lines(const node::SyncRequest& request, const node::SyncReport& report) {
  std::vector<Json> lines;
  for (const node::LogReport& log : report.logs) lines.push_back(log_line(request, log));
  if (request.quote_only) return lines;
  // One peer was all that there could be once: what is said of it stays where it was.
  const node::PeerReport& first = report.peers.front();
  Json line = with_peer({{"type", "sync"},
                         {"address", node::to_string(first.endpoint)},
                         {"bytes_received", report.stats.bytes_received},
                         {"bytes_sent", report.stats.bytes_sent},
                         {"seconds", std::chrono::duration<double>(report.took).count()}},
                        first);
  line["peers"] = Json::array();
  for (const node::PeerReport& peer : report.peers)
    line["peers"].push_back(peer_part(report, peer));
  lines.push_back(std::move(line));
  return lines;
}

}  // namespace culm::control
