#include "tools/cli/command_line.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include <CLI/CLI.hpp>

#include "tools/cli/commands.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/help.hpp"
#include "tools/cli/near.hpp"
#include "tools/cli/version.hpp"

namespace culm::tools {
namespace {

/// The parser takes few characters in the name of an argument, and which depends on its version.
std::string parser_name(const Option& option) {
  std::string name = option.name();
  if (!option.is_positional()) return name;
  std::ranges::replace_if(
      name, [](char c) { return (c < 'A' || c > 'Z') && (c < '0' || c > '9'); }, '_');
  return name;
}

void replace(std::string& text, std::string_view what, std::string_view by) {
  const auto at = text.find(what);
  if (at != std::string::npos) text.replace(at, what.size(), by);
}

/// What the parser says of a value, in words of ours: "--wait: 1 required TEXT missing".
void say_of_value(std::string& message) {
  const std::size_t twice = message.find(": At Most 1 required ");
  if (twice != std::string::npos) message.replace(twice, std::string::npos, " goes once only");
  const std::size_t none = message.find(": 1 required ");
  if (none != std::string::npos) message.replace(none, std::string::npos, " needs a value");
}

/// Calls an argument in the parser's message what the help calls it.
void rename(std::string& message, const Option& option) {
  const std::string name = parser_name(option);
  if (name != option.name()) replace(message, name, option.name());
}

/// In the parser's eyes "-10" is an option; it counts from the end of a log.
constexpr char kFromEnd = '\x1f';

bool counts_from_end(std::string_view argument) {
  return argument.size() > 1 && argument[0] == '-' && argument[1] >= '0' && argument[1] <= '9';
}

/// "" or "--store=".
bool is_empty(std::string_view argument) {
  return argument.empty() ||
         (argument.starts_with("--") && argument.find('=') + 1 == argument.size());
}

void restore(std::string& text) {
  if (text.starts_with(kFromEnd)) text[0] = '-';
}

/// "-o", "--output" of "-o,--output".
std::vector<std::string> split_names(std::string_view names) {
  std::vector<std::string> split;
  for (std::size_t at = 0; at < names.size();) {
    const auto end = std::min(names.find(',', at), names.size());
    split.emplace_back(names.substr(at, end - at));
    at = end + 1;
  }
  return split;
}

std::vector<std::string> option_names(const Verb* verb) {
  std::vector<std::string> names;
  const auto add = [&names](std::vector<std::string> more) {
    std::ranges::move(more, std::back_inserter(names));
  };
  for (const CommonOption& option : kCommonOptions) add(split_names(option.names));
  if (verb == nullptr) return names;
  for (const Option& option : verb->options()) {
    if (!option.is_positional()) add(option.spellings());
  }
  return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// What is wrong where an option is given that `verb` does not have; else nothing.
std::string unknown_option(const CommandTree& tree, const Verb* verb,
                           const std::vector<std::string>& arguments) {
  const std::vector<std::string> known = option_names(verb);
  const auto is_unknown = [&known](const std::string& argument) {
    const bool is_option = argument.starts_with('-') && argument.size() > 1;
    return is_option && !counts_from_end(argument) &&
           !has(known, argument.substr(0, argument.find('='))) &&
           !(argument[1] != '-' && has(known, argument.substr(0, 2)));
  };
  const auto end = std::ranges::find(arguments, std::string("--"));
  const auto found = std::find_if(arguments.begin(), end, is_unknown);
  if (found == end) return {};
  const std::string name = found->substr(0, found->find('='));
  const std::string text = "there is no option " + preview(as_bytes(name), 60);
  const auto near = near_to(name, known);
  if (!near.empty()) return text + "; did you mean " + either(near) + "?";
  if (name == "--newest" && has(known, "--range")) {
    return text + " here; --range -N- names the last N entries";
  }
  std::vector<std::string> others;
  for (const Verb& other : tree.verbs()) {
    if (has(option_names(&other), name)) others.push_back(other.name());
  }
  if (others.empty()) return text;
  return text + " here; " + either(others) + (others.size() == 1 ? " has it" : " have it");
}

Failure wrong(std::string message) { return {Exit::kUsage, Errc::kUsage, std::move(message)}; }

Failure no_verb(const CommandTree& tree, std::string_view name) {
  std::vector<std::string> verbs;
  for (const Verb& verb : tree.verbs()) verbs.push_back(verb.name());
  // What other programs call it.
  constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
      {"init", "keygen"}, {"list", "ls"},    {"pull", "sync"}, {"push", "sync --push"},
      {"read", "cat"},    {"rm", "delete"},  {"show", "cat"},  {"stat", "ls"},
      {"status", "ls"},   {"tail", "follow"}};
  const auto* const known =
      std::ranges::find(kElsewhere, name, [](const auto& pair) { return pair.first; });
  const auto near = known != std::end(kElsewhere)
                        ? std::vector<std::string>{std::string(known->second)}
                        : near_to(name, verbs);
  return wrong("there is no verb \"" + preview(as_bytes(name), 60) + "\"" +
               (near.empty() ? "" : "; did you mean " + either(near) + "?"));
}

}  // namespace

/// One reading of one command line.
class CommandLineParser {
 public:
  CommandLineParser(const CommandTree& tree, Context& context);

  tl::expected<const Verb*, Ending> parse(const std::vector<std::string>& arguments);

 private:
  void add(const Verb& verb);
  void add(CLI::App& app, const Option& option);
  [[nodiscard]] const Verb* verb() const;
  [[nodiscard]] Failure what_is_wrong(const CLI::ParseError& error,
                                      const std::vector<std::string>& arguments) const;

  const CommandTree& tree_;
  CLI::App app_{"", "culm"};
  std::map<const CLI::App*, const Verb*> verbs_;
  std::map<const Option*, CLI::Option*> options_;
};

CommandLineParser::CommandLineParser(const CommandTree& tree, Context& context) : tree_(tree) {
  app_.add_option("--store", context.store_directory)->envname("CULM_STORE");
  app_.add_flag("--json", context.json);
  app_.set_version_flag("-V,--version", std::string("culm ") + kVersion);
  app_.set_help_flag("-h,--help");
  app_.require_subcommand(1);
  app_.fallthrough();
  for (const Verb& verb : tree.verbs()) add(verb);
}

void CommandLineParser::add(const Verb& verb) {
  CLI::App* const app = app_.add_subcommand(verb.name_);
  verbs_[app] = &verb;
  for (const Option& option : verb.options_) add(*app, option);
}

void CommandLineParser::add(CLI::App& app, const Option& option) {
  const auto add_target = [&](const auto& target) {
    if constexpr (std::is_same_v<decltype(target), bool* const&>) {
      return app.add_flag(option.name_, *target);
    } else if constexpr (std::is_same_v<decltype(target), const Option::Value&>) {
      return app.add_option(parser_name(option), *option.given_);
    } else {
      return app.add_option(parser_name(option), *target);
    }
  };
  CLI::Option* const added = std::visit(add_target, option.target_);
  // What follows the value of an option is an argument, or the next option.
  if (!option.is_positional()) added->allow_extra_args(option.is_list());
  if (option.is_required_) added->required();
  if (option.needs_ != nullptr) added->needs(options_.at(option.needs_));
  if (option.excludes_ != nullptr) added->excludes(options_.at(option.excludes_));
  options_[&option] = added;
}

/// The verb that the command line names.
const Verb* CommandLineParser::verb() const {
  const auto named = app_.get_subcommands();
  return named.empty() ? nullptr : verbs_.at(named.front());
}

tl::expected<const Verb*, Ending> CommandLineParser::parse(
    const std::vector<std::string>& arguments) {
  const auto refuse = [&](const Failure& why) {
    const std::string name = verb() == nullptr ? "" : verb()->name();
    const bool is_json = has(arguments, "--json");
    return tl::unexpected(Ending{
        static_cast<int>(why.exit), {}, is_json ? to_json_line(why, name) : to_text(why, name)});
  };
  if (const auto empty = std::ranges::find_if(arguments, is_empty); empty != arguments.end()) {
    const bool is_of_option = empty != arguments.begin() && std::prev(empty)->starts_with("--");
    Failure why = wrong((is_of_option ? *std::prev(empty) : "an argument") + " must not be empty");
    if (!empty->empty()) why = wrong(empty->substr(0, empty->size() - 1) + " needs a value");
    const std::string name = first_without_dash(arguments);
    const bool is_verb = std::ranges::find(tree_.verbs(), name, &Verb::name) != tree_.verbs().end();
    if (is_verb) why.step = "culm " + name + " --help";
    return refuse(why);
  }
  // The parser takes them from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  for (std::string& argument : reversed) {
    if (counts_from_end(argument)) argument[0] = kFromEnd;
  }
  try {
    app_.parse(std::move(reversed));
  } catch (const CLI::CallForVersion& version) {
    const std::string text = has(arguments, "--json")
                                 ? to_line(Json{{"type", "version"}, {"version", kVersion}})
                                 : version.what();
    return tl::unexpected(Ending{0, text + "\n", {}});
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected(Ending{0, help_text(tree_, verb(), has(arguments, "--json")), {}});
  } catch (const CLI::ParseError& error) {
    return refuse(what_is_wrong(error, arguments));
  }
  for (const Option& option : verb()->options_) option.restore_given();
  return verb();
}

Failure CommandLineParser::what_is_wrong(const CLI::ParseError& error,
                                         const std::vector<std::string>& arguments) const {
  if (verb() == nullptr) {
    const std::string unknown = first_without_dash(arguments);
    if (!unknown.empty()) return no_verb(tree_, unknown);
  }
  if (const std::string unknown = unknown_option(tree_, verb(), arguments); !unknown.empty()) {
    return wrong(unknown);
  }
  const std::string last = arguments.empty() ? "" : arguments.back();
  if (last == "--store") return wrong("--store needs a value: DIR");
  if (verb() == nullptr) return wrong("say what to do: culm VERB");
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    std::string extra = app_.remaining(true).front();
    restore(extra);
    return wrong("one argument too many: " + preview(as_bytes(extra), 60));
  }
  const auto missing = std::ranges::find_if(verb()->options_, [&](const Option& option) {
    return option.is_required_ && options_.at(&option)->count() == 0;
  });
  const auto bare = std::ranges::find_if(verb()->options_, [&](const Option& option) {
    return !option.is_positional() && !option.is_flag() && has(option.spellings(), last);
  });
  if (bare != verb()->options_.end()) {
    return wrong(std::string(last) + " needs a value: " + bare->value_name());
  }
  if (missing != verb()->options_.end()) {
    const std::string& example = verb()->example();
    const auto end = std::min(example.find('\n'), example.find("  #"));
    std::string step =
        "like `" + example.substr(0, end) + "`; or `culm " + verb()->name() + " --help`";
    if (!missing->is_positional()) {
      const std::string option = missing->spellings().back() + " " + missing->value_name();
      step = again_with(arguments, option) + ", " + step;
    }
    return wrong(missing->name() + " is missing").next(step);
  }
  for (const Option& option : verb()->options_) {
    const bool is_given = options_.at(&option)->count() != 0;
    if (!is_given || option.needs_ == nullptr || options_.at(option.needs_)->count() != 0) continue;
    const Option& needed = *option.needs_;
    const std::string more =
        needed.spellings().back() + (needed.is_flag() ? "" : " " + needed.value_name());
    return wrong(option.name() + " needs " + needed.name())
        .next(again_with(arguments, more) + "; or `culm " + verb()->name() + " --help`");
  }
  std::string message = error.what();
  say_of_value(message);
  replace(message, " excludes ", " does not go with ");
  replace(message, " requires ", " needs ");
  for (const Option& option : verb()->options_) rename(message, option);
  std::ranges::replace(message, kFromEnd, '-');
  return wrong(preview(as_bytes(message), 300));
}

Option::Option(const char* name, Target target, const char* help)
    : name_(name), target_(std::move(target)), help_(help) {
  const auto* const value = std::get_if<Value>(&target_);
  if (value != nullptr && !is_positional()) type_name_ = value->kind;
}

Outcome<void> Option::read() const {
  const auto* const value = std::get_if<Value>(&target_);
  if (value == nullptr || given_->empty()) return {};
  return value->read(name_, *given_);
}

void Option::restore_given() const {
  restore(*given_);
  if (auto* const text = std::get_if<std::string*>(&target_)) restore(**text);
  if (auto* const texts = std::get_if<std::vector<std::string>*>(&target_)) {
    std::ranges::for_each(**texts, restore);
  }
}

std::vector<std::string> Option::spellings() const { return split_names(name_); }

std::string Option::explanation() const {
  std::string text = help_;
  std::ranges::replace(text, '\n', ' ');
  if (is_required_ && !is_positional()) text += " (must be given)";
  if (!default_.empty()) text += " (default " + default_ + ")";
  if (needs_ != nullptr) text += " (with " + needs_->name_ + ")";
  if (excludes_ != nullptr) text += " (not with " + excludes_->name_ + ")";
  return text;
}

Option& Option::type_name(const char* text) {
  type_name_ = text;
  return *this;
}
Option& Option::required() {
  is_required_ = true;
  return *this;
}
Option& Option::takes_several() {
  takes_several_ = true;
  return *this;
}
Option& Option::show_default() {
  if (const auto* const text = std::get_if<std::string*>(&target_)) default_ = **text;
  if (const auto* const value = std::get_if<Value>(&target_)) default_ = value->now;
  return *this;
}
Option& Option::needs(const Option& other) {
  needs_ = &other;
  return *this;
}
Option& Option::excludes(const Option& other) {
  excludes_ = &other;
  return *this;
}

Verb::Verb(const char* name, const char* description, const char* example, Run run)
    : name_(name), description_(description), example_(example), run_(std::move(run)) {}

Option& Verb::add_option(const char* name, Option::Target target, const char* help) {
  return options_.emplace_back(name, std::move(target), help);
}
Option& Verb::add_flag(const char* name, bool& target, const char* help) {
  return add_option(name, &target, help);
}
Verb& Verb::group(VerbGroup group) {
  group_ = group;
  return *this;
}
std::string Verb::summary() const {
  std::string sentence = blocks_of(description_).front().text;
  sentence = sentence.substr(0, sentence.find(". "));
  if (sentence.ends_with('.')) sentence.pop_back();
  return sentence;
}
Outcome<void> Verb::run(Context& context) const {
  for (const Option& option : options_) CULM_TOOLS_CHECK(option.read());
  return run_(context);
}

std::string_view title_of(VerbGroup group) {
  switch (group) {
    case VerbGroup::kKeep:
      return "Keep a log of your own";
    case VerbGroup::kRead:
      return "See what is here";
    case VerbGroup::kExchange:
      return "Exchange with others";
    case VerbGroup::kMend:
      return "Check, mend, back up";
    case VerbGroup::kLetGo:
      return "Choose what is kept, let go";
    case VerbGroup::kExplore:
      return "Explore the links of a log";
    case VerbGroup::kHelp:
      return "Help";
    case VerbGroup::kOther:
      break;
  }
  return "Others";
}

Outcome<const Verb*> find_verb(const CommandTree& tree, std::string_view name) {
  const auto found = std::ranges::find(tree.verbs(), name, &Verb::name);
  if (found == tree.verbs().end()) return fail_with(no_verb(tree, name).next("culm --help"));
  return &*found;
}

CommandTree::CommandTree() = default;
CommandTree::~CommandTree() = default;

std::string again_with(const std::vector<std::string>& arguments, std::string_view more) {
  std::string text = "`culm";
  const auto end = std::ranges::find(arguments, std::string("--"));
  const auto add = [&text](const std::string& argument) {
    text.append(" ").append(shell_word(argument));
  };
  std::for_each(arguments.begin(), end, add);
  text.append(" ").append(more);
  std::for_each(end, arguments.end(), add);
  return text + "`";
}

tl::unexpected<Failure> usage_without(const Context& context, std::string_view option,
                                      std::string message) {
  return fail_with(wrong(std::move(message)).next(again_with(context.arguments, option)));
}

Verb& CommandTree::add(const char* name, const char* description, const char* example,
                       Verb::Run run) {
  return verbs_.emplace_back(name, description, example, std::move(run));
}

tl::expected<const Verb*, Ending> parse_command_line(const CommandTree& tree,
                                                     const std::vector<std::string>& arguments,
                                                     Context& context) {
  return CommandLineParser(tree, context).parse(arguments);
}

}  // namespace culm::tools
