#pragma once

#include "tools/cli/command_line.hpp"

/// One function for each verb, in a file of its own: it adds the verb with its options, and says
/// what to run. `culm --help` lists those of a group in the order of `add_verbs`.
namespace culm::tools {

void add_keygen(CommandTree& tree);
void add_append(CommandTree& tree);
void add_mark(CommandTree& tree);
void add_ls(CommandTree& tree);
void add_log(CommandTree& tree);
void add_cat(CommandTree& tree);
void add_follow(CommandTree& tree);
void add_inspect(CommandTree& tree);
void add_name(CommandTree& tree);
void add_verify(CommandTree& tree);
void add_repair(CommandTree& tree);
void add_backup(CommandTree& tree);
void add_delete(CommandTree& tree);
void add_select(CommandTree& tree);
void add_forget(CommandTree& tree);
void add_compact(CommandTree& tree);
void add_du(CommandTree& tree);
void add_export(CommandTree& tree);
void add_import(CommandTree& tree);
void add_sync(CommandTree& tree);
void add_peers(CommandTree& tree);
void add_relay(CommandTree& tree);
void add_lipmaa(CommandTree& tree);
void add_path(CommandTree& tree);
void add_pool(CommandTree& tree);
void add_help(CommandTree& tree);

inline void add_verbs(CommandTree& tree) {
  for (const auto add :
       {add_keygen,  add_append,  add_mark,   add_ls,     add_log,    add_cat,    add_follow,
        add_inspect, add_name,    add_verify, add_repair, add_backup, add_delete, add_select,
        add_forget,  add_compact, add_du,     add_export, add_import, add_sync,   add_peers,
        add_relay,   add_lipmaa,  add_path,   add_pool,   add_help}) {
    add(tree);
  }
}

}  // namespace culm::tools
