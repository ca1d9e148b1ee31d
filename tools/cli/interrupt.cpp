#include "tools/cli/interrupt.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <string>

#include <unistd.h>

#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

/// A line as a handler may write it: nothing is made when the signal has come.
struct Words {
  std::array<char, 2048> text{};
  std::size_t size = 0;
  std::size_t exit_at = kNone;  ///< where the exit status stands

  static constexpr std::size_t kNone = SIZE_MAX;
};
constexpr std::string_view kStatusInterrupted = "130";
constexpr std::string_view kStatusTerminated = "143";

// The line in use is not the one that is written to.
std::array<Words, 4> lines;
std::atomic<std::size_t> line_in_use = 0;

std::string verb_name;
std::string last_said;
bool is_json = false;
std::atomic<bool> ends_well = false;
std::atomic<bool> is_put_off = false;
std::atomic<int> signal_put_off = 0;
std::atomic<bool> is_ending = false;

[[noreturn]] void end(int number) {
  if (number == SIGTERM && ends_well) ::_exit(static_cast<int>(Exit::kOk));
  Words& words = lines[line_in_use];
  if (number == SIGTERM && words.exit_at != Words::kNone) {
    kStatusTerminated.copy(words.text.data() + words.exit_at, kStatusTerminated.size());
  }
  static_cast<void>(!::write(STDERR_FILENO, words.text.data(), words.size));
  if (number == SIGTERM) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  ::_exit(static_cast<int>(Exit::kInterrupted));
}

void on_signal(int number) {
  if (is_put_off && signal_put_off.exchange(number) == 0) return;
  // Ctrl-C comes twice where another process passes it on; it is said once.
  if (!is_ending.exchange(true)) end(number);
}

}  // namespace

void end_when_interrupted(std::string_view verb, bool json) {
  verb_name = verb;
  is_json = json;
  say_when_interrupted("");
  take_signals();
}

void take_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_NODEFER | SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void end_well_when_terminated() { ends_well = true; }

void say_when_interrupted(std::string_view done, const Json& fields) {
  last_said = done;
  std::string text = "interrupted";
  if (!done.empty()) text += ": " + std::string(done);
  if (is_json) {
    Json object = {{"type", "failure"},
                   {"error", "interrupted"},
                   {"exit", static_cast<int>(Exit::kInterrupted)},
                   {"message", text},
                   {"about", nullptr},
                   {"next", nullptr}};
    text = to_line(object);
    object.update(fields);
    if (auto more = to_line(object); more.size() < Words{}.text.size()) text = std::move(more);
  } else {
    // A line that shows progress, or what the terminal echoes, gives way.
    text = (::isatty(STDERR_FILENO) == 1 && !is_dumb_terminal() ? "\r\033[K" : "") +
           ("culm: " + verb_name) + ": " + text;
  }
  const std::size_t next = (line_in_use + 1) % lines.size();
  Words& line = lines[next];
  line.size = (text + "\n").copy(line.text.data(), line.text.size());
  const auto exit_at = text.find(std::string("\"exit\":").append(kStatusInterrupted));
  line.exit_at = is_json && exit_at < line.size - 16 ? exit_at + 7 : Words::kNone;
  line_in_use = next;
}

const std::string& what_was_done() { return last_said; }

Uninterrupted::Uninterrupted() { is_put_off = true; }

Uninterrupted::~Uninterrupted() {
  is_put_off = false;
  end_if_interrupted();
}

void Uninterrupted::end_if_interrupted() {
  if (const int number = signal_put_off) end(number);
}

void note_interrupt(int number) { signal_put_off = number; }
std::optional<Exit> interrupted() {
  const int number = signal_put_off;
  if (number == 0) return std::nullopt;
  return number == SIGTERM ? Exit::kTerminated : Exit::kInterrupted;
}
void end_interrupted() { end(signal_put_off); }

}  // namespace culm::tools
