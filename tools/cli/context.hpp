#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/cli/failure.hpp"
#include "tools/cli/output.hpp"

namespace culm::tools {

/// What every verb gets: the options before all verbs, and where to print.
struct Context {
  std::string store_directory = "./culm-store";
  bool json = false;
  Output out;
  /// Set by the verb that the command line names; run once, by main.
  std::function<Outcome<void>()> run;
};

/// Adds a verb whose options are read into an `Options`, and which then is `run`.
/// `example` stands at the end of its help.
template <class Options>
CLI::App& add_verb(CLI::App& app, Context& context, const char* name, const char* description,
                   const char* example, const std::shared_ptr<Options>& options,
                   Outcome<void> (*run)(Context&, const Options&)) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->footer(std::string("Before or after the verb: --store DIR, --json\n\nExample:\n  ") +
               example);
  verb->group("Verbs");
  verb->callback([&context, options, run] {
    context.run = [&context, options, run] { return run(context, *options); };
  });
  return *verb;
}

}  // namespace culm::tools
