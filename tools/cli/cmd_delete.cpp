#include <algorithm>

#include "tools/cli/arguments.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  RangeWords range;
  bool payloads = false;
  bool dry_run = false;
};

/// An open range is meant of what there is, not of payloads yet to come.
RangeSet meant(const store::LogState& log, const RangeWords& words) {
  const SeqNum head = log.held.largest_up_to(kSeqnumMax);
  RangeSet range = words.of(head);
  if (range.contains(kSeqnumMax) && head < kSeqnumMax) range.erase({head + 1, kSeqnumMax});
  return range;
}

std::string described(const RangeSet& payloads, std::uint64_t bytes) {
  const std::string which = payloads.empty() ? "" : ": " + human_ranges(payloads);
  return human_payloads(payloads.count()) + " (" + human_size(bytes) + ")" + which;
}

Result<void> delete_payloads(const host::WritableStore& access, const store::LogState& before,
                             const RangeSet& seqnums) {
  const std::uint64_t total = (before.payloads & seqnums).count();
  const WatchedProgress progress("deleting", Progress::Unit::kCount, [&] {
    const auto now = read_log(*access.store, before.log);
    const std::uint64_t left = now ? (now->payloads & seqnums).count() : total;
    return WatchedProgress::Extent{total - std::min(total, left), total};
  });
  return access.writer->delete_payloads(before.log, seqnums);
}

/// Says what would be deleted.
Outcome<void> look(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  CULM_TOOLS_TRY(const auto log, get_log_named(transaction, options.log));
  const RangeSet payloads = log.payloads & meant(log, options.range);
  std::uint64_t bytes = 0;
  CULM_TOOLS_TRY(const RangeSet damaged,
                 transaction.visit_sound_entries(
                     log, payloads, [&](const store::StoredEntry& stored) -> Result<bool> {
                       bytes += stored.entry.payload_size();
                       return true;
                     }));
  const std::uint64_t all = log.payloads.count();
  CULM_TOOLS_CHECK(context.json ? context.out.write_json(Json{{"type", "would_delete"},
                                                              {"log", to_string(log.log)},
                                                              {"would_delete", payloads.count()},
                                                              {"would_delete_bytes", bytes},
                                                              {"seqnums", to_string(payloads)},
                                                              {"payloads", all}})
                                : context.out.write("would delete " + described(payloads, bytes) +
                                                    ", of " + human_count(all) + "\n"));
  return unless_damaged(log.log, damaged);
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.payloads) {
    return usage("say what to delete: --payloads (entries are kept, as the proof of the others)");
  }
  if (options.dry_run) return look(context, options);
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  CULM_TOOLS_TRY(const auto before, read_log_named(*access.store, options.log));
  say_when_interrupted("some may be deleted; the same command deletes the rest");
  CULM_TOOLS_CHECK(
      about(short_name(before.log), delete_payloads(access, before, meant(before, options.range))));
  CULM_TOOLS_TRY(const auto after, read_log(*access.store, before.log));

  const RangeSet deleted = before.payloads - after.payloads;
  const std::uint64_t bytes =
      before.payload_bytes - std::min(before.payload_bytes, after.payload_bytes);
  say_when_interrupted("deleted " + described(deleted, bytes));
  if (context.json) {
    return context.out.write_json(Json{{"type", "deleted"},
                                       {"log", to_string(before.log)},
                                       {"deleted", deleted.count()},
                                       {"deleted_bytes", bytes},
                                       {"seqnums", to_string(deleted)},
                                       {"payloads", after.payloads.count()}});
  }
  return context.out.write("deleted " + described(deleted, bytes) + "; " +
                           human_count(after.payloads.count()) + " left, all entries are kept\n");
}

}  // namespace

void add_delete(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "delete",
      "Delete payloads here and keep the entries. What is left still verifies and can be served.\n"
      "Deleted payloads are not fetched again. An open range ends at the head. Of an author with\n"
      "several logs name one, by .LOG_ID.",
      "culm delete 4fd3ab12 --payloads --range 1-500", options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_flag("--payloads", options->payloads, "Needed: says that payloads are to be deleted");
  verb.add_flag("--dry-run", options->dry_run, "Say what would be deleted, and delete nothing");
  verb.add_option("--range", ranges_of(options->range), "Seqnums, such as 5-9,20,30-, last or -10-")
      .required();
}

}  // namespace culm::tools
