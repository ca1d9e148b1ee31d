#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tools/cli/failure.hpp"

namespace culm::tools {

/// How much a line matters, from the most. Each level writes those before it as well.
enum class Level : std::uint8_t { kError, kWarning, kInfo, kDebug };

/// Fails with exit 2.
[[nodiscard]] Outcome<Level> parse_level(std::string_view what, std::string_view text);

/// What a process that runs for long says on stderr, a line each: "TIME LEVEL TEXT", or an object
/// with `time`, `level`, `type`, `message` and more. Times are RFC 3339, in UTC.
class Log {
 public:
  struct Options {
    Level level = Level::kInfo;
    bool json = false;
  };

  explicit Log(const Options& options) : options_(options) {}

  [[nodiscard]] bool takes(Level level) const noexcept { return level <= options_.level; }
  /// `type` names the kind of line for programs; `fields` are more for them, an object.
  void write(Level level, std::string_view type, const std::string& text,
             const Json& fields = Json::object()) const;

 private:
  Options options_;
};

}  // namespace culm::tools
