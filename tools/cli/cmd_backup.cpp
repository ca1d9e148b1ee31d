#include <cerrno>
#include <filesystem>

#include "culm/store/backup.hpp"
#include "culm/store/salvage.hpp"

#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string directory;
};

Failure refused(const Error& error, const Options& options) {
  Failure failure(error);
  if (error.code == Errc::kFileExists) {
    failure.message = "the directory is not empty";
    failure.step = "name a directory that is empty, or not there yet";
  } else if (error == error_system(Errc::kFileIo, ENOTDIR)) {
    failure = Failure(Exit::kUsage, error.code, "this is a file, or lies below one");
    failure.step = "name a directory that is empty, or not there yet";
  } else if (error.code == Errc::kFileIo) {
    failure.step = "name a directory on a disk with room, that this user may write to";
  } else if (error.code == Errc::kStoreLocked) {
    failure.message = "another process makes a backup there";
  }
  return std::move(failure).about(shown(options.directory));
}

Result<std::uint64_t> back_up(store::LmdbKv& kv, const std::string& directory) {
  store::KvSpace space;
  {
    CULM_TRY(const auto transaction, kv.begin_read());
    CULM_TRY(space, transaction->space());
  }
  const WatchedProgress progress("backing up", Progress::Unit::kBytes, [&] {
    return WatchedProgress::Extent{store::backed_up_bytes(directory), space.used_bytes()};
  });
  SystemRandom random;
  return store::back_up(kv, directory, random);
}

/// What lies in the store goes with it.
bool is_inside(const std::filesystem::path& directory, const std::filesystem::path& store) {
  std::error_code error;
  const auto there = std::filesystem::canonical(store, error);
  if (error) return false;
  const auto way = std::filesystem::weakly_canonical(directory, error).lexically_relative(there);
  return !way.empty() && way != "." && *way.begin() != "..";
}

/// What the copy does not follow is not copied in part.
constexpr std::string_view kMendBefore =
    "`culm repair --dry-run` says what is damaged; `culm repair`, which keeps the file as it is "
    "beside the new one unless it is sure that nothing was lost, mends it; then back it up";

Outcome<void> make_backup(Context& context, const Options& options) {
  if (is_inside(options.directory, context.store_directory)) {
    return usage(shown(options.directory) + " lies in the store, and would be lost with it");
  }
  std::error_code error;
  const bool is_new = !std::filesystem::exists(options.directory, error);
  const auto guarded = guard_reading(context);
  if (!guarded) store::drop_unfinished_backup(options.directory, is_new);
  CULM_TOOLS_CHECK(guarded);
  const std::string& from = context.store_directory;
  CULM_TOOLS_TRY(const auto kv,
                 about(named(context), store::LmdbKv::open(from, {.read_only = true})));
  say_when_interrupted("no backup was made; the same command takes the place of what is there");
  const auto copied = back_up(*kv, options.directory);
  if (!copied && fault(copied.error().code) == Fault::kOwnStore &&
      copied.error().code != Errc::kFileIo && copied.error().code != Errc::kStoreLocked) {
    return fail_with(Failure(copied.error()).about(named(context)));
  }
  if (!copied) return fail_with(refused(copied.error(), options));
  say_when_interrupted("the backup was made");
  const bool has_peer_key = std::filesystem::exists(from + "/" + kPeerKeyName, error);
  if (context.json) {
    return context.out.write_json(Json{{"type", "backup"},
                                       {"directory", options.directory},
                                       {"bytes", *copied},
                                       {"peer_key_left_out", has_peer_key}});
  }
  return context.out.say(std::string("backed up to ") + (is_new ? "the new directory " : "") +
                         shown(options.directory) + " (" + human_size(*copied) +
                         "); it is a store: `culm --store " + shell_word(options.directory) +
                         " verify`\n" +
                         (has_peer_key ? "peer.key is not in it: keep a copy of it, or a store "
                                         "that is restored is another peer\n"
                                       : ""));
}

Outcome<void> run(Context& context, const Options& options) {
  auto made = make_backup(context, options);
  const bool is_damaged = !made && made.error().code == Errc::kStoreDamaged;
  if (is_damaged && store::can_salvage(context.store_directory)) made.error().step = kMendBefore;
  return made;
}

}  // namespace

void add_backup(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "backup",
      "Copy the store to the directory DIR, as it is at one moment. A relay or another verb may\n"
      "write to it meanwhile. DIR is made where it is missing, with those above it, and must be\n"
      "empty. It is a store then: name it with --store, or move it to where the store was.\n"
      "Killed midway, nothing in DIR passes for a store, and the same command takes the place of\n"
      "what is left there. A damaged payload, or row of the store, is copied too: `culm verify`\n"
      "finds it in the copy as in the store. Of a store with damaged pages none is made, with "
      "exit\n"
      "status 5: first mend it with `culm repair`, which keeps the damaged file beside the new "
      "one\n"
      "unless it is sure that nothing was lost.\n"
      "\n"
      "Do not copy a store with cp: what is written meanwhile tears the copy, and it passes for\n"
      "the store itself, which a backup does not: `culm append` has to know that it is an older\n"
      "one, or the author forks their log.\n"
      "\n"
      "A backup that is older than the last append does not go on with that log by itself: what "
      "was\n"
      "appended since may be published, and no store can know that it is not. So make a backup\n"
      "after each session of appends, or push before it ends (`culm sync HOST:PORT --push`): a\n"
      "restored store takes the rest from that peer then (`culm sync HOST:PORT LOG`). Of what\n"
      "nobody has the log ends; begin another one: `culm append --key FILE --log-id N`.\n"
      "\n"
      "Keys are not in the store and not copied: keep the files of authors' keys, and of a\n"
      "relay peer.key, which lies beside the store's files. With it in place a restored store\n"
      "is the peer that others know; without it another is made. Two that run at a time need\n"
      "two.",
      "culm backup /mnt/backup/culm-2026-07-14\n"
      "  culm --store /mnt/backup/culm-2026-07-14 verify",
      options, run);
  verb.group(VerbGroup::kMend);
  verb.add_option("DIR", &options->directory, "Directory that is empty, or not there yet")
      .required();
}

}  // namespace culm::tools
