#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/entry_format.hpp"
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
  RangeWords range;
  bool payloads = false;
  bool dry_run = false;
};

SeqNum head_of(const store::LogState& log) { return log.held.largest_up_to(kSeqnumMax); }

/// Logs whose payloads are to be deleted.
struct Named {
  std::vector<LogKey> logs;
  SeqNum head_max = 0;
};

Outcome<Named> find_named(const store::ReadTransaction& transaction, const Options& options) {
  Named named;
  CULM_TOOLS_TRY(named.logs, find_logs_named(transaction, {options.log}));
  for (const LogKey& log : named.logs) {
    const auto state = transaction.get_log(log);
    if (state) named.head_max = std::max(named.head_max, head_of(**state));
  }
  return named;
}

/// An open range is meant of what there is, not of payloads yet to come.
Outcome<RangeSet> meant(const store::LogState& log, const RangeWords& words, SeqNum head_max) {
  const SeqNum head = head_of(log);
  CULM_TOOLS_CHECK(words.check_in(head));
  RangeSet range = words.of(head, head_max);
  if (range.contains(kSeqnumMax) && head < kSeqnumMax) range.erase({head + 1, kSeqnumMax});
  return range;
}

/// What can come of a log: nothing follows its end.
RangeSet possible(const store::LogState& log, RangeSet seqnums) {
  const bool is_ended = log.end_of_log != 0 && log.end_of_log < kSeqnumMax;
  if (is_ended) seqnums.erase({log.end_of_log + 1, kSeqnumMax});
  return seqnums;
}

/// What a deletion touches of a log.
struct Extent {
  LogKey log;
  SeqNum head = 0;
  RangeSet payloads;  ///< held whole
  std::uint64_t bytes = 0;
  InPart in_part;
  RangeSet barred;  ///< not held, and not fetched from then on
  RangeSet beyond_head;
  bool is_ended = false;   ///< nothing comes beyond the head
  std::uint64_t left = 0;  ///< payloads that stay
  WhyAlone why_alone = WhyAlone::kNot;

  [[nodiscard]] bool is_empty() const {
    return payloads.empty() && in_part.seqnums.empty() && barred.empty();
  }
};

enum class Tense { kWould, kDone };

Outcome<Extent> plan(const store::ReadTransaction& transaction, const store::LogState& log,
                     const RangeSet& named) {
  const RangeSet seqnums = possible(log, named);
  if (seqnums.empty() && !named.empty()) {
    return fail_with(Failure(Exit::kNotFound, Errc::kEntryNotHeld,
                             "the author ended the log with " + std::to_string(log.end_of_log) +
                                 ", and nothing can come of " + human_ranges(named) +
                                 ": nothing was deleted")
                         .about(short_name(log.log)));
  }
  Extent extent;
  extent.log = log.log;
  extent.head = head_of(log);
  extent.is_ended = log.end_of_log != 0;
  extent.payloads = log.payloads & seqnums;
  CULM_TOOLS_TRY(extent.in_part, find_in_part(transaction, log, seqnums));
  extent.barred = (seqnums - log.deleted) - log.payloads;
  if (extent.head < kSeqnumMax) {
    extent.beyond_head = named & RangeSet{{extent.head + 1, kSeqnumMax}};
  }
  extent.left = (log.payloads - seqnums).count();
  CULM_TOOLS_TRY(extent.why_alone, find_why_alone(transaction, log));
  return extent;
}

std::string described(const Extent& extent, Tense tense) {
  const bool is_done = tense == Tense::kDone;
  const std::string verb = is_done ? "deleted " : "would delete ";
  const auto those = [](const RangeSet& set) {
    return set.empty() ? "" : ": " + human_ranges(set);
  };
  std::string text = short_name(extent.log) + ": " + verb +
                     human_payloads(extent.payloads.count()) + " (" + human_size(extent.bytes) +
                     ")" + those(extent.payloads);
  if (const auto& [seqnums, bytes] = extent.in_part; !seqnums.empty()) {
    text += "; " + verb + "parts of " + human_payloads(seqnums.count()) + " (" + human_size(bytes) +
            ")" + those(seqnums);
  }
  if (!extent.barred.empty()) {
    text += std::string("; not held, and ") + (is_done ? "not" : "would not be") +
            " fetched from now on" + those(extent.barred);
  }
  if (!extent.beyond_head.empty()) {
    text += std::string("; of the range beyond the ") +
            (extent.is_ended ? "end of the log (" : "head (") + std::to_string(extent.head) + ")" +
            those(extent.beyond_head);
  }
  return text;
}

Json to_json(const Extent& extent, Tense tense) {
  const bool is_done = tense == Tense::kDone;
  return {{"type", is_done ? "deleted" : "would_delete"},
          {"log", to_string(extent.log)},
          {is_done ? "deleted" : "would_delete", extent.payloads.count()},
          {is_done ? "deleted_bytes" : "would_delete_bytes", extent.bytes},
          {"seqnums", to_string(extent.payloads)},
          {"seqnums_in_part", to_string(extent.in_part.seqnums)},
          {"payload_bytes_in_part", extent.in_part.bytes},
          {"barred", to_string(extent.barred)},
          {"beyond_head", to_string(extent.beyond_head)},
          {"payloads", extent.left},
          {"why_alone", to_json(extent.why_alone)}};
}

/// Where what is deleted may be the last copy.
void warn_of_last_copy(const Context& context, const Extent& extent, Tense tense) {
  const RangeSet& payloads = extent.payloads;
  if (payloads.empty() || extent.why_alone == WhyAlone::kNot) return;
  const bool is_done = tense == Tense::kDone;
  const bool is_one = payloads.count() == 1;
  const char* const verb = is_done ? (is_one ? " was " : " were ") : (is_one ? " is " : " are ");
  Warning warning;
  warning.message = human_payloads(payloads.count()) + verb +
                    perhaps_nowhere_else(extent.why_alone) + ": " + human_ranges(payloads);
  warning.next = is_done ? take_back_deleted(extent.log, payloads, payloads)
                         : "`culm sync HOST:PORT " + name_of_one(extent.log) +
                               " --push` says whether a peer has " + (is_one ? "it" : "them");
  warn(context, "delete", extent.log, std::move(warning));
}

Outcome<void> say(Context& context, const Extent& extent, Tense tense) {
  warn_of_last_copy(context, extent, tense);
  if (context.json) return context.out.write_json(to_json(extent, tense));
  std::string text =
      described(extent, tense) + "; " + human_count(extent.left) + " left, all entries are kept";
  const bool is_freed = tense == Tense::kDone && extent.bytes + extent.in_part.bytes != 0;
  if (is_freed) {
    text += "; what is written here later uses the room, `culm compact` gives it back to the disk";
  }
  return context.out.say(text + "\n");
}

/// Says what would be deleted.
Outcome<void> look(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  CULM_TOOLS_TRY(const Named named, find_named(transaction, options));
  return for_each_log(context, named.logs, [&](const LogKey& key) -> Outcome<void> {
    CULM_TOOLS_TRY(const auto log, transaction.get_log(key));
    CULM_TOOLS_TRY(const RangeSet seqnums, meant(*log, options.range, named.head_max));
    if (seqnums.empty() && head_of(*log) < named.head_max) return {};
    CULM_TOOLS_TRY(Extent extent, plan(transaction, *log, seqnums));
    CULM_TOOLS_TRY(
        const RangeSet damaged,
        transaction.visit_sound_entries(*log, extent.payloads,
                                        [&](const store::StoredEntry& stored) -> Result<bool> {
                                          extent.bytes += stored.entry.payload_size();
                                          return true;
                                        }));
    CULM_TOOLS_CHECK(say(context, extent, Tense::kWould));
    return unless_damaged(key, damaged);
  });
}

/// Of one log, in portions, so that what an interruption says is what was done.
class Deletion {
 public:
  Deletion(const store::LogState& before, Extent planned, RangeSet seqnums)
      : planned_(std::move(planned)), done_(planned_), rest_(std::move(seqnums)) {
    measure(before);
    done_.bytes = 0;
  }

  [[nodiscard]] const Extent& done() const noexcept { return done_; }

  /// The next portion.
  Outcome<PlannedChange> next(const store::Store& store) {
    CULM_TOOLS_TRY(const auto transaction, store.read());
    CULM_TOOLS_TRY(const auto log, transaction.get_log(planned_.log));
    sizes_.clear();
    std::uint64_t bytes = 0;
    const auto is_full = [&] {
      constexpr std::uint64_t kBytes = 64 * 1024 * 1024;
      return sizes_.size() == limits::kRowsPerStepMax || bytes >= kBytes;
    };
    CULM_TOOLS_CHECK(transaction.visit_sound_entries(
        *log, log->payloads & rest_, [&](const store::StoredEntry& stored) -> Result<bool> {
          sizes_.emplace_back(stored.entry.seqnum(), stored.entry.payload_size());
          bytes += stored.entry.payload_size();
          return !is_full();
        }));
    RangeSet portion = is_full() ? rest_ & RangeSet{{1, sizes_.back().first}} : rest_;
    rest_ -= portion;
    if (rest_.empty()) {
      progress_.reset();
    } else if (!progress_) {
      progress_.emplace("deleting", planned_.payloads.count(), Progress::Unit::kCount);
    }
    const auto& [in_part, bytes_in_part] = planned_.in_part;
    const std::size_t rows =
        1 + sizes_.size() + in_part.count() + (bytes + bytes_in_part) / limits::kPayloadChunkBytes;
    return PlannedChange{
        {planned_.log, host::LogChange::DeletePayloads{std::move(portion)}}, rows, rest_.empty()};
  }

  /// What has come of the portion.
  Outcome<void> look(const store::Store& store) {
    CULM_TOOLS_TRY(const auto now, read_log(store, planned_.log));
    measure(now);
    for (const auto& [seqnum, size] : sizes_) {
      if (!now.payloads.contains(seqnum)) done_.bytes += size;
    }
    if (progress_) progress_->show(done_.payloads.count());
    say_when_interrupted(described(done_, Tense::kDone) + "; the same command deletes the rest",
                         {{"log", to_string(done_.log)}, {"seqnums", to_string(done_.payloads)}});
    return {};
  }

 private:
  void measure(const store::LogState& now) {
    done_.payloads = planned_.payloads - now.payloads;
    done_.barred = planned_.barred & now.deleted;
    done_.left = now.payloads.count();
    // Parts of what is barred are of no use to anybody: they have gone or go with it.
    const bool are_parts_done = (planned_.in_part.seqnums - now.deleted).empty();
    done_.in_part = are_parts_done ? planned_.in_part : InPart{};
  }

  const Extent planned_;
  Extent done_;
  RangeSet rest_;
  std::vector<std::pair<SeqNum, std::uint64_t>> sizes_;  ///< of held payloads of the portion
  std::optional<Progress> progress_;
};

/// Nothing where the range lies above the head of this log, into a longer one.
Outcome<std::shared_ptr<Deletion>> begin(const Options& options, const store::Store& store,
                                         const LogKey& log, SeqNum head_max) {
  CULM_TOOLS_TRY(const auto before, read_log(store, log));
  CULM_TOOLS_TRY(const RangeSet named, meant(before, options.range, head_max));
  if (named.empty() && head_of(before) < head_max) return nullptr;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(Extent planned, plan(transaction, before, named));
  return std::make_shared<Deletion>(before, std::move(planned), possible(before, named));
}

Outcome<void> delete_all(Context& context, const Options& options, const Named& named,
                         const host::WritableStore& access) {
  std::shared_ptr<Deletion> deletion;  // that of which a portion was planned last
  bool is_last = true;
  const auto plan_next = [&](const LogKey& log) -> Outcome<std::optional<PlannedChange>> {
    if (is_last) {
      CULM_TOOLS_TRY(deletion, begin(options, *access.store, log, named.head_max));
      if (deletion == nullptr) return std::optional<PlannedChange>();
      if (named.logs.size() == 1) say_when_interrupted(short_name(log) + ": nothing was deleted");
    }
    CULM_TOOLS_TRY(PlannedChange planned, deletion->next(*access.store));
    is_last = planned.is_last;
    planned.say = [&context, &access, of = deletion, is_last](bool is_made) -> Outcome<void> {
      CULM_TOOLS_CHECK(of->look(*access.store));
      const bool is_over = is_made ? is_last : !of->done().is_empty();
      return is_over ? say(context, of->done(), Tense::kDone) : Outcome<void>();
    };
    return planned;
  };
  return change_logs(context, named.logs, plan_next, [&](std::span<const host::LogChange> changes) {
    return access.writer->change_all(changes);
  });
}

Outcome<void> run(Context& context, const Options& options) {
  if (!options.payloads) {
    return usage_without(
        context, "--payloads",
        "say what to delete: --payloads (entries are kept, as the proof of the others)");
  }
  if (options.dry_run) return look(context, options);
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  Named named;
  {
    CULM_TOOLS_TRY(const auto transaction, access.store->read());
    CULM_TOOLS_TRY(named, find_named(transaction, options));
  }
  say_when_interrupted("nothing was deleted");
  return delete_all(context, options, named, access);
}

}  // namespace

void add_delete(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "delete",
      "Delete payloads here and keep the entries. What is left still verifies and can be\n"
      "served. Payloads of the range are not fetched again, nor those that are not held, except\n"
      "by `culm sync` or `culm import` with --undelete; parts of those go too. What is appended\n"
      "here later is kept. An open range ends at the head. Of an author with several logs it is\n"
      "done to each, but for what lies above the head of a shorter one; .LOG_ID names one.\n"
      "\n"
      "It is done here alone: peers that hold the payloads keep and serve them. Where these may\n"
      "be the last copy, as of a log of your own, it says so, with --dry-run beforehand. Their "
      "bytes\n"
      "stay in the store's file, where later writes use the room, until `culm compact` writes it\n"
      "again and gives the room back.",
      "culm delete 4fd3ab12 --payloads --range 1-500 --dry-run\n"
      "  culm delete 4fd3ab12 --payloads --range 1-500",
      options, run);
  verb.group(VerbGroup::kLetGo);
  verb.add_option("LOG", &options->log, "Log, or author of several").required();
  verb.add_flag("--payloads", options->payloads, "Needed: says that payloads are to be deleted");
  verb.add_flag("--dry-run", options->dry_run, "Say what would be deleted, and delete nothing");
  verb.add_option("--range", ranges_of(options->range), "Seqnums, such as 5-9,20,30-, last or -10-")
      .required();
}

}  // namespace culm::tools
