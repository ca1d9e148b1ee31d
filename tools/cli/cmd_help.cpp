#include <filesystem>

#include <fcntl.h>

#include "tools/cli/files.hpp"
#include "tools/cli/help.hpp"
#include "tools/cli/manuals.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  const CommandTree* tree = nullptr;
  std::string verb;
  std::string directory;
};

/// Writes `text` in place of what the file has.
Outcome<void> write_file(const std::filesystem::path& path, const std::string& text) {
  const auto failed = [&path](int number) {
    return fail_with(Failure(error_system(Errc::kFileIo, number)).about(shown(path.string())));
  };
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) return failed(error.value());
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return failed(errno);
  return write_fully(file.get(), text);
}

Outcome<void> write_manuals(Context& context, const Options& options) {
  const CommandTree& tree = *options.tree;
  const auto share = std::filesystem::path(options.directory) / "share";
  const auto man = share / "man/man1";
  CULM_TOOLS_CHECK(write_file(man / "culm.1", man_page(tree)));
  for (const Verb& verb : tree.verbs()) {
    CULM_TOOLS_CHECK(write_file(man / ("culm-" + verb.name() + ".1"), man_page(verb)));
  }
  CULM_TOOLS_CHECK(write_file(share / "bash-completion/completions/culm", bash_completion(tree)));
  CULM_TOOLS_CHECK(write_file(share / "zsh/site-functions/_culm", zsh_completion(tree)));
  CULM_TOOLS_CHECK(
      write_file(share / "fish/vendor_completions.d/culm.fish", fish_completion(tree)));
  if (context.json)
    return context.out.write_json(Json{{"type", "manuals"}, {"directory", share.string()}});
  return context.out.say("wrote man pages and completions below " + shown(share.string()) + "\n");
}

Outcome<void> run(Context& context, const Options& options) {
  const bool writes = !options.directory.empty();
  if (writes && !options.verb.empty()) return usage("--manuals is of all verbs: leave VERB out");
  if (writes) return write_manuals(context, options);
  const Verb* verb = nullptr;
  if (!options.verb.empty()) {
    CULM_TOOLS_TRY(verb, find_verb(*options.tree, options.verb));
  }
  return context.out.write_raw(help_text(*options.tree, verb, context.json));
}

}  // namespace

void add_help(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  options->tree = &tree;
  Verb& verb = tree.add_verb("help", "Explain a verb with all that it takes, or list the verbs.",
                             "culm help sync\n  culm help --manuals ~/.local", options, run);
  verb.group(VerbGroup::kHelp);
  verb.add_option("VERB", &options->verb, "Which one");
  verb.add_option("--manuals", &options->directory,
                  "Write man pages, and completions for bash, zsh and fish, below DIR/share. Into "
                  "~/.local for yourself (zsh needs its share/zsh/site-functions in fpath)")
      .type_name("DIR");
}

}  // namespace culm::tools
