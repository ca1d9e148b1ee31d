#include "tools/cli/repair_findings.hpp"

#include <algorithm>

#include "tools/cli/arguments.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {

constexpr std::uint64_t kEntriesPerLook = 1024;

static Outcome<store::Damage> look_at(const store::ReadTransaction& transaction,
                                      const store::LogState& log, Progress& progress) {
  const std::string title = short_name(log.log);
  store::Damage found;
  RangeSet rest = log.held;
  while (!rest.empty()) {
    const SeqNum first = rest.min();
    const SeqNum last = first + std::min(kEntriesPerLook - 1, kSeqnumMax - first);
    const RangeSet next = rest & RangeSet{{first, last}};
    CULM_TOOLS_TRY(const auto damage, about(title, transaction.find_damage(log, next)));
    found.entries |= damage.entries;
    found.payloads |= damage.payloads;
    found.rows |= damage.rows;
    rest.erase(SeqRange{first, last});
    progress.advance(next.count());
  }
  return found;
}

Outcome<Findings> look(const Context& context, const RepairOptions& options,
                       const store::Store& store) {
  Findings findings;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, find_logs_named(transaction, options.logs));
  const auto peers = transaction.known_peers();
  findings.are_peers_damaged = !peers && peers.error().code == Errc::kStoreDamaged;
  if (!logs.empty()) findings.any_log = logs.front();
  const LostFinder losses(context, store);
  Progress progress("looking for damage", 0, Progress::Unit::kCount);
  if (progress.is_shown()) progress.set_total(count_held(transaction, logs));
  for (const LogKey& key : logs) {
    const auto state = transaction.get_log(key);
    if (!state && state.error().code != Errc::kStoreDamaged) {
      return fail_with(Failure(state.error()).about(short_name(key)));
    }
    auto made = state ? Result<store::Restored>({**state, {}}) : transaction.restored_log(key);
    if (!made) {
      findings.failure = Failure(made.error()).about(short_name(key)).next(kStoreIsLost);
      continue;
    }
    CULM_TOOLS_TRY(store::Damage damage, look_at(transaction, made->state, progress));
    RangeSet cut_off = find_cut_off(made->state, damage.entries);
    if (!cut_off.empty()) findings.cut_off.emplace(key, std::move(cut_off));
    if (!state) {
      CULM_TOOLS_TRY(
          const LostOfLog lost,
          about(short_name(key), losses.foresee(transaction, made->state, damage, made->lost)));
      auto [entries, payloads, untold] = lost.lost.perhaps();
      findings.made.emplace(key, Made{*std::move(made), std::move(payloads), std::move(entries)});
    }
    if (!damage.empty()) findings.damaged.emplace(key, std::move(damage));
  }
  return findings;
}

std::set<LogKey> logs_of(const Findings& findings) {
  std::set<LogKey> logs;
  for (const auto& [log, damage] : findings.damaged) logs.insert(log);
  for (const auto& [log, cut_off] : findings.cut_off) logs.insert(log);
  for (const auto& [log, made] : findings.made) logs.insert(log);
  return logs;
}

static Json damage_json(const LogKey& log, const store::Damage& damage, const RangeSet& cut_off,
                        bool dry_run) {
  return {{"type", dry_run ? "damage" : "dropped"},
          {"log", to_string(log)},
          {"damaged_entries", to_string(damage.entries)},
          {"damaged_payloads", to_string(damage.payloads)},
          {"restored", to_string(damage.rows - damage.payloads)},
          {"cut_off", to_string(cut_off)}};
}

std::string cut_off_line(const LogKey& log, const RangeSet& cut_off) {
  if (cut_off.empty()) return {};
  return short_name(log) + ": " + listed(cut_off, {}) +
         (cut_off.count() == 1 ? " proves nothing and is" : " prove nothing and are") +
         " not served until what was lost below is back\n";
}

static std::string damage_lines(const LogKey& log, const store::Damage& damage,
                                const RangeSet& cut_off, Tense tense) {
  const bool dry_run = tense == Tense::kWould;
  std::string text;
  const auto add = [&](const char* what, const std::string& which) {
    text += short_name(log) + ": " + (dry_run ? "would " : "") + what + which + "\n";
  };
  const std::string lost = listed(damage.entries, damage.payloads);
  const RangeSet whole = damage.rows - damage.payloads;
  if (!lost.empty()) add(dry_run ? "drop " : "dropped ", lost);
  if (!whole.empty()) {
    add(dry_run ? "restore " : "restored ", listed(whole, {}) + " (nothing of it is lost)");
  }
  if (tense != Tense::kGoesOn) text += cut_off_line(log, cut_off);
  return text;
}

static Outcome<void> tell_state(Context& context, const Made& made, bool dry_run) {
  const store::LogState& state = made.restored.state;
  const std::uint64_t deleted = state.deleted.count();
  if (context.json) {
    return context.out.write_json(Json{{"type", dry_run ? "damaged_state" : "restored_state"},
                                       {"log", to_string(state.log)},
                                       {"payloads_deleted", deleted},
                                       {"lost_or_deleted", to_string(made.untold)},
                                       {"lost_or_never_held", to_string(made.absent)}});
  }
  const std::string title = short_name(state.log);
  const std::string one = name_of_one(state.log);
  std::string text = title + (dry_run ? ": would make its state again" : ": made its state again") +
                     " from what is here";
  if (state.interest.entries == everything()) {
    text += "; what was wanted of it is lost, and all of it is wanted (`culm select` wants less)";
  }
  if (deleted != 0) {
    text += "; " + human_payloads(deleted) + " that " +
            (deleted == 1 ? "was gone before counts" : "were gone before count") +
            " as deleted; `culm sync HOST:PORT " + one + " --undelete` takes " +
            (deleted == 1 ? "it" : "them") + " again";
  }
  if (!made.untold.empty()) {
    text += "; " + human_payloads(made.untold.count()) +
            (made.untold.count() == 1 ? " is lost, or was deleted or never here"
                                      : " are lost, or were deleted or never here") +
            ", which nothing tells: " + human_ranges(made.untold) +
            "; a sync takes such again, `culm delete " + one +
            " --payloads --range R` beforehand keeps them away";
  }
  if (!made.absent.empty()) {
    text += "; up to " + human_entries(made.absent.count()) +
            " are lost, or were never here, which nothing tells: " + human_ranges(made.absent);
  }
  return context.out.say(text + "\n");
}

Outcome<void> tell_peers(Context& context, Tense tense) {
  const bool dry_run = tense == Tense::kWould;
  if (context.json) {
    return context.out.write_json(Json{{"type", dry_run ? "damaged_peers" : "dropped_peers"}});
  }
  return context.out.say(std::string(dry_run ? "would drop" : "dropped") +
                         " the list of peers that this store has synced with; it fills again "
                         "with each sync\n");
}

Outcome<void> tell_log(Context& context, const Findings& findings, const LogKey& log, Tense tense) {
  const bool dry_run = tense == Tense::kWould;
  const auto made = findings.made.find(log);
  if (made != findings.made.end()) CULM_TOOLS_CHECK(tell_state(context, made->second, dry_run));
  const auto damage = findings.damaged.find(log);
  const auto cut = findings.cut_off.find(log);
  if (damage == findings.damaged.end() && cut == findings.cut_off.end()) return {};
  const auto lost = damage == findings.damaged.end() ? store::Damage() : damage->second;
  const auto cut_off = cut == findings.cut_off.end() ? RangeSet() : cut->second;
  return context.json ? context.out.write_json(damage_json(log, lost, cut_off, dry_run))
                      : context.out.say(damage_lines(log, lost, cut_off, tense));
}

}  // namespace culm::tools
