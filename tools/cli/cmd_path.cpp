#include "culm/feed/lipmaa.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string from;
  std::string to = "1";
  std::string log;
};

/// What numbers that are counted from the end are counted in; 0 where no log is named.
Outcome<SeqNum> find_head(const Context& context, const Options& options) {
  if (options.log.empty()) {
    const bool needs_log = is_from_last(options.from) || is_from_last(options.to);
    if (needs_log) {
      return usage_without(context, "--log LOG",
                           "say with --log of which log the last entries are meant");
    }
    return 0;
  }
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto log, read_log_named(*store, options.log));
  return log.head();
}

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(const SeqNum head, find_head(context, options));
  CULM_TOOLS_TRY(const SeqNum from, parse_seqnum_of("FROM", options.from, head));
  CULM_TOOLS_TRY(const SeqNum to, parse_seqnum_of("TO", options.to, head));
  if (to > from) return usage("TO lies above FROM, but links lead downwards");
  const auto seqnums = path(from, to);
  if (context.json) {
    return context.out.write_json(
        Json{{"type", "path"}, {"from", from}, {"to", to}, {"path", seqnums}});
  }
  std::string text;
  for (const SeqNum n : seqnums) text.append(text.empty() ? "" : " ").append(std::to_string(n));
  return context.out.say(text + "\n");
}

}  // namespace

void add_path(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb =
      tree.add_verb("path",
                    "Print the shortest way along links from one entry down to another. Both\n"
                    "are included; it takes these to prove the one from the other.",
                    "culm path 1000000  # 28 seqnums, down to 1\n"
                    "  culm path last --log 4fd3ab12",
                    options, run);
  verb.group(VerbGroup::kExplore);
  verb.add_option("FROM", &options->from,
                  "Seqnum to start from; with --log also last, or -10 for the tenth from the end")
      .required();
  verb.add_option("TO", &options->to, "Seqnum to end at, likewise").show_default();
  verb.add_option("--log", &options->log, "Count from the end of this log").type_name("LOG");
}

}  // namespace culm::tools
