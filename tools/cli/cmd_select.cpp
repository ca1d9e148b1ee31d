#include <algorithm>

#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kRowsPerPortion = 1000;

struct Options {
  std::string log;
  std::optional<std::uint64_t> newest;
  RangeWords range;
  bool all = false;
  bool none = false;
  bool without_lost = false;
  bool entries_only = false;
  bool payloads = false;
  bool dry_run = false;

  [[nodiscard]] bool is_change() const {
    return newest || !range.empty() || all || none || without_lost || entries_only || payloads;
  }
};

/// Those and, where they have no end, from where on all.
std::string describe(const RangeSet& ranges) {
  const SeqRange last = ranges.ranges().back();
  if (last.last != kSeqnumMax) {
    return (ranges.count() == 1 ? "entry " : "entries ") + human_ranges(ranges);
  }
  const std::string rest = "all from " + std::to_string(last.first) + " on";
  const RangeSet before = ranges - RangeSet{last};
  return before.empty() ? rest : describe(before) + " and " + rest;
}

/// What the store wants of a log, behind "wants ".
std::string describe(const store::LogInterest& interest) {
  if (interest.is_none()) return "nothing";
  const auto& [ranges, newest] = interest.entries;
  std::string text;
  if (interest.entries.empty()) {
    text = "everything, as nothing was selected";
  } else if (ranges == everything().ranges) {
    text = "everything";
  } else if (ranges.empty()) {
    text = "the newest " + human_count(newest);
  } else {
    text = describe(ranges);
    if (newest != 0) text += ", and always the newest " + human_count(newest);
  }
  if (!interest.payloads) text += ", without payloads";
  return text;
}

/// What does not go together.
Outcome<void> check(const Options& options) {
  const bool is_part = options.newest || !options.range.empty();
  if (options.log.empty()) return usage("name the log whose selection is to change");
  if (int{is_part} + int{options.all} + int{options.none} + int{options.without_lost} > 1) {
    return usage("--all, --none, --without-lost, and --newest or --range exclude each other");
  }
  if (options.payloads && options.entries_only) {
    return usage("--payloads and --entries-only exclude each other");
  }
  if (options.without_lost && (options.payloads || options.entries_only)) {
    return usage("--without-lost changes nothing of payloads: say that for itself");
  }
  if (options.none && (options.payloads || options.entries_only)) {
    return usage("--none wants neither entries nor payloads");
  }
  if (!options.is_change()) return usage("say what --dry-run is to try");
  if (options.newest == 0U) return usage("--newest 0 selects nothing: say --none");
  return {};
}

/// What --range means in a log; it may count from the last entry that is held now.
Outcome<RangeSet> meant(const store::LogState& log, const RangeWords& range) {
  const SeqNum head = log.head();
  CULM_TOOLS_CHECK(range.check_in(head));
  RangeSet seqnums = range.of(head);
  const bool is_counted = range.counted_from_last().has_value();
  if (!range.empty() && (seqnums.empty() || (is_counted && head == 0))) {
    return fail_with(Failure(Exit::kNotFound, Errc::kEntryNotHeld,
                             "the log has " + human_entries(head) +
                                 " so far, and --range counts from the last of them")
                         .about(short_name(log.log))
                         .next("--newest N wants the last N, also of what comes later"));
  }
  return seqnums;
}

store::LogInterest changed(store::LogInterest interest, const Options& options, RangeSet range) {
  if (options.none) return {Interest{}, false};
  const bool was_none = interest.is_none();
  if (options.all) interest.entries = everything();
  if (options.newest || !options.range.empty()) {
    interest.entries = {std::move(range), options.newest.value_or(0)};
  }
  // Payloads alone were said: of all entries, then.
  if (interest.entries.empty()) interest.entries = everything();
  if (options.payloads || options.entries_only || was_none)
    interest.payloads = !options.entries_only;
  return interest;
}

/// What a change of selection does to a log.
struct Change {
  store::SharedLogState log;
  store::LogInterest interest;
  InPart in_part{};                     ///< what had come of payloads that are not wanted then
  WhyAlone why_alone = WhyAlone::kNot;  ///< of what is held
  store::Lost let_go{};                 ///< lost, and not wanted any more
  store::Lost unwanted{};               ///< lost, and not wanted then
  store::Lost still_lost{};             ///< payloads that --without-lost leaves wanted
  bool may_be_alone = false;            ///< nothing tells whose it is, nor of a peer that has it
  RangeSet empty{};                     ///< payloads that are kept, and have no byte
};

/// Payloads that stay though they are not wanted.
struct Kept {
  RangeSet all;
  RangeSet cut_off;  ///< of these: what they lead to was lost

  explicit Kept(const Change& change) {
    const store::LogState& log = *change.log;
    const RangeSet served = log.served();
    all = (log.payloads & served) - change.interest.payloads_wanted(log.head());
    cut_off = all - anchored(served);
  }
};

Json to_json(const Change& change, std::string_view type) {
  const store::LogState& log = *change.log;
  const Interest& interest = change.interest.entries;
  const Kept kept(change);
  return {{"type", type},
          {"log", to_string(log.log)},
          {"held", to_string(log.served())},
          {"payloads", (log.payloads & log.served()).count()},
          {"interest", to_string(interest.ranges)},
          {"interest_newest", interest.newest},
          {"payloads_wanted", change.interest.payloads},
          {"selected", change.interest.is_none() || !interest.empty()},
          {"payloads_unwanted", to_string(kept.all)},
          {"payloads_cut_off", to_string(kept.cut_off)},
          {"why_alone", tools::to_json(change.why_alone)},
          {"lost_unwanted", to_string(change.unwanted.entries)},
          {"payloads_lost_unwanted", to_string(change.unwanted.payloads)},
          {"cap", log.cap == 0 ? Json() : Json(log.cap)}};
}

Outcome<LostOfLog> find_lost(const LostFinder& losses, const store::ReadTransaction& transaction,
                             const store::LogState& log) {
  return about(short_name(log.log), losses.find(transaction, log));
}

/// What is wanted now.
Outcome<Change> look_at(const store::ReadTransaction& transaction, const LostFinder& losses,
                        const store::SharedLogState& log) {
  Change now{log, log->interest};
  CULM_TOOLS_TRY(const LostOfLog lost, find_lost(losses, transaction, *log));
  now.unwanted = lost.unwanted;
  CULM_TOOLS_TRY(now.why_alone, find_why_alone(transaction, *log));
  return now;
}

/// What of it is not wanted any more once `left` is lost. Of entries that a sync takes
/// nevertheless, to prove others, it is the payloads.
store::Lost find_let_go(const store::LogState& log, const store::Lost& lost,
                        const LostOfLog& left) {
  store::Lost let_go{lost.entries - left.lost.entries, lost.payloads - left.lost.payloads,
                     lost.untold};
  const RangeSet proving = let_go.entries & left.proving;
  if (proving.empty()) return let_go;
  let_go.entries -= proving;
  let_go.payloads |= proving & log.interest.payloads_wanted(std::max(log.head(), proving.max()));
  return let_go;
}

/// Of payloads that stay though they are not wanted, as far as few are looked at.
Outcome<RangeSet> find_empty(const store::ReadTransaction& transaction, const Change& change) {
  constexpr std::uint64_t kLookedAtMax = 4096;
  RangeSet empty;
  const auto look = [&](const store::StoredEntry& stored) -> Result<bool> {
    if (stored.entry.payload_size() == 0) empty.insert(stored.entry.seqnum());
    return true;
  };
  const RangeSet kept = lowest(Kept(change).all, kLookedAtMax);
  CULM_TOOLS_CHECK(transaction.visit_sound_entries(*change.log, kept, look));
  return empty;
}

Outcome<Change> plan(const Context& context, const store::Store& store, const LostFinder& losses,
                     const LogKey& key, const Options& options) {
  Change change;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(change.log, about(short_name(key), transaction.get_log(key)));
  const bool says_which = options.all || options.none || options.newest || !options.range.empty();
  if (change.log->interest.is_none() && !says_which) {
    return fail_with(Failure(Exit::kUsage, Errc::kUsage,
                             "nothing is selected of the log, neither entries nor payloads")
                         .about(short_name(key))
                         .next("say which entries as well: --all, --range or --newest"));
  }
  CULM_TOOLS_TRY(RangeSet range, meant(*change.log, options.range));
  CULM_TOOLS_TRY(const LostOfLog lost, find_lost(losses, transaction, *change.log));
  change.interest = changed(change.log->interest, options, std::move(range));
  if (options.without_lost) {
    const RangeSet& entries = lost.lost.entries;
    change.interest = entries.empty() ? change.log->interest : without_lost(*change.log, entries);
  }
  store::LogState then = *change.log;
  then.interest = change.interest;
  CULM_TOOLS_TRY(const LostOfLog left, find_lost(losses, transaction, then));
  change.let_go = find_let_go(*change.log, lost.lost, left);
  change.unwanted = left.unwanted;
  if (options.without_lost) change.still_lost = {{}, left.lost.payloads, left.lost.untold};
  const RangeSet unwanted =
      everything().ranges - change.interest.payloads_wanted(change.log->head());
  CULM_TOOLS_TRY(change.in_part, find_in_part(transaction, *change.log, unwanted));
  CULM_TOOLS_TRY(change.why_alone, find_why_alone(transaction, *change.log));
  change.may_be_alone = may_be_alone(context, transaction);
  CULM_TOOLS_TRY(change.empty, find_empty(transaction, change));
  return change;
}

std::string perhaps_alone(const RangeSet& payloads, const std::string& nowhere_else) {
  return "; held though not wanted, and " + nowhere_else + ": " + human_payloads(payloads.count()) +
         ": " + human_ranges(payloads);
}

/// What stays though it is not selected, and how it goes, unless this may be the last copy.
std::string unwanted_payloads(const Change& change) {
  const Kept kept(change);
  // To delete what has no byte frees nothing.
  const RangeSet others = kept.all - kept.cut_off - change.empty;
  const std::string name = name_of_one(change.log->log);
  std::string text;
  if (!others.empty() && change.why_alone == WhyAlone::kNot) {
    text = "; held and not wanted: " + human_payloads(others.count()) + ", until `culm delete " +
           name + " --payloads --range " + to_string(fit_in_command(others)) + "`" +
           then_others(others);
    if (change.may_be_alone) {
      text +=
          "; no author marks here tell whether the log is your own, and no peer was met that may "
          "have it: these may be the last copy";
    }
  } else if (!others.empty()) {
    text = perhaps_alone(others, perhaps_nowhere_else(change.why_alone)) +
           "; `culm sync HOST:PORT " + name + " --push` says whether a peer has them";
  }
  if (kept.cut_off.empty()) return text;
  return text + perhaps_alone(kept.cut_off, "perhaps nowhere else, as what they lead to was lost");
}

/// Lost, and not wanted any more, and how that is undone.
std::string lets_go(const Change& change, bool is_done) {
  if (change.let_go.empty()) return {};
  store::LogState then = *change.log;
  then.interest = change.interest;
  const std::string words = is_done ? "lost, and not" : "lost, and then not";
  return "; " + listed(words + " wanted any more", change.let_go) + "; " +
         want_again(then, change.log->interest);
}

/// What --without-lost does not let go, and what does.
std::string still_lost(const Change& change) {
  if (change.still_lost.empty()) return {};
  store::LogState then = *change.log;
  then.interest = change.interest;
  return "; " + listed("lost, and still wanted", change.still_lost) +
         "; where nobody has it: " + want_less(then, change.still_lost);
}

Outcome<void> say(Context& context, const Change& change, bool is_done) {
  const store::SharedLogState& log = change.log;
  const store::LogInterest& interest = change.interest;
  const InPart& in_part = change.in_part;
  if (context.json) {
    Json object = to_json(change, is_done ? "selection" : "would_select");
    object["seqnums_in_part"] = to_string(in_part.seqnums);
    object["payload_bytes_in_part"] = in_part.bytes;
    return context.out.write_json(object);
  }
  std::string text =
      short_name(log->log) + (is_done ? ": wants " : ": would want ") + describe(interest);
  if (interest != log->interest) text += "; before: " + describe(log->interest);
  if (!in_part.seqnums.empty()) {
    text += std::string("; ") + (is_done ? "deleted" : "would delete") + " parts of " +
            human_payloads(in_part.seqnums.count()) + " (" + human_size(in_part.bytes) +
            "): " + human_ranges(in_part.seqnums);
  }
  text += lets_go(change, is_done) + still_lost(change) + unwanted_payloads(change);
  return context.out.say(text + "\n");
}

Outcome<void> show(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  std::vector<std::string> names;
  if (!options.log.empty()) names.push_back(options.log);
  CULM_TOOLS_TRY(const auto logs, find_logs_named(transaction, names));
  const LostFinder losses(context, *store);
  using enum Table::Align;
  Table table({{"log", kLeft}, {"held"}, {"payloads"}, {"wants", kLeft}});
  for (const LogKey& log : logs) {
    CULM_TOOLS_TRY(const auto state, about(short_name(log), transaction.get_log(log)));
    if (context.json) {
      CULM_TOOLS_TRY(const Change now, look_at(transaction, losses, state));
      CULM_TOOLS_CHECK(context.out.write_json(to_json(now, "selection")));
      continue;
    }
    const RangeSet held = state->served();
    table.add({short_name(log), human_count(held.count()),
               human_count((state->payloads & held).count()), describe(state->interest)});
    if (table.row_count() == kRowsPerPortion) CULM_TOOLS_CHECK(context.out.say(table.take()));
  }
  if (context.json) return {};
  if (logs.empty()) return context.out.say("no logs\n");
  return context.out.say(table.take());
}

/// Says what would be changed.
Outcome<void> look(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  std::vector<LogKey> logs;
  {
    CULM_TOOLS_TRY(const auto transaction, store->read());
    CULM_TOOLS_TRY(logs, find_logs_named(transaction, {options.log}));
  }
  const LostFinder losses(context, *store);
  return for_each_log(context, logs, [&](const LogKey& log) -> Outcome<void> {
    CULM_TOOLS_TRY(const Change change, plan(context, *store, losses, log, options));
    return say(context, change, false);
  });
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.is_change() && !options.dry_run) return show(context, options);
  CULM_TOOLS_CHECK(check(options));
  if (options.dry_run) return look(context, options);
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  std::vector<LogKey> logs;
  {
    CULM_TOOLS_TRY(const auto transaction, access.store->read());
    CULM_TOOLS_TRY(logs, find_logs_named(transaction, {options.log}));
  }
  say_when_interrupted("nothing was changed");
  const LostFinder losses(context, *access.store);
  const auto plan_one = [&](const LogKey& log) -> Outcome<std::optional<PlannedChange>> {
    CULM_TOOLS_TRY(Change change, plan(context, *access.store, losses, log, options));
    PlannedChange planned{{log, change.interest}, 1 + change.in_part.seqnums.count()};
    planned.say = [&context, log, change = std::move(change)](bool is_made) -> Outcome<void> {
      if (!is_made) return {};
      say_when_interrupted(short_name(log) + ": what is wanted was changed");
      return say(context, change, true);
    };
    return planned;
  };
  return change_logs(context, logs, plan_one, [&](std::span<const host::LogChange> changes) {
    return access.writer->change_all(changes);
  });
}

}  // namespace

void add_select(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "select",
      "Show what the store wants of each log, or change it. A `culm sync` without --range and\n"
      "--newest fetches what is selected and misses; with them the selection grows by what they\n"
      "say.\n"
      "\n"
      "Here it is replaced, by less as well: what is held besides stays until it is deleted or\n"
      "forgotten, parts of payloads that are not wanted any more go at once, and a sync that\n"
      "runs goes on with what it has begun with. Of a log with --none a sync fetches nothing\n"
      "that it is not asked for. A relay that is offered a log it accepts wants all of it\n"
      "again.",
      "culm select\n"
      "  culm select 4fd3ab12 --newest 500\n"
      "  culm select 4fd3ab12 --none",
      options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_option("LOG", &options->log,
                  "Log, or author of several; without one all of the store are shown");
  verb.add_option("--newest", number_of(options->newest),
                  "Want the newest N entries; N is 1 or more");
  verb.add_option(
      "--range", ranges_of(options->range),
      "Want these seqnums, such as 5-9,20,30-, last or -10-, which count from the last\n"
      "entry that is held now; goes with --newest");
  verb.add_flag("--all", options->all, "Want everything");
  verb.add_flag("--none", options->none, "Want nothing");
  verb.add_flag("--without-lost", options->without_lost,
                "Want no more what damage took of entries, nor what leads to nothing\n"
                "without them");
  verb.add_flag("--entries-only", options->entries_only, "Want no payloads");
  verb.add_flag("--payloads", options->payloads, "Want payloads");
  verb.add_flag("--dry-run", options->dry_run, "Say what would be changed, and change nothing");
}

}  // namespace culm::tools
