#pragma once

#include <CLI/CLI.hpp>

#include "tools/cli/context.hpp"

/// One function for each verb, in a file of its own: it adds the verb with its options, and says
/// what to run. `culm --help` lists them in the order of `add_verbs`.
namespace culm::tools {

void add_keygen(CLI::App& app, Context& context);
void add_append(CLI::App& app, Context& context);
void add_ls(CLI::App& app, Context& context);
void add_log(CLI::App& app, Context& context);
void add_cat(CLI::App& app, Context& context);
void add_follow(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_delete(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_sync(CLI::App& app, Context& context);
void add_relay(CLI::App& app, Context& context);
void add_lipmaa(CLI::App& app, Context& context);
void add_path(CLI::App& app, Context& context);
void add_pool(CLI::App& app, Context& context);

inline void add_verbs(CLI::App& app, Context& context) {
  for (const auto add :
       {add_keygen, add_append, add_ls, add_log, add_cat, add_follow, add_inspect, add_verify,
        add_delete, add_export, add_import, add_sync, add_relay, add_lipmaa, add_path, add_pool}) {
    add(app, context);
  }
}

}  // namespace culm::tools
