#include "culm/feed/lipmaa.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string seqnum;
};

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(const SeqNum n, parse_seqnum("N", options.seqnum));
  const SeqNum target = lipmaa(n);
  if (context.json) {
    return context.out.write_json(Json{{"type", "lipmaa"},
                                       {"seqnum", n},
                                       {"lipmaa", target},
                                       {"has_lipmaalink", has_lipmaalink(n)}});
  }
  return context.out.say(std::to_string(target) + "\n");
}

}  // namespace

void add_lipmaa(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb =
      tree.add_verb("lipmaa",
                    "Print the lipmaalink target of a seqnum. It is the entry further back\n"
                    "that an entry links to, beside the one before it; 0 for entry 1.",
                    "culm lipmaa 40  # prints 13", options, run);
  verb.group(VerbGroup::kExplore);
  verb.add_option("N", &options->seqnum, "Seqnum, 1 to 2^64 - 1").required();
}

}  // namespace culm::tools
