#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "culm/core/signing.hpp"

#include "tools/cli/commands.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace {

using culm::tools::Context;
using culm::tools::Exit;
using culm::tools::Failure;

/// A closed standard descriptor would be taken by the next file that is opened, the store for one.
void hold_standard_descriptors() {
  for (int number = 0; number <= STDERR_FILENO; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    // Of the wrong kind on purpose: to use it is an error, as it was.
    if (::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

/// What has been done is done, also where it cannot be said on the output any more: to repeat it
/// would do it twice.
Failure with_what_was_done(Failure failure, const Context& context) {
  const std::string& done = culm::tools::what_was_done();
  if (failure.what != context.out.name() || done.empty()) return failure;
  failure.message += "; " + done;
  if (!failure.step.empty()) failure.step = "make room where the output goes";
  return failure;
}

/// Some damage leaves a store that nothing can be made of.
Failure with_step_of_damage(Failure failure, const Context& context) {
  const bool is_plain = failure.code == culm::Errc::kStoreDamaged &&
                        failure.step == Failure(culm::Error{culm::Errc::kStoreDamaged}).step;
  if (!is_plain) return failure;
  failure.step = culm::tools::step_of_damage(context);
  return std::move(failure).about(culm::tools::named(context));
}

int print_help(Context& context, const culm::tools::Ending& ending) {
  std::fputs(ending.err.c_str(), stderr);
  auto printed = context.out.write_raw(ending.out);
  if (printed) printed = context.out.flush();
  if (printed) return ending.status;
  const Failure& failure = printed.error();
  if (failure.exit != Exit::kReaderGone) std::fputs(to_text(failure, "help").c_str(), stderr);
  return static_cast<int>(failure.exit);
}

int run(const std::vector<std::string>& arguments) {
  Context context;
  context.arguments = arguments;
  culm::tools::CommandTree tree;
  culm::tools::add_verbs(tree);
  culm::tools::commands() = {tree, arguments};
  const auto verb = culm::tools::parse_command_line(tree, arguments, context);
  if (!verb) return print_help(context, verb.error());
  culm::tools::end_when_interrupted((*verb)->name(), context.json);
  culm::tools::Outcome<void> outcome = (*verb)->run(context);
  if (outcome) outcome = context.out.flush();
  const std::optional<Exit> interrupted = culm::tools::interrupted();
  if (outcome && interrupted) culm::tools::end_interrupted();
  if (outcome && !context.next.empty() && !context.json) {
    culm::tools::tell("  next: " + context.next);
  }
  if (outcome) return 0;
  const Exit exit = interrupted.value_or(outcome.error().exit);
  if (exit == Exit::kReaderGone) return static_cast<int>(exit);
  // What was printed before the failure belongs before its message.
  static_cast<void>(context.out.flush());
  Failure failure = with_what_was_done(std::move(outcome.error()).as(exit), context);
  failure = with_step_of_damage(with_holder(std::move(failure), context), context);
  const std::string& name = (*verb)->name();
  std::fputs((context.json ? to_json_line(failure, name) : to_text(failure, name)).c_str(), stderr);
  return static_cast<int>(failure.exit);
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  // Both arrive as errors of write, so that a verb ends in order.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    if (const auto ready = culm::initialize_crypto(); !ready) {
      std::fprintf(stderr, "culm: %s\n", culm::message(ready.error()).c_str());
      return static_cast<int>(Exit::kInternal);
    }
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culm: internal error: %s\n", error.what());
    return static_cast<int>(Exit::kInternal);
  }
}
