#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/command_line.hpp"

/// What `--help` prints, out of the command tree. No line is wider than `columns`, unless a single
/// word is, or an example.
namespace culm::tools {

inline constexpr std::size_t kHelpColumnsMax = 100;

/// As wide as the terminal, where standard output is one, else as COLUMNS says; never wider than
/// kHelpColumnsMax.
[[nodiscard]] std::size_t help_columns();

/// The verbs by their groups, and what holds for all of them.
[[nodiscard]] std::string overview(const CommandTree& tree, std::size_t columns);

[[nodiscard]] std::string help_of(const Verb& verb, std::size_t columns);

/// Either, by whether there is a verb; with `json` in one line for programs.
[[nodiscard]] std::string help_text(const CommandTree& tree, const Verb* verb, bool json);

/// "culm sync [OPTIONS] HOST:PORT [LOG...]".
[[nodiscard]] std::string usage_of(const Verb& verb);

/// What `culm` is, how logs, seqnums and ranges are named, what the exit status says: each title
/// with its text, written as descriptions are.
struct Topic {
  std::string_view title;
  std::string_view text;
};
inline constexpr std::string_view kWhatCulmIs =
    "Append-only signed logs, replicated in part: append, inspect, verify, exchange.";
inline constexpr Topic kTopics[] = {
    {"Names",
     "A LOG is named by its author's 64 hex digits, or at least 8 of them that no other author in "
     "the store begins with, or by what `culm name` called it; with .LOG_ID it is one log of the "
     "author (alice.3), without it all logs of the author that the store knows. A seqnum counts "
     "from 1; last is the highest that is held, -10 the tenth from the end. Ranges look like "
     "5-9,20,30- and include both ends; -10- are the last ten."},
    {"Exit status",
     "0 done, 2 usage, 3 not found (a store, log, entry, payload or file), 4 verification failed "
     "(a bad or missing key file as well), 5 store or disk, 6 network, 7 fork or "
     "signer state, 8 locked by another process, 130 interrupted (Ctrl-C), 141 the reader of the "
     "output went away, 143 ended by SIGTERM. SIGTERM is the end that relay, follow and "
     "sync --live wait for: they end with 0 then, if nothing was left undone; Ctrl-C ends them "
     "with 130 too."}};

/// What the environment says.
inline constexpr Topic kVariables[] = {
    {"CULM_STORE", "The store, where --store does not say it."},
    {"CULM_NAMES",
     "The directory of names that `culm name` gives, in place of culm/names in "
     "XDG_DATA_HOME or ~/.local/share."},
    {"NO_COLOR", "No colours on a terminal, where it is set."},
    {"COLUMNS", "How wide help is, where standard output is no terminal."}};

/// A piece of a description: a paragraph, or what a term means.
struct Block {
  std::string term;  ///< "" for a paragraph
  std::string text;
};
[[nodiscard]] std::vector<Block> blocks_of(std::string_view description);

}  // namespace culm::tools
