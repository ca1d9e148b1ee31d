#include "tools/cli/commands.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "tools/cli/command_line.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/progress.hpp"

namespace culm::tools {
namespace {

constexpr std::string_view kCommand = "culm ";
/// They go to no store; a relay that is spoken of is another one.
constexpr std::array<std::string_view, 3> kWithoutStore{"help", "keygen", "relay"};
/// How a peer is reached; each verb that reaches one has them.
constexpr std::array<std::string_view, 3> kOfPeers{"--network", "--network-key", "--peer-key"};

std::optional<std::string> find_value(const std::vector<std::string>& arguments,
                                      std::string_view option) {
  const auto end = std::ranges::find(arguments, std::string("--"));
  for (auto argument = arguments.begin(); argument != end; ++argument) {
    if (!argument->starts_with(option)) continue;
    if (argument->size() > option.size() && (*argument)[option.size()] == '=') {
      return argument->substr(option.size() + 1);
    }
    if (*argument == option && argument + 1 != end) return *(argument + 1);
  }
  return std::nullopt;
}

bool has_option(std::string_view command, std::string_view name) {
  for (std::size_t at = 0; (at = command.find(name, at)) != command.npos; at += name.size()) {
    const std::string_view behind = command.substr(at + name.size());
    const bool is_whole = behind.empty() || behind.front() == ' ' || behind.front() == '=';
    if (at != 0 && command[at - 1] == ' ' && is_whole) return true;
  }
  return false;
}

/// Of all that connect only this one does not always.
bool connects(std::string_view verb, std::string_view command) {
  return verb != "repair" || has_option(command, "--from");
}

}  // namespace

std::string first_without_dash(const std::vector<std::string>& arguments) {
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (!argument->starts_with('-')) return *argument;
    if (*argument == "--store" && ++argument == arguments.end()) break;
  }
  return {};
}

Commands::Commands(const CommandTree& tree, const std::vector<std::string>& arguments) {
  const auto text_of = [&](std::string_view option) {
    const auto value = find_value(arguments, option);
    return value ? std::string(option) + " " + shell_word(*value) + " " : std::string();
  };
  store_ = text_of("--store");
  const bool is_relay = first_without_dash(arguments) == "relay";
  for (const Verb& verb : tree.verbs()) {
    // The node that runs on the store does it, in its own network: it takes no other.
    if (is_relay && verb.name() == "sync") continue;
    for (const Option& option : verb.options()) {
      if (std::ranges::find(kOfPeers, option.name()) == kOfPeers.end()) continue;
      const std::string text = text_of(option.name());
      if (!text.empty()) of_peers_[verb.name()].push_back({option.name(), text});
    }
  }
}

std::string Commands::complete(std::string_view words) const {
  std::string text;
  bool is_in_command = false;
  while (true) {
    const std::size_t end = words.find(kCommand);
    if (end == std::string_view::npos) return text.append(words);
    const std::string_view before = words.substr(0, end);
    is_in_command ^= std::ranges::count(before, '`') % 2 != 0;
    text.append(before).append(kCommand);
    words.remove_prefix(end + kCommand.size());
    const std::string_view command = words.substr(0, words.find('`'));
    const std::string_view verb = command.substr(0, command.find(' '));
    const bool is_begun = is_in_command && (before.ends_with('`') || before.ends_with("do ") ||
                                            before.ends_with(" | "));
    const bool is_elsewhere =
        words.substr(std::min(command.size(), words.size())).starts_with("` there");
    const bool is_left = verb.starts_with('-') || has_option(command, "--help") ||
                         std::ranges::find(kWithoutStore, verb) != kWithoutStore.end();
    if (!is_begun || is_elsewhere || is_left) continue;
    if (!has_option(command, "--store")) text.append(store_);
    const auto of_peers = of_peers_.find(verb);
    if (of_peers == of_peers_.end() || !connects(verb, command)) continue;
    text.append(verb).append(" ");
    words.remove_prefix(std::min(verb.size() + 1, command.size()));
    for (const Given& given : of_peers->second) {
      if (!has_option(command, given.name)) text.append(given.text);
    }
    // Nothing follows a verb that stands alone.
    if (words.starts_with('`')) text.pop_back();
  }
}

Commands& commands() {
  static Commands of_process;
  return of_process;
}

Json completed(Json line) {
  for (const std::string_view key : {"message", "next", "risk"}) {
    if (const auto* const text = line.find_text(key)) line[key] = commands().complete(*text);
  }
  return line;
}

static void put(const std::string& line) {
  clear_progress();
  std::fputs((line + "\n").c_str(), stderr);
}

void tell(std::string_view words) { put(commands().complete(words)); }

void tell_json(Json line) { put(to_line(completed(std::move(line)))); }

}  // namespace culm::tools
