#include <optional>

#include "culm/replication/node/sync_report.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  RangeWords range;
  std::optional<std::uint64_t> newest;
};

Outcome<void> print(Context& context, const store::Store& store, const store::LogState& state,
                    const RangeSet& seqnums) {
  LineFormat format({context.json, false, state.head()});
  if (!context.json) {
    CULM_TOOLS_TRY(const auto names, list_given_names());
    const auto name = given_name_of(names, state.log);
    CULM_TOOLS_CHECK(context.out.say("log " + to_string(state.log) + (name ? ", " + *name : "") +
                                     "\n" + format.header()));
  }
  CULM_TOOLS_TRY(const RangeSet damaged,
                 print_entries(context.out, store, state.log, seqnums, format));
  if (state.cap != 0 && !context.json) {
    const RangeSet dropped = node::find_dropped(state);
    CULM_TOOLS_CHECK(context.out.say("the author forked the log: entries from " +
                                     std::to_string(state.cap) + " on are not valid" +
                                     human_dropped(dropped, dropped & state.payloads) + "\n"));
  }
  return unless_damaged(state.log, damaged);
}

Outcome<void> run(Context& context, const Options& options) {
  if (options.newest == 0U) return usage("--newest 0 lists nothing");
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto states, read_logs_named(*store, options.log));
  say_when_interrupted("not all was printed");
  bool is_none = true;
  Outcome<void> outcome;
  const SeqNum head_max = highest_head(states);
  for (const store::LogState& state : states) {
    CULM_TOOLS_CHECK(options.range.check_in(state.head()));
    const RangeSet asked = options.range.of(state.head(), head_max);
    RangeSet seqnums = state.served();
    if (!options.range.empty()) seqnums &= asked;
    if (options.newest) seqnums = last_of(seqnums, *options.newest);
    Outcome<void> printed;
    if (!seqnums.empty() || options.range.empty()) {
      if (!is_none && !context.json) CULM_TOOLS_CHECK(context.out.say("\n"));
      is_none = false;
      printed = print(context, *store, state, seqnums);
    }
    if (!printed && printed.error().code != Errc::kStoreDamaged) return printed;
    if (printed) printed = unless_missing(state, named_in(asked) - state.served());
    const bool is_damage = !printed && printed.error().code == Errc::kStoreDamaged;
    if (!printed && (outcome || is_damage)) outcome = std::move(printed);
  }
  if (!is_none || !outcome) return outcome;
  const store::LogState& log = states.front();
  CULM_TOOLS_CHECK(unless_missing(log, options.range.of(log.head()) - log.served()));
  return fail_with(Failure(Error{Errc::kEntryNotHeld})
                       .about(short_name(log.log))
                       .next("`culm ls` shows what is held"));
}

}  // namespace

void add_log(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "log",
      "List the held entries of a log: seqnum, level, payload size and the payload's start.\n"
      "verified: the entry's own signature was checked. attested: a later entry whose signature\n"
      "was checked vouches for its exact bytes. What --range names, such as 7, 5-9 or 1-last, and\n"
      "is not held, is named in the end, and the exit status is then 3; a range without an end,\n"
      "such as 1-, means what is held. Of an author with several logs --range is meant of each,\n"
      "but for what lies above the head of a shorter one.",
      "culm log 4fd3ab12 --newest 20", options, run);
  verb.group(VerbGroup::kRead);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_option("--range", ranges_of(options->range),
                  "Only these seqnums, such as 5-9,20,30-, last or -10-");
  verb.add_option("--newest", number_of(options->newest),
                  "Only the last N of them; N is 1 or more");
}

}  // namespace culm::tools
