#include <algorithm>
#include <memory>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/replication/node/sync_report.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/gone.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  bool own = false;
  bool dry_run = false;
};

/// How much is erased shows in the room that becomes free. Without logs what is left of others.
Result<host::ChangedLogs> forget(const host::WritableStore& access,
                                 std::span<const host::LogChange> logs) {
  const auto count_free = [&access]() -> Result<std::uint64_t> {
    CULM_TRY(const auto transaction, access.store->read());
    CULM_TRY(const store::KvSpace space, transaction.space());
    return space.free_bytes;
  };
  CULM_TRY(const std::uint64_t before, count_free());
  if (logs.size() <= 1) {
    say_when_interrupted((logs.empty() ? "the log" : short_name(logs.front().log)) +
                         " may be forgotten, with some of it still to be erased; the same command "
                         "goes on");
  }
  const WatchedProgress progress("forgetting", Progress::Unit::kBytes, [&] {
    const std::uint64_t now = count_free().value_or(before);
    return WatchedProgress::Extent{now - std::min(now, before), 0};
  });
  return access.writer->change_all(logs);
}

/// What is forgotten.
struct Extent {
  LogKey log;
  std::uint64_t entries = 0;
  std::uint64_t payloads = 0;
  std::uint64_t payload_bytes = 0;
  InPart in_part{};
  RangeSet dropped{};  ///< by a fork: erased as well, and counted apart from entries and payloads
};

Outcome<Extent> find_extent(const store::Store& store, const LogKey& key) {
  Extent extent{key};
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto log, about(short_name(key), transaction.get_log(key)));
  extent.dropped = node::find_dropped(*log);
  extent.entries = (log->held - extent.dropped).count();
  extent.payloads = (log->payloads - extent.dropped).count();
  CULM_TOOLS_TRY(extent.payload_bytes, count_payload_bytes(transaction, *log));
  CULM_TOOLS_TRY(extent.in_part, find_in_part(transaction, *log, log->held - extent.dropped));
  return extent;
}

/// About as many as are erased.
std::size_t count_rows(const Extent& extent) {
  return extent.entries + extent.dropped.count() +
         (extent.payload_bytes + extent.in_part.bytes) / limits::kPayloadChunkBytes;
}

Json to_json(const Extent& extent) {
  Json object = {{"type", "forgotten"},
                 {"log", to_string(extent.log)},
                 {"entries", extent.entries},
                 {"payloads", extent.payloads},
                 {"payload_bytes", extent.payload_bytes},
                 {"payloads_in_part", extent.in_part.seqnums.count()},
                 {"payload_bytes_in_part", extent.in_part.bytes},
                 {"own", is_own(extent.log)}};
  if (!extent.dropped.empty()) object["dropped"] = to_string(extent.dropped);
  return object;
}

std::string described(const Extent& extent) {
  std::string text = short_name(extent.log) + ": " + human_entries(extent.entries) + ", " +
                     human_payloads(extent.payloads) + " (" + human_size(extent.payload_bytes) +
                     ")";
  if (const auto& [seqnums, bytes] = extent.in_part; !seqnums.empty()) {
    text += ", parts of " + human_payloads(seqnums.count()) + " (" + human_size(bytes) + ")";
  }
  if (!extent.dropped.empty()) {
    text += ", and " + human_entries(extent.dropped.count()) + " that a fork dropped";
  }
  return text;
}

/// Where there are no author marks at all, nothing tells whose a log is.
enum class Whose {
  kOwn,
  kOthers,
  kUntold,
  kUntoldAlone,  ///< and no peer has ever been met here: it may be the only copy
};

Whose find_whose(const Context& context, const store::ReadTransaction& transaction,
                 const LogKey& log) {
  if (is_own(log)) return Whose::kOwn;
  if (has_author_marks()) return Whose::kOthers;
  return may_be_alone(context, transaction) ? Whose::kUntoldAlone : Whose::kUntold;
}

bool needs_own(Whose whose) { return whose == Whose::kOwn || whose == Whose::kUntoldAlone; }

Outcome<void> refuse_own(const Context& context, const store::Store& store,
                         const std::vector<LogKey>& logs, const Options& options) {
  if (options.own) return {};
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const LogKey& log : logs) {
    const Whose whose = find_whose(context, transaction, log);
    const auto state = transaction.find_log(log);
    // One that is not here any more has nothing to lose.
    if (!needs_own(whose) || (state && !*state)) continue;
    std::string text = whose == Whose::kOwn
                           ? "this log is your own, and where no peer has all of it, it is lost"
                           : "no author marks are found that say whether this log is your own, and "
                             "no peer was ever met with this store: it may be the only copy";
    if (logs.size() > 1) text += "; nothing was forgotten";
    return fail_with(Failure(Exit::kUsage, Errc::kUsage, std::move(text))
                         .about(short_name(log))
                         .next("push it to a peer first (`culm sync HOST:PORT --push`), then "
                               "forget it with --own"));
  }
  return {};
}

Outcome<std::vector<LogKey>> find_logs(const store::Store& store, const Options& options) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(auto logs, find_logs_named(transaction, {options.log}));
  return logs;
}

std::string needs(Whose whose, bool is_given) {
  if (whose == Whose::kUntold) return "; no author marks say whether it is your own";
  if (is_given || !needs_own(whose)) return "";
  return whose == Whose::kOwn ? "; it is your own, which needs --own"
                              : "; it may be your own, which needs --own";
}

Json to_json(const Extent& extent, Whose whose) {
  Json object = to_json(extent);
  object["type"] = "would_forget";
  object["needs_own"] = needs_own(whose);
  return object;
}

/// Own logs that this store misses, of those for which `is_named` holds.
template <class IsNamed>
Outcome<std::vector<store::GoneLog>> find_gone_of(const Context& context, const store::Store& store,
                                                  IsNamed is_named) {
  CULM_TOOLS_TRY(auto gone, find_gone(context, store));
  std::erase_if(gone, [&is_named](const store::GoneLog& one) { return !is_named(one.log); });
  return gone;
}

/// Of one that was last appended to beside another store, that one is to say what it lacks: this
/// one may be a backup of it, and which of the two is in use nobody can tell.
bool is_elsewhere(const Context& context, const LogKey& log) {
  const auto marks = store::find_marks_directory();
  if (!marks) return false;
  const auto published = store::read_author_mark(*marks, log, context.store_directory);
  return published && *published && (*published)->is_elsewhere;
}

void miss_no_more(const std::vector<store::GoneLog>& gone) {
  const auto marks = store::find_marks_directory();
  for (const auto& [log, published] : gone) {
    // What is said of the log alone depends on it.
    if (marks) static_cast<void>(store::note_forgotten(*marks, log));
  }
}

/// Own logs that the store misses are missed no more; whether that is all that is named.
Outcome<bool> let_go(Context& context, const store::Store& store, const Options& options) {
  const auto name = find_whole_name(options.log);
  if (!options.own || !name || !*name) return false;
  const auto is_named = [&name](const LogKey& log) { return (*name)->matches(log); };
  CULM_TOOLS_TRY(const auto gone, find_gone_of(context, store, is_named));
  if (!options.dry_run) miss_no_more(gone);
  for (const auto& [log, published] : gone) {
    const Extent none{log};
    CULM_TOOLS_CHECK(
        context.json
            ? context.out.write_json(options.dry_run ? to_json(none, Whose::kOwn) : to_json(none))
            : context.out.say((options.dry_run ? "would forget " : "forgot ") + short_name(log) +
                              ": nothing of it is in this store\n"));
  }
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto known, transaction.list_logs(to_hex((*name)->author.bytes)));
  return !gone.empty() && std::ranges::none_of(known, is_named);
}

/// Says what would be forgotten.
Outcome<void> look(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const bool is_all_gone, let_go(context, *store, options));
  if (is_all_gone) return {};
  CULM_TOOLS_TRY(const auto logs, find_logs(*store, options));
  return for_each_log(context, logs, [&](const LogKey& log) -> Outcome<void> {
    CULM_TOOLS_TRY(const Extent extent, find_extent(*store, log));
    CULM_TOOLS_TRY(const auto transaction, store->read());
    const Whose whose = find_whose(context, transaction, log);
    if (context.json) return context.out.write_json(to_json(extent, whose));
    return context.out.say("would forget " + described(extent) + needs(whose, options.own) + "\n");
  });
}

/// A log that is not known: it may be one whose forgetting was interrupted.
Outcome<void> finish(Context& context, host::WritableStore& access, Failure unknown) {
  bool is_left = false;
  {
    CULM_TOOLS_TRY(const auto transaction, access.store->read());
    CULM_TOOLS_TRY(is_left, transaction.has_forgotten());
  }
  if (!is_left) return fail_with(std::move(unknown));
  CULM_TOOLS_TRY(const host::ChangedLogs erased, about(named(context), forget(access, {})));
  CULM_TOOLS_CHECK(about(named(context), erased.outcome));
  if (context.json) {
    return context.out.write_json(
        Json{{"type", "forgetting_finished"}, {"store", context.store_directory}});
  }
  return context.out.say(
      "no such log is known; finished what was left to erase of one that was "
      "forgotten\n");
}

Outcome<void> run(Context& context, const Options& options) {
  if (options.dry_run) return look(context, options);
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  const bool is_beside_node = access.node != nullptr;
  CULM_TOOLS_TRY(const bool is_all_gone, let_go(context, *access.store, options));
  if (is_all_gone) return {};
  auto logs = find_logs(*access.store, options);
  const bool is_unknown = !logs && logs.error().code == Errc::kLogUnknown;
  if (is_unknown) return finish(context, access, std::move(logs).error());
  if (!logs) return fail_with(std::move(logs).error());
  CULM_TOOLS_CHECK(refuse_own(context, *access.store, *logs, options));
  say_when_interrupted("nothing was forgotten");
  std::vector<LogKey> forgotten;
  const auto plan = [&](const LogKey& log) -> Outcome<std::optional<PlannedChange>> {
    auto extent = find_extent(*access.store, log);
    // One that .LOG_ID names and that was forgotten meanwhile, or of which that was interrupted.
    if (!extent && extent.error().code == Errc::kLogUnknown) {
      CULM_TOOLS_CHECK(finish(context, access, std::move(extent).error()));
      return std::optional<PlannedChange>();
    }
    if (!extent) return fail_with(std::move(extent).error());
    PlannedChange planned{{log, host::LogChange::Forget{}}, 1 + count_rows(*extent)};
    planned.says_how_far = true;
    planned.say = [&context, &forgotten, is_beside_node,
                   is_told = is_own(log) || has_author_marks(),
                   extent = *std::move(extent)](bool is_made) -> Outcome<void> {
      if (!is_made) return {};
      forgotten.push_back(extent.log);
      if (context.json) return context.out.write_json(to_json(extent));
      return context.out.say("forgot " + described(extent) +
                             (is_told ? "" : "; no author marks say whether it was your own") +
                             "; `culm compact` gives the room back to the disk" +
                             (is_beside_node ? "; a live sync here that was asked for it fetches "
                                               "it again\n"
                                             : "\n"));
    };
    return planned;
  };
  auto done = change_logs(context, *logs, plan, [&](std::span<const host::LogChange> changes) {
    auto changed = forget(access, changes);
    return changed ? *std::move(changed) : host::ChangedLogs{0, fail(changed.error())};
  });
  const auto gone = find_gone_of(context, *access.store, [&](const LogKey& log) {
    return std::ranges::find(forgotten, log) != forgotten.end() && !is_elsewhere(context, log);
  });
  if (gone) miss_no_more(*gone);
  return done;
}

}  // namespace

void add_forget(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "forget",
      "Remove a log: entries, payloads, evidence, and what is wanted of it. It is as if it had\n"
      "never been here: sync fetches it again only where it is named, and a relay takes it again\n"
      "when it is offered and accepted; a running `sync --live` that was asked for it goes on\n"
      "fetching it. Your own log is refused without --own: it could be the only copy, and is\n"
      "appended to again only once it was taken back from a peer; yours is one that was\n"
      "appended to on this machine, in any store. Where nothing was, as with $HOME or\n"
      "$CULM_MARKS set otherwise, a log of a store that met no peer is refused as well. Of\n"
      "an author with several logs all are\n"
      "forgotten; .LOG_ID names one.\n"
      "\n"
      "When it was interrupted, repeat it, or `culm compact`; nothing of the log is seen or "
      "served\n"
      "meanwhile. Your own log that `culm ls` names as one that is not in the store is named no\n"
      "more after --own.",
      "culm forget 4fd3ab12 --dry-run\n"
      "  culm forget 4fd3ab12",
      options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_option("LOG", &options->log, "Log, or author of several").required();
  verb.add_flag("--own", options->own, "Forget it also if it is, or may be, your own");
  verb.add_flag("--dry-run", options->dry_run,
                "Say what would be forgotten, also of your own logs, and forget nothing");
}

}  // namespace culm::tools
