#include "tools/cli/names.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kAuthorDigits = 64;
constexpr std::size_t kNameSizeMax = 32;
constexpr std::size_t kFileSizeMax = 256;

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// The highest seqnum where one is asked for (`parse_seqnum_of`).
constexpr std::string_view kLast = "last";

/// Nothing that may be the start of an author, an option, a file, a log_id or a seqnum.
bool is_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_fine = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= kNameSizeMax && is_letter(text.front()) && text != kLast &&
         std::ranges::all_of(text, is_fine) && !(is_hex(text) && text.size() >= kNameDigitsMin);
}

std::string in_quotes(std::string_view text) { return "\"" + preview(as_bytes(text), 60) + "\""; }

/// Where names are kept; "" for a user without a home.
std::string directory() {
  const auto value = [](const char* variable) {
    const char* const text = std::getenv(variable);
    return std::string(text == nullptr ? "" : text);
  };
  if (auto given = value("CULM_NAMES"); !given.empty()) return given;
  if (auto data = value("XDG_DATA_HOME"); !data.empty()) return data + "/culm/names";
  if (auto home = value("HOME"); !home.empty()) return home + "/.local/share/culm/names";
  return {};
}

std::string path_of(std::string_view name) { return directory() + "/" + std::string(name); }

/// 64 digits, and perhaps ".LOG_ID".
std::optional<LogName> parse_whole(std::string_view text) {
  const auto log = parse_log_key(text);
  if (!log) return std::nullopt;
  const bool is_author = text.find('.') == std::string_view::npos;
  return LogName{log->author, is_author ? std::nullopt : std::optional(log->log_id)};
}

/// What a given name means; nothing if nobody gave it.
Outcome<std::optional<LogName>> read_name(std::string_view name) {
  const std::string path = path_of(name);
  const auto bytes = read_file(path, kFileSizeMax, Errc::kFileFormat);
  if (!bytes && bytes.error().exit == Exit::kNotFound) return std::nullopt;
  if (!bytes) return fail_with(Failure(bytes.error()).as(Exit::kStore));
  std::string_view text = as_text(*bytes);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (const auto log = parse_whole(text)) return log;
  return fail_with(Failure(Exit::kStore, Errc::kFileFormat, "this is not what `culm name` wrote")
                       .about(shown(path))
                       .next("`culm name --remove " + std::string(name) + "`, then give it again"));
}

tl::unexpected<Failure> unknown(std::string_view name, const std::string& or_else = {}) {
  return fail_with(Failure(Exit::kNotFound, Errc::kLogUnknown, "nothing has this name")
                       .about(in_quotes(name))
                       .next("`culm name` lists the names" + or_else));
}

Outcome<void> check_home() {
  if (!directory().empty()) return {};
  return usage("there is no home to keep names in: set HOME, XDG_DATA_HOME or CULM_NAMES");
}

}  // namespace

std::string to_string(const LogName& name) {
  std::string text = to_hex(name.author.bytes);
  if (name.log_id) text += "." + std::to_string(to_integer(*name.log_id));
  return text;
}

Outcome<std::optional<LogName>> find_whole_name(std::string_view text) {
  const auto dot = text.find('.');
  const std::string_view base = text.substr(0, dot);
  std::optional<LogId> log_id;
  if (dot != std::string_view::npos) {
    CULM_TOOLS_TRY(const std::uint64_t number, parse_number("log_id", text.substr(dot + 1)));
    log_id = LogId{number};
  }
  const bool is_start = is_hex(base) && base.size() >= kNameDigitsMin;
  if (is_start && base.size() < kAuthorDigits) return std::nullopt;
  std::optional<LogName> found;
  if (is_start) {
    found = parse_whole(base);
  } else if (is_name(base)) {
    CULM_TOOLS_TRY(found, read_name(base));
    if (!found && !is_hex(base)) {
      return unknown(base, ", `culm name LOG " + std::string(base) + "` gives one");
    }
  }
  if (!found) {
    return usage(in_quotes(text) +
                 " names no log: give a name that `culm name` gave, an author's 64 "
                 "hex digits, or at least " +
                 std::to_string(kNameDigitsMin) + " of them, and .LOG_ID for one log alone");
  }
  if (found->log_id && log_id)
    return usage(in_quotes(base) + " is one log already: leave .LOG_ID out");
  if (log_id) found->log_id = log_id;
  return found;
}

Outcome<std::vector<GivenName>> list_given_names() {
  std::vector<GivenName> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory(), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_name(name)) continue;
    CULM_TOOLS_TRY(const auto log, read_name(name));
    if (log) names.push_back({name, *log});
  }
  std::ranges::sort(names, {}, &GivenName::name);
  return names;
}

Outcome<void> give_name(const GivenName& given) {
  if (!is_name(given.name)) {
    return usage(in_quotes(given.name) + " cannot be a name: up to " +
                 std::to_string(kNameSizeMax) +
                 " letters, digits, - and _, a letter first, and not " +
                 std::to_string(kNameDigitsMin) + " or more hex digits alone, nor the word last");
  }
  CULM_TOOLS_CHECK(check_home());
  CULM_TOOLS_TRY(const auto before, read_name(given.name));
  if (before == given.log) return {};
  if (before) {
    return fail_with(Failure(Exit::kUsage, Errc::kFileExists,
                             given.name + " is " + to_string(*before) + " already")
                         .next("`culm name --remove " + given.name + "` first"));
  }
  std::error_code error;
  std::filesystem::create_directories(directory(), error);
  if (error) {
    return fail_with(Failure(error_system(Errc::kFileIo, error.value())).about(shown(directory())));
  }
  CULM_TOOLS_TRY(const auto file, NewFile::create(path_of(given.name), 0666));
  CULM_TOOLS_CHECK(file->out().write_raw(to_string(given.log) + "\n"));
  return file->complete();
}

Outcome<void> take_name(std::string_view name) {
  if (!is_name(name)) return unknown(name);
  CULM_TOOLS_CHECK(check_home());
  const std::string path = path_of(name);
  if (::unlink(path.c_str()) == 0) return {};
  if (errno == ENOENT || errno == ENOTDIR) return unknown(name);
  return fail_with(Failure(error_system(Errc::kFileIo, errno)).about(shown(path)));
}

std::optional<std::string> given_name_of(const std::vector<GivenName>& names, const LogKey& log) {
  const auto of = [&](std::optional<LogId> log_id) {
    return std::ranges::find(names, LogName{log.author, log_id}, &GivenName::log);
  };
  if (const auto exact = of(log.log_id); exact != names.end()) return exact->name;
  const auto author = of(std::nullopt);
  if (author == names.end()) return std::nullopt;
  if (log.log_id == LogId{}) return author->name;
  return author->name + "." + std::to_string(to_integer(log.log_id));
}

}  // namespace culm::tools
