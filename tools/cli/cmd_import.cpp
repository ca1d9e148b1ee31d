#include <algorithm>
#include <map>

#include <sys/stat.h>

#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/jsonl_file.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

constexpr std::uint64_t kUnitPayloadBytes = 8 * 1024 * 1024;

struct Options {
  std::string path;
  bool jsonl = false;
};

/// What came of an import.
struct Totals {
  std::uint64_t added = 0;
  std::uint64_t known = 0;
  std::uint64_t payloads_added = 0;
  std::uint64_t payloads_deleted = 0;  ///< not taken again
  std::uint64_t capped = 0;            ///< not valid, since the author forked the log
  std::optional<Failure> fork;
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

/// Without what lies at or above the cap.
JsonlLog below_cap(const JsonlLog& log, SeqNum cap) {
  JsonlLog below = log;
  if (cap != 0) std::erase_if(below.rows, [cap](const auto* row) { return row->seqnum() >= cap; });
  return below;
}

/// Whether all of the file will be accepted, before anything of it is written.
Outcome<void> check_against_store(const Context& context, const JsonlFile& file,
                                  SignatureVerifier& verifier) {
  auto opened = open_for_reading(context);
  if (!opened) {
    if (opened.error().code != Errc::kStoreNotFound) return fail_with(std::move(opened.error()));
    return verify_jsonl(file, verifier, false);
  }
  CULM_TOOLS_TRY(const auto transaction, (*opened)->read());
  std::map<LogKey, store::LogState> states;
  for (const JsonlLog& log : file.logs()) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log.key));
    states.emplace(log.key, state ? *state : store::LogState{});
  }
  CULM_TOOLS_CHECK(file.check_anchored([&](const LogKey& log) { return states.at(log).served(); }));
  for (const JsonlLog& log : file.logs()) {
    const store::LogState& state = states.at(log.key);
    CULM_TOOLS_CHECK(accept_log(below_cap(log, state.cap), HeldAndAccepted(&transaction, &state),
                                verifier, false));
  }
  return {};
}

/// Ingests the rows of one log, unit by unit.
class LogImport {
 public:
  LogImport(const JsonlFile& file, host::WritableStore& access, Totals& totals)
      : file_(file), access_(access), totals_(totals) {}

  Outcome<void> run(const JsonlLog& log, Progress& progress);

 private:
  Outcome<void> commit(const LogKey& log);
  Outcome<void> keep(const JsonlLog& log);

  const JsonlFile& file_;
  host::WritableStore& access_;
  Totals& totals_;
  std::vector<const JsonlRow*> rows_;
  std::vector<Bytes> payloads_;
  std::uint64_t payload_bytes_ = 0;
};

Outcome<void> LogImport::run(const JsonlLog& log, Progress& progress) {
  store::LogState before;
  {
    CULM_TOOLS_TRY(const auto transaction, access_.store->read());
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log.key));
    if (state) before = *state;
  }
  const JsonlLog valid = below_cap(log, before.cap);
  totals_.capped += log.rows.size() - valid.rows.size();
  for (const JsonlRow* row : valid.rows) {
    if (row->has_payload && before.deleted.contains(row->seqnum())) ++totals_.payloads_deleted;
    rows_.push_back(row);
    payloads_.emplace_back();
    if (row->has_payload) {
      CULM_TOOLS_TRY(payloads_.back(), file_.read_payload(*row));
      payload_bytes_ += payloads_.back().size();
    }
    if (rows_.size() == limits::kUnitEntriesMax || payload_bytes_ >= kUnitPayloadBytes) {
      CULM_TOOLS_CHECK(commit(log.key));
      progress.show(totals_.added + totals_.known);
      if (totals_.fork) return {};
    }
  }
  CULM_TOOLS_CHECK(commit(log.key));
  if (!valid.rows.empty()) CULM_TOOLS_CHECK(keep(valid));
  return {};
}

Outcome<void> LogImport::commit(const LogKey& log) {
  if (rows_.empty()) return {};
  std::vector<UnitEntry> unit;
  Verdicts good;  // checked with their lines
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::optional<ByteView> payload;
    if (rows_[i]->has_payload) payload = ByteView(payloads_[i]);
    unit.push_back({rows_[i]->entry.view(), rows_[i]->hash, payload});
    good.add(rows_[i]->hash, {});
  }
  const std::string what = "log " + short_name(log);
  CULM_TOOLS_TRY(CheckedUnit checked, about(what, check_unit(log, unit, std::move(good))));
  CULM_TOOLS_TRY(const auto report, about(what, access_.writer->ingest(checked)));
  totals_.added += report.added.count();
  totals_.known += unit.size() - report.added.count();
  totals_.payloads_added += report.payloads_added.count();
  if (report.defect) {
    totals_.fork =
        Failure(error_for(Errc::kFork, report.defect->at)).about("log " + to_string(log));
  }
  rows_.clear();
  payloads_.clear();
  payload_bytes_ = 0;
  return {};
}

/// What was imported is kept: entries with payload for their own sake, others as their proof.
Outcome<void> LogImport::keep(const JsonlLog& log) {
  RangeSet wanted;
  for (const JsonlRow* row : log.rows) {
    if (row->has_payload) wanted.insert(row->seqnum());
  }
  if (wanted.empty()) wanted = log.seqnums();
  store::LogInterest before;  // read again: others may have written meanwhile
  {
    CULM_TOOLS_TRY(const auto transaction, access_.store->read());
    CULM_TOOLS_TRY(const auto state, transaction.get_log(log.key));
    before = state->interest;
  }
  store::LogInterest interest = before;
  interest.entries.ranges |= wanted;
  if (interest == before) return {};
  return about("log " + short_name(log.key), access_.writer->set_interest(log.key, interest));
}

Outcome<void> report(Context& context, const JsonlFile& file, const Totals& totals,
                     double seconds) {
  if (context.json) {
    return context.out.write_json(Json{{"logs", file.logs().size()},
                                       {"entries_added", totals.added},
                                       {"entries_known", totals.known},
                                       {"payloads_added", totals.payloads_added},
                                       {"payloads_deleted_before", totals.payloads_deleted},
                                       {"entries_capped", totals.capped}});
  }
  std::string text =
      "imported " + human_entries(totals.added) + " of " + human_count(file.logs().size()) +
      (file.logs().size() == 1 ? " log" : " logs") + " with " + human_count(totals.payloads_added) +
      " payloads, in " + human_duration(seconds) + "\n";
  if (totals.known > 0) text += human_entries(totals.known) + " were held already\n";
  if (totals.payloads_deleted > 0) {
    text += human_count(totals.payloads_deleted) + " payloads were deleted here and not taken\n";
  }
  if (totals.capped > 0) {
    text += human_entries(totals.capped) + " not taken: the author forked the log before them\n";
  }
  return context.out.write(text);
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.jsonl) return usage("say in which format: --jsonl");
  if (is_part_of_store(context, options.path)) {
    return usage(shown(options.path) + " is a file of the store itself");
  }
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(const JsonlFile file, JsonlFile::read(options.path, verifier));
  CULM_TOOLS_CHECK(file.check_forks());
  CULM_TOOLS_CHECK(file.check_ends());
  CULM_TOOLS_CHECK(check_against_store(context, file, verifier));

  CULM_TOOLS_TRY(auto access,
                 open_for_writing(context, IfMissing::kCreate, verifier, {.full = true}));
  Progress progress("importing", file.entry_count(), Progress::Unit::kCount);
  Totals totals;
  for (const JsonlLog& log : file.logs()) {
    CULM_TOOLS_CHECK(LogImport(file, access, totals).run(log, progress));
  }
  CULM_TOOLS_CHECK(report(context, file, totals, progress.seconds()));
  if (totals.fork) return fail_with(*std::move(totals.fork));
  if (totals.capped > 0) return fail_with(Error{Errc::kLogCapped});
  return {};
}

}  // namespace

void add_import(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "import",
      "Take the entries of a file of JSON lines into the store. All of it is checked first: if "
      "one\n"
      "line is wrong, nothing is taken. Payloads that were deleted here are not taken again.",
      "culm import --jsonl part.jsonl", options, run);
  verb.add_option("FILE", &options->path, "File of JSON lines, as `culm export --jsonl` writes it")
      .required();
  verb.add_flag("--jsonl", options->jsonl, "Needed: the format");
}

}  // namespace culm::tools
