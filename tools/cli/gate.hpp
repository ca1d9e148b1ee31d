#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culm/replication/host/append_gate.hpp"
#include "culm/store/author_mark.hpp"

#include "tools/cli/context.hpp"

/// The words of the append gate. Spec: store.md#append-gate
namespace culm::tools {

/// When unasked entries were appended: peers that answer may not tell either, as who denies a log.
constexpr std::string_view kWhileUntold = "while no peer, or not all, could tell of more";

/// What to ask of peers before, and what they said.
struct Gate {
  AppendGate gate{};
  std::optional<host::KnownHead> known{};
  bool is_first = false;  ///< of the log, as far as is known here
  SeqNum tail = 0;
  Duration wait_max{};
  ReplicaOptions options{};  ///< how peers are reached

  /// A peer holds other entries than were appended here unasked.
  [[nodiscard]] bool shows_branch() const {
    return known && known->other && known->other->is_unasked;
  }
};

[[nodiscard]] Outcome<AppendGate> parse_gate(const std::string& text);

/// Asks them, and says where somebody could not be asked. As `store::AppenderOptions::gate`.
[[nodiscard]] Result<bool> pass(Gate& gate, const host::WritableStore& store,
                                const Context& context, store::AuthorMark& mark, const LogKey& log,
                                SeqNum tail);

/// What is appended to, and with what.
struct AppendedLog {
  LogKey log;
  std::string key_path;
};
/// Why an appender was not opened: what a peer showed, or else what mark and store say.
[[nodiscard]] Failure explain(const Context& context, const Error& error, const AppendedLog& own,
                              const store::Store& store, store::AuthorMark& mark, const Gate& gate);

/// What was published is in no store that is made now: a mistyped --store is none.
[[nodiscard]] Outcome<void> check_new_log(const Context& context, const AppendedLog& own,
                                          store::AuthorMark& mark, bool adopt, AppendGate gate);

}  // namespace culm::tools
