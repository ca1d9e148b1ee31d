#include "tools/cli/help.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kColumnsMin = 40;
constexpr std::size_t kVerbColumn = 12;
constexpr std::size_t kOptionColumn = 26;
/// A terminal that has fewer leaves no room beside names of options.
constexpr std::size_t kTwoColumnsMin = 64;

/// Appends the words of `text`, each line indented by `indent`; the last line of `out` has come to
/// some column already.
void wrap(std::string& out, std::string_view text, std::size_t indent, std::size_t columns) {
  const auto line_start = out.rfind('\n');
  std::size_t at = out.size() - (line_start == std::string::npos ? 0 : line_start + 1);
  bool is_first = true;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word; is_first = false) {
    if (!is_first && at + 1 + word.size() > columns) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (!is_first) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  out += '\n';
}

/// What is named on the left, and said on the right or, where there is no room, below.
void add_row(std::string& out, const std::string& left, std::string_view right, std::size_t column,
             std::size_t columns) {
  const bool is_narrow = columns < kTwoColumnsMin && column > kVerbColumn;
  if (is_narrow) column = 6;
  out += "  " + left;
  if (is_narrow || left.size() + 4 > column) {
    out += "\n" + std::string(column, ' ');
  } else {
    out.append(column - left.size() - 2, ' ');
  }
  wrap(out, right, column, columns);
}

void add_blocks(std::string& out, std::string_view description, std::size_t columns) {
  const std::vector<Block> blocks = blocks_of(description);
  std::size_t column = 0;
  for (const Block& block : blocks) column = std::max(column, block.term.size() + 4);
  bool follows_text = false;
  for (const Block& block : blocks) {
    if (block.term.empty()) {
      if (std::exchange(follows_text, true)) out += '\n';
      wrap(out, block.text, 0, columns);
    } else {
      follows_text = false;
      add_row(out, block.term, block.text, column, columns);
    }
  }
}

std::string label_of(const Option& option) {
  std::string label = option.name();
  if (!option.is_positional() && !option.value_name().empty()) label += " " + option.value_name();
  return label + (option.is_list() ? "..." : "");
}

void add_common_options(std::string& out, std::size_t columns) {
  for (const CommonOption& option : kCommonOptions) {
    std::string label(option.names);
    if (!option.value.empty()) label.append(" ").append(option.value);
    add_row(out, label, option.help, kOptionColumn, columns);
  }
}

}  // namespace

std::size_t help_columns() {
  std::size_t columns = kHelpColumnsMax;
  if (::isatty(STDOUT_FILENO) == 1) {
    columns = terminal_columns();
  } else if (const char* const given = std::getenv("COLUMNS")) {
    const std::string_view text = given;
    std::from_chars(text.data(), text.data() + text.size(), columns);
  }
  return std::clamp(columns, kColumnsMin, kHelpColumnsMax);
}

std::vector<Block> blocks_of(std::string_view description) {
  std::vector<Block> blocks;
  bool is_new = true;
  std::istringstream lines{std::string(description)};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      is_new = true;
      continue;
    }
    const auto gap = line.starts_with("  ") ? line.find("  ", 2) : std::string::npos;
    if (gap != std::string::npos) {
      const auto text = line.find_first_not_of(' ', gap);
      blocks.push_back({line.substr(2, gap - 2), line.substr(std::min(text, line.size()))});
    } else if (is_new || !blocks.back().term.empty()) {
      blocks.push_back({"", line});
    } else {
      blocks.back().text += " " + line;
    }
    is_new = false;
  }
  return blocks;
}

std::string usage_of(const Verb& verb) {
  std::string text = "culm " + verb.name() + " [OPTIONS]";
  for (const Option& option : verb.options()) {
    if (!option.is_positional()) continue;
    const std::string name = option.name() + (option.is_list() ? "..." : "");
    text += option.is_required() ? " " + name : " [" + name + "]";
  }
  return text;
}

std::string overview(const CommandTree& tree, std::size_t columns) {
  std::string out;
  wrap(out, kWhatCulmIs, 0, columns);
  out += "\nUsage: culm [OPTIONS] VERB\n";
  for (const VerbGroup group : kVerbGroups) {
    bool is_first = true;
    for (const Verb& verb : tree.verbs()) {
      if (verb.group() != group) continue;
      if (is_first) out.append("\n").append(title_of(group)).append(":\n");
      is_first = false;
      add_row(out, verb.name(), verb.summary(), kVerbColumn, columns);
    }
  }
  out += "\nOptions, before or after the verb:\n";
  add_common_options(out, columns);
  for (const Topic& topic : kTopics) {
    out += '\n';
    wrap(out, std::string(topic.title) + ": " + std::string(topic.text), 0, columns);
  }
  out += '\n';
  wrap(out, "`culm help VERB` explains a verb with an example.", 0, columns);
  return out;
}

std::string help_of(const Verb& verb, std::size_t columns) {
  std::string out;
  add_blocks(out, verb.description(), columns);
  out += "\nUsage: ";
  wrap(out, usage_of(verb), 7, columns);
  const auto add_options = [&](std::string_view title, bool are_positional) {
    bool is_first = true;
    for (const Option& option : verb.options()) {
      if (option.is_positional() != are_positional) continue;
      if (is_first) out.append("\n").append(title).append(":\n");
      is_first = false;
      add_row(out, label_of(option), option.explanation(), kOptionColumn, columns);
    }
  };
  add_options("Arguments", true);
  add_options("Options", false);
  out += "\nOptions of every verb:\n";
  add_common_options(out, columns);
  return out + "\nExample:\n  " + verb.example() + "\n";
}

std::string help_text(const CommandTree& tree, const Verb* verb, bool json) {
  const std::size_t columns = help_columns();
  const std::string text = verb == nullptr ? overview(tree, columns) : help_of(*verb, columns);
  return json ? to_line(Json{{"type", "help"}, {"message", text}}) + "\n" : text;
}

}  // namespace culm::tools
