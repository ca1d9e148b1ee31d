#include <algorithm>
#include <array>
#include <cstdlib>

#include <sys/stat.h>

#include "culm/replication/host/jsonl_import.hpp"
#include "culm/replication/host/verifier_pool.hpp"
#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/jsonl_file.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string path;
  bool jsonl = false;
  bool undelete = false;
};

bool is_part_of_store(const Context& context, const std::string& path) {
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return false;
  return std::ranges::any_of(std::array{"data.mdb", "lock.mdb", "writer.lock"}, [&](auto* name) {
    struct stat part = {};
    return ::stat((context.store_directory + "/" + name).c_str(), &part) == 0 &&
           part.st_dev == file.st_dev && part.st_ino == file.st_ino;
  });
}

/// Where to keep what comes through a pipe: on the disk that is to take it, if there is a store.
std::string copy_directory(const Context& context) {
  struct stat status = {};
  if (::stat(context.store_directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return context.store_directory;
  }
  const char* const temporary = std::getenv("TMPDIR");
  return temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
}

/// What the file holds of payloads from an entry on.
Carried look_at_payloads(const host::JsonlFile& file, const host::JsonlLog& log, SeqNum first) {
  Carried carried{{}, true};
  std::uint64_t left = kLookedAtBytes;
  for (const host::JsonlRow* row : log.rows) {
    if (row->seqnum() < first || !row->has_payload) continue;
    carried.seqnums.insert(row->seqnum());
    const std::uint64_t size = row->entry.view().payload_size();
    if (!carried.are_lines || size > left) {
      carried.are_lines = false;
      continue;
    }
    left -= size;
    const auto payload = file.read_payload(*row);
    carried.are_lines = payload && std::ranges::find(*payload, '\n') == payload->end();
  }
  return carried;
}

Failure own_fork(const LogKey& log, SeqNum at, const std::string& other_than) {
  const std::string n = std::to_string(at);
  std::string text = "the file holds another entry " + n + " of this log of yours than ";
  text += other_than + "; to take it would fork the log, and its entries from seqnum " + n;
  text += " on would be dropped everywhere, here too; nothing was taken";
  Failure failure(Exit::kFork, Errc::kAuthorMarkFork, std::move(text));
  failure.fields = {{"log", to_string(log)}, {"seqnum", at}};
  return std::move(failure).about(short_name(log));
}

/// With the way that keeps what the file says.
Failure explain_own_fork(const std::string& path, const host::JsonlFile& file,
                         const host::JsonlLog& log, SeqNum at) {
  const Carried carried = look_at_payloads(file, log, at);
  std::string step = "leave out of the file the lines of this log from seqnum ";
  step += std::to_string(at) + " on";
  if (carried.seqnums.empty()) return own_fork(log.key, at, "this store").next(step);
  const auto words = carry_words(carried, "culm --store apart cat " + whole_name_of_one(log.key),
                                 append_command("", log.key));
  step += "; to append what they say behind your log, take them into a store apart: ";
  step += "`CULM_MARKS=apart/marks culm --store apart import --jsonl ";
  step += (path == "-" ? "FILE" : shown(path)) + "`; out of it, " + words.how + ": " + words.keep;
  return own_fork(log.key, at, "this store").next(step + "; append: " + words.append);
}

/// The entry of the file that is another one than what the author mark says was published, or 0.
Outcome<SeqNum> find_other_published(const host::JsonlLog& log, const std::string& marks) {
  const auto published = store::read_author_mark(marks, log.key);
  if (!published && published.error().code == Errc::kFileIo) {
    return about("author mark " + shown(store::author_mark_path(marks, log.key)),
                 Result<SeqNum>(fail(published.error())));
  }
  // What else is wrong with a mark is for `culm append` to say.
  if (!published || !*published || (*published)->seqnum == 0) return SeqNum{0};
  const SeqNum seqnum = (*published)->seqnum;
  const Hash& hash = (*published)->hash;
  for (const host::JsonlRow* row : log.rows) {
    const auto link = row->entry.view().link_to(seqnum);
    const bool is_other = row->seqnum() == seqnum ? row->hash != hash : link && *link != hash;
    if (is_other) return seqnum;
  }
  return SeqNum{0};
}

/// Nothing forks a log of one's own unasked: what was published of it here is no peer's fault.
Outcome<void> check_own_logs(const std::string& path, const host::JsonlFile& file,
                             const store::ReadTransaction* store) {
  const auto marks = store::find_marks_directory();
  if (!marks) return {};
  CULM_TOOLS_TRY(const auto own, about(shown(*marks), store::list_author_marks(*marks)));
  for (const host::JsonlLog& log : file.logs()) {
    if (!std::ranges::binary_search(own, log.key)) continue;
    const auto fork = std::ranges::find(file.forks(), log.key, &host::JsonlFork::log);
    if (fork != file.forks().end()) return fail_with(explain_own_fork(path, file, log, fork->at));
    SeqNum cap = 0;
    if (store != nullptr) {
      CULM_TOOLS_TRY(const auto state, store->find_log(log.key));
      if (state) cap = state->cap;
    }
    CULM_TOOLS_TRY(const SeqNum at, find_other_published(log.below(cap), *marks));
    if (at == 0) continue;
    // Entries below may be others as well, which only shows once these are here.
    return fail_with(own_fork(log.key, at, "was published from here")
                         .next("take what was published from a peer, `culm sync HOST:PORT " +
                               whole_name_of_one(log.key) +
                               "`; then the same import says what of the file is not of it"));
  }
  return {};
}

/// The marks of the file's own logs, locked until they are closed: nothing is appended between what
/// is checked and what is taken.
using LockedMarks = std::vector<std::unique_ptr<store::FileAuthorMark>>;

Outcome<LockedMarks> lock_own_marks(const host::JsonlFile& file) {
  LockedMarks locked;
  const auto marks = store::find_marks_directory();
  if (!marks) return locked;
  CULM_TOOLS_TRY(const auto own, about(shown(*marks), store::list_author_marks(*marks)));
  // Logs of the file are in order, as the locks of each process are to be.
  for (const host::JsonlLog& log : file.logs()) {
    if (!std::ranges::binary_search(own, log.key)) continue;
    auto mark = store::open_author_mark({.directory = *marks}, log.key);
    // Where it cannot be written nobody appends.
    if (!mark) continue;
    CULM_TOOLS_CHECK(about("log " + short_name(log.key), (*mark)->lock()));
    locked.push_back(*std::move(mark));
  }
  return locked;
}

/// Whether all of the file will be accepted, before anything of it is written.
Outcome<void> check_against_store(const Context& context, const std::string& path,
                                  host::JsonlFile& file, SignatureVerifier& verifier) {
  const auto checked = [&](const store::ReadTransaction* store) -> Outcome<void> {
    const auto good = file.check(verifier, store);
    return good ? check_own_logs(path, file, store) : fail_with(explain(path, good.error()));
  };
  const auto store = open_for_reading(context);
  if (!store) {
    if (store.error().code != Errc::kStoreNotFound) return fail_with(store.error());
    return checked(nullptr);
  }
  CULM_TOOLS_TRY(const auto transaction, (*store)->read());
  return checked(&transaction);
}

Outcome<void> report(Context& context, const host::JsonlFile& file, const host::JsonlImport& totals,
                     double seconds) {
  std::string forked;
  for (const auto& [log, at, dropped, payloads] : totals.forks) {
    forked += "log " + to_string(log) + ": the author forked it at " + std::to_string(at) +
              human_dropped(dropped, payloads) + "\n";
  }
  if (context.json) {
    return context.out.write_json(Json{{"type", "imported"},
                                       {"logs", file.logs().size()},
                                       {"entries_added", totals.added},
                                       {"entries_known", totals.known},
                                       {"payloads_added", totals.payloads_added},
                                       {"payloads_undeleted", totals.payloads_undeleted},
                                       {"payloads_deleted_before", totals.payloads_deleted},
                                       {"entries_capped", totals.capped},
                                       {"forks", to_json(totals.forks)}});
  }
  std::string text =
      "imported " + human_entries(totals.added) + " of " + human_logs(file.logs().size()) +
      " with " + human_payloads(totals.payloads_added) + ", in " + human_duration(seconds) + "\n";
  if (totals.payloads_undeleted > 0) {
    text +=
        "of these were deleted here before: " + human_payloads(totals.payloads_undeleted) + "\n";
  }
  if (totals.known > 0) text += "held already: " + human_entries(totals.known) + "\n";
  if (totals.payloads_deleted > 0) {
    text +=
        "not taken, for they were deleted here: " + human_payloads(totals.payloads_deleted) + "\n";
  }
  if (totals.capped > 0) {
    text +=
        human_entries(totals.capped) + " not taken: not valid, as their author forked the log\n";
  }
  return context.out.say(text + forked);
}

host::JsonlResult<host::JsonlImport> take(const host::JsonlFile& file, host::WritableStore& store,
                                          bool undelete, Progress& progress) {
  const Uninterrupted whole;
  const auto told = [&](std::uint64_t done) {
    progress.show(done);
    say_when_interrupted("took " + human_count(done) + " of " + human_entries(file.entry_count()) +
                         "; the same command takes the rest");
    Uninterrupted::end_if_interrupted();
  };
  return host::import_jsonl(file, store, {undelete, told});
}

/// How payloads come back that were left out.
std::string undeleting(const std::string& path) {
  return "`culm import --jsonl " + (path == "-" ? "FILE" : shell_word(path)) +
         " --undelete` takes again what was deleted here";
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.jsonl) return usage_without(context, "--jsonl", "say in which format: --jsonl");
  if (is_part_of_store(context, options.path)) {
    return usage(shown(options.path) + " is a file of the store itself");
  }
  say_when_interrupted("nothing was taken");
  Ed25519Verifier one;
  host::VerifierPool verifier(one, host::VerifierPool::count_cores());
  CULM_TOOLS_TRY(host::JsonlFile file,
                 read_jsonl(options.path, verifier, host::JsonlFile::Signatures::kOnlyDue,
                            copy_directory(context)));
  CULM_TOOLS_TRY(const LockedMarks locked, lock_own_marks(file));
  CULM_TOOLS_CHECK(check_against_store(context, options.path, file, verifier));
  if (file.entry_count() == 0) {
    if (context.json) return report(context, file, {}, 0);
    return context.out.say("there is nothing in " + shown(options.path) +
                           ": nothing was imported\n");
  }

  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kCreate, verifier));
  std::vector<LogKey> logs;
  for (const host::JsonlLog& log : file.logs()) logs.push_back(log.key);
  CULM_TOOLS_TRY(const Unwanted unwanted, find_unwanted(*access.store, logs));
  Progress progress("importing", file.entry_count(), Progress::Unit::kCount);
  const auto import = take(file, access, options.undelete, progress);
  if (!import) {
    const host::JsonlFault& fault = import.error();
    if (!fault.log) return fail_with(explain(options.path, fault));
    return fail_with(Failure(fault.error).about("log " + short_name(*fault.log)));
  }
  say_when_interrupted("the import is done");
  CULM_TOOLS_CHECK(report(context, file, *import, progress.seconds()));
  CULM_TOOLS_TRY(const std::string again, tell_unwanted(*access.store, unwanted));
  if (!context.json) CULM_TOOLS_CHECK(context.out.say(again));
  if (import->payloads_deleted > 0 && !options.undelete) context.next = undeleting(options.path);
  if (import->forks.empty()) return {};
  Failure failure(Exit::kFork, Errc::kFork, "forked by its author: " + human_forks(import->forks));
  failure.fields["forks"] = to_json(import->forks);
  failure.step =
      "`culm verify` shows the evidence; a log stays valid below the seqnum that is named";
  return fail_with(std::move(failure));
}

}  // namespace

void add_import(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "import",
      "Take the entries of a file of JSON lines into the store. All of it is checked first, as\n"
      "a sync checks what it takes: if one line is wrong, nothing is taken. What comes through\n"
      "a pipe is kept on disk meanwhile. A file that would fork a log of one's own is refused.\n"
      "\n"
      "Payloads that were deleted here are not taken again without --undelete. What has its\n"
      "payload in the file is wanted from then on, beside what was; of a log that is there from\n"
      "entry 1 on without a gap, all is; of a log without payloads the entries alone.\n"
      "`culm select` shows and changes that.",
      "culm import --jsonl part.jsonl\n"
      "  culm --store a export 4fd3ab12 --jsonl | culm --store b import --jsonl -",
      options, run);
  verb.group(VerbGroup::kExchange);
  verb.add_option("FILE", &options->path,
                  "File of JSON lines, as `culm export --jsonl` writes it; - is standard input")
      .required();
  verb.add_flag("--jsonl", options->jsonl, "Needed: the format");
  verb.add_flag("--undelete", options->undelete,
                "Take payloads again that were deleted here; what the file lacks stays deleted");
}

}  // namespace culm::tools
