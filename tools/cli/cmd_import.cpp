#include <algorithm>
#include <array>
#include <cstdlib>

#include <sys/stat.h>

#include "culm/replication/host/jsonl_import.hpp"
#include "culm/replication/host/verifier_pool.hpp"

#include "tools/cli/arguments.hpp"
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

/// Whether all of the file will be accepted, before anything of it is written.
Outcome<void> check_against_store(const Context& context, const std::string& path,
                                  host::JsonlFile& file, SignatureVerifier& verifier) {
  const auto explained = [&](const host::JsonlResult<void>& good) -> Outcome<void> {
    return good ? Outcome<void>() : fail_with(explain(path, good.error()));
  };
  const auto store = open_for_reading(context);
  if (!store) {
    if (store.error().code != Errc::kStoreNotFound) return fail_with(store.error());
    return explained(file.check(verifier));
  }
  CULM_TOOLS_TRY(const auto transaction, (*store)->read());
  return explained(file.check(verifier, &transaction));
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
                                       {"payloads_deleted_before", totals.payloads_deleted},
                                       {"entries_capped", totals.capped},
                                       {"forks", to_json(totals.forks)}});
  }
  std::string text =
      "imported " + human_entries(totals.added) + " of " + human_logs(file.logs().size()) +
      " with " + human_payloads(totals.payloads_added) + ", in " + human_duration(seconds) + "\n";
  if (totals.known > 0) text += "held already: " + human_entries(totals.known) + "\n";
  if (totals.payloads_deleted > 0) {
    text +=
        "not taken, for they were deleted here: " + human_payloads(totals.payloads_deleted) + "\n";
  }
  if (totals.capped > 0) {
    text +=
        human_entries(totals.capped) + " not taken: not valid, as their author forked the log\n";
  }
  return context.out.write(text + forked);
}

host::JsonlResult<host::JsonlImport> take(const host::JsonlFile& file, host::WritableStore& store,
                                          Progress& progress) {
  const Uninterrupted whole;
  return host::import_jsonl(file, store, [&](std::uint64_t done) {
    progress.show(done);
    say_when_interrupted("took " + human_count(done) + " of " + human_entries(file.entry_count()) +
                         "; the same command takes the rest");
    Uninterrupted::end_if_interrupted();
  });
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.jsonl) return usage("say in which format: --jsonl");
  if (is_part_of_store(context, options.path)) {
    return usage(shown(options.path) + " is a file of the store itself");
  }
  say_when_interrupted("nothing was taken");
  Ed25519Verifier one;
  host::VerifierPool verifier(one, host::VerifierPool::count_cores());
  CULM_TOOLS_TRY(host::JsonlFile file,
                 read_jsonl(options.path, verifier, host::JsonlFile::Signatures::kOnlyDue,
                            copy_directory(context)));
  CULM_TOOLS_CHECK(check_against_store(context, options.path, file, verifier));
  if (file.entry_count() == 0) {
    if (context.json) return report(context, file, {}, 0);
    return context.out.write("there is nothing in " + shown(options.path) +
                             ": nothing was imported\n");
  }

  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kCreate, verifier));
  Progress progress("importing", file.entry_count(), Progress::Unit::kCount);
  const auto import = take(file, access, progress);
  if (!import) {
    const host::JsonlFault& fault = import.error();
    if (!fault.log) return fail_with(explain(options.path, fault));
    return fail_with(Failure(fault.error).about("log " + short_name(*fault.log)));
  }
  say_when_interrupted("the import is done");
  CULM_TOOLS_CHECK(report(context, file, *import, progress.seconds()));
  if (import->forks.empty()) return {};
  Failure failure(Exit::kFork, Errc::kFork, "forked by its author: " + human_forks(import->forks));
  failure.fields["forks"] = to_json(import->forks);
  failure.step = "`culm verify` shows the evidence; what lies below stays valid";
  return fail_with(std::move(failure));
}

}  // namespace

void add_import(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "import",
      "Take the entries of a file of JSON lines into the store. All of it is checked first, as a\n"
      "sync checks what it takes: if one line is wrong, nothing is taken. What comes through a\n"
      "pipe is kept on disk meanwhile. Payloads that were deleted here are not taken again. What\n"
      "has its payload in the file is wanted from then on, beside what was; of a log that is "
      "there\n"
      "from entry 1 on without a gap, all is. `culm select` shows and changes that.",
      "culm import --jsonl part.jsonl\n"
      "  culm --store a export 4fd3ab12 --jsonl | culm --store b import --jsonl -",
      options, run);
  verb.group(VerbGroup::kExchange);
  verb.add_option("FILE", &options->path,
                  "File of JSON lines, as `culm export --jsonl` writes it; - is standard input")
      .required();
  verb.add_flag("--jsonl", options->jsonl, "Needed: the format");
}

}  // namespace culm::tools
