#include "tools/cli/lost.hpp"

#include <algorithm>
#include <optional>

#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/output.hpp"

namespace culm::tools {
namespace {

constexpr int kStepsMax = 4096;

bool wants_all(const store::LogInterest& interest) {
  return interest.entries.empty() && interest.payloads;
}

/// What this store wants of the entries up to `head`.
RangeSet wanted(const store::LogState& log, SeqNum head) {
  return resolve(wants_all(log.interest) ? everything() : log.interest.entries, head);
}

bool is_held(const RangeSet& held, const std::vector<SeqNum>& path) {
  return std::ranges::all_of(path, [&](SeqNum n) { return held.contains(n); });
}

/// Of what is wanted and here, what has all that proves it.
struct Whole {
  RangeSet entries;
  bool is_all = true;  ///< else older ones may be whole too: to find them would take long
};

Whole find_whole(const store::LogState& log) {
  const SeqNum head = log.head();
  const RangeSet served = log.served();
  Whole whole;
  int steps = 0;
  const RangeSet here = wanted(log, head) & served;
  for (std::size_t i = here.ranges().size(); i-- > 0;) {
    SeqRange range = here.ranges()[i];
    const auto is_any = [&] { return range.first <= range.last && ++steps < kStepsMax; };
    while (is_any() && !is_held(served, path_to_first(range.first))) ++range.first;
    while (is_any() && !is_held(served, tail_path(range.last, head))) --range.last;
    whole.is_all = steps < kStepsMax;
    if (!whole.is_all) return whole;
    if (range.first <= range.last) whole.entries.insert(range);
  }
  return whole;
}

/// What `culm select` is told, so that no entry that is lost is wanted; later ones are as before.
/// Of more ranges than a command has room for it wants the newest.
std::string selection(const store::LogState& log, const Whole& found, const RangeSet& lost) {
  RangeSet whole = found.entries;
  const SeqNum last = std::max(log.head(), lost.empty() ? 0 : lost.max());
  const Interest& interest = log.interest.entries;
  const bool is_newest = interest.newest != 0 && interest.ranges.empty();
  if (is_newest && !whole.empty() && whole.max() == last) {
    return "--newest " + std::to_string(last - whole.ranges().back().first + 1);
  }
  const bool goes_on =
      wants_all(log.interest) || interest.newest != 0 || interest.ranges.contains(kSeqnumMax);
  if (goes_on && log.end_of_log == 0 && last < kSeqnumMax) {
    whole.insert({last + 1, kSeqnumMax});
  }
  if (whole.empty()) return found.is_all ? "--none" : "--range RANGES";
  while (to_string(whole).size() > kRangesInCommandMax) whole.erase(whole.ranges().front());
  return "--range " + to_string(whole);
}

/// Commands after which nothing that is lost is wanted.
std::string want_less(const store::LogState& log, const store::Lost& lost) {
  const std::string name = name_of_one(log.log);
  const bool has_entries = !lost.entries.empty();
  std::string text;
  RangeSet payloads = lost.payloads;
  if (has_entries) {
    const Whole whole = find_whole(log);
    text = "`culm select " + name + " " + selection(log, whole, lost.entries) + "`";
    payloads &= whole.entries;
  }
  if (!payloads.empty()) {
    text += has_entries ? " and " : "";
    text += to_string(payloads).size() > kRangesInCommandMax
                ? "`culm select " + name + " --entries-only`"
                : "`culm delete " + name + " --payloads --range " + to_string(payloads) + "`";
  }
  const bool are_two = has_entries && !payloads.empty();
  return text.empty() ? text : text + (are_two ? " want less" : " wants less");
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

}  // namespace

RangeSet find_cut_off(const store::LogState& log, const RangeSet& lost) {
  const RangeSet left = log.served() - lost;
  const SeqNum head = log.head();
  return (left - anchored(left)) & closure(wanted(log, head), head);
}

Result<LostOfLog> find_lost(const store::ReadTransaction& transaction, const store::LogState& log) {
  CULM_TRY(store::Lost lost, transaction.find_lost(log));
  RangeSet cut_off = lost.entries.empty() ? RangeSet() : find_cut_off(log, {});
  return LostOfLog{std::move(lost), std::move(cut_off)};
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

static std::string human_cut_off(std::uint64_t count) {
  return human_entries(count) + (count == 1 ? " that leads" : " that lead") + " to nothing";
}

std::string listed(const LostOfLog& lost) {
  std::string text = listed(lost.lost.entries, lost.lost.payloads);
  if (lost.cut_off.empty()) return text;
  return text + (text.empty() ? "" : "; ") + human_cut_off(lost.cut_off.count()) + ": " +
         human_ranges(lost.cut_off);
}

std::string next_if_nobody_has(const store::LogState& log, const LostOfLog& lost) {
  std::string text = want_less(log, lost.lost);
  if (keeps_from_appending(log)) {
    text += text.empty() ? "" : "; ";
    text += "what is left `culm cat " + name_of_one(log.log) +
            "` gives, and as nothing can be appended to it, `culm append --key FILE --log-id N` "
            "begins another log";
  }
  return text;
}

std::string next_if_lost(const store::LogState& log, const LostOfLog& lost) {
  std::string text = "where a peer has what is lost: `culm repair --from HOST:PORT`";
  const std::string other = next_if_nobody_has(log, lost);
  if (!other.empty()) text += "; where nobody has it: " + other;
  return text;
}

void LostCounts::add(const LostOfLog& lost) {
  entries += lost.lost.entries.count();
  payloads += lost.lost.payloads.count();
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
  add(rows, human_entries(rows) + " of which nothing else is left");
  return {Exit::kNotFound,
          entries + cut_off + rows == 0 ? Errc::kPayloadNotHeld : Errc::kEntryNotHeld,
          sound + ", and not all that is wanted is in it: lost here: " + what};
}

}  // namespace culm::tools
