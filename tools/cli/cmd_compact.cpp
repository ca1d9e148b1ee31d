#include <algorithm>

#include "culm/store/audit.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  bool dry_run = false;
};

/// Says what it would give back, and what the disk needs for that.
Outcome<void> look(Context& context) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  CULM_TOOLS_TRY(const auto space, about(named(context), transaction.space()));
  CULM_TOOLS_TRY(std::uint64_t packed, about(named(context), transaction.packed_bytes()));
  // These it erases before.
  packed -= std::min(packed, store::forgotten_bytes(transaction).value_or(0));
  const std::uint64_t freed = space.file_bytes - std::min(space.file_bytes, packed);
  if (context.json) {
    return context.out.write_json(Json{{"type", "would_compact"},
                                       {"bytes_before", space.file_bytes},
                                       {"bytes_after", packed},
                                       {"bytes_freed", freed}});
  }
  return context.out.say(
      "would give about " + human_size(freed) + " of " + human_size(space.file_bytes) +
      " back to the disk, which needs room for about " + human_size(packed) + " meanwhile\n");
}

/// Where the disk has no room for the new file: how large that is, and the ways out.
Failure without_room(const Context& context, const store::Store& store, const Error& error) {
  Failure failure = Failure(error).about(named(context));
  const auto transaction = store.read();
  const auto packed = transaction ? transaction->packed_bytes() : fail(transaction.error());
  failure.step = std::string("free ") + (packed ? "about " + human_size(*packed) : "room") +
                 " on the disk for the new file, then repeat; without that appends and syncs use "
                 "the room that is free in the old one, and `culm backup DIR` on another disk "
                 "makes a copy without it";
  return failure;
}

Result<void> compact(const std::string& directory, const host::WritableStore& access) {
  store::KvSpace space;
  bool is_forgotten_left = false;
  {
    CULM_TRY(const auto transaction, access.store->read());
    CULM_TRY(space, transaction.space());
    CULM_TRY(is_forgotten_left, transaction.has_forgotten());
  }
  if (is_forgotten_left) {
    const host::ChangedLogs erased = access.writer->change_all({});
    CULM_CHECK(erased.outcome);
  }
  const WatchedProgress progress("compacting", Progress::Unit::kBytes, [&] {
    return WatchedProgress::Extent{store::compacted_bytes(directory), space.used_bytes()};
  });
  return access.writer->compact();
}

Outcome<void> run(Context& context, const Options& options) {
  if (options.dry_run) return look(context);
  say_when_interrupted("nothing is lost; the same command starts again");
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  const std::string& directory = context.store_directory;
  CULM_TOOLS_TRY(const std::uint64_t before,
                 about(named(context), store::file_size_bytes(directory)));
  if (access.node != nullptr) say_when_interrupted("the node goes on with it");
  const auto done = compact(directory, access);
  if (!done && done.error().code == Errc::kStoreFull) {
    return fail_with(without_room(context, *access.store, done.error()));
  }
  CULM_TOOLS_CHECK(about(named(context), done));
  CULM_TOOLS_TRY(const std::uint64_t after,
                 about(named(context), store::file_size_bytes(directory)));
  const std::uint64_t freed = before - std::min(before, after);
  say_when_interrupted("gave " + human_size(freed) + " back to the disk");
  if (context.json) {
    return context.out.write_json(Json{{"type", "compacted"},
                                       {"bytes_before", before},
                                       {"bytes_after", after},
                                       {"bytes_freed", freed}});
  }
  return context.out.say("gave " + human_size(freed) + " of " + human_size(before) +
                         " back to the disk; the store has " + human_size(after) + "\n");
}

}  // namespace

void add_compact(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "compact",
      "Give the disk back what the store no longer needs. Deleted payloads and forgotten logs\n"
      "leave room in the store's file that later writes use; this writes the file again, without\n"
      "such room. Entries stay, with their keys and checksums: of small payloads they are the\n"
      "most. It copies row by row to a new file, which takes the place of the old one in one\n"
      "step: the disk needs room for it, how much says --dry-run, and nothing is lost when this\n"
      "is killed.\n"
      "Nothing can be written meanwhile; reading and serving go on. Where a node runs on the\n"
      "store, the node does it. The file stays as it is where damage to it keeps a row from being\n"
      "read.",
      "culm compact", options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_flag("--dry-run", options->dry_run, "Say what it would give back, and change nothing");
}

}  // namespace culm::tools
