#include "tools/sync/report.hpp"

#include <algorithm>
#include <string_view>

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

using Align = Table::Align;
using node::LogReport;
using node::SyncReport;

double seconds(const SyncReport& report) {
  return std::chrono::duration<double>(report.took).count();
}

std::string estimated(std::uint64_t bytes) { return std::string("~").append(human_size(bytes)); }

Json to_json(const replication::Quote& quote) {
  return {{"entries", quote.entries},
          {"certificate_entries", quote.certificate_entries},
          {"payload_bytes", quote.payload_bytes},
          {"wire_bytes", quote.wire_bytes},
          {"exact", quote.exact}};
}

std::string_view name_of(node::LogOutcome outcome) {
  switch (outcome) {
    case node::LogOutcome::kComplete:
      return "complete";
    case node::LogOutcome::kBudget:
      return "budget";
    case node::LogOutcome::kDenied:
      return "denied";
    case node::LogOutcome::kIncomplete:
      return "incomplete";
    case node::LogOutcome::kFailed:
      return "failed";
    case node::LogOutcome::kUnfinished:
      return "interrupted";
  }
  return "?";
}

Json to_json(const SyncOptions& options, const LogReport& log) {
  Json line = {{"log", to_string(log.log)},
               {"state", options.live ? "live" : name_of(log.outcome)},
               {"entries", log.entries},
               {"certificate_entries", log.certificate_entries},
               {"payload_bytes", log.payload_bytes},
               {"head", log.head},
               {"peer_head", log.peer_head},
               {"missing", to_string(log.missing)},
               {"payloads_missing", to_string(log.payloads_missing)}};
  if (log.whole_quote) line["whole"] = to_json(*log.whole_quote);
  if (options.push) line["pushed"] = log.is_pushed;
  return line;
}

/// A quote as the cells "entries, certificate, payloads, wire".
std::vector<std::string> cells(std::string first, const replication::Quote& quote) {
  return {std::move(first), human_count(quote.entries), human_count(quote.certificate_entries),
          quote.exact ? human_size(quote.payload_bytes) : estimated(quote.payload_bytes),
          estimated(quote.wire_bytes)};
}

/// A peer that holds a part can only say what that would cost.
const char* whole_name(const LogReport& log) {
  return log.whole_quote->entries == log.peer_head ? "  the whole log" : "  all the peer holds";
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

/// Sentences about a log that the table has no column for.
std::string notes(const SyncOptions& options, const LogReport& log) {
  std::string text;
  const std::string name = short_name(log.log) + ": ";
  const std::string do_not_hold =
      options.also.empty() ? "the peer does not hold " : "the peers do not hold ";
  if (log.outcome == node::LogOutcome::kBudget) {
    text += name + "stopped at the budget; run the same again to go on\n";
  } else if (log.outcome == node::LogOutcome::kComplete && !log.missing.empty()) {
    text += name + do_not_hold + human_entries(log.missing.count()) +
            " of what is wanted: " + some_of(log.missing) + "\n";
  } else if (log.outcome == node::LogOutcome::kIncomplete) {
    text += name + human_entries(log.missing.count()) +
            " of what is wanted did not come: " + some_of(log.missing) + "\n";
  }
  if (!log.payloads_missing.empty()) {
    text += name + do_not_hold + "the payloads of " + human_entries(log.payloads_missing.count()) +
            " that are wanted: " + some_of(log.payloads_missing) + "\n";
  }
  if (options.push && log.is_pushed) {
    text += name + (options.also.empty() ? "the peer confirms" : "every peer confirms") +
            " that it holds all there is here, up to " + human_count(log.head) + "\n";
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

/// A line for each peer, of several.
std::string who_brought_what(const node::SyncReport& report) {
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

Outcome<void> print_json(Context& context, const SyncOptions& options, const SyncReport& report) {
  for (const LogReport& log : report.logs) {
    CULM_TOOLS_CHECK(context.out.write_json(to_json(options, log)));
  }
  Json line = {{"address", options.address},
               {"bytes_received", report.stats.bytes_received},
               {"bytes_sent", report.stats.bytes_sent},
               {"seconds", seconds(report)}};
  if (const auto& peer = report.peers.front().peer) line["peer"] = to_hex(peer->bytes);
  Json peers = Json::array();
  for (const node::PeerReport& peer : report.peers) peers.push_back(to_json(peer));
  line["peers"] = peers;
  return context.out.write_json(line);
}

Outcome<void> print_quotes(Context& context, const SyncReport& report) {
  const bool is_of_one = report.peers.size() == 1;
  Table table({{is_of_one ? "would receive" : "would receive from one peer", Align::kLeft},
               {"entries", Align::kRight},
               {"certificate", Align::kRight},
               {"payloads", Align::kRight},
               {"wire in", Align::kRight}});
  for (const LogReport& log : report.logs) {
    if (context.json) {
      Json line = {{"log", to_string(log.log)}, {"peer_head", log.peer_head}};
      if (log.quote) line["quote"] = to_json(*log.quote);
      if (log.whole_quote) line["whole"] = to_json(*log.whole_quote);
      CULM_TOOLS_CHECK(context.out.write_json(line));
      continue;
    }
    if (log.quote) table.add(cells(short_name(log.log), *log.quote));
    if (log.whole_quote) table.add(cells(whole_name(log), *log.whole_quote));
  }
  return context.json ? Outcome<void>() : context.out.write(table.take());
}

/// What moved, and beside it what the whole logs would cost.
Outcome<void> print_moved(Context& context, const SyncOptions& options, const SyncReport& report) {
  Table table({{"received", Align::kLeft},
               {"entries", Align::kRight},
               {"certificate", Align::kRight},
               {"payloads", Align::kRight},
               {"wire in", Align::kRight},
               {"wire out", Align::kRight},
               {"time", Align::kRight}});
  const std::vector<std::string> wire = {human_size(report.stats.bytes_received),
                                         human_size(report.stats.bytes_sent),
                                         human_duration(seconds(report))};
  const bool is_only = report.logs.size() == 1;
  const auto add = [&](std::string first, const LogReport& log, bool has_wire) {
    table.add({std::move(first), human_count(log.entries), human_count(log.certificate_entries),
               human_size(log.payload_bytes), has_wire ? wire[0] : "", has_wire ? wire[1] : "",
               has_wire ? wire[2] : ""});
  };
  std::string text;
  LogReport sum;
  for (const LogReport& log : report.logs) {
    add(short_name(log.log), log, is_only);
    if (log.whole_quote) {
      auto row = cells(whole_name(log), *log.whole_quote);
      row.insert(row.end(), {"", ""});
      table.add(std::move(row));
    }
    sum.entries += log.entries;
    sum.certificate_entries += log.certificate_entries;
    sum.payload_bytes += log.payload_bytes;
    text += notes(options, log);
  }
  if (!is_only) add("in all", sum, true);
  if (options.push) {
    text += "sent " + human_entries(report.stats.entries_sent) + " with " +
            human_size(report.stats.payload_bytes_sent) + " of payloads: " + wire[1] + " out, " +
            wire[0] + " in, " + wire[2] + "\n";
  }
  const bool has_only_sent = options.push && sum.entries + sum.certificate_entries == 0;
  return context.out.write((has_only_sent ? "" : table.take()) + text + who_brought_what(report));
}

}  // namespace

Outcome<void> conclude(Context& context, const SyncOptions& options, const SyncReport& report) {
  const bool is_established = std::ranges::any_of(
      report.peers, [](const node::PeerReport& peer) { return peer.peer.has_value(); });
  if (is_established || judge(options, report)) {
    CULM_TOOLS_CHECK(options.quote  ? print_quotes(context, report)
                     : context.json ? print_json(context, options, report)
                                    : print_moved(context, options, report));
  }
  return judge(options, report);
}

}  // namespace culm::tools
