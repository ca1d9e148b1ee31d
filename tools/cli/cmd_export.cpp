#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  RangeSet range;
  std::string path;
  bool jsonl = false;
};

Outcome<void> run(Context& context, const Options& options) {
  if (!options.jsonl) return usage("say in which format: --jsonl");
  const bool is_to_output = options.path.empty() || options.path == "-";
  if (is_to_output && context.out.is_terminal()) {
    return usage("a terminal is no place for an export: name a file with -o FILE, or use a pipe");
  }
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto state, read_log_named(*store, options.log));
  const RangeSet served = state.served();
  RangeSet asked = served;
  if (!options.range.empty()) {
    asked = served & options.range;
    if (asked.empty()) {
      return fail_with(Failure(Error{Errc::kEntryNotHeld})
                           .about(short_name(state.log))
                           .next("`culm ls` shows what is held"));
    }
  }
  const RangeSet seqnums = closure(asked, state.head()) & served;
  JsonlFormat format(asked);
  if (is_to_output) {
    CULM_TOOLS_TRY(const RangeSet damaged,
                   print_entries(context.out, *store, state.log, seqnums, format));
    return unless_damaged(state.log, damaged);
  }

  CULM_TOOLS_TRY(const auto file, NewFile::create(options.path, 0666));
  CULM_TOOLS_TRY(const RangeSet damaged,
                 print_entries(file->out(), *store, state.log, seqnums, format));
  CULM_TOOLS_CHECK(file->complete());
  CULM_TOOLS_CHECK(unless_damaged(state.log, damaged));
  const std::uint64_t certificate = (seqnums - asked).count();
  const std::uint64_t payloads = (asked & state.payloads).count();
  if (context.json) {
    return context.out.write_json(Json{{"log", to_string(state.log)},
                                       {"file", options.path},
                                       {"entries", asked.count()},
                                       {"certificate_entries", certificate},
                                       {"payloads", payloads}});
  }
  return context.out.write("exported " + human_entries(asked.count()) + " and " +
                           human_count(certificate) + " to prove them, with " +
                           human_count(payloads) + " payloads, to " + shown(options.path) + "\n");
}

}  // namespace

void add_export(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "export",
      "Write entries of a log and their payloads as lines of JSON. `culm verify --jsonl` and\n"
      "`culm import --jsonl` read them. With --range also the entries that prove those asked for,\n"
      "without their payloads.",
      "culm export 4fd3ab12 --jsonl --range 500-600 -o part.jsonl", options, run);
  verb.group(VerbGroup::kExchange);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_flag("--jsonl", options->jsonl, "Needed: the format");
  verb.add_option("--range", ranges_of(options->range), "Only these seqnums, such as 5-9,20,30-");
  verb.add_option("-o,--output", &options->path,
                  "File to make; it must not exist yet. - or nothing is standard output")
      .type_name("FILE");
}

}  // namespace culm::tools
