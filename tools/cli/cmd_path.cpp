#include "culm/feed/lipmaa.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string from;
  std::string to = "1";
};

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(const SeqNum from, parse_seqnum("FROM", options.from));
  CULM_TOOLS_TRY(const SeqNum to, parse_seqnum("TO", options.to));
  if (to > from) return usage("TO lies above FROM, but links lead downwards");
  const auto seqnums = path(from, to);
  if (context.json) {
    return context.out.write_json(
        Json{{"type", "path"}, {"from", from}, {"to", to}, {"path", seqnums}});
  }
  std::string text;
  for (const SeqNum n : seqnums) text.append(text.empty() ? "" : " ").append(std::to_string(n));
  return context.out.write(text + "\n");
}

}  // namespace

void add_path(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb =
      tree.add_verb("path",
                    "Print the shortest way along links from one entry down to another. Both\n"
                    "are included; it takes these to prove the one from the other.",
                    "culm path 1000000     28 seqnums, down to 1", options, run);
  verb.group(VerbGroup::kExplore);
  verb.add_option("FROM", &options->from, "Seqnum to start from").required();
  verb.add_option("TO", &options->to, "Seqnum to end at").show_default();
}

}  // namespace culm::tools
