#include "culm/core/random.hpp"
#include "culm/store/key_file.hpp"

#include "tools/cli/files.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string path;
};

Outcome<void> run(Context& context, const Options& options) {
  if (options.path == "-") return usage("a secret key needs a file, - is none");
  if (options.path.empty()) return usage("a file name must not be empty");
  SystemRandom random;
  const SecretKey key = SecretKey::generate(random);
  CULM_TOOLS_CHECK(about(shown(options.path), store::write_key_file(options.path, key)));
  const std::string author = to_hex(key.author().bytes);
  say_when_interrupted("the key file was made");
  if (context.json)
    return context.out.write_json(
        Json{{"type", "key"}, {"author", author}, {"file", options.path}});
  return context.out.say(author + "\n");
}

}  // namespace

void add_keygen(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "keygen",
      "Make an author's secret key in a new file that only you can read, and print the author.\n"
      "Keep a copy of the file, but append with it in one place only: two machines that append\n"
      "with one key fork the log, and no peer can mend that.",
      "culm keygen me.key", options, run);
  verb.group(VerbGroup::kKeep);
  verb.add_option("FILE", &options->path, "File to make; it must not exist yet").required();
}

}  // namespace culm::tools
