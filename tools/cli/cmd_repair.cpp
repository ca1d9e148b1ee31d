#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "culm/core/random.hpp"
#include "culm/feed/closure.hpp"
#include "culm/replication/host/synced_logs.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/store/audit.hpp"
#include "culm/store/salvage.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/kept.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/repair_findings.hpp"
#include "tools/cli/repair_lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/host.hpp"
#include "tools/sync/own_branch.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr std::string_view kSomeDropped =
    "some may be dropped or replaced; the same command goes on";

Outcome<node::SyncReport> sync_with(Context& context, const RepairOptions& options,
                                    const std::vector<LogKey>& logs) {
  node::SyncRequest request;
  for (const std::string& address : options.from) {
    CULM_TOOLS_TRY(const node::Endpoint endpoint, parse_endpoint_option("--from", address));
    request.peers.push_back({endpoint});
    if (!node::is_sound(request)) return usage("--from " + address + ": a peer is named once");
  }
  if (logs.empty()) return node::SyncReport{};
  node::add_logs(request, {}, logs);
  host::SyncedLogs policy(request);
  const auto opened = Host::open(context, options.host_options, policy, MakeStore::kNow);
  if (!opened && opened.error().code == Errc::kStoreLocked) {
    if (const auto node = host::NodeClient::connect(context.store_directory)) {
      CULM_TOOLS_TRY(const auto store, open_for_reading(context));
      CULM_TOOLS_TRY(const auto silence, check_unasked(context, *store, request,
                                                       to_replica_options(options.host_options)));
      const auto report = node->sync(request);
      if (report && silence && !is_answered(*report)) return fail_with(*silence);
      return about(named(context), report);
    }
  }
  if (!opened) return fail_with(opened.error());
  const OwnBranches branches(context, **opened, request);
  auto report = (*opened)->sync(request, [](const node::SyncEvent& /*event*/) { return true; });
  CULM_TOOLS_CHECK(branches.judge(report));
  return report;
}

/// What of it has not come back. Of the newest so many others are wanted once the head is back.
store::Lost find_missing(const store::LogState& log, const store::Lost& lost) {
  store::Lost missing{lost.entries - log.held, lost.payloads - log.payloads, lost.untold};
  const RangeSet wanted = resolve(log.interest.entries, log.head());
  missing.entries -=
      closure(wanted, log.head()) - with_head_paths(wanted);  // no loss: see lost.hpp
  if (log.interest.entries.newest == 0) return missing;
  missing.entries = missing.entries & closure(wanted, log.head());
  missing.payloads = missing.payloads & wanted;
  return missing;
}

/// Entries that came and that nothing here had told of, as those behind what was cut off.
std::uint64_t count_further(const node::SyncReport& report, const LogKey& log,
                            const RangeSet& told) {
  const auto said = std::ranges::find(report.logs, log, &node::LogReport::log);
  if (said == report.logs.end()) return 0;
  const std::uint64_t came = said->entries + said->certificate_entries;
  return came - std::min(came, told.count());
}

/// Whether the file is written again, and was.
struct Pages {
  bool write_again = false;
  bool are_written = false;
  LostRows unnamed_entries = 0;  ///< of which nothing tells
  bool are_all_logs_found = false;
};

/// What came of what was lost.
struct Fetched {
  LostRows lost_rows;        ///< that no log that is here surely accounts for
  std::uint64_t others = 0;  ///< of logs with such rows, that were perhaps among these
  bool is_whole = true;      ///< all of it
  bool is_any_lost = false;  ///< what surely was here is not here again, or leads to nothing
  bool is_told = false;      ///< something was
};

/// Says what peers have brought of what was lost.
Outcome<Fetched> tell_replaced(Context& context, const Findings& findings, const Wanted& lost,
                               const node::SyncReport& report, const store::Store& store,
                               const Pages& pages) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  Fetched fetched{pages.unnamed_entries};
  bool& is_whole = fetched.is_whole;
  for (const auto& [key, damage] : lost) {
    CULM_TOOLS_TRY(const auto log, about(short_name(key), transaction.get_log(key)));
    const std::uint64_t further = count_further(report, key, damage.entries & log->held);
    if (findings.made.contains(key)) {
      const auto dropped = findings.damaged.find(key);  // the rows of these were found
      const RangeSet named =
          dropped == findings.damaged.end() ? RangeSet() : dropped->second.entries;
      account_for(fetched.lost_rows, (damage.sure().entries - named).count());
      const std::uint64_t others = (damage.perhaps().entries - named).count() + further;
      if (pages.are_all_logs_found) account_for(fetched.lost_rows, others);
      if (!pages.are_all_logs_found) fetched.others += others;
    }
    const RangeSet cut_off = find_cut_off(*log, {});
    is_whole = is_whole && cut_off.empty();
    const store::Lost missing = find_missing(*log, damage);
    const store::Lost came{damage.entries & log->held, damage.payloads & log->payloads,
                           damage.untold};
    const store::Lost back = came.sure();
    const store::Lost brought = came.perhaps();
    is_whole = is_whole && missing.empty();
    fetched.is_any_lost |= !missing.sure().empty() || !cut_off.empty();
    if (came.empty() && missing.empty() && cut_off.empty() && further == 0) continue;
    fetched.is_told = true;
    if (context.json) {
      const Json line = {{"type", "replaced"},
                         {"log", to_string(key)},
                         {"replaced_entries", to_string(back.entries)},
                         {"replaced_payloads", to_string(back.payloads)},
                         {"brought_entries", to_string(brought.entries)},
                         {"brought_payloads", to_string(brought.payloads)},
                         {"missing", to_string(missing.entries)},
                         {"payloads_missing", to_string(missing.payloads)},
                         {"cut_off", to_string(cut_off)},
                         {"further_entries", further}};
      CULM_TOOLS_CHECK(context.out.write_json(line));
      continue;
    }
    const std::string title = short_name(key) + ": ";
    const auto say = [&](const char* what, const store::Lost& which) -> Outcome<void> {
      if (which.empty()) return {};
      return context.out.say(title + what + listed(which.entries, which.payloads) + "\n");
    };
    CULM_TOOLS_CHECK(say("replaced ", back));
    CULM_TOOLS_CHECK(say("brought ", brought));
    CULM_TOOLS_CHECK(say("not replaced ", missing.sure()));
    CULM_TOOLS_CHECK(say("not brought ", missing.perhaps()));
    CULM_TOOLS_CHECK(context.out.say(cut_off_line(key, cut_off)));
    if (further == 0) continue;
    CULM_TOOLS_CHECK(context.out.say(title + "took " + human_entries(further) +
                                     " that nothing here had told of\n"));
  }
  return fetched;
}

/// Peers did what they were asked: the exit is that of a repair that asks none.
Outcome<void> unless_logs_lost(Context& context, const store::Store& store,
                               const node::SyncReport& report, const Fetched& fetched) {
  const LostRows& rows = fetched.lost_rows;
  if (rows == 0) return {};
  CULM_TOOLS_TRY(const std::string step, next_if_logs_lost(context, store));
  const std::string asked = report.peers.empty() ? "no log is here that a peer could be asked for"
                                                 : "peers were asked for the logs that are here";
  const std::uint64_t sure = rows.value_or(0) - std::min(rows.value_or(0), fetched.others);
  std::string which = sure != 0 ? "not all that was lost was replaced: "
                                : "perhaps not all that was lost was replaced: ";
  if (!rows) {
    which += asked + ", and nothing tells how many entries the file had, nor of which others";
  } else if (sure == 0) {
    which += asked + ", and nothing tells of which log " + human_entries(*rows) + " were";
  } else {
    which += std::string("nothing is left of ") + (fetched.others != 0 ? "at least " : "") +
             human_entries(sure) + ", so no peer was asked for them";
  }
  Failure failure(Exit::kNotFound, Errc::kEntryNotHeld, "the store is sound again, and " + which);
  return fail_with(std::move(failure).about(named(context)).next(step));
}

/// Whether a peer was there that could be asked.
bool has_answered(const node::SyncReport& report) {
  return report.peers.empty() ||
         std::ranges::any_of(report.peers, [](const auto& peer) { return peer.peer.has_value(); });
}

/// Of the first log of which something is lost; "" where nothing is.
Outcome<std::string> next_ways(const Context& context, const store::Store& store,
                               const Wanted& asked) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  const LostFinder losses(context, store);
  std::string next;
  for (const auto& [key, what] : asked) {
    CULM_TOOLS_TRY(const auto log, about(short_name(key), transaction.get_log(key)));
    CULM_TOOLS_TRY(const LostOfLog lost, about(short_name(key), losses.find(transaction, *log)));
    if (lost.empty()) continue;
    if (!next.empty()) return next.append(kThenOthers);
    next = other_ways(*log, lost);
  }
  return next;
}

/// What was dropped comes back by any sync, now or later. Whether something was said of it.
Outcome<bool> fetch(Context& context, const RepairOptions& options, const Findings& findings,
                    const Pages& pages) {
  Wanted lost;
  {
    CULM_TOOLS_TRY(const auto store, open_for_reading(context));
    CULM_TOOLS_TRY(lost, find_wanted(context, options, findings, *store));
  }
  std::vector<LogKey> logs;
  logs.reserve(lost.size());
  for (const auto& [log, what] : lost) logs.push_back(log);
  CULM_TOOLS_TRY(const node::SyncReport report, sync_with(context, options, logs));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const Fetched fetched,
                 tell_replaced(context, findings, lost, report, *store, pages));
  const bool is_whole = fetched.is_whole;
  if (is_whole && has_answered(report)) {
    CULM_TOOLS_CHECK(unless_logs_lost(context, *store, report, fetched));
    return fetched.is_told;
  }
  const auto why = node::why_not_done(report);
  if (why && fault(why->error.code) == Fault::kOwnStore) {
    return fail_with(Failure(why->error).about(named(context)));
  }
  const bool is_lost = fetched.is_any_lost;
  const Errc code = why ? why->error.code : Errc::kPeerStalled;
  const bool is_not_held = code == Errc::kEntryNotHeld || code == Errc::kPayloadNotHeld;
  Failure failure(is_not_held && !is_lost ? Exit::kNotFound : Exit::kNetwork, code,
                  is_whole  ? "nothing is known to be lost, but no peer could be asked"
                  : is_lost ? "not all that was lost was replaced"
                            : "not all that is wanted came");
  if (why && why->peer != nullptr) {
    failure.message += ": peer " + node::to_string(why->peer->endpoint) + ": " +
                       why_lost(why->error, why->peer->text).message;
  }
  std::string step = "what is here is sound; repair again with another peer";
  CULM_TOOLS_TRY(const std::string other, next_ways(context, *store, lost));
  step += other;
  if (fetched.lost_rows != 0) {
    CULM_TOOLS_TRY(const std::string whole, next_if_logs_lost(context, *store));
    step += "; " + whole;
  }
  return fail_with(std::move(failure).next(step));
}

Outcome<Findings> drop(Context& context, const RepairOptions& options) {
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  CULM_TOOLS_TRY(Findings findings, look(context, options, *access.store));
  say_when_interrupted(kSomeDropped);
  const Tense tense = options.from.empty() ? Tense::kDone : Tense::kGoesOn;
  for (const LogKey& log : logs_of(findings)) {
    const store::Damage& damage = findings.damaged[log];
    const RangeSet all = damage.entries | damage.payloads | damage.rows;
    const bool is_made = findings.made.contains(log);
    const bool is_damaged = is_made || !all.empty() || findings.cut_off.contains(log);
    const auto dropped = is_damaged ? access.writer->drop_damaged(log, all) : Result<void>();
    if (all.empty()) findings.damaged.erase(log);
    if (dropped) {
      CULM_TOOLS_CHECK(tell_log(context, findings, log, tense));
      CULM_TOOLS_CHECK(context.out.flush());  // the next may end this process
      continue;
    }
    Failure failure = Failure(dropped.error()).about(short_name(log));
    if (!is_made) return fail_with(std::move(failure));
    findings.failure = std::move(failure).next(kStoreIsLost);
    findings.made.erase(log);
    findings.damaged.erase(log);
    findings.cut_off.erase(log);
  }
  if (findings.are_peers_damaged && findings.any_log) {
    CULM_TOOLS_CHECK(about(named(context), access.writer->drop_damaged(*findings.any_log, {})));
  }
  if (findings.are_peers_damaged) CULM_TOOLS_CHECK(tell_peers(context, tense));
  return findings;
}

/// Looks at no signature: an audit of the rows alone.
struct AnySignature final : SignatureVerifier {
  Result<void> verify(const Author& /*author*/, ByteView /*message*/,
                      const Signature& /*signature*/) override {
    return {};
  }
};

/// Whether `culm verify` finds no damage, but for rows that are replaced one by one.
Outcome<void> check_sound(Context& context, const RepairOptions& options, const store::Store& store,
                          const Findings& replaced) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  if (replaced.made.empty() && !replaced.are_peers_damaged) {
    CULM_TOOLS_CHECK(about(named(context), store::audit_tables(transaction)));
  }
  AnySignature verifier;
  const std::set<LogKey> hurt = logs_of(replaced);
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, find_logs_named(transaction, options.logs));
  Progress progress("verifying", 0, Progress::Unit::kCount);
  if (progress.is_shown()) progress.set_total(count_held(transaction, {logs.begin(), logs.end()}));
  std::uint64_t before = 0;
  for (const LogKey& log : logs) {
    if (replaced.made.contains(log)) continue;
    const auto state = transaction.get_log(log);
    if (!state) return fail_with(Failure(state.error()).about(short_name(log)));
    const auto show = [&](std::uint64_t done) { progress.show(before + done); };
    CULM_TOOLS_TRY(const auto report,
                   about(short_name(log), store::audit_log(transaction, **state, verifier, show)));
    before += (*state)->held.count();
    if (!report.first_damage || hurt.contains(log)) continue;
    return fail_with(Failure(*report.first_damage).about(short_name(log)));
  }
  return {};
}

/// Where pages of the file are damaged, in what would be made of it. Nothing is said where rows
/// that are replaced would not do: the file would be written again.
Outcome<Findings> look_only(Context& context, const RepairOptions& options,
                            const store::Store& store, bool is_written_again) {
  CULM_TOOLS_TRY(Findings findings, look(context, options, store));
  if (!is_written_again && !findings.failure) {
    CULM_TOOLS_CHECK(check_sound(context, options, store, findings));
  }
  for (const LogKey& log : logs_of(findings)) {
    CULM_TOOLS_CHECK(tell_log(context, findings, log, Tense::kWould));
  }
  if (findings.are_peers_damaged) CULM_TOOLS_CHECK(tell_peers(context, Tense::kWould));
  return findings;
}

/// What is known of the file that is written again.
struct Rewritten {
  std::uint64_t pages = 0;
  bool may_be_more = false;   ///< such pages
  LostRows lost_entries = 0;  ///< of which no row was found
  bool may_be_older = false;
  std::set<LogKey> old_logs{};  ///< of which a delete or forget may be undone
  std::string kept_file{};      ///< "" where it goes
};

Outcome<void> tell_pages(Context& context, const Rewritten& file, bool dry_run) {
  const auto& [pages, may_be_more, lost, may_be_older, old_logs, kept_file] = file;
  if (context.json) {
    Json undone = Json::array();
    for (const LogKey& log : old_logs) undone.push_back(to_string(log));
    return context.out.write_json(Json{{"type", dry_run ? "damaged_pages" : "written_again"},
                                       {"pages", pages},
                                       {"may_be_more", may_be_more},
                                       {"entries_lost", lost ? Json(*lost) : Json()},
                                       {"may_be_older", may_be_older},
                                       {"may_be_undone", std::move(undone)},
                                       {"kept_file", kept_file.empty() ? Json() : kept_file}});
  }
  const std::string made = dry_run ? "would write the file again" : "wrote the file again";
  const std::string why =
      pages == 0 ? std::string("its tables do not fit together, or it cannot be written to")
                 : (may_be_more ? "at least " : "") + human_count(pages) +
                       (pages == 1 ? " page of it is" : " pages of it are") + " damaged";
  const std::string older =
      may_be_older
          ? "; what was written last may be lost with it, and of any log a delete or forget "
            "undone"
          : "";
  std::string left;
  if (!lost) left = "; how many entries it had nothing tells, so more may be lost than is said";
  if (lost && *lost != 0) left = "; nothing is left in it of " + human_entries(*lost);
  std::string text = made + " with what can be read of it: " + why + left + older + "\n";
  for (const LogKey& log : old_logs) {
    text += short_name(log) +
            ": what was found of it in pages that nothing leads to any more may be older than what "
            "was lost: a delete of its payloads may be undone (`culm delete " +
            name_of_one(log) + " --payloads --range R`), or a forget of it (`culm forget " +
            name_of_one(log) + "`)\n";
  }
  if (!kept_file.empty()) {
    text += (dry_run ? "would keep" : "kept") + std::string(" the damaged file as ") +
            shown(kept_file) +
            (lost == 0 ? ", to be safe" : ", as it may have what was not found") +
            ": delete it once all logs that you miss are here (`culm du` counts it)\n";
  }
  return context.out.say(text);
}

/// Where pages are damaged LMDB finds no way to all rows, or ends the process.
Outcome<std::optional<store::Salvage>> write_again(Context& context, bool dry_run, Pages& pages) {
  SystemRandom random;
  auto begun = store::Salvage::begin(context.store_directory, random);
  if (!begun && begun.error().code == Errc::kStoreLocked) {
    return fail_with(Failure(begun.error())
                         .about(named(context))
                         .next("end it, then repair: pages of the file are damaged"));
  }
  if (!begun && begun.error().code == Errc::kStoreFull) {
    const auto bytes = store::file_size_bytes(context.store_directory);
    return fail_with(
        Failure(begun.error())
            .about(named(context))
            .next("free as much as its file has (" + human_size(bytes.value_or(0)) +
                  ") on its disk: pages are damaged, and what can be read is written to a new "
                  "file, with --dry-run only to look at it; the store is as it was"));
  }
  CULM_TOOLS_TRY(store::Salvage made, about(named(context), std::move(begun)));
  const Rewritten file{made.damaged_pages(), made.may_more_be_damaged(),
                       made.lost_entries(),  made.may_be_older(),
                       made.old_logs(),      made.kept_file()};
  pages = {.are_written = true,
           .unnamed_entries = made.unnamed_entries(),
           .are_all_logs_found = made.are_all_logs_found()};
  if (!dry_run) CULM_TOOLS_CHECK(about(named(context), std::move(made).finish()));
  CULM_TOOLS_CHECK(tell_pages(context, file, dry_run));
  return dry_run ? std::optional<store::Salvage>(std::move(made)) : std::nullopt;
}

bool is_nothing_found(const Findings& findings) {
  return logs_of(findings).empty() && !findings.are_peers_damaged;
}

/// Says what damage took of logs and is not wanted: nothing of it is asked for.
Outcome<void> tell_not_wanted(Context& context, const RepairOptions& options,
                              const store::Store& store) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto logs, find_logs_named(transaction, options.logs));
  const LostFinder losses(context, store);
  for (const LogKey& key : logs) {
    CULM_TOOLS_TRY(const auto log, about(short_name(key), transaction.get_log(key)));
    CULM_TOOLS_TRY(const LostOfLog lost, about(short_name(key), losses.find(transaction, *log)));
    if (lost.unwanted.empty()) continue;
    const Json line = {{"type", "not_wanted"},
                       {"log", to_string(key)},
                       {"missing", to_string(lost.unwanted.entries)},
                       {"payloads_missing", to_string(lost.unwanted.payloads)}};
    CULM_TOOLS_CHECK(context.json ? context.out.write_json(line)
                                  : context.out.say(next_if_unwanted(*log, lost) + "\n"));
  }
  return {};
}

/// Of a file that was written again; the line about that tells a program the same.
Outcome<void> say_nothing_lost(Context& context, bool dry_run) {
  if (context.json) return {};
  return context.out.say(dry_run ? "the store would be sound, and nothing that is wanted lost: "
                                   "`culm repair` mends it\n"
                                 : "the store is sound, and nothing that is wanted is lost\n");
}

Outcome<void> say_sound(Context& context) {
  return context.json ? context.out.write_json(Json{{"type", "sound"}})
                      : context.out.say("nothing is damaged\n");
}

/// What a run would do, and what it would say then.
Outcome<void> tell_plan(Context& context, const RepairOptions& options, Pages& pages) {
  std::optional<store::Salvage> salvage;
  if (pages.write_again) {
    CULM_TOOLS_TRY(salvage, write_again(context, options.dry_run, pages));
  }
  CULM_TOOLS_TRY(const auto store,
                 salvage ? about(named(context), host::open_to_read(salvage->directory()))
                         : open_for_reading(context));
  CULM_TOOLS_TRY(Findings findings, look_only(context, options, *store, salvage.has_value()));
  if (findings.failure) return fail_with(*std::move(findings.failure));
  const bool is_sound = is_nothing_found(findings) && !pages.are_written;
  if (is_sound) CULM_TOOLS_CHECK(say_sound(context));
  if (options.logs.empty()) CULM_TOOLS_CHECK(tell_kept(context));
  CULM_TOOLS_TRY(const bool is_any_lost, tell_what_would_be(context, options, findings, is_sound,
                                                            *store, pages.unnamed_entries));
  if (is_sound || context.json) return {};
  if (is_nothing_found(findings) && !is_any_lost) return say_nothing_lost(context, true);
  return context.out.say(
      "`culm repair --from HOST:PORT` mends it and takes again what is lost from a peer that has "
      "it, `culm repair` only mends it; then a backup gives what it has: " +
      import_command("LOG") + "\n");
}

/// A file is written again for all of its logs: of each it may have lost something.
Outcome<void> mend(Context& context, RepairOptions options, Pages& pages) {
  if (pages.write_again || pages.are_written) options.logs.clear();
  if (options.dry_run) return tell_plan(context, options, pages);
  if (pages.write_again) {
    CULM_TOOLS_CHECK(write_again(context, options.dry_run, pages));
  }
  CULM_TOOLS_TRY(Findings findings, drop(context, options));
  Outcome<bool> fetched = false;
  if (!options.from.empty()) fetched = fetch(context, options, findings, pages);
  if (findings.failure) return fail_with(*std::move(findings.failure));
  CULM_TOOLS_CHECK(context.out.flush());
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_CHECK(check_sound(context, options, *store, {}));
  CULM_TOOLS_CHECK(fetched);
  const bool is_sound = is_nothing_found(findings) && !pages.are_written && !*fetched;
  if (is_sound) CULM_TOOLS_CHECK(say_sound(context));
  // Of one that was kept just now it was said.
  if (!pages.are_written && options.logs.empty()) CULM_TOOLS_CHECK(tell_kept(context));
  CULM_TOOLS_CHECK(options.from.empty()
                       ? unless_lost(context, options, findings, *store, pages.unnamed_entries)
                       : tell_not_wanted(context, options, *store));
  const bool is_whole = is_nothing_found(findings) && pages.are_written && !*fetched;
  return is_whole ? say_nothing_lost(context, false) : Outcome<void>();
}

/// Rows are replaced one by one, unless pages are damaged or the rows do not fit together, or they
/// end the process that replaces them: this one goes on then with what that has left, which has
/// said what it dropped of each log.
Outcome<void> run(Context& context, const RepairOptions& options) {
  say_when_interrupted("nothing was dropped");
  if (options.dry_run && !options.from.empty()) {
    return fail_with(
        Failure(Exit::kUsage, Errc::kUsage, "--dry-run asks no peer, --from does")
            .next("first `culm repair --dry-run`, then `culm repair --from HOST:PORT`: "
                  "it asks for what is lost, and for what is wanted and missing"));
  }
  CULM_TOOLS_CHECK(sync_with(context, options, {}));  // what is not meant so is refused before
  const auto guarded = guard_reading(context);
  const bool is_ended = !guarded && guarded.error().code == Errc::kStoreDamaged;
  if (!guarded && !is_ended) return guarded;
  if (is_ended) {
    if (!options.dry_run) say_when_interrupted(kSomeDropped);
    auto again = guard_reading(context);
    const bool is_ended_again = !again && again.error().code == Errc::kStoreDamaged;
    if (is_ended_again) again.error().step = kStoreIsLost;
    if (!again) return again;
  }
  const auto damaged_pages = store::count_damaged_pages(context.store_directory);
  const bool is_found = damaged_pages || damaged_pages.error().code == Errc::kStoreNotFound;
  Pages pages{.write_again = is_ended || (damaged_pages && *damaged_pages != 0)};
  const bool is_begun = pages.write_again;
  auto outcome = is_found ? mend(context, options, pages)
                          : about(named(context), Result<void>(fail(damaged_pages.error())));
  const auto is_damaged = [&] {
    return !outcome && is_found && outcome.error().code == Errc::kStoreDamaged;
  };
  if (is_damaged() && !is_begun) {
    pages.write_again = true;
    outcome = mend(context, options, pages);
  }
  // What was made of the rows that were found may lack more than these showed.
  if (is_damaged() && pages.are_written && !options.dry_run) {
    outcome = mend(context, options, pages);
  }
  if (!outcome && outcome.error().code == Errc::kStoreDamaged) outcome.error().step = kStoreIsLost;
  return outcome;
}

}  // namespace

void add_repair(CommandTree& tree) {
  const auto options = std::make_shared<RepairOptions>();
  Verb& verb = tree.add_verb(
      "repair",
      "Drop what is damaged in the store, and with --from take it again from peers. First say\n"
      "with --dry-run what that is.\n\n"
      "Where pages of its file are damaged, or its tables do not fit together, it is written\n"
      "again with what can be read of it. Where pages that lead to others are damaged, or the "
      "last\n"
      "commit may be lost, that is also looked for in pages that nothing leads to any more; where\n"
      "these may be older than what was lost it names the logs of which a delete or forget may be\n"
      "undone. The disk needs room for that, for --dry-run as well. Unless it is sure that "
      "nothing\n"
      "was lost, the damaged file is kept beside the new one as data.mdb.damaged, until you "
      "delete\n"
      "it.\n\n"
      "An entry whose row is damaged is kept where its signature or a link still proves it; then\n"
      "at most its payload is lost.\n"
      "What peers bring is verified as by `culm sync`, and is all that is wanted of the logs:\n"
      "also what an earlier repair has dropped. What damage took and is not wanted any more\n"
      "(`culm select`) is named, and not asked for. Where entries of your own log are lost, do "
      "not\n"
      "append before they are back: `culm append` refuses to where it would fork the log.\n\n"
      "Exit status 3 if the store is sound again and something that is wanted is lost, or may be,\n"
      "as the file does not tell how much it had; with --from only where that is of logs that no\n"
      "peer was asked for, as nothing of them is left, or where peers have not all that is wanted\n"
      "and none of the rest is known to have been here. 6 if they do not bring what was lost, or\n"
      "cannot be asked; 5 if there is damage that only another store can mend. A --dry-run that\n"
      "could say what a run would do ends with 0, whatever that is.",
      "culm repair --dry-run\n  culm repair --from 127.0.0.1:7474 --from 127.0.0.1:7475", options,
      run);
  verb.group(VerbGroup::kMend);
  verb.add_option("LOG", &options->logs,
                  "Logs; otherwise, and where the file is written again, all of the store");
  verb.add_option("--from", &options->from,
                  "Take what is lost from this peer; may be given several times")
      .type_name("HOST:PORT");
  verb.add_flag("--dry-run", options->dry_run,
                "Say what a run would do, lose and ask for, and change nothing");
  add_host_options(verb, options->host_options);
}

}  // namespace culm::tools
