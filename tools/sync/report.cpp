#include "tools/sync/report.hpp"

#include <algorithm>
#include <string_view>

#include "culm/replication/host/sync_json.hpp"

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

using Align = Table::Align;
using node::LogReport;
using node::SyncReport;
using node::SyncRequest;

double seconds(const SyncReport& report) {
  return std::chrono::duration<double>(report.took).count();
}

std::string estimated(std::uint64_t bytes) { return std::string("~").append(human_size(bytes)); }

/// Some members of an object, as far as it has them.
Json some_of(const Json& object, std::initializer_list<std::string_view> keys) {
  Json some = Json::object();
  for (const std::string_view key : keys) {
    if (const Json* const member = object.find(key)) some[key] = *member;
  }
  return some;
}

/// As many whole ranges as a line has room for.
std::string some_of(const RangeSet& set) {
  constexpr std::size_t kRangesShown = 8;
  RangeSet shown;
  for (const SeqRange range : set.ranges().first(std::min(set.ranges().size(), kRangesShown))) {
    shown.insert(range);
  }
  return to_string(shown) + (shown == set ? "" : ",...");
}

Table table_of(const char* first, std::initializer_list<const char*> more) {
  std::vector<Table::Column> columns{{first}};
  for (const char* const name : more) columns.push_back({name, Align::kRight});
  return Table(std::move(columns));
}

void add_quote(Table& table, std::string first, const replication::Quote& quote) {
  table.add({std::move(first), human_count(quote.entries), human_count(quote.certificate_entries),
             quote.exact ? human_size(quote.payload_bytes) : estimated(quote.payload_bytes),
             estimated(quote.wire_bytes)});
}

void add_whole(Table& table, const LogReport& log) {
  if (!log.whole_quote) return;
  // A peer that holds a part can only say what that would cost.
  const bool is_all = log.whole_quote->entries == log.peer_head;
  add_quote(table, is_all ? "  the whole log" : "  all the peer holds", *log.whole_quote);
}

/// Sentences about a log that the table has no column for.
std::string notes(const SyncRequest& request, const LogReport& log) {
  std::string text;
  const std::string name = short_name(log.log) + ": ";
  const bool is_of_one = request.peers.size() == 1;
  const std::string do_not_hold =
      name + (is_of_one ? "the peer does not hold " : "the peers do not hold ");
  if (log.outcome == node::LogOutcome::kBudget) {
    text += name + "stopped at the budget; run the same again to go on\n";
  } else if (log.outcome == node::LogOutcome::kComplete && !log.missing.empty()) {
    text += do_not_hold + human_entries(log.missing.count()) +
            " of what is wanted: " + some_of(log.missing) + "\n";
  } else if (log.outcome == node::LogOutcome::kIncomplete) {
    text += name + human_entries(log.missing.count()) +
            " of what is wanted did not come: " + some_of(log.missing) + "\n";
  }
  if (!log.payloads_missing.empty()) {
    text += do_not_hold + "the payloads of " + human_entries(log.payloads_missing.count()) +
            " that are wanted: " + some_of(log.payloads_missing) + "\n";
  }
  if (request.push && log.is_pushed) {
    text += name + (is_of_one ? "the peer confirms" : "every peer confirms") +
            " that it holds all there is here, up to " + human_count(log.head) + "\n";
  }
  return text;
}

/// A line for each peer, of several.
std::string who_brought_what(const SyncReport& report) {
  std::string text;
  if (report.peers.size() == 1) return text;
  for (const node::PeerReport& peer : report.peers) {
    text += "from " + node::to_string(peer.endpoint) + ": " +
            human_entries(peer.stats.entries_received) + ", " +
            human_size(peer.stats.bytes_received) + " in";
    if (peer.error) text += "; " + why_lost(*peer.error, peer.text, peer.peer.has_value()).message;
    text += "\n";
  }
  return text;
}

Json to_json(const node::PeerReport& peer) {
  Json line = {{"address", node::to_string(peer.endpoint)},
               {"bytes_received", peer.stats.bytes_received},
               {"bytes_sent", peer.stats.bytes_sent},
               {"entries", peer.stats.entries_received},
               {"state", peer.error  ? std::string(name(peer.error->code))
                         : peer.peer ? "ok"
                                     : "unanswered"}};
  if (peer.peer) line["peer"] = to_hex(peer.peer->bytes);
  return line;
}

Outcome<void> print_json(Context& context, const SyncRequest& request, const SyncReport& report) {
  for (const LogReport& log : report.logs) {
    Json line = some_of(control::to_json(log),
                        {"log", "state", "entries", "certificate_entries", "payload_bytes", "head",
                         "peer_head", "missing", "payloads_missing", "whole"});
    if (request.live) line["state"] = "live";
    if (request.push) line["pushed"] = log.is_pushed;
    CULM_TOOLS_CHECK(context.out.write_json(line));
  }
  const node::PeerReport& first = report.peers.front();
  Json line = {{"address", node::to_string(first.endpoint)},
               {"bytes_received", report.stats.bytes_received},
               {"bytes_sent", report.stats.bytes_sent},
               {"seconds", seconds(report)}};
  if (first.peer) line["peer"] = to_hex(first.peer->bytes);
  line["peers"] = Json::array();
  for (const node::PeerReport& peer : report.peers) line["peers"].push_back(to_json(peer));
  return context.out.write_json(line);
}

Outcome<void> print_quotes(Context& context, const SyncReport& report) {
  const bool is_of_one = report.peers.size() == 1;
  Table table = table_of(is_of_one ? "would receive" : "would receive from one peer",
                         {"entries", "certificate", "payloads", "wire in"});
  for (const LogReport& log : report.logs) {
    if (context.json) {
      CULM_TOOLS_CHECK(context.out.write_json(
          some_of(control::to_json(log), {"log", "peer_head", "quote", "whole"})));
      continue;
    }
    if (log.quote) add_quote(table, short_name(log.log), *log.quote);
    add_whole(table, log);
  }
  return context.json ? Outcome<void>() : context.out.write(table.take());
}

/// What moved, and beside it what the whole logs would cost.
Outcome<void> print_moved(Context& context, const SyncRequest& request, const SyncReport& report) {
  Table table =
      table_of("received", {"entries", "certificate", "payloads", "wire in", "wire out", "time"});
  const std::string in = human_size(report.stats.bytes_received);
  const std::string out = human_size(report.stats.bytes_sent);
  const std::string time = human_duration(seconds(report));
  const bool is_only = report.logs.size() == 1;
  const auto add = [&](std::string first, const LogReport& log, bool has_wire) {
    std::vector<std::string> cells{std::move(first), human_count(log.entries),
                                   human_count(log.certificate_entries),
                                   human_size(log.payload_bytes)};
    if (has_wire) cells.insert(cells.end(), {in, out, time});
    table.add(std::move(cells));
  };
  std::string text;
  LogReport sum;
  for (const LogReport& log : report.logs) {
    add(short_name(log.log), log, is_only);
    add_whole(table, log);
    sum.entries += log.entries;
    sum.certificate_entries += log.certificate_entries;
    sum.payload_bytes += log.payload_bytes;
    text += notes(request, log);
  }
  if (!is_only) add("in all", sum, true);
  if (request.push) {
    text += "sent " + human_entries(report.stats.entries_sent) + " with " +
            human_size(report.stats.payload_bytes_sent) + " of payloads: " + out + " out, " + in +
            " in, " + time + "\n";
  }
  const bool has_only_sent = request.push && sum.entries + sum.certificate_entries == 0;
  return context.out.write((has_only_sent ? "" : table.take()) + text + who_brought_what(report));
}

}  // namespace

Outcome<void> conclude(Context& context, const SyncRequest& request, const SyncReport& report) {
  const bool is_established = std::ranges::any_of(
      report.peers, [](const node::PeerReport& peer) { return peer.peer.has_value(); });
  if (is_established || judge(request, report)) {
    CULM_TOOLS_CHECK(request.quote_only ? print_quotes(context, report)
                     : context.json     ? print_json(context, request, report)
                                        : print_moved(context, request, report));
  }
  return judge(request, report);
}

}  // namespace culm::tools
