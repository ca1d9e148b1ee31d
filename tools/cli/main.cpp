#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "culm/core/signing.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/help.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/cli/version.hpp"

namespace {

using culm::tools::Context;
using culm::tools::Exit;
using culm::tools::Failure;

constexpr const char* kDescription =
    "Append-only signed logs, replicated in part: append, inspect, verify, exchange.";
constexpr const char* kFooter =
    "A log is named by its author's 64 hex digits, or at least 8 of them that no other author in\n"
    "the store begins with, and .LOG_ID where that is not 0. A seqnum counts from 1. Ranges look\n"
    "like 5-9,20,30- and include both ends.\n\n"
    "Exit status: 0 done, 2 usage, 3 not found, 4 verification failed, 5 store or disk, 6 "
    "network,\n"
    "7 fork or signer state, 8 locked by another process.\n\n"
    "`culm VERB --help` explains a verb with an example.";

/// A closed standard descriptor would be taken by the next file that is opened, the store for one.
void hold_standard_descriptors() {
  for (int number = 0; number <= STDERR_FILENO; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    // Of the wrong kind on purpose: to use it is an error, as it was.
    if (::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

void add_common_options(CLI::App& app, Context& context) {
  app.formatter(std::make_shared<culm::tools::HelpFormatter>());
  app.add_option("--store", context.store_directory, "Directory of the store")
      ->type_name("DIR")
      ->envname("CULM_STORE")
      ->capture_default_str();
  app.add_flag("--json", context.json, "Print JSON, one object a line");
  app.set_version_flag("--version", std::string("culm ") + culm::tools::kVersion);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
}

/// What stands where a verb should; nothing if there is a verb, or no argument but options.
std::string unknown_verb(const CLI::App& app, int argc, char** argv) {
  if (!app.get_subcommands().empty()) return {};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--store") ++i;
    if (!argument.starts_with('-')) return std::string(argument);
  }
  return {};
}

int usage_error(const CLI::App& app, const CLI::ParseError& error, const std::string& unknown) {
  if (!unknown.empty()) {
    std::string known;
    for (const CLI::App* const verb : app.get_subcommands([](const CLI::App*) { return true; })) {
      known += (known.empty() ? "" : ", ") + verb->get_name();
    }
    std::fprintf(stderr, "culm: there is no verb \"%s\"; there are %s\n  next: culm --help\n",
                 culm::tools::preview(culm::as_bytes(unknown), 60).c_str(), known.c_str());
    return static_cast<int>(Exit::kUsage);
  }
  const auto verbs = app.get_subcommands();
  const std::string verb = verbs.empty() ? "" : " " + verbs.front()->get_name();
  const auto message = culm::as_bytes(std::string_view(error.what()));
  std::fprintf(stderr, "culm:%s %s\n  next: culm%s --help\n",
               verb.empty() ? "" : (verb + ":").c_str(), culm::tools::preview(message, 300).c_str(),
               verb.c_str());
  return static_cast<int>(Exit::kUsage);
}

void print_failure(Context& context, const std::string& verb, const Failure& failure) {
  if (context.json) {
    culm::tools::Json line = {{"ok", false}};
    line.update(failure.fields);
    if (line.find("reason") == nullptr) line["reason"] = culm::name(failure.code);
    line["message"] = failure.message;
    if (!failure.what.empty()) line["about"] = failure.what;
    if (!failure.step.empty()) line["next"] = failure.step;
    if (context.out.write_json(line) && context.out.flush()) return;
  }
  std::string text = "culm: " + verb + ": ";
  if (!failure.what.empty()) text += failure.what + ": ";
  text += failure.message + "\n";
  const bool is_usage = failure.code == culm::Errc::kUsage;
  const std::string step =
      is_usage && failure.step.empty() ? "culm " + verb + " --help" : failure.step;
  if (!step.empty()) text += "  next: " + step + "\n";
  std::fputs(text.c_str(), stderr);
}

int run(int argc, char** argv) {
  CLI::App app(kDescription, "culm");
  Context context;
  add_common_options(app, context);
  culm::tools::add_verbs(app, context);
  for (int i = 1; i < argc; ++i) {
    if (*argv[i] != '\0') continue;
    std::fputs("culm: an argument must not be empty\n  next: culm --help\n", stderr);
    return static_cast<int>(Exit::kUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error, unknown_verb(app, argc, argv));
  }

  const std::string verb = app.get_subcommands().front()->get_name();
  culm::tools::Outcome<void> outcome = context.run();
  if (outcome) outcome = context.out.flush();
  if (outcome) return 0;
  // What was printed before the failure belongs before its message.
  if (!context.out.flush()) context.json = false;
  print_failure(context, verb, outcome.error());
  return static_cast<int>(outcome.error().exit);
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  // Both arrive as errors of write, which say more than a death by signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    if (const auto ready = culm::initialize_crypto(); !ready) {
      std::fprintf(stderr, "culm: %s\n", culm::message(ready.error()).c_str());
      return static_cast<int>(Exit::kInternal);
    }
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culm: internal error: %s\n", error.what());
    return static_cast<int>(Exit::kInternal);
  }
}
