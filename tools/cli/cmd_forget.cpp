#include <algorithm>
#include <filesystem>

#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
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

/// How much is erased shows in the room that becomes free.
Result<void> forget(const host::WritableStore& access, const std::optional<LogKey>& log) {
  const auto count_free = [&access]() -> Result<std::uint64_t> {
    CULM_TRY(const auto transaction, access.store->read());
    CULM_TRY(const store::KvSpace space, transaction.space());
    return space.free_bytes;
  };
  CULM_TRY(const std::uint64_t before, count_free());
  say_when_interrupted("the log may be forgotten in part; the same command forgets the rest");
  const WatchedProgress progress("forgetting", Progress::Unit::kBytes, [&] {
    const std::uint64_t now = count_free().value_or(before);
    return WatchedProgress::Extent{now - std::min(now, before), 0};
  });
  return access.writer->forget(log);
}

Json to_json(const store::LogState& log, bool is_done) {
  return Json{{"type", is_done ? "forgotten" : "would_forget"},
              {"log", to_string(log.log)},
              {"entries", log.held.count()},
              {"payloads", log.payloads.count()},
              {"payload_bytes", log.payload_bytes}};
}

std::string described(const store::LogState& log) {
  return short_name(log.log) + ": " + human_entries(log.held.count()) + ", " +
         human_payloads(log.payloads.count()) + " (" + human_size(log.payload_bytes) + ")";
}

/// Whether this user has appended to the log in the store with this id, as the author mark says.
bool is_own(const LogKey& log, const store::StoreId& store) {
  const auto marks = store::find_marks_directory();
  if (!marks) return false;
  const std::string path = store::author_mark_path(*marks, log);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  const auto mark = store::FileAuthorMark::open(path, log);
  const auto published = mark ? (*mark)->read() : fail(mark.error());
  // A mark that cannot be read may be of this store.
  return !published || (*published && (*published)->store == store);
}

Outcome<void> refuse_own(const store::LogState& log, const Options& options,
                         const store::Store& store) {
  if (options.own || !is_own(log.log, store.id())) return {};
  return fail_with(
      Failure(Exit::kUsage, Errc::kUsage,
              "is your own, and where no peer has all of it, it is lost")
          .about(short_name(log.log))
          .next("push it to a peer first (culm sync --push), then forget it with --own"));
}

/// Says what would be forgotten.
Outcome<void> look(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto log, read_log_named(*store, options.log));
  CULM_TOOLS_CHECK(refuse_own(log, options, *store));
  if (context.json) return context.out.write_json(to_json(log, false));
  return context.out.write("would forget " + described(log) + "\n");
}

/// A log that is not known: it may be one whose forgetting was interrupted.
Outcome<void> finish(Context& context, host::WritableStore& access, Failure unknown) {
  bool is_left = false;
  {
    CULM_TOOLS_TRY(const auto transaction, access.store->read());
    CULM_TOOLS_TRY(is_left, transaction.has_forgotten());
  }
  if (!is_left) return fail_with(std::move(unknown));
  CULM_TOOLS_CHECK(about(named(context), forget(access, std::nullopt)));
  if (context.json)
    return context.out.write_json(
        Json{{"type", "forgetting_finished"}, {"store", context.store_directory}});
  return context.out.write(
      "no such log is known; finished what was left to erase of one that was "
      "forgotten\n");
}

Outcome<void> run(Context& context, const Options& options) {
  if (options.dry_run) return look(context, options);
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  auto log = read_log_named(*access.store, options.log);
  if (!log && log.error().code == Errc::kLogUnknown) {
    return finish(context, access, std::move(log).error());
  }
  if (!log) return fail_with(std::move(log).error());
  CULM_TOOLS_CHECK(refuse_own(*log, options, *access.store));
  CULM_TOOLS_CHECK(about(short_name(log->log), forget(access, log->log)));
  if (context.json) return context.out.write_json(to_json(*log, true));
  return context.out.write("forgot " + described(*log) +
                           "; `culm compact` gives the room back to the disk\n");
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
      "appended to again only once it was taken back from a peer. Repeat it when it was\n"
      "interrupted; nothing of the log is seen or served meanwhile.",
      "culm forget 4fd3ab12 --dry-run\n"
      "  culm forget 4fd3ab12",
      options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_flag("--own", options->own, "Forget it also if it is your own");
  verb.add_flag("--dry-run", options->dry_run, "Say what would be forgotten, and forget nothing");
}

}  // namespace culm::tools
