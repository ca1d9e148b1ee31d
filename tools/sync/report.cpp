// What came of a sync, in tables and sentences.
#include "tools/sync/report.hpp"

#include <algorithm>

#include "culm/core/limits.hpp"
#include "culm/replication/host/sync_lines.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

using enum Table::Align;
using node::LogOutcome;
using node::LogReport;
using node::SyncReport;
using node::SyncRequest;
using Row = std::vector<std::string>;

Row row_of(std::string first, const replication::Quote& quote) {
  return {std::move(first), human_count(quote.entries), human_count(quote.certificate_entries),
          (quote.exact ? "" : "~") + human_size(quote.payload_bytes),
          "~" + human_size(quote.wire_bytes)};
}

Row row_of(std::string first, const LogReport& log, const Row& more) {
  Row row = {std::move(first), human_count(log.entries), human_count(log.certificate_entries),
             human_size(log.payload_bytes)};
  row.insert(row.end(), more.begin(), more.end());
  return row;
}

void add(replication::Quote& sum, const replication::Quote& quote) {
  sum.entries += quote.entries;
  sum.certificate_entries += quote.certificate_entries;
  sum.payload_bytes += quote.payload_bytes;
  sum.wire_bytes += quote.wire_bytes;
  sum.exact = sum.exact && quote.exact;
}

/// Beside what moved or would.
void add_whole(Table& table, const LogReport& log) {
  if (log.whole_quote) table.add(row_of("  all the peer holds", *log.whole_quote));
}

std::string payloads_of(const RangeSet& entries) {
  return "the payloads of " + human_entries(entries.count());
}

/// The highest seqnum that is known to exist.
SeqNum head_of(const LogReport& log) { return std::max(log.head, log.peer_head); }

/// What is wanted that lies beyond it.
std::string human_beyond(const LogReport& log) {
  return human_ranges(log.beyond_head) + " of what is wanted lies beyond the head, which is " +
         std::to_string(head_of(log));
}

/// Not even a part of a payload.
bool brings_nothing(const replication::Quote& quote) {
  return quote.entries + quote.certificate_entries + quote.payload_bytes == 0 &&
         quote.wire_bytes < limits::kPayloadChunkBytes;
}

/// Empty where nothing stays away for that.
std::string human_deleted_here(const SyncReport& report, const LogReport& log) {
  if (log.deleted_here.empty()) return {};
  // One of these holds each.
  std::string addresses;
  for (const node::PeerReport& peer : report.peers) {
    if (peer.peer) addresses += (addresses.empty() ? "" : " --also ") + to_string(peer.endpoint);
  }
  return short_name(log.log) + ": " + payloads_of(log.deleted_here) +
         " were deleted here and do not come back by themselves: " +
         human_ranges(log.deleted_here) + "; `culm sync " + addresses + " " + name_of_one(log.log) +
         " --range " + to_string(fit_in_command(log.deleted_here)) +
         " --undelete` takes them again" + then_others(log.deleted_here) + "\n";
}

/// What did not come of a log of which each peer that answered has lost some by damage.
std::string human_damaged(const SyncRequest& request, const LogReport& log,
                          const RangeSet& payloads) {
  if (log.peer_head == 0) return "it can serve nothing of this log";
  const RangeSet known = log.missing & RangeSet{{1, head_of(log)}};
  const RangeSet beyond = log.missing - known;
  const std::string did_not = request.quote_only ? " would not come: " : " did not come: ";
  std::string text;
  if (!known.empty()) text = human_entries(known.count()) + " of what is wanted";
  if (!known.empty()) text += did_not + human_ranges(known);
  if (!payloads.empty()) {
    text += (text.empty() ? "" : ", and ") + payloads_of(payloads) + " that are wanted" + did_not +
            human_ranges(payloads);
  }
  if (text.empty()) text = "some of what is wanted was lost there";
  if (beyond.empty()) return text;
  return text + "; " + human_ranges(beyond) + " of what is wanted lies beyond " +
         std::to_string(head_of(log)) + ", the highest entry that " +
         (is_of_one(request) ? "it can show" : "they can show");
}

std::string human_store_damaged(const SyncRequest& request, const LogReport& log,
                                const RangeSet& payloads) {
  return "the store of " +
         std::string(is_of_one(request) ? "the peer" : "each peer that answered") +
         " is damaged: " + human_damaged(request, log, payloads);
}

/// Of what nobody serves.
std::string human_denied(const SyncRequest& request, const LogReport& log) {
  if (log.outcome != LogOutcome::kDenied || !log.denied || request.push) return {};
  const char* const who = is_of_one(request)   ? "the peer "
                          : log.silent.empty() ? "no peer serves it; the last "
                                               : "no peer that answered serves it; the last ";
  return short_name(log.log) + ": " + who + why_denied(*log.denied, false) + "\n";
}

std::string quoted(const SyncRequest& request, const SyncReport& report) {
  const char* const title = is_of_one(request) ? "would receive" : "would receive from one peer";
  Table table({{title, kLeft}, {"entries"}, {"certificate"}, {"payloads"}, {"wire in"}});
  std::string text;
  replication::Quote sum;
  const bool has_budget =
      std::ranges::any_of(request.logs, [](const auto& want) { return want.budget_bytes != 0; });
  for (const LogReport& log : report.logs) {
    if (log.quote) {
      table.add(row_of(short_name(log.log), *log.quote));
      add(sum, *log.quote);
    }
    add_whole(table, log);
    text += human_denied(request, log);
    if (!log.beyond_head.empty()) text += short_name(log.log) + ": " + human_beyond(log) + "\n";
    if (log.outcome == LogOutcome::kPartial && log.error) {
      text += short_name(log.log) + ": ";
      text += human_store_damaged(request, log, log.payloads_missing) + "\n";
    }
    text += human_deleted_here(report, log);
    if (has_budget && log.quote && !log.quote->exact && brings_nothing(*log.quote)) {
      text += short_name(log.log) + ": nothing that is missing fits into the budget\n";
    }
  }
  if (report.logs.size() > 1) table.add(row_of("in all", sum));
  if (has_budget) {
    text +=
        "of each log it stops where nothing more fits into the budget, as \"wire in\" says; a "
        "payload of which a part comes is not counted\n";
  }
  for (const node::PeerReport& peer : report.peers) {
    if (!peer.peer) text += "the peer at " + node::to_string(peer.endpoint) + " did not answer\n";
  }
  return table.take() + text;
}

/// What every peer confirms of a log that was pushed.
std::string receipt(const SyncRequest& request, const LogReport& log) {
  const std::string who = is_of_one(request) ? "the peer confirms" : "every peer confirms";
  if (log.is_pushed) {
    return who + " that it holds all there is here, up to " + std::to_string(log.head);
  }
  if (log.cut_off.empty() || !log.unconfirmed.empty()) return {};
  return human_entries(log.cut_off.count()) +
         (log.cut_off.count() == 1 ? " is not wanted and was" : " are not wanted and were") +
         " not pushed, as what proves them was lost: " + human_ranges(log.cut_off) +
         (log.peer_head == 0 ? "" : "; " + who + " that it holds the rest");
}

/// What those that were asked do not hold, as far as they say.
std::string lack(const SyncRequest& request, const LogReport& log) {
  if (is_of_one(request)) return "the peer does not hold ";
  if (!log.damaged.empty()) return "no peer brings ";
  return log.silent.empty() ? "the peers do not hold " : "no peer that answered holds ";
}

/// Sentences about a log that the table has no column for.
std::string notes(const SyncRequest& request, const SyncReport& report, const LogReport& log) {
  std::string text = human_denied(request, log);
  const auto note = [&](const std::string& sentence) {
    text += short_name(log.log) + ": " + sentence + "\n";
  };
  const bool is_cut_short = log.outcome == LogOutcome::kUnfinished;
  const bool has_stalled = log.outcome == LogOutcome::kIncomplete || is_cut_short ||
                           (request.live && log.outcome == LogOutcome::kDenied);
  const bool is_unsaid = is_cut_short && log.peer_head == 0;
  const RangeSet missing = is_unsaid ? log.missing : log.missing - log.beyond_head;
  const RangeSet payloads = log.payloads_missing - log.payloads_left_out;
  const std::string those = human_entries(missing.count()) + " of what is wanted";
  const bool is_refused = node::is_denied_for_damage(log);
  const bool is_damaged =
      log.outcome == LogOutcome::kPartial && log.error && (!is_refused || !missing.empty());
  if (log.outcome == LogOutcome::kBudget && has_come(report)) {
    note("stopped at the budget; run the same again to go on");
  } else if (is_damaged) {
    note(human_store_damaged(request, log, payloads));
  } else if (log.outcome == LogOutcome::kPartial && !missing.empty()) {
    note(lack(request, log) + those + ": " + human_ranges(missing));
  } else if (has_stalled && !missing.empty()) {
    note(those + " did not come: " + human_ranges(missing));
  }
  if (is_unsaid) {
    note(is_of_one(request) ? "the peer has not said what it holds of it"
                            : "no peer has said what it holds of it");
  } else if (!log.beyond_head.empty()) {
    note(human_beyond(log));
  }
  if (!payloads.empty() && !is_damaged && (has_stalled || log.error)) {
    note(payloads_of(payloads) + " that are wanted did not come: " + human_ranges(payloads));
  } else if (!payloads.empty() && !is_damaged) {
    note(lack(request, log) + payloads_of(payloads) +
         " that are wanted: " + human_ranges(payloads));
  }
  for (const node::Endpoint& peer : log.damaged) {
    if (!log.error) note(the_peer(request, peer) + " has lost some of it: its store is damaged");
  }
  if (!log.payloads_left_out.empty()) {
    note("--payload-max left out " + payloads_of(log.payloads_left_out) + ": " +
         human_ranges(log.payloads_left_out));
  }
  text += human_deleted_here(report, log);
  const std::string confirmed = request.push ? receipt(request, log) : "";
  if (!confirmed.empty()) note(confirmed);
  for (const node::Unconfirmed& one : log.unconfirmed) {
    const auto denied =
        std::ranges::find(log.offer_denied_by, one.endpoint, &node::OfferDenied::endpoint);
    note(the_peer(request, one.endpoint) + " does not confirm that it holds " +
         human_unconfirmed(one.entries, one.payloads) +
         (one.is_unsaid ? "; it can name no more than 4,096 ranges, and holds all of these" : "") +
         (denied != log.offer_denied_by.end() ? "; it " + why_denied(denied->reason, true) : ""));
  }
  return text;
}

/// A line for each peer, of several, and what these count that the table does not.
std::string who_brought_what(const SyncReport& report) {
  std::string text;
  if (report.peers.size() == 1) return text;
  std::uint64_t came = 0;
  std::uint64_t kept = 0;
  for (const LogReport& log : report.logs) kept += log.entries + log.certificate_entries;
  for (const node::PeerReport& peer : report.peers) {
    came += peer.stats.entries_received;
    text += "from " + node::to_string(peer.endpoint) + ": " +
            human_entries(peer.stats.entries_received) + ", " +
            human_size(peer.stats.bytes_received) + " in";
    if (peer.error) text += "; " + why_lost(*peer.error, peer.text).message;
    if (is_unanswered(report, peer)) {
      text += peer.peer ? "; it left some of it unanswered" : "; it did not answer";
    }
    text += "\n";
  }
  if (came > kept) {
    const std::uint64_t more = came - kept;
    text += human_entries(more) + " of these" + (more == 1 ? " was" : " were") +
            " here already or not taken, and so not counted as received\n";
  }
  return text;
}

std::string moved(const SyncRequest& request, const SyncReport& report) {
  Table table({{"received", kLeft},
               {"entries"},
               {"certificate"},
               {"payloads"},
               {"wire in"},
               {"wire out"},
               {"time"}});
  const Row wire = {human_size(report.stats.bytes_received), human_size(report.stats.bytes_sent),
                    human_duration(report.took)};
  const bool is_only = report.logs.size() == 1;
  std::string text;
  LogReport sum;
  for (const LogReport& log : report.logs) {
    table.add(row_of(short_name(log.log), log, is_only ? wire : Row{}));
    add_whole(table, log);
    sum.entries += log.entries;
    sum.certificate_entries += log.certificate_entries;
    sum.payload_bytes += log.payload_bytes;
    text += notes(request, report, log);
  }
  if (!is_only) table.add(row_of("in all", sum, wire));
  if (request.push) {
    text += "sent " + human_entries(report.stats.entries_sent) + " with " +
            human_size(report.stats.payload_bytes_sent) + " of payloads: " + wire[1] + " out, " +
            wire[0] + " in, " + wire[2] + "\n";
  }
  const bool has_only_sent = request.push && sum.entries + sum.certificate_entries == 0;
  return (has_only_sent ? "" : table.take()) + text + who_brought_what(report);
}

}  // namespace

Outcome<void> conclude(Context& context, const SyncRequest& request, const SyncReport& report,
                       const std::vector<LogKey>& unserved) {
  SyncReport counted = report;
  for (LogReport& log : counted.logs) {
    if (std::ranges::find(unserved, log.log) != unserved.end()) log.outcome = LogOutcome::kComplete;
  }
  auto judged = judge(request, counted);
  if (!judged && fault(judged.error().code) == Fault::kOwnStore) {
    judged = fail_with(std::move(judged).error().about(named(context)));
  }
  if (!is_answered(report) && !judged) return judged;
  if (context.json) {
    for (const Json& line : control::report_lines(request, report)) {
      CULM_TOOLS_CHECK(context.out.write_json(line));
    }
  } else {
    CULM_TOOLS_CHECK(
        context.out.say(request.quote_only ? quoted(request, report) : moved(request, report)));
  }
  return judged;
}

}  // namespace culm::tools
