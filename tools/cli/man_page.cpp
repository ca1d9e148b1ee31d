#include "tools/cli/help.hpp"
#include "tools/cli/manuals.hpp"
#include "tools/cli/version.hpp"

namespace culm::tools {
namespace {

/// Text in which nothing is a request or changes its shape.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string in_capitals(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

std::string header(const std::string& name, std::string_view summary) {
  return ".\\\" Made by `culm help --manuals` out of the command tree.\n.TH " + in_capitals(name) +
         " 1 \"\" \"culm " + kVersion + "\" \"culm\"\n.nh\n.SH NAME\n" + roff(name) + " \\- " +
         roff(summary) + "\n.SH SYNOPSIS\n";
}

void add_row(std::string& out, std::string_view term, std::string_view text) {
  out += ".TP\n.B " + roff(term) + "\n" + roff(text) + "\n";
}

void add_blocks(std::string& out, std::string_view description) {
  for (const Block& block : blocks_of(description)) {
    if (block.term.empty()) {
      out += ".PP\n" + roff(block.text) + "\n";
    } else {
      add_row(out, block.term, block.text);
    }
  }
}

void add_option(std::string& out, std::string_view names, std::string_view value,
                std::string_view text) {
  std::string term(names);
  for (auto at = term.find(','); at != std::string::npos; at = term.find(',', at + 2)) {
    term.insert(at + 1, 1, ' ');
  }
  if (!value.empty()) term.append(" ").append(value);
  add_row(out, term, text);
}

void add_common_options(std::string& out) {
  for (const CommonOption& option : kCommonOptions) {
    add_option(out, option.names, option.value, option.help);
  }
}

}  // namespace

std::string man_page(const CommandTree& tree) {
  std::string out = header("culm", "append-only signed logs, replicated in part");
  out += ".B culm\n[OPTIONS] VERB\n.SH DESCRIPTION\n" + roff(kWhatCulmIs) +
         "\nEach verb has a page of its own, such as culm\\-sync(1).\n.SH VERBS\n";
  for (const VerbGroup group : kVerbGroups) {
    bool is_first = true;
    for (const Verb& verb : tree.verbs()) {
      if (verb.group() != group) continue;
      if (is_first) out += ".SS " + roff(title_of(group)) + "\n";
      is_first = false;
      add_row(out, verb.name(), verb.summary());
    }
  }
  out += ".SH OPTIONS\nBefore or after the verb.\n";
  add_common_options(out);
  for (const Topic& topic : kTopics) {
    out += ".SH " + in_capitals(topic.title) + "\n" + roff(topic.text) + "\n";
  }
  out += ".SH ENVIRONMENT\n";
  for (const Topic& variable : kVariables) add_row(out, variable.title, variable.text);
  out += ".SH SEE ALSO\n";
  for (const Verb& verb : tree.verbs()) {
    out += (&verb == &tree.verbs().front() ? "culm\\-" : ",\nculm\\-") + verb.name() + "(1)";
  }
  return out + "\n";
}

std::string man_page(const Verb& verb) {
  std::string out = header("culm-" + verb.name(), verb.summary());
  const std::string usage = usage_of(verb);
  const std::string command = "culm " + verb.name();
  out +=
      ".B " + roff(command) + "\n" + roff(usage.substr(command.size() + 1)) + "\n.SH DESCRIPTION\n";
  add_blocks(out, verb.description());
  const auto add_options = [&](const char* title, bool are_positional) {
    bool is_first = true;
    for (const Option& option : verb.options()) {
      if (option.is_positional() != are_positional) continue;
      if (is_first) out.append(".SH ").append(title).append("\n");
      is_first = false;
      add_option(out, option.name(), are_positional ? "" : option.value_name(),
                 option.explanation());
    }
  };
  add_options("ARGUMENTS", true);
  add_options("OPTIONS", false);
  out += ".SH OPTIONS OF EVERY VERB\n";
  add_common_options(out);
  out += ".SH EXAMPLES\n.nf\n" + roff(verb.example()) + "\n.fi\n.SH SEE ALSO\nculm(1)\n";
  return out;
}

}  // namespace culm::tools
