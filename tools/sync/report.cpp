#include "tools/sync/report.hpp"

#include <algorithm>
#include <string_view>

#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

using Align = Table::Align;

/// What a sync has brought of one log.
struct Moved {
  std::uint64_t entries = 0;
  std::uint64_t certificate_entries = 0;
  std::uint64_t payload_bytes = 0;
  RangeSet missing;           ///< wanted, known to exist, and held neither here nor there
  RangeSet payloads_missing;  ///< wanted of held entries, and held neither here nor there
  SeqNum head = 0;
};

Outcome<Moved> measure(const store::ReadTransaction& transaction, const LogSync& log) {
  Moved moved;
  CULM_TOOLS_TRY(const auto state, transaction.find_log(log.log));
  if (!state) return moved;
  moved.head = state->head();
  SeqNum head = moved.head;
  if (state->cap == 0) head = std::max(head, log.peer_head);
  const RangeSet wanted = resolve(state->interest.entries, head);
  moved.entries = (log.added & wanted).count();
  moved.certificate_entries = log.added.count() - moved.entries;
  moved.payload_bytes =
      state->payload_bytes - std::min(state->payload_bytes, log.payload_bytes_before);
  if (log.want.entries) moved.missing = wanted - state->held;
  const bool wants_every_payload = log.want.payloads && log.want.payload_size_min == 0 &&
                                   log.want.payload_size_max == limits::kPayloadSizeBytesMax;
  if (wants_every_payload && log.done == replication::DoneReason::kComplete) {
    moved.payloads_missing = (wanted & state->served()) - state->payloads - state->deleted;
  }
  return moved;
}

std::string estimated(std::uint64_t bytes) { return std::string("~").append(human_size(bytes)); }

Json to_json(const replication::Quote& quote) {
  return {{"entries", quote.entries},
          {"certificate_entries", quote.certificate_entries},
          {"payload_bytes", quote.payload_bytes},
          {"wire_bytes", quote.wire_bytes},
          {"exact", quote.exact}};
}

std::string_view name_of(const LogSync& log) {
  if (log.want_denied) return "denied";
  if (!log.done) return "interrupted";
  switch (*log.done) {
    case replication::DoneReason::kComplete:
      return "complete";
    case replication::DoneReason::kBudget:
      return "budget";
    case replication::DoneReason::kCancelled:
      return "cancelled";
  }
  return "?";
}

Json to_json(const SyncOptions& options, const LogSync& log, const Moved& moved) {
  Json line = {{"log", to_string(log.log)},
               {"state", options.live ? "live" : name_of(log)},
               {"entries", moved.entries},
               {"certificate_entries", moved.certificate_entries},
               {"payload_bytes", moved.payload_bytes},
               {"head", moved.head},
               {"peer_head", log.peer_head},
               {"missing", to_string(moved.missing)},
               {"payloads_missing", to_string(moved.payloads_missing)}};
  if (log.whole_quote) line["whole"] = to_json(*log.whole_quote);
  if (options.push) line["pushed"] = log.pushed;
  return line;
}

/// A quote as the cells "entries, certificate, payloads, wire".
std::vector<std::string> cells(std::string first, const replication::Quote& quote) {
  return {std::move(first), human_count(quote.entries), human_count(quote.certificate_entries),
          quote.exact ? human_size(quote.payload_bytes) : estimated(quote.payload_bytes),
          estimated(quote.wire_bytes)};
}

/// A peer that holds a part can only say what that would cost.
const char* whole_name(const LogSync& log) {
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
std::string notes(const SyncOptions& options, const LogSync& log, const Moved& moved) {
  std::string text;
  const std::string name = short_name(log.log);
  if (log.done == replication::DoneReason::kBudget) {
    text += name + ": stopped at the budget; run the same again to go on\n";
  } else if (log.done && !moved.missing.empty()) {
    text += name + ": the peer does not hold " + human_entries(moved.missing.count()) +
            " of what is wanted: " + some_of(moved.missing) + "\n";
  }
  if (log.done && !moved.payloads_missing.empty()) {
    text += name + ": the peer does not hold the payloads of " +
            human_entries(moved.payloads_missing.count()) +
            " that are wanted: " + some_of(moved.payloads_missing) + "\n";
  }
  if (options.push && log.pushed) {
    text += name + ": the peer confirms that it holds all there is here, up to " +
            human_count(moved.head) + "\n";
  }
  return text;
}

Json to_json(const PeerSync& peer) {
  Json line = {{"address", node::to_string(peer.endpoint)},
               {"bytes_received", peer.stats.bytes_received},
               {"bytes_sent", peer.stats.bytes_sent},
               {"entries", peer.stats.entries_received},
               {"state", peer.failure ? std::string(name(peer.failure->code))
                         : peer.peer  ? "ok"
                                      : "unanswered"}};
  if (peer.peer) line["peer"] = to_hex(peer.peer->bytes);
  return line;
}

/// A line for each peer, of several.
std::string who_brought_what(const SyncTotals& totals) {
  std::string text;
  if (totals.peers.size() == 1) return text;
  for (const PeerSync& peer : totals.peers) {
    text += "from " + node::to_string(peer.endpoint) + ": " +
            human_entries(peer.stats.entries_received) + ", " +
            human_size(peer.stats.bytes_received) + " in";
    if (peer.failure) text += "; " + peer.failure->message;
    text += "\n";
  }
  return text;
}

Outcome<void> print_json(Context& context, const SyncOptions& options,
                         const std::vector<LogSync>& logs, const std::vector<Moved>& moved,
                         const SyncTotals& totals) {
  for (std::size_t i = 0; i < logs.size(); ++i) {
    CULM_TOOLS_CHECK(context.out.write_json(to_json(options, logs[i], moved[i])));
  }
  Json line = {{"address", options.address},
               {"bytes_received", totals.stats.bytes_received},
               {"bytes_sent", totals.stats.bytes_sent},
               {"seconds", totals.seconds}};
  if (totals.peers.front().peer) line["peer"] = to_hex(totals.peers.front().peer->bytes);
  Json peers = Json::array();
  for (const PeerSync& peer : totals.peers) peers.push_back(to_json(peer));
  line["peers"] = peers;
  return context.out.write_json(line);
}

}  // namespace

Outcome<void> print_sync(Context& context, const SyncOptions& options, const store::Store& store,
                         const std::vector<LogSync>& logs, const SyncTotals& totals) {
  std::vector<Moved> moved;
  {
    CULM_TOOLS_TRY(const auto transaction, store.read());
    for (const LogSync& log : logs) {
      CULM_TOOLS_TRY(moved.emplace_back(), measure(transaction, log));
    }
  }
  if (context.json) return print_json(context, options, logs, moved, totals);

  Table table({{"received", Align::kLeft},
               {"entries", Align::kRight},
               {"certificate", Align::kRight},
               {"payloads", Align::kRight},
               {"wire in", Align::kRight},
               {"wire out", Align::kRight},
               {"time", Align::kRight}});
  const bool has_only_sent = options.push && std::ranges::all_of(logs, [](const LogSync& log) {
                               return log.added.empty();
                             });
  const std::vector<std::string> wire = {human_size(totals.stats.bytes_received),
                                         human_size(totals.stats.bytes_sent),
                                         human_duration(totals.seconds)};
  std::string text;
  Moved sum;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const bool is_only = logs.size() == 1;
    table.add({short_name(logs[i].log), human_count(moved[i].entries),
               human_count(moved[i].certificate_entries), human_size(moved[i].payload_bytes),
               is_only ? wire[0] : "", is_only ? wire[1] : "", is_only ? wire[2] : ""});
    if (logs[i].whole_quote) {
      auto row = cells(whole_name(logs[i]), *logs[i].whole_quote);
      row.insert(row.end(), {"", ""});
      table.add(std::move(row));
    }
    sum.entries += moved[i].entries;
    sum.certificate_entries += moved[i].certificate_entries;
    sum.payload_bytes += moved[i].payload_bytes;
    text += notes(options, logs[i], moved[i]);
  }
  if (logs.size() > 1) {
    table.add({"in all", human_count(sum.entries), human_count(sum.certificate_entries),
               human_size(sum.payload_bytes), wire[0], wire[1], wire[2]});
  }
  if (options.push) {
    text += "sent " + human_entries(totals.stats.entries_sent) + " with " +
            human_size(totals.stats.payload_bytes_sent) + " of payloads: " + wire[1] + " out, " +
            wire[0] + " in, " + wire[2] + "\n";
  }
  return context.out.write((has_only_sent ? "" : table.take()) + text + who_brought_what(totals));
}

Outcome<void> print_quotes(Context& context, const std::vector<LogSync>& logs) {
  Table table({{"would receive", Align::kLeft},
               {"entries", Align::kRight},
               {"certificate", Align::kRight},
               {"payloads", Align::kRight},
               {"wire in", Align::kRight}});
  for (const LogSync& log : logs) {
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

std::string why_offer_denied(replication::DenyReason reason) {
  return reason == replication::DenyReason::kBusy ? "the peer cannot take this log for now"
                                                  : "the peer does not take this log";
}

static Failure denied(std::string why) {
  Failure failure(Exit::kNetwork, Errc::kPeerClosed, std::move(why));
  failure.fields["reason"] = "denied";
  return failure;
}

Outcome<void> judge_sync(const SyncOptions& options, const store::Store& store,
                         const std::vector<LogSync>& logs) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const LogSync& log : logs) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log.log));
    if (!state || state->cap == 0) continue;
    Failure failure(Exit::kFork, Errc::kFork,
                    "the author forked the log at " + human_count(state->cap) +
                        "; what lies below stays valid, and the evidence is kept");
    failure.fields["log"] = to_string(log.log);
    failure.fields["cap"] = state->cap;
    return fail_with(
        std::move(failure).about(short_name(log.log)).next("`culm verify` shows the evidence"));
  }
  if (options.live) return {};  // what was denied was said, and may have been granted since
  for (const LogSync& log : logs) {
    if (log.offer_denied) {
      const bool is_busy = log.offer_denied == replication::DenyReason::kBusy;
      return fail_with(denied(why_offer_denied(*log.offer_denied))
                           .about(short_name(log.log))
                           .next(is_busy ? "try again later"
                                         : "start that relay with --accept " + to_string(log.log)));
    }
    if (log.error) return fail_with(Failure(*log.error).about(short_name(log.log)));
    if (!log.want_denied || (options.push && log.pushed)) continue;
    const bool is_busy = log.want_denied == replication::DenyReason::kBusy;
    return fail_with(
        denied(is_busy ? "the peer is busy; try again later" : "the peer does not serve this log")
            .about(short_name(log.log)));
  }
  return {};
}

}  // namespace culm::tools
