#include <algorithm>

#include "culm/replication/node/sync_report.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  RangeWords range;
  bool lines = false;
  bool dropped = false;
};

RangeSet entries_of(const store::LogState& state, const Options& options) {
  return options.dropped ? node::find_dropped(state) : state.served();
}

void tell_left_out(const store::LogState& state, const RangeSet& missing) {
  const std::uint64_t deleted = (missing & state.deleted).count();
  const std::uint64_t others = missing.count() - deleted;
  std::string what = others == 0 ? "" : human_count(others) + " not held";
  if (deleted != 0) what += (others == 0 ? "" : ", ") + human_count(deleted) + " deleted here";
  if (what.empty()) return;
  tell("culm: cat: " + short_name(state.log) + ": left out of " + human_payloads(state.head()) +
       ": " + what);
}

/// Whether this store has ever synced.
bool knows_peer(const store::Store& store) {
  const auto transaction = store.read();
  const auto peers = transaction ? transaction->known_peers() : fail(transaction.error());
  return !peers || !peers->empty();
}

/// What is to be printed: all that is held, or all that was asked for.
Outcome<RangeSet> choose(const store::Store& store, const store::LogState& state,
                         const Options& options, SeqNum head_max, bool is_quiet) {
  const RangeSet entries = entries_of(state, options);
  const RangeSet held = state.payloads & entries;
  if (entries.empty() || (options.dropped && options.range.empty())) return held;
  if (options.range.empty()) {
    if (!is_quiet) tell_left_out(state, RangeSet{{1, state.head()}} - held);
    return held;
  }
  const SeqNum head = entries.max();
  CULM_TOOLS_CHECK(options.range.check_in(head));
  RangeSet wanted = options.range.of(head, head_max);
  if (wanted.empty()) {
    if (head < head_max) return RangeSet();
    return fail_with(Failure(Error{Errc::kEntryNotHeld}).about(short_name(state.log)));
  }
  // An open range ends at the head; what was named beyond it is missing.
  if (wanted.max() == kSeqnumMax && wanted.ranges().back().first <= head) {
    wanted.erase({head + 1, kSeqnumMax});
  }
  CULM_TOOLS_CHECK(unless_missing(state, wanted - held, Errc::kPayloadNotHeld,
                                  !is_own(state.log) || knows_peer(store)));
  return wanted;
}

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto states, read_logs_named(*store, options.log));
  std::vector<RangeSet> chosen;
  chosen.reserve(states.size());
  std::vector<PrintedPayloads> printed;
  Outcome<void> outcome;
  SeqNum head_max = 0;
  for (const store::LogState& state : states) {
    head_max = std::max(head_max, entries_of(state, options).largest_up_to(kSeqnumMax));
  }
  for (const store::LogState& state : states) {
    auto of_log = choose(*store, state, options, head_max, context.json);
    if (of_log) {
      printed.push_back({state, chosen.emplace_back(*std::move(of_log))});
    } else if (outcome) {
      outcome = fail_with(std::move(of_log.error()));
    }
  }
  const auto is_nothing = [](const RangeSet& seqnums) { return seqnums.empty(); };
  if (options.dropped && outcome && std::ranges::all_of(chosen, is_nothing)) {
    return fail_with(
        Failure(Exit::kNotFound, Errc::kPayloadNotHeld, "no payload is here that a fork dropped")
            .about(shown(options.log)));
  }
  say_when_interrupted("not all was printed");
  CULM_TOOLS_TRY(const std::uint64_t bytes, bytes_to_print(context.out, *store, printed));
  Progress progress("writing", bytes, Progress::Unit::kBytes);
  for (const auto& [state, seqnums] : printed) {
    PayloadFormat format({context.json, options.lines, context.out.is_terminal()});
    CULM_TOOLS_TRY(const RangeSet damaged, print_entries(context.out, *store, state.log, seqnums,
                                                         format, bytes == 0 ? nullptr : &progress));
    if (!damaged.empty()) outcome = unless_damaged(state.log, damaged);
  }
  return outcome;
}

}  // namespace

void add_cat(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "cat",
      "Print the payloads of a log in order. Without --range: all that are held. With --range\n"
      "each of them must be held, or nothing of that log is printed and the exit status is 3. Of\n"
      "an author with several logs it is meant of each, but for what lies above the head of a\n"
      "shorter one; .LOG_ID names one alone.\n"
      "\n"
      "Bytes that could drive the terminal are escaped when the output is one; into a file or a\n"
      "pipe go the very bytes. What is damaged is left out, and the exit status is then 5.",
      "culm cat 4fd3ab12 --lines > copy.txt", options, run);
  verb.group(VerbGroup::kRead);
  verb.add_option("LOG", &options->log, "Log").required();
  Option& range = verb.add_option("--range", ranges_of(options->range),
                                  "Only these seqnums, such as 5-9,20,30-, last or -10-");
  verb.add_option("--newest", newest_of(options->range),
                  "Only the last N entries, as --range -N- says; N is 1 or more")
      .excludes(range);
  verb.add_flag("--dropped", options->dropped,
                "Print what a fork dropped: the entries from there on that lie here and are\n"
                "not valid any more");
  verb.add_flag("--lines", options->lines,
                "End each payload with a line end, the way `append --lines` took it off");
}

}  // namespace culm::tools
