#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culm/replication/host/json.hpp"

#include "tools/cli/failure.hpp"

/// What Ctrl-C does. Each write to a store is whole, wherever the process ends, so that a verb just
/// ends, once it has said how far it has come.
namespace culm::tools {

/// From here on SIGINT ends the process with exit status 130, and SIGTERM as it does by itself
/// (143 in a shell), both after a line on stderr; `json`: an object.
void end_when_interrupted(std::string_view verb, bool json);
/// Takes the signals back from whom took them.
void take_signals();
/// For a verb that has no end of its own: SIGTERM is one, with exit status 0 and without a word.
void end_well_when_terminated();

/// What that line says from now on, such as "nothing was taken"; `fields`: more for programs, left
/// out where the line would be too long for a handler.
void say_when_interrupted(std::string_view done, const Json& fields = Json::object());
/// The same, for a verb that ends because nobody can be told what it has done; or "".
[[nodiscard]] const std::string& what_was_done();

/// Puts the end off while it exists, so that what is done and what is said of it agree. A second
/// signal is not put off. One at a time.
class Uninterrupted {
 public:
  Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
  ~Uninterrupted();

  /// Here all is said.
  static void end_if_interrupted();
};

/// For a verb that takes the signal itself, and then returns.
void note_interrupt(int number);
/// The exit status of what was noted.
[[nodiscard]] std::optional<Exit> interrupted();
/// Ends as the signal does that was noted.
[[noreturn]] void end_interrupted();

}  // namespace culm::tools
