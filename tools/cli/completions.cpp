#include <algorithm>

#include "tools/cli/manuals.hpp"

namespace culm::tools {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kMadeBy = "# Made by `culm help --manuals` out of the command tree.\n";

std::string joined(const Texts& texts, std::string_view between) {
  std::string out;
  for (const std::string& text : texts) out.append(out.empty() ? "" : between).append(text);
  return out;
}

/// Between single quotes, in any of the shells; `escaped` is what a backslash goes before.
std::string shell_quoted(std::string_view text, std::string_view escaped = {}) {
  std::string out = "'";
  for (const char c : text) {
    if (escaped.find(c) != std::string_view::npos) out += '\\';
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

/// What the shell can offer where a value stands.
enum class Offer { kNothing, kFiles, kDirectories, kNames, kVerbs, kWords };

Offer offer_for(std::string_view value) {
  if (value == "FILE") return Offer::kFiles;
  if (value == "DIR") return Offer::kDirectories;
  if (value == "LOG" || value == "AUTHOR" || value == "PREFIX") return Offer::kNames;
  if (value == "VERB") return Offer::kVerbs;
  return value.find('|') != std::string_view::npos ? Offer::kWords : Offer::kNothing;
}

Texts words_of(std::string value) {
  std::ranges::replace(value, '|', ' ');
  return {value};
}

Texts verb_names(const CommandTree& tree) {
  Texts names;
  for (const Verb& verb : tree.verbs()) names.push_back(verb.name());
  return names;
}

struct OptionRow {
  Texts spellings;
  std::string value;  ///< "" for a flag
  std::string help;
  bool is_repeatable = false;
};

Texts split(std::string_view names) {
  Texts spellings;
  for (std::size_t at = 0; at < names.size();) {
    const auto end = std::min(names.find(',', at), names.size());
    spellings.emplace_back(names.substr(at, end - at));
    at = end + 1;
  }
  return spellings;
}

std::vector<OptionRow> common_rows() {
  std::vector<OptionRow> rows;
  for (const CommonOption& option : kCommonOptions) {
    rows.push_back({split(option.names), std::string(option.value), std::string(option.help)});
  }
  return rows;
}

/// The options of the verb, then those of every verb.
std::vector<OptionRow> rows_of(const Verb& verb) {
  std::vector<OptionRow> rows;
  for (const Option& option : verb.options()) {
    if (option.is_positional()) continue;
    rows.push_back(
        {option.spellings(), option.value_name(), option.explanation(), option.is_repeatable()});
  }
  std::ranges::copy(common_rows(), std::back_inserter(rows));
  return rows;
}

// bash

std::string bash_offer(std::string_view value, const CommandTree& tree) {
  switch (offer_for(value)) {
    case Offer::kFiles:
      return "COMPREPLY=($(compgen -f -- \"$word\"))";
    case Offer::kDirectories:
      return "COMPREPLY=($(compgen -d -- \"$word\"))";
    case Offer::kNames:
      return "COMPREPLY=($(compgen -W \"$(_culm_names)\" -- \"$word\"))";
    case Offer::kVerbs:
      return "COMPREPLY=($(compgen -W '" + joined(verb_names(tree), " ") + "' -- \"$word\"))";
    case Offer::kWords:
      return "COMPREPLY=($(compgen -W '" + words_of(std::string(value)).front() +
             "' -- \"$word\"))";
    case Offer::kNothing:
      break;
  }
  return "COMPREPLY=()";
}

/// The branch of a `case` over the word before, for options that take a value.
std::string bash_values(const std::vector<OptionRow>& rows, const CommandTree& tree) {
  std::string out;
  for (const OptionRow& row : rows) {
    if (row.value.empty()) continue;
    out += "        " + joined(row.spellings, "|") + ") " + bash_offer(row.value, tree) +
           "; return ;;\n";
  }
  return out;
}

std::string bash_options(const std::vector<OptionRow>& rows) {
  Texts all;
  for (const OptionRow& row : rows) std::ranges::copy(row.spellings, std::back_inserter(all));
  return joined(all, " ");
}

// zsh

std::string zsh_value(const std::string& value, const CommandTree& tree) {
  std::string out = ":" + shell_quoted(value, ":\\").substr(1);
  out.pop_back();
  switch (offer_for(value)) {
    case Offer::kFiles:
      return out + ":_files";
    case Offer::kDirectories:
      return out + ":_files -/";
    case Offer::kNames:
      return out + ":_culm_names";
    case Offer::kVerbs:
      return out + ":(" + joined(verb_names(tree), " ") + ")";
    case Offer::kWords:
      return out + ":(" + words_of(value).front() + ")";
    case Offer::kNothing:
      break;
  }
  return out + ": ";
}

/// The arguments of `_arguments` for one option: a spelling each.
Texts zsh_option(const OptionRow& row, const CommandTree& tree) {
  Texts out;
  const std::string others =
      row.spellings.size() == 1 ? "" : "(" + joined(row.spellings, " ") + ")";
  std::string help = shell_quoted(row.help, "[]:\\");
  help = help.substr(1, help.size() - 2);
  for (const std::string& spelling : row.spellings) {
    out.push_back("'" + (row.is_repeatable ? "*" : others) + spelling + "[" + help + "]" +
                  (row.value.empty() ? "" : zsh_value(row.value, tree)) + "'");
  }
  return out;
}

// fish

std::string fish_option(const std::string& condition, const OptionRow& row,
                        const CommandTree& tree) {
  std::string out = "complete -c culm";
  if (!condition.empty()) out += " -n " + shell_quoted(condition);
  for (const std::string& spelling : row.spellings) {
    out += spelling.starts_with("--") ? " -l " + spelling.substr(2) : " -s " + spelling.substr(1);
  }
  if (!row.value.empty()) {
    switch (offer_for(row.value)) {
      case Offer::kFiles:
        out += " -r -F";
        break;
      case Offer::kDirectories:
        out += " -x -a '(__fish_complete_directories)'";
        break;
      case Offer::kNames:
        out += " -x -a '(__culm_names)'";
        break;
      case Offer::kVerbs:
        out += " -x -a " + shell_quoted(joined(verb_names(tree), " "));
        break;
      case Offer::kWords:
        out += " -x -a " + shell_quoted(words_of(row.value).front());
        break;
      case Offer::kNothing:
        out += " -x";
        break;
    }
  }
  return out + " -d " + shell_quoted(row.help) + "\n";
}

const Option* first_positional(const Verb& verb) {
  const auto found = std::ranges::find_if(verb.options(), &Option::is_positional);
  return found == verb.options().end() ? nullptr : &*found;
}

}  // namespace

std::string bash_completion(const CommandTree& tree) {
  std::string out = kMadeBy;
  out += R"sh(_culm_names() { culm name 2>/dev/null | while read -r name log _; do
    [[ $log =~ ^[0-9a-f]{64} ]] && echo "$name"
  done; }

_culm() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --store) ((++i)) ;;
      -*) ;;
      *) verb=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $verb in
)sh";
  const auto add = [&](const std::string& verb, const std::vector<OptionRow>& rows,
                       const std::string& otherwise) {
    out += "    " + verb + ")\n      case $before in\n" + bash_values(rows, tree) +
           "      esac\n      if [[ $word == -* ]]; then\n        COMPREPLY=($(compgen -W '" +
           bash_options(rows) + "' -- \"$word\"))\n      else\n        " + otherwise +
           "\n      fi ;;\n";
  };
  add("''", common_rows(), bash_offer("VERB", tree));
  for (const Verb& verb : tree.verbs()) {
    const Option* const positional = first_positional(verb);
    add(verb.name(), rows_of(verb),
        bash_offer(positional == nullptr ? "" : positional->name(), tree));
  }
  return out + "  esac\n}\ncomplete -o filenames -F _culm culm\n";
}

std::string zsh_completion(const CommandTree& tree) {
  std::string out = "#compdef culm\n";
  out += kMadeBy;
  out += R"sh(_culm_names() {
  local lines=$(culm name 2>/dev/null | sed -nE 's/^([^ ]+) +[0-9a-f]{64}.*/\1/p')
  local -a names=(${(f)lines})
  compadd -a names
}

_culm() {
  local curcontext=$curcontext state line
  typeset -A opt_args
)sh";
  const auto add = [&](const std::string& indent, const std::vector<OptionRow>& rows) {
    for (const OptionRow& row : rows) {
      for (const std::string& text : zsh_option(row, tree)) out += " \\\n" + indent + text;
    }
  };
  out += "  _arguments -C";
  add("    ", common_rows());
  out +=
      " \\\n    '1:verb:->verb' '*::argument:->argument'\n  case $state in\n    verb)\n"
      "      local -a verbs\n      verbs=(\n";
  for (const Verb& verb : tree.verbs()) {
    out += "        " + shell_quoted(verb.name() + ":" + verb.summary(), "") + "\n";
  }
  out += "      )\n      _describe verb verbs ;;\n    argument)\n      case $line[1] in\n";
  for (const Verb& verb : tree.verbs()) {
    out += "        " + verb.name() + ")\n          _arguments";
    add("            ", rows_of(verb));
    for (const Option& option : verb.options()) {
      if (!option.is_positional()) continue;
      out += " \\\n            '" + std::string(option.is_repeatable() ? "*" : "") +
             (option.is_required() || option.is_repeatable() ? ":" : "::") +
             zsh_value(option.name(), tree).substr(1) + "'";
    }
    out += " ;;\n";
  }
  return out + "      esac ;;\n  esac\n}\n\n_culm \"$@\"\n";
}

std::string fish_completion(const CommandTree& tree) {
  std::string out = kMadeBy;
  out += R"sh(function __culm_names
  culm name 2>/dev/null | string match -rg '^(\S+) +[0-9a-f]{64}'
end

complete -c culm -f
)sh";
  for (const OptionRow& row : common_rows()) out += fish_option("", row, tree);
  for (const Verb& verb : tree.verbs()) {
    out += "complete -c culm -n __fish_use_subcommand -a " + verb.name() + " -d " +
           shell_quoted(verb.summary()) + "\n";
    const std::string condition = "__fish_seen_subcommand_from " + verb.name();
    const Option* const positional = first_positional(verb);
    const Offer offer = offer_for(positional == nullptr ? "" : positional->name());
    const std::string here = "complete -c culm -n " + shell_quoted(condition);
    if (offer == Offer::kFiles) out += here + " -F\n";
    if (offer == Offer::kNames) out += here + " -a '(__culm_names)'\n";
    if (offer == Offer::kVerbs)
      out += here + " -a " + shell_quoted(joined(verb_names(tree), " ")) + "\n";
    const auto rows = rows_of(verb);
    for (std::size_t i = 0; i + std::size(kCommonOptions) < rows.size(); ++i) {
      out += fish_option(condition, rows[i], tree);
    }
  }
  return out;
}

}  // namespace culm::tools
