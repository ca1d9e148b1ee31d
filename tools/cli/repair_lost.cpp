#include "tools/cli/repair_lost.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "culm/feed/closure.hpp"
#include "culm/store/foresee.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/gone.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

/// A log that was repaired, or in a dry run as it would be.
struct Repaired {
  store::LogState log;
  LostOfLog lost;
};

/// Each in turn, but for those that cannot be read, which was said already.
Outcome<void> for_each_repaired(const Context& context, const RepairOptions& options,
                                const Findings& findings, const store::Store& store,
                                const std::function<Outcome<void>(const Repaired&)>& work) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, find_logs_named(transaction, options.logs));
  const LostFinder losses(context, store);
  for (const LogKey& key : logs) {
    const auto state = transaction.get_log(key);
    const auto made = findings.made.find(key);
    const bool is_made = made != findings.made.end();
    if (!state && !(options.dry_run && is_made)) continue;
    const store::LogState& log = state ? **state : made->second.restored.state;
    const auto found = findings.damaged.find(key);
    store::Damage damage;
    if (options.dry_run && found != findings.damaged.end()) damage = found->second;
    const store::Lost untold = is_made ? made->second.restored.lost : store::Lost{};
    const auto lost = options.dry_run ? losses.foresee(transaction, log, damage, untold)
                                      : losses.find(transaction, log);
    if (!lost) return about(short_name(key), Result<void>(fail(lost.error())));
    CULM_TOOLS_CHECK(work({store::without(log, damage), *lost}));
  }
  return {};
}

/// What is lost of all logs together, and what to do about it.
struct AllLost {
  LostCounts counts;
  std::string next{};      ///< of the first of them
  std::uint64_t logs = 0;  ///< that something is lost of
};

/// Says what no line before has said.
Outcome<void> tell_lost(Context& context, const store::LogState& log, const LostOfLog& lost,
                        const store::Damage& said) {
  const store::Lost unsaid{lost.lost.entries - said.entries, lost.lost.payloads - said.payloads,
                           lost.lost.untold};
  if (unsaid.empty()) return {};
  if (context.json) {
    Json line = {{"type", "lost"}, {"log", to_string(log.log)}};
    add_lost(line, unsaid, "missing");
    return context.out.write_json(line);
  }
  return context.out.say(short_name(log.log) + ": " + listed("lost, and not here again", unsaid) +
                         "\n");
}

Outcome<AllLost> find_all_lost(Context& context, const RepairOptions& options,
                               const Findings& findings, const store::Store& store,
                               LostRows lost_rows) {
  AllLost all;
  const auto add = [&](const Repaired& repaired) -> Outcome<void> {
    const auto& [log, lost] = repaired;
    const auto damage = findings.damaged.find(log.log);
    store::Damage said = damage == findings.damaged.end() ? store::Damage{} : damage->second;
    const auto made = findings.made.find(log.log);
    const bool is_made = made != findings.made.end();
    if (is_made) said.payloads |= made->second.untold;
    if (is_made) said.entries |= made->second.absent;
    if (is_made) account_for(lost_rows, (lost.lost.entries - said.entries).count());
    if (lost.empty()) return {};
    CULM_TOOLS_CHECK(tell_lost(context, log, lost, said));
    all.counts.add(lost);
    if (all.next.empty()) all.next = next_if_lost(log, lost);
    ++all.logs;
    return {};
  };
  CULM_TOOLS_CHECK(for_each_repaired(context, options, findings, store, add));
  if (all.logs > 1) all.next += kThenOthers;
  all.counts.rows = lost_rows;
  return all;
}

/// Says what a run with --from asks for, as far as that is known.
Outcome<void> tell_asked(Context& context, const LogKey& log, const store::Lost& wanted) {
  if (wanted.empty()) return {};
  if (context.json) {
    return context.out.write_json(Json{{"type", "would_ask"},
                                       {"log", to_string(log)},
                                       {"missing", to_string(wanted.entries)},
                                       {"payloads_missing", to_string(wanted.payloads)}});
  }
  return context.out.say(short_name(log) + ": with --from it would ask for " +
                         listed(wanted.entries, wanted.payloads) + "\n");
}

Outcome<void> tell_sum(Context& context, const LostCounts& counts, bool is_sound,
                       const store::Store& store) {
  if (counts.empty()) return {};
  if (context.json) {
    return context.out.write_json(
        Json{{"type", "would_lack"},
             {"lost_count", counts.entries},
             {"payloads_lost_count", counts.payloads},
             {"cut_off_count", counts.cut_off},
             {"perhaps_lost_count", counts.perhaps_entries},
             {"payloads_perhaps_lost_count", counts.perhaps_payloads},
             {"of_unknown_log_count", counts.rows ? Json(*counts.rows) : Json()}});
  }
  std::string text =
      counts.failure(is_sound ? "the store is sound" : "the store would be sound again").message;
  if (counts.rows != 0) {
    CULM_TOOLS_TRY(const std::string whole, next_if_logs_lost(context, store));
    const std::string which =
        counts.rows ? "of " + human_entries(*counts.rows) + " nothing tells the log"
                    : std::string("nothing tells how many entries it had, nor of which logs");
    text += "; " + which +
            "; with --from peers are asked for those of the logs that are still here, " + whole;
  }
  return context.out.say(text + "\n");
}

}  // namespace

Outcome<Wanted> find_wanted(const Context& context, const RepairOptions& options,
                            const Findings& findings, const store::Store& store) {
  Wanted all;
  const auto add = [&](const Repaired& repaired) -> Outcome<void> {
    const store::LogState& log = repaired.log;
    store::Lost lost = repaired.lost.lost;
    const RangeSet wanted = resolve(log.interest.entries, log.head());
    if (wanted.empty() && lost.empty() && !findings.cut_off.contains(log.log)) return {};
    lost.entries |= closure(wanted, log.head()) - log.held;
    if (log.interest.payloads) {
      lost.payloads |= (wanted & log.held) - log.payloads - log.deleted;
    }
    const store::Lost& taken = repaired.lost.taken;
    const store::Lost sure = repaired.lost.lost.sure();
    lost.untold = (lost.entries | lost.payloads) -
                  (sure.entries | sure.payloads | taken.entries | taken.payloads);
    all.emplace(log.log, std::move(lost));
    return {};
  };
  CULM_TOOLS_CHECK(for_each_repaired(context, options, findings, store, add));
  return all;
}

Outcome<std::string> next_if_logs_lost(const Context& context, const store::Store& store) {
  std::string step = "a log of which nothing is left comes back with `culm sync HOST:PORT LOG`";
  CULM_TOOLS_TRY(const auto gone, find_gone(context, store, store::GoneFrom::kRepaired));
  if (!gone.empty()) {
    step += "; of your own (`culm mark`) not in this store: " + human_gone(gone, ", ");
  }
  return step;
}

void account_for(LostRows& rows, std::uint64_t entries) {
  if (rows) *rows -= std::min(*rows, entries);
}

Outcome<void> unless_lost(Context& context, const RepairOptions& options, const Findings& findings,
                          const store::Store& store, LostRows lost_rows) {
  CULM_TOOLS_TRY(AllLost all, find_all_lost(context, options, findings, store, lost_rows));
  if (all.counts.empty()) return {};
  if (all.counts.rows != 0) {
    CULM_TOOLS_TRY(const std::string whole, next_if_logs_lost(context, store));
    if (all.next.empty()) all.next = "where a peer has more: `culm repair --from HOST:PORT`";
    all.next += "; " + whole;
  }
  return fail_with(
      all.counts.failure("the store is sound again").about(named(context)).next(all.next));
}

Outcome<bool> tell_what_would_be(Context& context, const RepairOptions& options,
                                 const Findings& findings, bool is_sound, const store::Store& store,
                                 LostRows lost_rows) {
  CULM_TOOLS_TRY(const AllLost all, find_all_lost(context, options, findings, store, lost_rows));
  CULM_TOOLS_TRY(const Wanted wanted, find_wanted(context, options, findings, store));
  for (const auto& [log, what] : wanted) CULM_TOOLS_CHECK(tell_asked(context, log, what));
  CULM_TOOLS_CHECK(tell_sum(context, all.counts, is_sound, store));
  return !all.counts.empty();
}

}  // namespace culm::tools
