#include "tools/cli/command_line.hpp"

#include <algorithm>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>

#include "tools/cli/escape.hpp"
#include "tools/cli/version.hpp"

namespace culm::tools {
namespace {

constexpr const char* kDescription =
    "Append-only signed logs, replicated in part: append, inspect, verify, exchange.";
constexpr const char* kFooter =
    "A log is named by its author's 64 hex digits, or at least 8 of them that no other author in\n"
    "the store begins with, and .LOG_ID where that is not 0. A seqnum counts from 1. Ranges look\n"
    "like 5-9,20,30- and include both ends.\n\n"
    "Exit status: 0 done, 2 usage, 3 not found, 4 verification failed, 5 store or disk, 6 "
    "network,\n"
    "7 fork or signer state, 8 locked by another process.\n\n"
    "`culm VERB --help` explains a verb with an example.";

/// The parser takes few characters in the name of an argument, and which depends on its version.
std::string parser_name(const Option& option) {
  std::string name = option.name();
  if (!option.is_positional()) return name;
  std::ranges::replace_if(
      name, [](char c) { return (c < 'A' || c > 'Z') && (c < '0' || c > '9'); }, '_');
  return name;
}

/// Calls an argument in the parser's message what the help calls it.
void rename(std::string& message, const Option& option) {
  const std::string name = parser_name(option);
  const auto at = name == option.name() ? std::string::npos : message.find(name);
  if (at != std::string::npos) message.replace(at, name.size(), option.name());
}

/// Lists verbs with the first sentence of what each says of itself, and arguments by their names.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "VERB");
    label("Positionals", "Arguments");
    label("TEXT", "");
    column_width(28);
  }

  void show(const CLI::Option* option, const std::string& name) { names_[option] = name; }

  [[nodiscard]] std::string make_description(const CLI::App* app) const override {
    return app->get_description() + "\n\n";
  }

  [[nodiscard]] std::string make_option_name(const CLI::Option* option,
                                             bool is_positional) const override {
    const auto shown = names_.find(option);
    return shown != names_.end() ? shown->second
                                 : CLI::Formatter::make_option_name(option, is_positional);
  }

  [[nodiscard]] std::string make_subcommand(const CLI::App* verb) const override {
    std::string sentence = verb->get_description();
    for (char& c : sentence) c = c == '\n' ? ' ' : c;
    sentence = sentence.substr(0, sentence.find(". "));
    if (sentence.ends_with('.')) sentence.pop_back();
    std::string line = "  " + verb->get_name();
    line.resize(12, ' ');
    return line + sentence + "\n";
  }

 private:
  std::map<const CLI::Option*, std::string> names_;
};

}  // namespace

/// One reading of one command line.
class CommandLineParser {
 public:
  CommandLineParser(const CommandTree& tree, Context& context);

  tl::expected<const Verb*, Ending> parse(const std::vector<std::string>& arguments);

 private:
  void add(const Verb& verb);
  void add(CLI::App& app, const Option& option);
  Ending refuse(const CLI::ParseError& error, const std::vector<std::string>& arguments) const;
  std::string unknown_verb(const std::vector<std::string>& arguments) const;

  CLI::App app_{kDescription, "culm"};
  std::shared_ptr<HelpFormatter> formatter_ = std::make_shared<HelpFormatter>();
  std::map<const CLI::App*, const Verb*> verbs_;
  std::map<const Option*, CLI::Option*> options_;
};

CommandLineParser::CommandLineParser(const CommandTree& tree, Context& context) {
  app_.formatter(formatter_);
  app_.add_option("--store", context.store_directory, "Directory of the store")
      ->type_name("DIR")
      ->envname("CULM_STORE")
      ->capture_default_str();
  app_.add_flag("--json", context.json, "Print JSON, one object a line");
  app_.set_version_flag("--version", std::string("culm ") + kVersion);
  app_.set_help_flag("-h,--help", "Print this help and exit");
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.footer(kFooter);
  for (const Verb& verb : tree.verbs()) add(verb);
}

void CommandLineParser::add(const Verb& verb) {
  CLI::App* const app = app_.add_subcommand(verb.name_, verb.description_);
  app->footer("Before or after the verb: --store DIR, --json\n\nExample:\n  " + verb.example_);
  app->group("Verbs");
  verbs_[app] = &verb;
  for (const Option& option : verb.options_) add(*app, option);
}

void CommandLineParser::add(CLI::App& app, const Option& option) {
  const auto add_target = [&](const auto& target) {
    if constexpr (std::is_same_v<decltype(target), bool* const&>) {
      return app.add_flag(option.name_, *target, option.help_);
    } else if constexpr (std::is_same_v<decltype(target), const Option::Value&>) {
      return app.add_option(parser_name(option), *option.given_, option.help_);
    } else {
      return app.add_option(parser_name(option), *target, option.help_);
    }
  };
  CLI::Option* const added = std::visit(add_target, option.target_);
  if (option.is_positional()) formatter_->show(added, option.name_);
  if (!option.type_name_.empty()) added->type_name(option.type_name_);
  if (option.is_required_) added->required();
  if (option.shows_default_) added->capture_default_str();
  if (option.needs_ != nullptr) added->needs(options_.at(option.needs_));
  if (option.excludes_ != nullptr) added->excludes(options_.at(option.excludes_));
  options_[&option] = added;
}

tl::expected<const Verb*, Ending> CommandLineParser::parse(
    const std::vector<std::string>& arguments) {
  if (std::ranges::count(arguments, std::string()) > 0) {
    return tl::unexpected(Ending{static_cast<int>(Exit::kUsage),
                                 {},
                                 "culm: an argument must not be empty\n  next: culm --help\n"});
  }
  try {
    // The parser takes them from the back.
    app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& success) {
    std::ostringstream out;
    std::ostringstream err;
    const int status = app_.exit(success, out, err);
    return tl::unexpected(Ending{status, out.str(), err.str()});
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(refuse(error, arguments));
  }
  return verbs_.at(app_.get_subcommands().front());
}

Ending CommandLineParser::refuse(const CLI::ParseError& error,
                                 const std::vector<std::string>& arguments) const {
  std::string text;
  if (const std::string unknown = unknown_verb(arguments); !unknown.empty()) {
    std::string known;
    for (const CLI::App* const verb : app_.get_subcommands([](const CLI::App*) { return true; })) {
      known += (known.empty() ? "" : ", ") + verb->get_name();
    }
    text = "culm: there is no verb \"" + preview(as_bytes(unknown), 60) + "\"; there are " + known +
           "\n  next: culm --help\n";
  } else {
    std::string message = error.what();
    std::string verb;
    for (const CLI::App* const app : app_.get_subcommands()) {
      verb = " " + app->get_name();
      for (const Option& option : verbs_.at(app)->options_) rename(message, option);
    }
    text = "culm:" + (verb.empty() ? "" : verb + ":") + " " + preview(as_bytes(message), 300) +
           "\n  next: culm" + verb + " --help\n";
  }
  return {static_cast<int>(Exit::kUsage), {}, std::move(text)};
}

/// What stands where a verb should; nothing if there is a verb, or no argument but options.
std::string CommandLineParser::unknown_verb(const std::vector<std::string>& arguments) const {
  if (!app_.get_subcommands().empty()) return {};
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (!argument->starts_with('-')) return *argument;
    if (*argument == "--store" && ++argument == arguments.end()) break;
  }
  return {};
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

Option& Option::type_name(const char* text) {
  type_name_ = text;
  return *this;
}
Option& Option::required() {
  is_required_ = true;
  return *this;
}
Option& Option::show_default() {
  shows_default_ = true;
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
Outcome<void> Verb::run(Context& context) const {
  for (const Option& option : options_) CULM_TOOLS_CHECK(option.read());
  return run_(context);
}

CommandTree::CommandTree() = default;
CommandTree::~CommandTree() = default;

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
