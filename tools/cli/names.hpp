#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/types.hpp"

#include "tools/cli/failure.hpp"

/// What logs are called on the command line. Spec: names.md#logs
namespace culm::tools {

/// What a LOG names: one log, or an author and so all logs of the author.
struct LogName {
  Author author;
  std::optional<LogId> log_id;

  [[nodiscard]] bool matches(const LogKey& log) const {
    return log.author == author && log_id.value_or(log.log_id) == log.log_id;
  }
  friend bool operator==(const LogName&, const LogName&) = default;
};

/// The author's digits, and ".LOG_ID" where one log is named, ".0" among them.
[[nodiscard]] std::string to_string(const LogName& name);

/// What `text` names wherever it is said: an author's 64 hex digits or a name that `culm name`
/// gave, each alone or with ".LOG_ID". Nothing for what may be the start of an author. Fails with
/// exit 2 for what can name nothing, 3 for a name that nobody gave, 5 when names cannot be read.
[[nodiscard]] Outcome<std::optional<LogName>> find_whole_name(std::string_view text);

/// A name that this user gave, "alice". Spec: names.md#given-names
struct GivenName {
  std::string name;
  LogName log;
};

/// By their names.
[[nodiscard]] Outcome<std::vector<GivenName>> list_given_names();

/// Keeps it; it is durable. One that means the same already is left. Fails with exit 2 for what
/// cannot be a name, or when it means something else.
[[nodiscard]] Outcome<void> give_name(const GivenName& given);

/// Forgets it. Fails with exit 3 when nobody gave it.
[[nodiscard]] Outcome<void> take_name(std::string_view name);

/// What `log` was called: the name of it, else of its author with ".LOG_ID" where that is not 0;
/// nothing if neither has one.
[[nodiscard]] std::optional<std::string> given_name_of(const std::vector<GivenName>& names,
                                                       const LogKey& log);

}  // namespace culm::tools
