#include "tools/cli/lost.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/replication/host/append_gate.hpp"
#include "culm/store/check_published.hpp"
#include "culm/store/foresee.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/gate.hpp"
#include "tools/cli/output.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {
namespace {

/// Of ranges in a command that is pasted.
constexpr std::size_t kRangesCharactersMax = 400;

bool wants_all(const store::LogInterest& interest) {
  return interest.entries.empty() && interest.payloads;
}

/// What this store wants of the entries up to `head`.
RangeSet wanted(const store::LogState& log, SeqNum head) {
  return resolve(wants_all(log.interest) ? everything() : log.interest.entries, head);
}

/// What it wants above its last entry, where that published one is wanted.
RangeSet wanted_behind(const store::LogState& log, SeqNum published) {
  RangeSet behind = wanted(log, published);
  if (!behind.contains(published)) return {};
  if (!log.held.empty()) behind -= {{1, log.held.max()}};
  return behind;
}

/// What is wanted and leads to entry 1; what lies above it and is lost only proved more of it.
RangeSet find_sound(const store::LogState& log) {
  return wanted(log, log.head()) & anchored(log.served());
}

RangeSet up_to(SeqNum seqnum) { return seqnum == 0 ? RangeSet() : RangeSet{{1, seqnum}}; }

bool is_held(const RangeSet& held, const std::vector<SeqNum>& path) {
  return std::ranges::all_of(path, [&](SeqNum n) { return held.contains(n); });
}

/// Behind `culm select LOG`: what brings an interest about.
std::string selecting(const store::LogInterest& interest) {
  const auto& [ranges, newest] = interest.entries;
  if (interest.is_none()) return "--none";
  std::string text = ranges.empty() ? "" : "--range " + to_string(ranges);
  if (newest != 0) text += (text.empty() ? "" : " ") + ("--newest " + std::to_string(newest));
  if (interest.entries.empty() || ranges == everything().ranges) text = "--all";
  return interest.payloads ? text : text + " --entries-only";
}

bool fits_in_command(const store::LogInterest& interest) {
  return to_string(interest.entries.ranges).size() <= kRangesCharactersMax;
}

/// Whether the log is here as its mark says, once the entries of `gone` are not. What is damaged
/// the audit says.
Result<void> compare(const store::ReadTransaction& transaction, const store::LogState& log,
                     const RangeSet& gone, const store::Published& mark) {
  const auto found = transaction.find_outline(log.log);
  if (found && !*found) return {};
  store::LogOutline outline{log.log, log.number, log.held, log.cap};
  if (found) outline = **found;
  if (outline.cap != 0) return {};
  outline.held -= gone;
  const auto checked = store::check_published(transaction, outline, mark);
  const bool is_of_mark = !checked && (checked.error().code == Errc::kAuthorMarkBehind ||
                                       checked.error().code == Errc::kAuthorMarkFork ||
                                       checked.error().code == Errc::kAuthorMarkFormat);
  return is_of_mark ? checked : Result<void>();
}

/// Whether who has the author mark of the log here may not append to it. What else `culm
/// append` looks at damage does not change. Spec: store.md#author-mark
bool keeps_from_appending(const store::LogState& log) {
  const auto marks = store::find_marks_directory();
  if (!marks) return false;
  const auto mark = store::read_author_mark(*marks, log.log);
  if (!mark || !*mark || log.held.empty() || log.cap != 0 || log.end_of_log != 0) return false;
  const SeqNum published = (*mark)->seqnum;
  return (published != 0 && !log.held.contains(published)) ||
         !is_held(log.held, path_to_first(log.held.max()));
}

/// What may have been wanted before it was lost: entries in the gaps of a part, or behind it,
/// unless nothing is wanted. Payloads that a part perhaps never had nobody misses.
store::Lost find_let_go(const store::LogState& log, store::Lost unwanted) {
  const SeqNum head = log.head();
  const RangeSet part = head == 0 ? RangeSet() : wanted(log, head);
  if (part.empty()) return unwanted;
  unwanted.entries.erase({1, part.min()});
  unwanted.payloads -= unwanted.untold;
  return unwanted;
}

std::string human_cut_off(std::uint64_t count) {
  return human_entries(count) + (count == 1 ? " that leads" : " that lead") + " to nothing";
}

}  // namespace

bool is_own(const LogKey& log) {
  const auto marks = store::find_marks_directory();
  std::error_code ignored;
  return marks && std::filesystem::exists(store::author_mark_path(*marks, log), ignored);
}

bool has_author_marks() {
  const auto marks = store::find_marks_directory();
  if (!marks) return false;
  std::error_code error;
  const std::filesystem::directory_iterator first(*marks, error);
  return !error && first != std::filesystem::directory_iterator();
}

bool may_be_alone(const Context& context, const store::ReadTransaction& transaction) {
  if (has_author_marks()) return false;
  std::error_code ignored;
  // A relay knows no peers, but has a key.
  const bool has_key =
      std::filesystem::exists(context.store_directory + "/" + kPeerKeyName, ignored);
  const auto peers = transaction.known_peers();
  return !has_key && peers && peers->empty();
}

store::LogInterest without_lost(const store::LogState& log, const RangeSet& lost) {
  store::LogInterest left{{find_sound(log), 0}, log.interest.payloads};
  RangeSet& ranges = left.entries.ranges;
  const SeqNum last = std::max(log.head(), lost.empty() ? 0 : lost.max());
  const Interest& interest = log.interest.entries;
  const bool is_newest = interest.newest != 0 && interest.ranges.empty();
  if (is_newest && !ranges.empty() && ranges.max() == last) {
    const SeqRange newest = ranges.ranges().back();
    left.entries.newest = last - newest.first + 1;
    ranges.erase(newest);
    return left;
  }
  const bool goes_on =
      wants_all(log.interest) || interest.newest != 0 || interest.ranges.contains(kSeqnumMax);
  if (goes_on && log.end_of_log == 0 && last < kSeqnumMax) ranges.insert({last + 1, kSeqnumMax});
  if (ranges.empty()) left.payloads = false;  // of nothing
  return left;
}

std::string want_again(const store::LogState& log, const store::LogInterest& before) {
  const store::LogInterest all{everything(), before.payloads};
  const std::string name = name_of_one(log.log);
  const bool wants_payloads = before.payloads && !log.interest.payloads;
  return "once somebody has it `culm select " + name + " " +
         selecting(fits_in_command(before) ? before : all) +
         (wants_payloads ? " --payloads`" : "`") + ", then `culm sync HOST:PORT " + name +
         "` bring it back";
}

Outcome<WhyAlone> find_why_alone(const store::ReadTransaction& transaction, store::LogState log) {
  log.interest = {};  // what was lost and is not wanted counts as well
  CULM_TOOLS_TRY(const store::Lost lost, about(short_name(log.log), transaction.find_lost(log)));
  if (!lost.empty()) return WhyAlone::kDamage;
  return is_own(log.log) ? WhyAlone::kOwn : WhyAlone::kNot;
}

std::string perhaps_nowhere_else(WhyAlone why) {
  return std::string("perhaps nowhere else, as ") +
         (why == WhyAlone::kOwn ? "the log is your own" : "damage took others of the log");
}

Json to_json(WhyAlone why) {
  if (why == WhyAlone::kNot) return {};
  return why == WhyAlone::kOwn ? "own" : "damage";
}

RangeSet find_cut_off(const store::LogState& log, const RangeSet& lost) {
  const RangeSet left = log.served() - lost;
  const RangeSet cut_off = left - anchored(left);
  return cut_off.empty() ? cut_off : cut_off & with_head_paths(wanted(log, log.head()));
}

LostFinder::LostFinder(const Context& context, const store::Store& store) : store_(store) {
  const auto directory = store::find_marks_directory();
  if (!directory) return;
  // Who may not look there has appended nothing from there.
  marks_ =
      store::AuthorMarks::list(*directory, context.store_directory).value_or(store::AuthorMarks());
}

/// What `culm append` would say of the mark, if anything, once these entries are gone.
void LostFinder::compare_with_mark(const store::ReadTransaction& transaction,
                                   const store::LogState& log, const RangeSet& gone,
                                   LostOfLog& found) const {
  const auto mark = marks_.read(log.log);
  if (!mark && mark.error().code == Errc::kAuthorMarkFormat) found.mark_fault = mark.error();
  if (!mark || !*mark) return;
  // Also where the mark is of another store no append goes on with these.
  found.is_half_damaged = (*mark)->is_overtaken && found.tail == (*mark)->seqnum;
  const store::LogOutline outline{log.log, log.number, log.held - gone, log.cap};
  const auto is_branch = store::holds_branch(transaction, outline, **mark);
  if (log.cap == 0 && is_branch && *is_branch) {
    found.branch = **mark;
    found.mark_fault = error_for(Errc::kAuthorMarkFork, (*mark)->branch_at());
  }
  if (found.branch) return;
  if ((*mark)->is_unasked() && !(*mark)->is_elsewhere) {
    const auto doubt = host::find_doubt(transaction, outline, **mark);
    found.is_withheld = doubt && *doubt == host::Doubt::kUnasked;
  }
  const bool is_elsewhere =
      (*mark)->is_elsewhere || ((*mark)->is_copied && (*mark)->store != store_.id());
  if (is_elsewhere) {
    if (found.is_half_damaged && log.cap == 0) found.mark_fault = Error{Errc::kAuthorMarkFormat};
    const RangeSet behind = wanted_behind(log, (*mark)->seqnum);
    if (log.cap != 0 || found.tail == 0 || behind.empty()) return;
    found.elsewhere = (*mark)->seqnum;
    found.behind = behind.count();
    return;
  }
  found.appended = (*mark)->seqnum;
  auto compared = compare(transaction, log, gone, **mark);
  if (!compared) {
    // As of now: an append commits before it moves the mark.
    const auto now = store_.read();
    compared = now ? compare(*now, log, gone, **mark) : Result<void>();
  }
  if (!compared) found.mark_fault = compared.error();
}

LostOfLog LostFinder::with_mark(const store::ReadTransaction& transaction,
                                const store::LogState& log, store::Lost lost,
                                const RangeSet& gone) const {
  LostOfLog found;
  found.lost = std::move(lost);
  if (RangeSet& entries = found.lost.entries; !entries.empty()) {
    // What only proved more of what is wanted leaves that loose, which is no loss of it.
    entries &= with_head_paths(wanted(log, std::max(log.head(), entries.max())));
  }
  found.tail = log.held.empty() ? 0 : log.held.max();
  compare_with_mark(transaction, log, gone, found);
  found.lost.untold -= found.lost.entries & up_to(found.appended);
  if (found.mark_fault && found.mark_fault->code == Errc::kAuthorMarkBehind) {
    const SeqNum published = found.mark_fault->detail;
    const RangeSet behind = wanted_behind(log, published);
    found.mark_fault.reset();
    if (!behind.empty()) {
      found.lost.entries |= behind;
      found.published = published;
    } else if (published > found.tail) {
      found.unwanted.entries.insert({found.tail + 1, published});
    }
  }
  if (!found.lost.entries.empty()) found.cut_off = find_cut_off(log, {});
  return found;
}

Result<LostOfLog> LostFinder::find(const store::ReadTransaction& transaction,
                                   const store::LogState& log) const {
  CULM_TRY(store::Lost lost, transaction.find_lost(log));
  store::Lost taken = lost.sure();
  store::Lost unwanted;
  RangeSet proving;
  if (!wants_all(log.interest)) {
    store::LogState all = log;
    all.interest = {};
    CULM_TRY(unwanted, transaction.find_lost(all));
    taken = unwanted.sure();
    // Where all of them only prove more of what is wanted, a sync takes them.
    if ((unwanted.entries - lost.entries).empty()) {
      proving = std::exchange(unwanted.entries, RangeSet());
    }
    unwanted.payloads -= lost.payloads;
    unwanted = find_let_go(log, std::move(unwanted));
  }
  CULM_TRY(LostOfLog found, Result<LostOfLog>(with_mark(transaction, log, std::move(lost), {})));
  found.unwanted.entries |= unwanted.entries - found.lost.entries;
  found.unwanted.payloads |= unwanted.payloads;
  found.unwanted.untold = unwanted.untold - (unwanted.entries & up_to(found.appended));
  found.taken = std::move(taken);
  found.proving = proving - found.lost.entries;
  return found;
}

Result<LostOfLog> LostFinder::foresee(const store::ReadTransaction& transaction,
                                      const store::LogState& log, const store::Damage& damage,
                                      const store::Lost& untold) const {
  CULM_TRY(store::Lost lost, store::foresee_lost(transaction, log, damage, untold));
  return with_mark(transaction, store::without(log, damage), std::move(lost), damage.entries);
}

Failure mark_failure(const Error& error, const LogKey& log) {
  Failure failure(error);
  if (error.code != Errc::kAuthorMarkFormat) return failure;
  const std::string marks = store::find_marks_directory().value_or("");
  const bool is_missing = error.detail_kind == ErrorDetail::kSeqnum;
  failure.message = "author mark " + shown(store::author_mark_path(marks, log)) +
                    (is_missing ? " is missing, though the store holds the log up to seqnum " +
                                      std::to_string(error.detail)
                                : " is damaged");
  const auto mark = store::read_author_mark(marks, log);
  if (mark && *mark && (*mark)->is_overtaken && !is_missing) {
    failure.message = "one half of " + failure.message + ": more than seqnum " +
                      std::to_string((*mark)->seqnum) +
                      " may have been published, and this store holds no more";
  }
  failure.step = is_missing ? "marks are looked for in $CULM_MARKS, else by $XDG_DATA_HOME or "
                              "$HOME: where one of these was another when this log was appended "
                              "to, as in cron, set it so. Else "
                            : "";
  failure.step +=
      "restore the mark from a copy (`culm mark --import FILE`); or take what peers have of the "
      "log (`culm sync HOST:PORT " +
      whole_name_of_one(log) +
      "`), and if nothing else was appended with this key since this store was written, append "
      "once with --adopt";
  return failure;
}

std::string listed(const RangeSet& entries, const RangeSet& payloads) {
  std::string text;
  if (!entries.empty()) text = human_entries(entries.count()) + ": " + human_ranges(entries);
  if (!payloads.empty()) {
    text += (text.empty() ? "" : "; ") + human_payloads(payloads.count()) + ": " +
            human_ranges(payloads);
  }
  return text;
}

std::string listed(const std::string& words, const store::Lost& lost) {
  const store::Lost sure = lost.sure();
  const store::Lost perhaps = lost.perhaps();
  std::string text;
  if (!sure.empty()) text = words + ": " + listed(sure.entries, sure.payloads);
  if (perhaps.empty()) return text;
  return text + (text.empty() ? "perhaps " : "; perhaps ") + words + ": " +
         listed(perhaps.entries, perhaps.payloads);
}

std::string human_lost(const LostOfLog& lost) {
  std::string text = lost.lost.empty() ? "" : "; " + listed("lost", lost.lost);
  if (!lost.cut_off.empty()) {
    text += (text.empty() ? "; lost: " : "; ") + human_cut_off(lost.cut_off.count()) + ": " +
            human_ranges(lost.cut_off);
  }
  if (lost.published == 0) return text;
  return text + "; its author mark tells of " + std::to_string(lost.published) + ", held up to " +
         std::to_string(lost.tail);
}

std::string human_unwanted(const LostOfLog& lost) {
  if (lost.unwanted.empty()) return {};
  return listed("taken by damage and not wanted", lost.unwanted);
}

void add_lost(Json& object, const store::Lost& lost, const std::string& surely) {
  const store::Lost sure = lost.sure();
  const store::Lost perhaps = lost.perhaps();
  object[surely] = to_string(sure.entries);
  object["payloads_" + surely] = to_string(sure.payloads);
  object["perhaps_lost"] = to_string(perhaps.entries);
  object["payloads_perhaps_lost"] = to_string(perhaps.payloads);
}

std::string next_if_unwanted(const store::LogState& log, const LostOfLog& lost) {
  if (lost.unwanted.empty()) return {};
  const store::LogInterest& now = log.interest;
  const std::string what = short_name(log.log) + ": " + human_unwanted(lost) + "; ";
  const bool comes_with_entries = now.payloads || now.is_none() || lost.unwanted.payloads.empty();
  if (!comes_with_entries) return what + want_again(log, {everything(), true});
  const RangeSet gone = lost.unwanted.entries | lost.unwanted.payloads;
  return what + "once somebody has it `culm sync HOST:PORT " + name_of_one(log.log) + " --range " +
         to_string(fit_in_command(gone, kRangesCharactersMax)) + "` brings it back" +
         then_others(gone, kRangesCharactersMax);
}

std::string human_mark(const LostOfLog& lost) {
  std::string text;
  if (lost.branch) {
    text = "; a peer holds another entry " + std::to_string(lost.branch->branch_at());
  } else if (lost.mark_fault) {
    const bool is_half = lost.is_half_damaged && lost.mark_fault->code == Errc::kAuthorMarkFormat;
    text = is_half ? "; one half of the author mark is damaged" : "; " + message(*lost.mark_fault);
  }
  if (lost.elsewhere != 0) {
    text += "; " + human_entries(lost.behind) + " behind: its author mark tells of ";
    text += std::to_string(lost.elsewhere);
  }
  if (lost.is_withheld) text += "; a node serves it only once a known peer was asked";
  return text;
}

std::string next_if_withheld(const LogKey& log) {
  return "of " + short_name(log) + " the last entries were appended " + std::string(kWhileUntold) +
         ": a node serves it only once a known peer was asked, until a relay that takes it has "
         "it: `culm sync HOST:PORT " +
         name_of_one(log) + " --push`";
}

std::string next_if_elsewhere(const LogKey& log) {
  return short_name(log) +
         " was last appended to in another store, which has the rest: append there; where that one "
         "is lost, take the rest from a peer before (`culm sync HOST:PORT " +
         whole_name_of_one(log) +
         "`), and where nobody has it begin another log (`culm append --key FILE --log-id N`)";
}

std::string want_less(const store::LogState& log, const store::Lost& lost) {
  const std::string name = name_of_one(log.log);
  const bool has_entries = !lost.entries.empty();
  std::string text;
  RangeSet payloads = lost.payloads;
  if (has_entries) {
    store::LogInterest left = without_lost(log, lost.entries);
    if (!left.is_none()) left.payloads = true;  // whether they are wanted stays as it is
    text = "`culm select " + name + " " +
           (fits_in_command(left) ? selecting(left) : std::string(kWithoutLost)) + "`";
    payloads &= find_sound(log);
  }
  if (!payloads.empty()) {
    text += has_entries ? " and " : "";
    text += "`culm delete " + name + " --payloads --range " +
            to_string(fit_in_command(payloads, kRangesCharactersMax)) + "`" +
            then_others(payloads, kRangesCharactersMax);
  }
  if (text.empty()) return text;
  const bool are_two = has_entries && !payloads.empty();
  text += are_two ? " want less" : " wants less";
  return has_entries ? text + ", and " + want_again(log, log.interest) : text;
}

/// Behind "where nobody has it: ".
static std::string next_if_nobody_has(const store::LogState& log, const LostOfLog& lost) {
  std::string text = want_less(log, lost.lost);
  if (keeps_from_appending(log)) {
    text += text.empty() ? "" : "; ";
    text += "what is left `culm cat " + name_of_one(log.log) +
            "` gives, and as nothing can be appended to it, `culm append --key FILE --log-id N` "
            "begins another log";
  }
  return text;
}

std::string other_ways(const store::LogState& log, const LostOfLog& lost) {
  std::string text = "; where a backup has it: " + import_command(name_of_one(log.log));
  const std::string other = next_if_nobody_has(log, lost);
  if (!other.empty()) text += "; where nobody has it: " + other;
  return text;
}

std::string next_if_lost(const store::LogState& log, const LostOfLog& lost) {
  return std::string(kTakeLostAgain) + other_ways(log, lost);
}

std::string next_if_behind(const Context& context, const store::Store& store, const LogKey& log) {
  const auto transaction = store.read();
  const auto state = transaction ? transaction->get_log(log) : fail(transaction.error());
  if (!state) return {};
  const auto lost = LostFinder(context, store).find(*transaction, **state);
  return lost && lost->published != 0 ? next_if_lost(**state, *lost) : "";
}

void LostCounts::add(const LostOfLog& lost) {
  const store::Lost sure = lost.lost.sure();
  const store::Lost perhaps = lost.lost.perhaps();
  entries += sure.entries.count();
  payloads += sure.payloads.count();
  perhaps_entries += perhaps.entries.count();
  perhaps_payloads += perhaps.payloads.count();
  cut_off += lost.cut_off.count();
}

Failure LostCounts::failure(const std::string& sound) const {
  std::string what;
  const auto add = [&what](std::uint64_t count, const std::string& text) {
    if (count != 0) what += (what.empty() ? "" : ", ") + text;
  };
  add(entries, human_entries(entries));
  add(payloads, human_payloads(payloads));
  add(cut_off, human_cut_off(cut_off));
  const std::string only_rows = " of which nothing else is left";
  add(rows.value_or(0), human_entries(rows.value_or(0)) + only_rows);
  const std::uint64_t perhaps = perhaps_entries + perhaps_payloads;
  const bool is_sure = !what.empty() || perhaps != 0;
  if (!rows) what += (what.empty() ? "perhaps entries" : ", perhaps entries") + only_rows;
  if (!what.empty()) what = "lost here: " + what;
  if (perhaps != 0) {
    what += what.empty() ? "perhaps lost: " : "; perhaps lost: ";
    if (perhaps_entries != 0) what += human_entries(perhaps_entries);
    if (perhaps_payloads != 0) {
      what += (perhaps_entries != 0 ? ", " : "") + human_payloads(perhaps_payloads);
    }
    if (perhaps_entries != 0 && rows != 0) what += ", which may be some of these";
  }
  const bool are_payloads = entries + cut_off + perhaps_entries == 0 && rows == 0;
  return {Exit::kNotFound, are_payloads ? Errc::kPayloadNotHeld : Errc::kEntryNotHeld,
          sound + (is_sure ? ", and not all" : ", and perhaps not all") +
              " that is wanted is in it: " + what};
}

}  // namespace culm::tools
