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
  if (value == "LOG" || value == "AUTHOR" || value == "PREFIX" || value == "NAME") {
    return Offer::kNames;
  }
  if (value == "VERB") return Offer::kVerbs;
  return value.find('|') != std::string_view::npos ? Offer::kWords : Offer::kNothing;
}

/// As an argument a NAME is a new one; as the value of an option it was given.
std::string offered_at(const Option& positional) {
  return positional.name() == "NAME" ? "new name" : positional.name();
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

/// Spellings of those that take a value, between spaces.
std::string valued(const std::vector<OptionRow>& rows) {
  Texts all;
  for (const OptionRow& row : rows) {
    if (!row.value.empty()) std::ranges::copy(row.spellings, std::back_inserter(all));
  }
  return joined(all, " ");
}

/// What its arguments are, in their order; the last one may be repeated.
std::vector<const Option*> positionals_of(const Verb& verb) {
  std::vector<const Option*> all;
  for (const Option& option : verb.options()) {
    if (option.is_positional()) all.push_back(&option);
  }
  return all;
}

std::string bash_offer(std::string_view value, const CommandTree& tree) {
  const auto of = [](const std::string& words) {
    return "COMPREPLY=($(compgen -W " + words + " -- \"$word\"))";
  };
  switch (offer_for(value)) {
    case Offer::kFiles:  // readline knows how they are quoted
      return "compopt -o default";
    case Offer::kDirectories:
      return "compopt -o dirnames";
    case Offer::kNames:
      return of("\"$(_culm_names)\"");
    case Offer::kVerbs:
      return of(shell_quoted(joined(verb_names(tree), " ")));
    case Offer::kWords:
      return of(shell_quoted(words_of(std::string(value)).front()));
    case Offer::kNothing:
      break;
  }
  return ":";
}

std::string bash_arguments(const Verb& verb, const CommandTree& tree) {
  const auto positionals = positionals_of(verb);
  std::string out = "case $at in\n";
  for (std::size_t at = 0; at < positionals.size(); ++at) {
    out += "          " + (positionals[at]->is_repeatable() ? "*" : std::to_string(at)) + ") " +
           bash_offer(offered_at(*positionals[at]), tree) + " ;;\n";
  }
  return out + "        esac";
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
    // A value is the next word, or follows it: --store=DIR, -oFILE.
    const char* const joint = row.value.empty() ? "" : spelling.starts_with("--") ? "=" : "+";
    out.push_back("'" + (row.is_repeatable ? "*" : others) + spelling + joint + "[" + help + "]" +
                  (row.value.empty() ? "" : zsh_value(row.value, tree)) + "'");
  }
  return out;
}

// fish

/// What `-a`, or for files another option, offers; "" for nothing.
std::string fish_offer(std::string_view value, const CommandTree& tree) {
  switch (offer_for(value)) {
    case Offer::kFiles:
      return " -F";
    case Offer::kDirectories:
      return " -a '(__fish_complete_directories)'";
    case Offer::kNames:
      return " -a '(__culm_names)'";
    case Offer::kVerbs:
      return " -a " + shell_quoted(joined(verb_names(tree), " "));
    case Offer::kWords:
      return " -a " + shell_quoted(words_of(std::string(value)).front());
    case Offer::kNothing:
      break;
  }
  return "";
}

std::string fish_option(const std::string& condition, const OptionRow& row,
                        const CommandTree& tree) {
  std::string out = "complete -c culm";
  if (!condition.empty()) out += " -n " + shell_quoted(condition);
  for (const std::string& spelling : row.spellings) {
    out += spelling.starts_with("--") ? " -l " + spelling.substr(2) : " -s " + spelling.substr(1);
  }
  if (!row.value.empty()) {
    const std::string offer = fish_offer(row.value, tree);
    out += (offer == " -F" ? " -r" : " -x") + offer;
  }
  return out + " -d " + shell_quoted(row.help) + "\n";
}

}  // namespace

std::string bash_completion(const CommandTree& tree) {
  std::string out = kMadeBy;
  out += R"sh(_culm_names() { culm name 2>/dev/null | while read -r name log _; do
    [[ $log =~ ^[0-9a-f]{64} ]] && echo "$name"
  done; }

_culm() {
  local line=$COMP_LINE part word words=() before= verb= at=0 prefix= i
  # COMP_WORDBREAKS has parted words at each = and :.
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    part=${COMP_WORDS[i]}
    if [[ $i == 0 || $line == [[:space:]]* ]]; then words+=("$part"); else words[-1]+=$part; fi
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#"$part"}
  done
  word=${words[-1]}
  unset 'words[-1]'
  for part in "${words[@]:1}"; do
    if [[ $before ]]; then
      before=
    elif [[ $part == -* ]]; then
      _culm_takes_value && before=$part
    elif [[ ! $verb ]]; then
      verb=$part
    else
      ((++at))
    fi
  done
  if [[ ! $before && $word == --*=* ]]; then
    before=${word%%=*} word=${word#*=}
    [[ ${COMP_WORDS[COMP_CWORD]} == --*=* ]] && prefix=$before=
  fi
  COMPREPLY=()
  _culm_reply
  [[ $prefix ]] && COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
}

_culm_takes_value() {
  case $verb in
)sh";
  const auto add_valued = [&](const std::string& verb, const std::vector<OptionRow>& rows) {
    out += "    " + verb + ") [[ ' " + valued(rows) + " ' == *\" $part \"* ]] ;;\n";
  };
  add_valued("''", common_rows());
  for (const Verb& verb : tree.verbs()) add_valued(verb.name(), rows_of(verb));
  out += "  esac\n}\n\n_culm_reply() {\n  case $verb in\n";
  const auto add = [&](const std::string& verb, const std::vector<OptionRow>& rows,
                       const std::string& otherwise) {
    out += "    " + verb + ")\n      case $before in\n" + bash_values(rows, tree) +
           "      esac\n      if [[ $word == -* ]]; then\n        COMPREPLY=($(compgen -W '" +
           bash_options(rows) + "' -- \"$word\"))\n      else\n        " + otherwise +
           "\n      fi ;;\n";
  };
  add("''", common_rows(), bash_offer("VERB", tree));
  for (const Verb& verb : tree.verbs()) {
    add(verb.name(), rows_of(verb), bash_arguments(verb, tree));
  }
  return out + "  esac\n}\ncomplete -F _culm culm\n";
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
             zsh_value(offered_at(option), tree).substr(1) + "'";
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

# Whether the verb is $argv[1], after which as many arguments stand as $argv[2]; 1+: or more.
function __culm_is
  set -l words (commandline -opc)
  set -l verb
  set -l at 0
  set -l is_value 0
  for word in $words[2..]
    if test $is_value = 1
      set is_value 0
    else if string match -q -- '-*' $word
      __culm_takes_value "$verb" $word; and set is_value 1
    else if test -z "$verb"
      set verb $word
    else
      set at (math $at + 1)
    end
  end
  test "$verb" = "$argv[1]"; or return 1
  test (count $argv) = 1; and return 0
  set -l least (string replace + '' $argv[2])
  test $at = $least; or begin
    test $at -gt $least; and test $least != $argv[2]
  end
end

function __culm_takes_value
  switch $argv[1]
)sh";
  const auto add_valued = [&](const std::string& verb, const std::vector<OptionRow>& rows) {
    out += "    case " + verb + "\n      contains -- $argv[2] " + valued(rows) + "\n";
  };
  add_valued("''", common_rows());
  for (const Verb& verb : tree.verbs()) add_valued(verb.name(), rows_of(verb));
  out += "    case '*'\n      return 1\n  end\nend\n\ncomplete -c culm -f\n";
  for (const OptionRow& row : common_rows()) out += fish_option("", row, tree);
  for (const Verb& verb : tree.verbs()) {
    out += "complete -c culm -n \"__culm_is ''\" -a " + verb.name() + " -d " +
           shell_quoted(verb.summary()) + "\n";
    const std::string condition = "__culm_is " + verb.name();
    const auto positionals = positionals_of(verb);
    for (std::size_t at = 0; at < positionals.size(); ++at) {
      const std::string offer = fish_offer(offered_at(*positionals[at]), tree);
      const std::string place =
          " " + std::to_string(at) + (positionals[at]->is_repeatable() ? "+" : "");
      if (!offer.empty()) {
        out += "complete -c culm -n " + shell_quoted(condition + place) + offer + "\n";
      }
    }
    const auto rows = rows_of(verb);
    for (std::size_t i = 0; i + std::size(kCommonOptions) < rows.size(); ++i) {
      out += fish_option(condition, rows[i], tree);
    }
  }
  return out;
}

}  // namespace culm::tools
