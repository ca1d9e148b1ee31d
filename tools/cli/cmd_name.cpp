#include "tools/cli/arguments.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/names.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  std::string name;
  std::string removed;
};

Json to_json(const GivenName& given) {
  Json object = {
      {"type", "name"}, {"name", given.name}, {"author", to_hex(given.log.author.bytes)}};
  object["log_id"] = given.log.log_id ? Json(to_integer(*given.log.log_id)) : Json();
  return object;
}

Outcome<void> list(Context& context) {
  CULM_TOOLS_TRY(const auto names, list_given_names());
  Table table({{"name", Table::Align::kLeft}, {"log", Table::Align::kLeft}});
  for (const GivenName& given : names) {
    if (context.json) CULM_TOOLS_CHECK(context.out.write_json(to_json(given)));
    table.add({given.name, to_string(given.log)});
  }
  if (context.json) return {};
  return context.out.say(names.empty() ? "no names: `culm name LOG NAME` gives one\n"
                                       : table.take());
}

/// The store is asked only what the start of an author means.
Outcome<LogName> find(const Context& context, const std::string& text) {
  CULM_TOOLS_TRY(const auto whole, find_whole_name(text));
  if (whole) return *whole;
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  return find_name(transaction, text);
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.removed.empty()) {
    if (!options.log.empty()) return usage("--remove takes a NAME alone");
    CULM_TOOLS_CHECK(take_name(options.removed));
    say_when_interrupted("forgot the name");
    if (context.json)
      return context.out.write_json(Json{{"type", "name_removed"}, {"name", options.removed}});
    return context.out.say("forgot the name " + options.removed + "\n");
  }
  if (options.log.empty()) return list(context);
  CULM_TOOLS_TRY(const LogName log, find(context, options.log));
  if (options.name.empty()) {
    return usage_without(context, "NAME", "what should it be called? Give a NAME");
  }
  const GivenName given{options.name, log};
  CULM_TOOLS_CHECK(give_name(given));
  say_when_interrupted("the name was given");
  if (context.json) return context.out.write_json(to_json(given));
  return context.out.say(given.name + " is " + to_string(log) +
                         (log.log_id ? "\n" : ", with all logs of this author\n"));
}

}  // namespace

void add_name(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "name",
      "Give a log or an author a name, which stands for it wherever a LOG is asked for. An "
      "author's "
      "name with .LOG_ID is one log of the author. Names are yours alone, whatever the store: no "
      "peer sees them. They are kept in the directory culm/names of XDG_DATA_HOME "
      "(~/.local/share), or in the directory that CULM_NAMES says. Without arguments: list them.",
      "culm name 4fd3ab12 alice\n  culm log alice --newest 20\n  culm name --remove alice", options,
      run);
  verb.group(VerbGroup::kRead);
  verb.add_option("LOG", &options->log,
                  "Log, or author; where the store does not know it yet, by "
                  "its whole name");
  verb.add_option(
      "NAME", &options->name,
      "Up to 32 letters, digits, - and _, a letter first; not 8 or more hex digits, nor last");
  verb.add_option("--remove", &options->removed, "Forget this name").type_name("NAME");
}

}  // namespace culm::tools
