#include "tools/relay/log.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

#include "tools/cli/commands.hpp"
#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

constexpr std::array<std::pair<std::string_view, Level>, 4> kLevels{{{"error", Level::kError},
                                                                     {"warning", Level::kWarning},
                                                                     {"info", Level::kInfo},
                                                                     {"debug", Level::kDebug}}};

std::string_view name(Level level) { return kLevels.at(static_cast<std::size_t>(level)).first; }

/// "2026-11-29T12:03:16.042Z"
std::string utc_now() {
  namespace chrono = std::chrono;
  const auto now = chrono::floor<chrono::milliseconds>(chrono::system_clock::now());
  const auto whole = chrono::floor<chrono::seconds>(now);  // of a time before 1970 too
  const std::time_t seconds = chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ",
                static_cast<int>((now - whole).count()));
  return std::string(date.data()) + fraction.data();
}

}  // namespace

Outcome<Level> parse_level(std::string_view what, std::string_view text) {
  const auto* const found =
      std::ranges::find(kLevels, text, &std::pair<std::string_view, Level>::first);
  if (found != kLevels.end()) return found->second;
  return usage(std::string(what) + " \"" + preview(as_bytes(text), 20) +
               "\" is none of error, warning, info and debug");
}

void Log::write(Level level, std::string_view type, const std::string& text,
                const Json& fields) const {
  if (!takes(level)) return;
  if (options_.json) {
    Json object = {{"time", utc_now()}, {"level", name(level)}, {"type", type}};
    object["message"] = text;
    object.update(fields);
    return tell_json(std::move(object));
  }
  constexpr std::size_t kLevelColumns = 7;
  std::string shown(name(level));
  shown.resize(kLevelColumns, ' ');
  tell(utc_now() + " " + shown + " " + text);
}

}  // namespace culm::tools
