#include "tools/cli/help.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  const CommandTree* tree = nullptr;
  std::string verb;
};

Outcome<void> run(Context& context, const Options& options) {
  if (options.verb.empty()) return context.out.write(overview(*options.tree, help_columns()));
  CULM_TOOLS_TRY(const Verb* verb, find_verb(*options.tree, options.verb));
  return context.out.write(help_of(*verb, help_columns()));
}

}  // namespace

void add_help(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  options->tree = &tree;
  Verb& verb = tree.add_verb("help", "Explain a verb with all that it takes, or list the verbs.",
                             "culm help sync", options, run);
  verb.group(VerbGroup::kHelp);
  verb.add_option("VERB", &options->verb, "Which one");
}

}  // namespace culm::tools
