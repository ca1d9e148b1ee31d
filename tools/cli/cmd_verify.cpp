#include <algorithm>
#include <vector>

#include "culm/replication/host/verifier_pool.hpp"
#include "culm/store/audit.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/evidence_text.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/gone.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/jsonl_file.hpp"
#include "tools/cli/kept.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/readable.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/cli/verify_entry.hpp"
#include "tools/sync/own_branch.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::vector<std::string> logs;
  std::string jsonl;
  bool loose = false;
  EntryFiles files;
  std::size_t threads = host::VerifierPool::count_cores();
};

Outcome<void> verify_jsonl_file(Context& context, const Options& options) {
  say_when_interrupted("not all of the file was verified");
  Ed25519Verifier one;
  host::VerifierPool verifier(one, options.threads);
  CULM_TOOLS_TRY(host::JsonlFile file,
                 read_jsonl(options.jsonl, verifier, host::JsonlFile::Signatures::kEach));
  if (const auto good = file.check(verifier, nullptr, options.loose); !good) {
    return fail_with(explain(options.jsonl, good.error()));
  }
  if (context.json) {
    return context.out.write_json(Json{{"type", "file_verdict"},
                                       {"ok", true},
                                       {"entries", file.entry_count()},
                                       {"logs", file.logs().size()}});
  }
  if (file.entry_count() == 0) return context.out.say("the file is empty: nothing to verify\n");
  return context.out.say("good: " + human_entries(file.entry_count()) + " of " +
                         human_logs(file.logs().size()) + "\n");
}

Exit exit_of_fault(const Error& fault) {
  const Exit exit = exit_of(fault);
  return exit == Exit::kStore ? exit : Exit::kVerification;
}

/// What is wrong with a log, and what to do about it.
Failure failure_of(const std::string& title, const Error& fault) {
  Failure failure = Failure(fault).about(title).as(exit_of_fault(fault));
  if (fault.code == Errc::kUnitUnanchored) {
    failure.message += ": what it leads to is not here";
    failure.step = "`culm repair --from HOST:PORT` takes it from a peer that has it";
  }
  return failure;
}

/// Entries that are held and bad, not by their payloads alone.
std::uint64_t count_bad(const store::LogState& log, const store::AuditReport& report) {
  const std::uint64_t held = log.served().count();
  return held - std::min(held, report.entries + report.payloads_bad);
}

Json to_json(const store::LogState& log, const LostOfLog& lost, const store::AuditReport& report) {
  const RangeSet certificate = log.certificate();
  Json object = {{"type", "verdict"},
                 {"log", to_string(log.log)},
                 {"ok", report.is_sound() && log.cap == 0 && lost.empty() && !lost.mark_fault},
                 {"entries", (log.served() - certificate).count()},
                 {"certificate_entries", certificate.count()},
                 {"bad_entries", count_bad(log, report)},
                 {"payloads", report.payloads},
                 {"bad_payloads", report.payloads_bad},
                 {"payload_bytes", report.payload_bytes},
                 {"loose", to_string(report.loose)},
                 {"faults", report.faults},
                 {"cut_off", to_string(lost.cut_off)},
                 {"lost_unwanted", to_string(lost.unwanted.entries)},
                 {"payloads_lost_unwanted", to_string(lost.unwanted.payloads)}};
  add_lost(object, lost.lost);
  object["cap"] = log.cap == 0 ? Json() : Json(log.cap);
  if (lost.published != 0) object["published"] = lost.published;
  if (lost.elsewhere != 0) object["published_elsewhere"] = lost.elsewhere;
  if (lost.is_withheld) object["withheld"] = true;
  const auto& fault = report.first_fault ? report.first_fault : lost.mark_fault;
  if (fault) {
    object["error"] = name(fault->code);
    if (fault->detail_kind == ErrorDetail::kSeqnum) object["seqnum"] = fault->detail;
  }
  return object;
}

/// What of a faulty log is damaged, as far as its rows can be read.
void add_damage(Json& object, const store::ReadTransaction& transaction, const store::LogState& log,
                const store::AuditReport& report) {
  if (!report.first_damage) return;
  const auto damage = transaction.find_damage(log, log.held);
  if (!damage) return;
  object["damaged_entries"] = to_string(damage->entries);
  object["damaged_payloads"] = to_string(damage->payloads);
}

/// Widths of the first columns.
struct Columns {
  std::size_t name = 0;
  std::size_t entries = 0;

  void widen(const LogKey& log, std::uint64_t count) {
    name = std::max(name, short_name(log).size());
    entries = std::max(entries, human_entries(count).size());
  }
  [[nodiscard]] std::string named(const LogKey& log) const {
    std::string text = short_name(log);
    text.resize(std::max(name, text.size()), ' ');
    return text;
  }
  [[nodiscard]] std::string counted(std::uint64_t count) const {
    const std::string text = human_entries(count);
    return std::string(entries - std::min(entries, text.size()), ' ') + text;
  }
};

Columns measure(const store::ReadTransaction& transaction, const std::vector<LogKey>& logs) {
  Columns columns;
  for (const LogKey& key : logs) {
    const auto state = transaction.get_log(key);
    columns.widen(key, state ? (*state)->held.count() : 0);
  }
  return columns;
}

std::string to_text(const Output& out, const Columns& columns, const store::LogState& log,
                    const LostOfLog& lost, const store::AuditReport& report) {
  const bool is_lost = !lost.lost.sure().empty() || !lost.cut_off.empty();
  const std::string verdict = !report.is_sound() ? out.toned(Tone::kBad, "BAD ")
                              : log.cap != 0     ? out.toned(Tone::kBad, "FORK")
                              : is_lost          ? out.toned(Tone::kPartial, "LOST")
                              : !lost.empty()    ? out.toned(Tone::kPartial, "LACK")
                              : lost.mark_fault  ? out.toned(Tone::kPartial, "MARK")
                                                 : out.toned(Tone::kGood, "good");
  std::string text =
      columns.named(log.log) + "  " + verdict + "  " + columns.counted(log.served().count());
  const std::uint64_t bad = count_bad(log, report);
  if (bad != 0) text += ", " + human_count(bad) + " of them bad";
  text += ", " + human_payloads(report.payloads) + " (" + human_size(report.payload_bytes) + ")";
  if (report.payloads_bad != 0) text += ", " + human_payloads(report.payloads_bad) + " bad";
  if (!report.loose.empty()) text += ", " + human_count(report.loose.count()) + " loose";
  if (log.cap != 0) text += ", forked by its author at " + std::to_string(log.cap);
  text += human_lost(lost);
  if (!lost.unwanted.empty()) text += "; " + human_unwanted(lost);
  text += human_mark(lost);
  if (report.first_fault) {
    text += "; " + human_count(report.faults) +
            (report.faults == 1 ? " fault: " : " faults, first: ") + message(*report.first_fault);
  }
  return text + "\n";
}

/// Whichever is worse: a store that cannot be trusted, entries that are wrong, some that are lost,
/// a forked log.
void keep_worst(std::optional<Failure>& worst, Failure failure) {
  const auto rank = [](Exit exit) {
    return exit == Exit::kStore          ? 4
           : exit == Exit::kVerification ? 3
           : exit == Exit::kNotFound     ? 2
                                         : 1;
  };
  if (!worst || rank(failure.exit) > rank(worst->exit)) worst = std::move(failure);
}

/// The verdict on one log, with the evidence against its author if there is any.
Outcome<void> print_verdict(Context& context, const Columns& columns,
                            const store::ReadTransaction& transaction, const store::LogState& log,
                            const LostOfLog& lost, const store::AuditReport& report,
                            SignatureVerifier& verifier) {
  // Evidence that cannot be read is a fault of the log, and reported as one.
  const auto pieces = transaction.evidence(log);
  Json object = to_json(log, lost, report);
  if (context.json) add_damage(object, transaction, log, report);
  std::string text = to_text(context.out, columns, log, lost, report);
  if (log.cap != 0) object["evidence"] = Json::array();
  for (const Evidence& evidence : pieces.value_or(std::vector<Evidence>{})) {
    object["evidence"].push_back(evidence_json(log.log, evidence, verifier));
    text += evidence_text(log.log, evidence, verifier);
  }
  return context.json ? context.out.write_json(object) : context.out.say(text);
}

/// The verdict on a log of which not all can be read: its state, or a page with `unreadable`.
Outcome<void> print_unreadable(Context& context, const Columns& columns, const LogKey& log,
                               const Failure& failure, const RangeSet& unreadable) {
  if (context.json) {
    Json object = {
        {"type", "verdict"}, {"log", to_string(log)}, {"ok", false}, {"error", name(failure.code)}};
    if (!unreadable.empty()) object["damaged"] = to_string(unreadable);
    return context.out.write_json(object);
  }
  return context.out.say(columns.named(log) + "  " + context.out.toned(Tone::kBad, "BAD ") + "  " +
                         failure.message + "\n");
}

/// Of a log of which a page cannot be read: goes on with what is behind it.
Outcome<Failure> judge_unreadable(Context& context, const Columns& columns,
                                  const store::Store& store, const store::LogState& log,
                                  const Error& error) {
  CULM_TOOLS_TRY(const RangeSet unreadable,
                 visit_readable(store, log.log, log.held, [](const store::StoredEntry&) {}));
  Failure failure(error);
  if (unreadable.empty()) {
    failure.message += "; its entries can be read";
  } else {
    failure.message +=
        "; " + human_entries(unreadable.count()) + " cannot be read: " + human_ranges(unreadable);
    failure.fields["damaged"] = to_string(unreadable);
  }
  CULM_TOOLS_CHECK(print_unreadable(context, columns, log.log, failure, unreadable));
  return std::move(failure).about(short_name(log.log));
}

/// What is wrong with a log whose state can be read.
void judge(std::optional<Failure>& worst, const store::Store& store, const store::LogState& log,
           const LostOfLog& lost, const store::AuditReport& report) {
  const std::string title = short_name(log.log);
  if (report.first_fault) {
    keep_worst(worst, failure_of(title, *report.first_fault));
  } else if (!lost.empty()) {
    LostCounts counts;
    counts.add(lost);
    keep_worst(worst,
               counts.failure("the log is sound").about(title).next(next_if_lost(log, lost)));
  } else if (log.cap != 0) {
    keep_worst(worst, Failure(error_for(Errc::kFork, log.cap)).about(title));
  } else if (lost.mark_fault) {
    keep_worst(worst, lost.branch ? explain_branch({store, log.log, lost.tail, ""},
                                                   {std::nullopt, lost.branch->branch_at(),
                                                    *lost.branch, true})
                                  : mark_failure(*lost.mark_fault, log.log).about(title));
  }
}

Outcome<void> verify_store(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  std::optional<Failure> worst;
  // Behind a damaged page one may give nothing more, of other logs either: then another goes on.
  CULM_TOOLS_TRY(auto transaction, store->read());
  if (options.logs.empty()) worst = find_damage(context, transaction);
  CULM_TOOLS_TRY(transaction, store->read());
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, find_logs_named(transaction, options.logs));
  const LostFinder losses(context, *store);
  const Columns columns = measure(transaction, logs);
  std::size_t verified = 0;
  std::size_t elsewhere = 0;  // logs that are behind another store
  Ed25519Verifier one;
  host::VerifierPool verifier(one, options.threads);
  Progress progress("verifying", 0, Progress::Unit::kCount);
  if (progress.is_shown()) progress.set_total(count_held(transaction, logs));
  std::uint64_t before = 0;
  CULM_TOOLS_TRY(transaction, store->read());
  for (const LogKey& key : logs) {
    CULM_TOOLS_CHECK(context.out.flush());
    say_when_interrupted("verified " + human_count(verified++) + " of " + human_count(logs.size()) +
                         (logs.size() == 1 ? " log" : " logs"));
    const std::string title = short_name(key);
    const auto state = transaction.get_log(key);
    if (!state) {
      const bool is_unknown = state.error().code == Errc::kLogUnknown;
      if (is_unknown) return fail_with(Failure(state.error()).about(title));
      keep_worst(worst, Failure(state.error()).about(title));
      CULM_TOOLS_CHECK(print_unreadable(context, columns, key, state.error(), {}));
      CULM_TOOLS_TRY(transaction, store->read());
      continue;
    }
    const store::LogState& log = **state;
    const auto show = [&](std::uint64_t done) { progress.show(before + done); };
    const auto audited = store::audit_log(transaction, log, verifier, show);
    before += log.held.count();
    if (!audited) {
      const Error& error = audited.error();
      if (error.code != Errc::kStoreDamaged) return fail_with(Failure(error).about(title));
      CULM_TOOLS_TRY(Failure failure, judge_unreadable(context, columns, *store, log, error));
      keep_worst(worst, std::move(failure));
      CULM_TOOLS_TRY(transaction, store->read());
      continue;
    }
    const store::AuditReport& report = *audited;
    const auto lost = losses.find(transaction, log);
    if (!lost) keep_worst(worst, Failure(lost.error()).about(title));
    const LostOfLog told = lost.value_or(LostOfLog{});
    if (told.elsewhere != 0 && elsewhere++ == 0) context.next = next_if_elsewhere(key);
    if (context.next.empty()) context.next = next_if_unwanted(log, told);
    if (told.is_withheld && context.next.empty()) context.next = next_if_withheld(key);
    CULM_TOOLS_CHECK(print_verdict(context, columns, transaction, log, told, report, verifier));
    judge(worst, *store, log, told, report);
  }
  if (elsewhere > 1) context.next += kThenOthers;
  if (logs.empty() && !context.json && !worst) CULM_TOOLS_CHECK(context.out.say("no logs\n"));
  if (options.logs.empty()) CULM_TOOLS_CHECK(tell_gone(context, losses.gone(transaction)));
  if (options.logs.empty()) CULM_TOOLS_CHECK(tell_kept(context));
  if (worst) return fail_with(*std::move(worst));
  return {};
}

Outcome<void> run(Context& context, const Options& options) {
  const bool is_raw = !options.files.entry.empty();
  const bool is_jsonl = !options.jsonl.empty();
  if (is_raw + is_jsonl + !options.logs.empty() > 1) {
    return usage("verify logs of the store, or --jsonl FILE, or --entry FILE: one of them");
  }
  if (is_raw) return verify_entry_files(context, options.files);
  if (is_jsonl) return verify_jsonl_file(context, options);
  return verify_store(context, options);
}

}  // namespace

void add_verify(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "verify",
      "Verify from nothing every signature, link, payload and row. Without an option the logs\n"
      "of the store, all or those named. With --jsonl a file of JSON lines, with --entry raw\n"
      "files; these need no store. Where an author forked a log, the evidence is shown.\n"
      "\n"
      "A loose entry is good and served; what links to it from the head is not held yet, or was\n"
      "lost, which alone is not counted as a loss, and a sync takes it. One that leads to nothing\n"
      "is another thing: what lies below is lost.\n"
      "LOST says that damage took what is wanted; LACK that it may have: where the state of a log\n"
      "was made again, what is wanted and not here is \"perhaps lost\": it may never have been\n"
      "here, or was deleted. Entries that the author mark of a log tells of were here.\n"
      "\n"
      "Exit status 4 if something is wrong, 5 if the store is damaged; a file without an entry is\n"
      "good. Only if neither is so 3 if something that is wanted is lost, or perhaps lost, by\n"
      "damage, or else 7 if an author forked a log, which stays so: the store is sound\n"
      "then. What the author mark of a log tells of (`culm mark`), and is not here, is lost as\n"
      "well, if the mark was last written with this very store; of one that this is a copy of\n"
      "it only says how far this is behind. Where the mark is damaged, or another entry is here\n"
      "in the place of its one, the exit status is 7 too.\n"
      "\n"
      "Of own logs that are not in the store at all it only says that, and how they come back. Of\n"
      "a log that damage took as a whole nothing tells here: while a damaged file lies there that\n"
      "`culm repair` has kept, it says so.",
      "culm verify\n  culm verify --jsonl part.jsonl\n"
      "  culm verify --entry 4.bin --backlink 3.bin --lipmaalink 1.bin",
      options, run);
  verb.group(VerbGroup::kMend);
  verb.add_option("LOG", &options->logs, "Logs of the store");
  Option& jsonl =
      verb.add_option("--jsonl", &options->jsonl, "File of JSON lines").type_name("FILE");
  verb.add_flag("--loose", options->loose, "Ask for no path to entry 1").needs(jsonl);
  verb.add_option("--verify-threads", value_of("N", options->threads, parse_verify_threads),
                  "Check so many signatures at a time; otherwise as many as there are cores");
  Option& entry =
      verb.add_option("--entry", &options->files.entry, "File of one raw entry").type_name("FILE");
  verb.add_option("--payload", &options->files.payload, "File of its payload")
      .type_name("FILE")
      .needs(entry);
  verb.add_option("--backlink", &options->files.backlink, "File of the raw entry before it")
      .type_name("FILE")
      .needs(entry);
  verb.add_option("--lipmaalink", &options->files.lipmaalink,
                  "File of the raw entry at its lipmaalink target")
      .type_name("FILE")
      .needs(entry);
}

}  // namespace culm::tools
