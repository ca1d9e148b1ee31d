#include "culm/replication/host/sync_json.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/detail/json_fields.hpp"

namespace culm::control {
namespace {

using node::LogReport, node::PeerReport, node::SyncReport;
using replication::Quote, replication::SessionStats, replication::WantRequest;

constexpr Fields<WantRequest, std::uint64_t, 3> kWantNumbers{
    {{"payload_size_min", &WantRequest::payload_size_min},
     {"payload_size_max", &WantRequest::payload_size_max},
     {"budget", &WantRequest::budget_bytes}}};
constexpr Fields<WantRequest, bool, 2> kWantFlags{
    {{"entries", &WantRequest::entries}, {"payloads", &WantRequest::payloads}}};
constexpr Fields<node::SyncRequest, bool, 3> kRequestFlags{
    {{"push", &node::SyncRequest::push},
     {"quote_only", &node::SyncRequest::quote_only},
     {"undelete", &node::SyncRequest::undelete}}};
constexpr Fields<Quote, std::uint64_t, 4> kQuoteNumbers{
    {{"entries", &Quote::entries},
     {"certificate_entries", &Quote::certificate_entries},
     {"payload_bytes", &Quote::payload_bytes},
     {"wire_bytes", &Quote::wire_bytes}}};
constexpr Fields<SessionStats, std::uint64_t, 6> kStatsNumbers{
    {{"bytes_received", &SessionStats::bytes_received},
     {"bytes_sent", &SessionStats::bytes_sent},
     {"entries_received", &SessionStats::entries_received},
     {"entries_sent", &SessionStats::entries_sent},
     {"payload_bytes_received", &SessionStats::payload_bytes_received},
     {"payload_bytes_sent", &SessionStats::payload_bytes_sent}}};
constexpr Fields<LogReport, std::uint64_t, 7> kLogNumbers{
    {{"entries", &LogReport::entries},
     {"certificate_entries", &LogReport::certificate_entries},
     {"payload_bytes", &LogReport::payload_bytes},
     {"head", &LogReport::head},
     {"peer_head", &LogReport::peer_head},
     {"cap", &LogReport::cap},
     {"end_of_log", &LogReport::end_of_log}}};
constexpr Fields<LogReport, RangeSet, 8> kLogRanges{
    {{"missing", &LogReport::missing},
     {"beyond_head", &LogReport::beyond_head},
     {"payloads_missing", &LogReport::payloads_missing},
     {"payloads_left_out", &LogReport::payloads_left_out},
     {"deleted_here", &LogReport::deleted_here},
     {"dropped", &LogReport::dropped},
     {"payloads_dropped", &LogReport::payloads_dropped},
     {"cut_off", &LogReport::cut_off}}};
constexpr Fields<LogReport, std::optional<Quote>, 2> kLogQuotes{
    {{"quote", &LogReport::quote}, {"whole", &LogReport::whole_quote}}};
constexpr Fields<LogReport, std::optional<replication::DenyReason>, 1> kLogDenials{
    {{"denied", &LogReport::denied}}};

constexpr std::array<std::string_view, 7> kLogOutcomes{
    "complete", "partial", "budget", "denied", "incomplete", "failed", "interrupted"};

tl::unexpected<Error> malformed() { return fail(Errc::kFileFormat); }

/// An enumerator as its number; `last` is the highest there is.
template <class Enum>
Result<Enum> get_enum(const Json& json, std::string_view key, Enum last) {
  const auto number = json.find_number(key);
  if (!number || *number > static_cast<std::uint64_t>(last)) return malformed();
  return static_cast<Enum>(*number);
}

template <class Enum>
std::uint64_t to_number(Enum value) {
  return static_cast<std::uint64_t>(value);
}

Json log_json(const LogKey& log) { return Json{{"log", to_string(log)}}; }

Result<LogKey> parse_named(const Json& json) {
  CULM_TRY(const std::string log, get_text(json, "log"));
  return parse_log_key(log);
}

Json head_json(const SeqNum& head) { return Json{{"head", head}}; }
Json address_json(const node::Endpoint& one) { return Json{{"address", to_string(one)}}; }
Json denied_json(const node::OfferDenied& one) {
  return Json{{"address", to_string(one.endpoint)}, {"reason", to_number(one.reason)}};
}

Json to_json(const WantRequest& want) {
  Json json = {{"log", to_string(want.log)},
               {"ranges", to_string(want.interest.ranges)},
               {"newest", want.interest.newest},
               {"order", to_number(want.order)}};
  put(json, kWantNumbers, want);
  put(json, kWantFlags, want);
  return json;
}

Result<WantRequest> parse_want(const Json& json) {
  WantRequest want;
  CULM_TRY(const std::string log, get_text(json, "log"));
  CULM_TRY(want.log, parse_log_key(log));
  CULM_TRY(want.interest.ranges, get_ranges(json, "ranges"));
  CULM_TRY(want.order, get_enum(json, "order", replication::Order::kNewestFirst));
  const auto newest = json.find_number("newest");
  if (!newest || !take(json, kWantNumbers, want) || !take(json, kWantFlags, want)) {
    return malformed();
  }
  want.interest.newest = *newest;
  return want;
}

/// Where "peer" is, it is a peer's key.
Result<std::optional<sealing::PeerKey>> get_peer_key(const Json& json) {
  if (json.find("peer") == nullptr) return std::nullopt;
  CULM_TRY(const std::string text, get_text(json, "peer"));
  const auto bytes = from_hex(text);
  sealing::PeerKey peer;
  if (!bytes || bytes->size() != peer.bytes.size()) return malformed();
  std::ranges::copy(*bytes, peer.bytes.begin());
  return peer;
}

template <class Value>
Json to_array(const std::vector<Value>& values, Json (*convert)(const Value&)) {
  Json array = Json::array();
  for (const Value& value : values) array.push_back(convert(value));
  return array;
}

Result<node::Endpoint> get_endpoint(const Json& json, std::string_view key) {
  CULM_TRY(const std::string text, get_text(json, key));
  return node::parse_endpoint(text);
}

Result<node::SyncPeer> parse_peer(const Json& json) {
  node::SyncPeer peer;
  CULM_TRY(peer.endpoint, get_endpoint(json, "address"));
  CULM_TRY(peer.expected, get_peer_key(json));
  return peer;
}

Result<node::LogOutcome> get_log_outcome(const Json& json) {
  CULM_TRY(const std::string state, get_text(json, "state"));
  const auto* const found = std::ranges::find(kLogOutcomes, state);
  if (found == kLogOutcomes.end()) return malformed();
  return static_cast<node::LogOutcome>(found - kLogOutcomes.begin());
}

Json to_json(const Quote& quote) {
  Json json = Json::object();
  put(json, kQuoteNumbers, quote);
  json["exact"] = quote.exact;
  return json;
}

}  // namespace

Json to_json(const LogReport& log) {
  Json json = {{"log", to_string(log.log)},
               {"state", kLogOutcomes[to_number(log.outcome)]},
               {"pushed", log.is_pushed}};
  put(json, kLogNumbers, log);
  for (const auto& [name, member] : kLogRanges) json[name] = to_string(log.*member);
  for (const auto& [name, member] : kLogDenials) {
    if (log.*member) json[name] = to_number(*(log.*member));
  }
  for (const auto& [name, member] : kLogQuotes) {
    if (log.*member) json[name] = to_json(*(log.*member));
  }
  json["peer_heads"] = to_array(log.peer_heads, head_json);
  json["silent"] = to_array(log.silent, address_json);
  json["peers_damaged"] = to_array(log.damaged, address_json);
  json["unconfirmed"] = Json::array();
  for (const node::Unconfirmed& one : log.unconfirmed) {
    Json rest{{"address", node::to_string(one.endpoint)},
              {"entries", to_string(one.entries)},
              {"payloads", to_string(one.payloads)}};
    if (one.is_unsaid) rest["unsaid"] = true;
    json["unconfirmed"].push_back(std::move(rest));
  }
  json["offer_denied_by"] = to_array(log.offer_denied_by, denied_json);
  if (log.error) json.update(control::to_json(*log.error));
  return json;
}

namespace {

Result<std::optional<Quote>> get_quote(const Json& json, std::string_view key) {
  if (json.find(key) == nullptr) return std::nullopt;
  const Json* const object = json.find_object(key);
  Quote quote;
  const auto exact = object != nullptr ? object->find_bool("exact") : std::nullopt;
  if (!exact || !take(*object, kQuoteNumbers, quote)) return malformed();
  quote.exact = *exact;
  return quote;
}

template <class Value>
Result<std::vector<Value>> get_array(const Json& json, std::string_view key,
                                     Result<Value> (*parse)(const Json&)) {
  const std::vector<Json>* const array = json.find_array(key);
  if (array == nullptr) return malformed();
  std::vector<Value> values;
  for (const Json& item : *array) {
    CULM_TRY(auto value, parse(item));
    values.push_back(std::move(value));
  }
  return values;
}

Result<node::Unconfirmed> parse_unconfirmed(const Json& json) {
  node::Unconfirmed unconfirmed;
  CULM_TRY(unconfirmed.endpoint, get_endpoint(json, "address"));
  CULM_TRY(unconfirmed.entries, get_ranges(json, "entries"));
  CULM_TRY(unconfirmed.payloads, get_ranges(json, "payloads"));
  unconfirmed.is_unsaid = json.find_bool("unsaid").value_or(false);
  return unconfirmed;
}
Result<node::OfferDenied> parse_denied(const Json& json) {
  node::OfferDenied denied;
  CULM_TRY(denied.endpoint, get_endpoint(json, "address"));
  CULM_TRY(denied.reason, get_enum(json, "reason", replication::DenyReason::kDamaged));
  return denied;
}
Result<node::Endpoint> parse_address(const Json& json) { return get_endpoint(json, "address"); }
Result<SeqNum> parse_head(const Json& json) {
  const auto head = json.find_number("head");
  return head ? Result<SeqNum>(*head) : malformed();
}

Result<LogReport> parse_log(const Json& json) {
  LogReport log;
  CULM_TRY(const std::string key, get_text(json, "log"));
  CULM_TRY(log.log, parse_log_key(key));
  CULM_TRY(log.outcome, get_log_outcome(json));
  const auto is_pushed = json.find_bool("pushed");
  if (!is_pushed || !take(json, kLogNumbers, log)) return malformed();
  log.is_pushed = *is_pushed;
  for (const auto& [name, member] : kLogRanges) {
    CULM_TRY(log.*member, get_ranges(json, name));
  }
  for (const auto& [name, member] : kLogDenials) {
    if (json.find(name) == nullptr) continue;
    CULM_TRY(log.*member, get_enum(json, name, replication::DenyReason::kDamaged));
  }
  for (const auto& [name, member] : kLogQuotes) {
    CULM_TRY(log.*member, get_quote(json, name));
  }
  CULM_TRY(log.peer_heads, get_array(json, "peer_heads", parse_head));
  CULM_TRY(log.silent, get_array(json, "silent", parse_address));
  CULM_TRY(log.damaged, get_array(json, "peers_damaged", parse_address));
  CULM_TRY(log.unconfirmed, get_array(json, "unconfirmed", parse_unconfirmed));
  CULM_TRY(log.offer_denied_by, get_array(json, "offer_denied_by", parse_denied));
  CULM_TRY(log.error, find_error(json));
  return log;
}

Json to_json(const PeerReport& peer) {
  Json json = {{"address", node::to_string(peer.endpoint)}, {"text", peer.text}};
  if (peer.peer) json["peer"] = to_hex(peer.peer->bytes);
  put(json, kStatsNumbers, peer.stats);
  if (peer.error) json.update(control::to_json(*peer.error));
  return json;
}

Result<PeerReport> parse_peer_report(const Json& json) {
  PeerReport peer;
  CULM_TRY(peer.endpoint, get_endpoint(json, "address"));
  CULM_TRY(peer.text, get_text(json, "text"));
  CULM_TRY(peer.peer, get_peer_key(json));
  if (!take(json, kStatsNumbers, peer.stats)) return malformed();
  CULM_TRY(peer.error, find_error(json));
  return peer;
}

Result<std::optional<Duration>> find_duration(const Json& json, std::string_view key) {
  if (json.find(key) == nullptr) return std::nullopt;
  const auto count = json.find_number(key);
  constexpr std::uint64_t kCountMax = std::numeric_limits<std::int64_t>::max() / 2;
  if (!count || *count > kCountMax) return malformed();
  return Duration(*count);
}

}  // namespace

Json to_json(const node::SyncRequest& request) {
  Json peers = Json::array();
  for (const node::SyncPeer& peer : request.peers) {
    Json one = {{"address", node::to_string(peer.endpoint)}};
    if (peer.expected) one["peer"] = to_hex(peer.expected->bytes);
    peers.push_back(std::move(one));
  }
  Json json = {{"peers", std::move(peers)},
               {"logs", to_array(request.logs, to_json)},
               {"idle_max_us", request.idle_max.count()}};
  const std::vector known(request.while_known.begin(), request.while_known.end());
  if (!known.empty()) json["while_known"] = to_array(known, log_json);
  if (request.whole_max) json["whole_max_us"] = request.whole_max->count();
  put(json, kRequestFlags, request);
  return json;
}

Result<node::SyncRequest> parse_sync_request(const Json& json) {
  node::SyncRequest request;
  CULM_TRY(request.peers, get_array(json, "peers", parse_peer));
  CULM_TRY(request.logs, get_array(json, "logs", parse_want));
  if (json.find("while_known") != nullptr) {
    CULM_TRY(const auto logs, get_array(json, "while_known", parse_named));
    request.while_known = {logs.begin(), logs.end()};
  }
  CULM_TRY(request.whole_max, find_duration(json, "whole_max_us"));
  CULM_TRY(const auto idle_max, find_duration(json, "idle_max_us"));
  if (!idle_max || !take(json, kRequestFlags, request)) return malformed();
  request.idle_max = *idle_max;
  if (!node::is_sound(request)) return malformed();
  return request;
}

Json to_json(const SyncReport& report) {
  Json json = {{"outcome", to_number(report.outcome)},
               {"logs", to_array(report.logs, to_json)},
               {"peers", to_array(report.peers, to_json)},
               {"took_us", report.took.count()}};
  if (report.error) json["failure"] = to_json(*report.error);
  return json;
}

Result<SyncReport> parse_sync_report(const Json& json) {
  SyncReport report;
  CULM_TRY(report.outcome, get_enum(json, "outcome", node::SyncOutcome::kFailed));
  CULM_TRY(report.logs, get_array(json, "logs", parse_log));
  CULM_TRY(report.peers, get_array(json, "peers", parse_peer_report));
  const auto took = json.find_number("took_us");
  if (!took || report.peers.empty()) return malformed();
  report.took = Duration(*took);
  for (const PeerReport& peer : report.peers) report.stats += peer.stats;
  if (const Json* const failure = json.find_object("failure")) {
    CULM_TRY(report.error, find_error(*failure));
  }
  return report;
}

}  // namespace culm::control
