#include <algorithm>

#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"
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
  std::string path;
  bool jsonl = false;
};

/// What is exported of a log.
struct Part {
  store::LogState state;
  RangeSet asked;
  RangeSet certificate;  ///< proves those, and may be some of them
  RangeSet left_out;     ///< leads to nothing, and is not wanted any more
  RangeSet bare;         ///< has no payload here
  RangeSet written{};    ///< of all those, once it was printed
  RangeSet damaged_payloads{};

  /// Whose payload is wanted here.
  [[nodiscard]] RangeSet lacking() const {
    return (bare & state.interest.payloads_wanted(state.head())) - state.deleted;
  }

  [[nodiscard]] std::uint64_t entries() const { return (written & (asked - certificate)).count(); }

  [[nodiscard]] std::uint64_t certificate_entries() const {
    return (written & certificate).count();
  }

  [[nodiscard]] std::uint64_t payloads() const {
    return ((written & asked & state.payloads) - damaged_payloads).count();
  }
};

/// What is held and leads to nothing, but is not wanted any more: its loss was accepted.
RangeSet find_unwanted(const store::LogState& state, const RangeSet& served) {
  return served - anchored(served) - find_cut_off(state, {});
}

Outcome<std::vector<Part>> choose(const store::Store& store, const Options& options) {
  CULM_TOOLS_TRY(const auto states, read_logs_named(store, options.log));
  std::vector<Part> parts;
  const SeqNum head_max = highest_head(states);
  for (const store::LogState& state : states) {
    const RangeSet served = state.served();
    CULM_TOOLS_CHECK(options.range.check_in(state.head()));
    const RangeSet named = options.range.of(state.head(), head_max);
    const RangeSet left_out = options.range.empty() ? find_unwanted(state, served) : RangeSet();
    const RangeSet asked = options.range.empty() ? served - left_out : served & named;
    CULM_TOOLS_CHECK(unless_missing(state, named_in(named) - served));
    if (asked.empty() && !options.range.empty()) continue;
    // A file of a log of which nothing is wanted any more is one of the log all the same.
    const bool is_whole = options.range.empty() && !state.interest.is_none();
    // What is proven otherwise, and leads to nothing itself, proves nothing to who imports it.
    const RangeSet certificate =
        is_whole ? state.certificate() - left_out
                 : (closure(asked, state.head()) & anchored(served)) - asked - left_out;
    parts.push_back({state, asked, certificate, left_out, (asked - certificate) - state.payloads});
  }
  if (!parts.empty()) return parts;
  const store::LogState& first = states.front();
  CULM_TOOLS_CHECK(unless_missing(first, options.range.of(first.head()) - first.served()));
  return fail_with(Failure(Error{Errc::kEntryNotHeld})
                       .about(short_name(first.log))
                       .next("`culm ls` shows what is held"));
}

Outcome<void> unless_cut_off(const LogKey& log, const RangeSet& cut_off) {
  if (cut_off.empty()) return {};
  Failure failure(Exit::kNotFound, Errc::kUnitUnanchored,
                  "what they lead to was lost, so that nobody can import them; left out: " +
                      to_string(cut_off));
  failure.fields["cut_off"] = to_string(cut_off);
  std::string next(kTakeLostAgain);
  next +=
      ", or a sync once it is wanted again (`culm select`); where nobody has it they stay "
      "readable here, and peers take only the rest";
  return fail_with(std::move(failure).about(short_name(log)).next(std::move(next)));
}

/// Of one log: of several reasons the first, which names what the others name.
Outcome<void> unless_lacking(const Part& part, const RangeSet& damaged, const JsonlFormat& format) {
  auto sound = unless_damaged(part.state.log, damaged, format.damaged_payloads());
  auto whole = unless_cut_off(part.state.log, format.cut_off());
  const RangeSet payloads = part.lacking() - format.cut_off() - damaged;
  if (sound && whole) return unless_missing(part.state, payloads, Errc::kPayloadNotHeld);
  if (!sound && !whole) {
    sound.error().message += "; and, as they lead to it, " + to_string(format.cut_off());
    sound.error().fields["cut_off"] = to_string(format.cut_off());
  }
  auto& first = sound ? whole : sound;
  if (!payloads.empty()) {
    first.error().message += "; without payload, as that is not held: " + to_string(payloads);
    first.error().fields["missing"] = to_string(payloads);
  }
  return std::move(first);
}

/// Prints all that is sound and can be imported; fails in the end when there is more.
/// `is_over`: all was printed that can be.
Outcome<void> print(Output& out, const store::Store& store, std::vector<Part>& parts,
                    bool& is_over) {
  std::vector<PrintedPayloads> printed;
  printed.reserve(parts.size());
  for (const Part& part : parts) printed.push_back({part.state, part.asked});
  CULM_TOOLS_TRY(const std::uint64_t bytes, bytes_to_print(out, store, printed));
  Progress progress("exporting", bytes, Progress::Unit::kBytes);
  Outcome<void> outcome;
  for (Part& part : parts) {
    JsonlFormat format(part.asked);
    const auto damaged = print_entries(out, store, part.state.log, part.asked | part.certificate,
                                       format, bytes == 0 ? nullptr : &progress);
    part.written = format.written();
    part.damaged_payloads = format.damaged_payloads();
    if (!damaged) return fail_with(damaged.error());
    part.written -= *damaged;
    auto of_part = unless_lacking(part, *damaged, format);
    const bool is_worse = !of_part && (outcome || of_part.error().code == Errc::kStoreDamaged);
    if (is_worse) outcome = std::move(of_part);
  }
  is_over = true;
  return outcome;
}

Outcome<void> report(Context& context, const std::string& path, const std::vector<Part>& parts) {
  std::uint64_t entries = 0;
  std::uint64_t certificate = 0;
  std::uint64_t payloads = 0;
  for (const Part& part : parts) {
    entries += part.entries();
    certificate += part.certificate_entries();
    payloads += part.payloads();
    if (!context.json) continue;
    CULM_TOOLS_CHECK(
        context.out.write_json(Json{{"type", "exported"},
                                    {"log", to_string(part.state.log)},
                                    {"file", path},
                                    {"entries", part.entries()},
                                    {"certificate_entries", part.certificate_entries()},
                                    {"payloads", part.payloads()}}));
  }
  if (context.json) return {};
  const std::string logs = parts.size() == 1 ? "" : " of " + human_logs(parts.size());
  return context.out.say("exported " + human_entries(entries) + logs + " and " +
                         human_count(certificate) + " to prove them, with " +
                         human_payloads(payloads) + ", to " + shown(path) + "\n");
}

void tell_left_out(const Context& context, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    const RangeSet deleted = part.bare & part.state.deleted;
    const RangeSet unwanted = part.bare - deleted - part.lacking();
    std::string bare;
    const auto add = [&bare](const RangeSet& payloads, std::string_view why) {
      if (payloads.empty()) return;
      bare += (bare.empty() ? "without " : "; without ") + human_payloads(payloads.count()) +
              std::string(why) + ": " + human_ranges(payloads);
    };
    add(deleted, " deleted here");
    add(unwanted, " not held and not wanted");
    if (!bare.empty()) warn(context, "export", part.state.log, {bare});
    const std::uint64_t count = part.left_out.count();
    if (count == 0) continue;
    warn(context, "export", part.state.log,
         {"left out " + human_entries(count) +
          (count == 1 ? " that leads to nothing and is" : " that lead to nothing and are") +
          " not wanted: " + human_ranges(part.left_out)});
  }
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.jsonl) return usage_without(context, "--jsonl", "say in which format: --jsonl");
  const bool is_to_output = options.path.empty() || options.path == "-";
  if (is_to_output && context.out.is_terminal()) {
    return usage_without(
        context, "-o FILE",
        "a terminal is no place for an export: name a file with -o FILE, or use a pipe");
  }
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(auto parts, choose(*store, options));
  tell_left_out(context, parts);
  bool is_over = false;
  auto pipe = open_pipe(options.path);
  if (!pipe) return fail_with(std::move(pipe.error()).about(shown(options.path)));
  say_when_interrupted(is_to_output || *pipe ? "not all was printed" : "no file was made");
  if (is_to_output) return print(context.out, *store, parts, is_over);
  if (*pipe) {
    Output out((*pipe)->get(), shown(options.path));
    const auto printed = print(out, *store, parts, is_over);
    CULM_TOOLS_CHECK(out.flush());
    return printed;
  }

  CULM_TOOLS_TRY(const auto file, NewFile::create(options.path, 0666));
  auto printed = print(file->out(), *store, parts, is_over);
  const bool is_left = is_over || (!printed && printed.error().code == Errc::kStoreDamaged);
  const bool is_any =
      std::ranges::any_of(parts, [](const Part& part) { return !part.written.empty(); });
  if (!printed && !(is_left && is_any)) return printed;
  {
    const Uninterrupted whole;
    CULM_TOOLS_CHECK(file->complete());
    say_when_interrupted("the file was made");
  }
  if (!printed) printed.error().message += "; the rest is in " + shown(options.path);
  CULM_TOOLS_CHECK(report(context, options.path, parts));
  return printed;
}

}  // namespace

void add_export(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "export",
      "Write entries of a log and their payloads as lines of JSON. `culm verify --jsonl` and\n"
      "`culm import --jsonl` read them. With --range also the entries that prove those asked for,\n"
      "without their payloads. What --range names, such as 7, 5-9 or 1-last, must be held, or\n"
      "nothing is exported; a range without an end, such as 1-, means what is held. Of an author\n"
      "with several logs it is meant of each, but for what lies above the head of a shorter one.\n"
      "\n"
      "Where a payload is damaged, its entry stands there without it; what is damaged and left\n"
      "out is named, and the exit status is then 5. Entries that lead to nothing, as what was\n"
      "below them is lost, are left out as nobody can import them, and named; the exit status is\n"
      "then 3, but 0 where none of them is wanted any more and --range names none. An entry whose\n"
      "payload is not held stands there without it: the exit status is 3 where the payload is\n"
      "wanted (`culm select`) and was not deleted here, else 0.",
      "culm export 4fd3ab12 --jsonl --range 500-600 -o part.jsonl", options, run);
  verb.group(VerbGroup::kExchange);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_flag("--jsonl", options->jsonl, "Needed: the format");
  Option& range = verb.add_option("--range", ranges_of(options->range),
                                  "Only these seqnums, such as 5-9,20,30-, last or -10-");
  verb.add_option("--newest", newest_of(options->range),
                  "Only the last N entries, as --range -N- says; N is 1 or more")
      .excludes(range);
  verb.add_option(
          "-o,--output", &options->path,
          "File to make; it must not exist yet, or be a pipe. - or nothing is standard output")
      .type_name("FILE");
}

}  // namespace culm::tools
