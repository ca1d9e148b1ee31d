#include "tools/cli/arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "culm/replication/host/verifier_pool.hpp"

#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kShownColumns = 90;  // a whole name fits, with its .LOG_ID

std::string in_quotes(std::string_view text) {
  std::string quoted = preview(as_bytes(text), kShownColumns);
  quoted.insert(0, 1, '"');
  return quoted + '"';
}

tl::unexpected<Failure> ambiguous(std::string_view text, const std::vector<LogKey>& logs) {
  std::string message = in_quotes(text) + " fits several logs, name one: ";
  constexpr std::size_t kListed = 5;
  const std::size_t listed = std::min(kListed, logs.size());
  for (std::size_t i = 0; i < listed; ++i) {
    message += (i == 0 ? "" : ", ") + to_string(LogName{logs[i].author, logs[i].log_id});
  }
  if (logs.size() > listed) message += " and " + human_count(logs.size() - listed) + " more";
  return usage(std::move(message));
}

struct Unit {
  std::string_view name;
  double factor;
};

/// A number and, in small letters, the unit behind it.
std::pair<std::string_view, std::string> split_unit(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string unit(text.substr(digits));
  unit.erase(0, unit.find_first_not_of(' '));
  for (char& c : unit) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return {text.substr(0, digits), std::move(unit)};
}

std::optional<double> times(std::string_view number, std::string_view unit,
                            std::span<const Unit> units) {
  double value = 0;
  const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), value);
  const auto found = std::ranges::find(units, unit, &Unit::name);
  const bool is_one = code == std::errc{} && end == number.data() + number.size();
  return is_one && found != units.end() ? std::optional(value * found->factor) : std::nullopt;
}

constexpr std::string_view kRangesThere = " (ranges are like 5-9,20,30-)";
constexpr std::string_view kRangesHere =
    " (ranges are like 5-9,20,30-; of a log that is here also last, -10- or 5--2)";

/// Names the place, the reason, and how ranges are written.
tl::unexpected<Failure> no_ranges(std::string_view what, std::string_view text, std::size_t at,
                                  std::string_view reason, std::string_view like = kRangesHere) {
  return usage(std::string(what) + " " + in_quotes(text) + ", at character " +
               std::to_string(at + 1) + ": " + std::string(reason) + std::string(like));
}

}  // namespace

Outcome<std::uint64_t> parse_number(std::string_view what, std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) {
    return usage(std::string(what) + " " + in_quotes(text) + " is not a number from 0 to 2^64 - 1");
  }
  return value;
}

Outcome<SeqNum> parse_seqnum(std::string_view what, std::string_view text) {
  const auto seqnum = parse_number(what, text);
  if (seqnum && *seqnum != 0) return *seqnum;
  return usage(std::string(what) + " " + in_quotes(text) +
               " is no seqnum: those are from 1 to 2^64 - 1");
}

Outcome<std::size_t> parse_verify_threads(std::string_view what, std::string_view text) {
  CULM_TOOLS_TRY(const std::uint64_t count, parse_number(what, text));
  if (count >= 1 && count <= host::VerifierPool::kThreadsMax) {
    return static_cast<std::size_t>(count);
  }
  return usage(std::string(what) + " " + std::to_string(count) + " is not from 1 to " +
               std::to_string(host::VerifierPool::kThreadsMax));
}

Outcome<std::uint64_t> parse_size(std::string_view what, std::string_view text) {
  if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    return parse_number(what, text);
  }
  constexpr Unit kUnits[] = {{"b", 1},        {"k", 1e3},           {"m", 1e6},
                             {"g", 1e9},      {"t", 1e12},          {"ki", 1024},
                             {"mi", 1048576}, {"gi", 1073741824.0}, {"ti", 1099511627776.0}};
  auto [number, unit] = split_unit(text);
  if (unit.size() > 1 && unit.ends_with('b')) unit.pop_back();
  const auto bytes = times(number, unit, kUnits);
  if (bytes && *bytes < 0x1p63) return static_cast<std::uint64_t>(*bytes);
  return usage(
      std::string(what) + " " + in_quotes(text) +
      " is no size: bytes, or a number with k, M, G or T (also kB, ...), or with KiB, MiB, "
      "GiB or TiB");
}

Outcome<double> parse_time(std::string_view what, std::string_view text) {
  constexpr Unit kUnits[] = {{"", 1}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  const auto [number, unit] = split_unit(text);
  if (const auto seconds = times(number, unit, kUnits)) return *seconds;
  return usage(std::string(what) + " " + in_quotes(text) +
               " is no time: seconds, or a number with ms, s, m, h or d");
}

Option::Value time_of(double& into) {
  Option::Value value = value_of("TIME", into, parse_time);
  std::array<char, 32> digits{};
  value.now.assign(digits.data(), std::to_chars(digits.data(), digits.end(), into).ptr) += 's';
  return value;
}

Outcome<RangeSet> parse_range_option(std::string_view what, std::string_view text) {
  CULM_TOOLS_TRY(const RangeWords words, RangeWords::parse(what, text));
  const auto place = words.counted_from_last();
  if (!place) return words.of(kSeqnumMax);
  return no_ranges(what, text, *place,
                   "a peer is not asked for what counts from the end of a log, which only the peer "
                   "knows; --newest N asks for the last N",
                   kRangesThere);
}

Outcome<RangeWords> RangeWords::parse(std::string_view what, std::string_view text) {
  RangeWords words;
  words.text_ = text;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    Reader reader{text.substr(0, end), at};
    const auto range = reader.take_range();
    if (!range) return no_ranges(what, text, reader.at, reader.reason);
    words.ranges_.push_back(*range);
    at = end + 1;
  }
  return words;
}

Outcome<RangeWords> RangeWords::parse_newest(std::string_view what, std::string_view text) {
  CULM_TOOLS_TRY(const std::uint64_t count, parse_number(what, text));
  if (count == 0) return usage(std::string(what) + " 0 names nothing");
  return parse(what, "-" + std::to_string(count) + "-");
}

/// Takes an end of a range; `at` then is behind it or, without one, where it is wrong.
std::optional<RangeWords::End> RangeWords::Reader::take_end() {
  const std::string_view rest = text.substr(at);
  constexpr std::string_view kLast = "last";
  if (rest.starts_with(kLast)) {
    at += kLast.size();
    return End{1, true};
  }
  End end{0, rest.starts_with('-')};
  const std::string_view digits = rest.substr(end.is_from_last ? 1 : 0);
  const auto [stop, code] =
      std::from_chars(digits.data(), digits.data() + digits.size(), end.number);
  if (code == std::errc::invalid_argument) {
    reason = rest.empty() ? "a seqnum is missing" : "this is no seqnum";
    return std::nullopt;
  }
  if (code != std::errc{}) {
    reason = "no seqnum is larger than 18446744073709551615 (2^64 - 1)";
    return std::nullopt;
  }
  const bool goes_on = stop != digits.data() + digits.size() && *stop != '-';
  if (end.number == 0 && !goes_on) {
    reason = end.is_from_last ? "the last entry is -1 or last" : "seqnums start at 1";
    return std::nullopt;
  }
  at = static_cast<std::size_t>(stop - text.data());
  return end;
}

std::optional<RangeWords::Range> RangeWords::Reader::take_range() {
  const std::size_t start = at;
  const auto first = take_end();
  if (!first) return std::nullopt;
  if (at == text.size()) return Range{*first, *first, start};
  const bool is_range = text[at] == '-';
  if (is_range && ++at == text.size()) return Range{*first, {kSeqnumMax, false}, start};
  const auto last = is_range ? take_end() : std::nullopt;
  if (is_range && !last) return std::nullopt;
  if (!last || at != text.size()) {
    reason = is_range ? "only , can follow here" : "only - or , can follow here";
    return std::nullopt;
  }
  const bool are_alike = first->is_from_last == last->is_from_last;
  const bool is_backwards =
      first->is_from_last ? first->number < last->number : first->number > last->number;
  if (!are_alike || !is_backwards) return Range{*first, *last, start};
  at = start;
  reason = "this range ends before it begins";
  return std::nullopt;
}

std::optional<std::size_t> RangeWords::counted_from_last() const {
  const auto found = std::ranges::find_if(ranges_, [](const Range& range) {
    return range.first.is_from_last || range.last.is_from_last;
  });
  if (found == ranges_.end()) return std::nullopt;
  return found->at;
}

RangeSet RangeWords::of(SeqNum head) const {
  const auto seqnum = [head](const End& end) {
    if (!end.is_from_last) return end.number;
    return end.number <= head ? head - end.number + 1 : 0;
  };
  RangeSet set;
  for (const Range& range : ranges_) {
    const SeqNum last = seqnum(range.last);
    const SeqNum first = std::max<SeqNum>(seqnum(range.first), 1);
    if (first <= last) set.insert({first, last});
  }
  return set;
}

RangeSet RangeWords::of(SeqNum head, SeqNum head_max) const {
  RangeSet set = of(head);
  if (set.empty() || head >= head_max) return set;
  const SeqRange end = set.ranges().back();
  const bool is_open = end.last == kSeqnumMax && end.first <= head_max;
  if (is_open) set.erase(end);
  const bool reaches_longer = !(set & RangeSet{{head + 1, head_max}}).empty();
  if (reaches_longer) set.erase({head + 1, kSeqnumMax});
  if (is_open && end.first <= head) set.insert(end);
  return set;
}

Outcome<void> RangeWords::check_in(SeqNum head) const {
  for (const Range& range : ranges_) {
    const bool is_mixed = range.first.is_from_last && !range.last.is_from_last;
    if (is_mixed && head - std::min(head, range.first.number - 1) > range.last.number) {
      return no_ranges(
          "--range", text_, range.at,
          "this range ends before it begins, as the last entry is " + std::to_string(head));
    }
  }
  return {};
}

bool is_from_last(std::string_view text) {
  return text == "last" || (text.starts_with('-') && text.size() > 1);
}

Outcome<SeqNum> parse_seqnum_of(std::string_view what, std::string_view text, SeqNum head) {
  if (!is_from_last(text)) return parse_seqnum(what, text);
  SeqNum back = 1;
  if (text != "last") {
    CULM_TOOLS_TRY(back, parse_seqnum(what, text.substr(1)));
  }
  if (back <= head) return head - back + 1;
  return fail_with(Failure(Exit::kNotFound, Errc::kEntryNotHeld,
                           "the log has " + human_entries(head) + " so far")
                       .about(std::string(what) + " " + std::string(text))
                       .next(head == 0 ? "`culm ls` shows what is held"
                                       : "the first is 1, or -" + std::to_string(head)));
}

Outcome<LogName> find_name(const store::ReadTransaction& transaction, std::string_view text) {
  CULM_TOOLS_TRY(const auto whole, find_whole_name(text));
  if (whole) return *whole;
  const auto dot = text.find('.');
  std::string digits(text.substr(0, dot));
  std::ranges::transform(digits, digits.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  });
  constexpr std::size_t kCandidatesMax = 10'000;
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, transaction.list_logs(digits, kCandidatesMax));
  if (logs.empty()) return fail_with(Failure(Error{Errc::kLogUnknown}).about(in_quotes(text)));
  if (logs.front().author != logs.back().author) return ambiguous(text, logs);
  if (dot == std::string_view::npos) return LogName{logs.front().author, std::nullopt};
  CULM_TOOLS_TRY(const std::uint64_t log_id, parse_number("log_id", text.substr(dot + 1)));
  return LogName{logs.front().author, LogId{log_id}};
}

Outcome<LogKey> find_log_named(const store::ReadTransaction& transaction, std::string_view text) {
  CULM_TOOLS_TRY(const LogName name, find_name(transaction, text));
  if (name.log_id) return LogKey{name.author, *name.log_id};
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, transaction.list_logs(to_hex(name.author.bytes)));
  if (logs.empty()) return LogKey{name.author, LogId{}};
  if (logs.size() > 1) return ambiguous(text, logs);
  return logs.front();
}

Outcome<std::vector<LogKey>> find_logs_named(const store::ReadTransaction& transaction,
                                             const std::vector<std::string>& names,
                                             OfAuthor of_author) {
  if (names.empty()) {
    CULM_TOOLS_TRY(auto logs, transaction.list_logs());
    return logs;
  }
  std::vector<LogKey> logs;
  std::set<LogKey> seen;
  const auto add = [&](const LogKey& log) {
    if (seen.insert(log).second) logs.push_back(log);
  };
  for (const std::string& text : names) {
    CULM_TOOLS_TRY(const LogName name, find_name(transaction, text));
    if (name.log_id) {
      add({name.author, *name.log_id});
      continue;
    }
    CULM_TOOLS_TRY(const auto known, transaction.list_logs(to_hex(name.author.bytes)));
    if (of_author == OfAuthor::kKnownAndLog0) {
      add({name.author, LogId{}});
    } else if (known.empty()) {
      return fail_with(Failure(Error{Errc::kLogUnknown}).about(in_quotes(text)));
    }
    std::ranges::for_each(known, add);
  }
  return logs;
}

Outcome<std::vector<store::LogState>> read_logs_named(const store::Store& store,
                                                      const std::string& text) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto logs, find_logs_named(transaction, {text}));
  std::vector<store::LogState> states;
  states.reserve(logs.size());
  for (const LogKey& log : logs) {
    CULM_TOOLS_TRY(const auto state, about(short_name(log), transaction.get_log(log)));
    states.push_back(*state);
  }
  return states;
}

SeqNum highest_head(const std::vector<store::LogState>& states) {
  SeqNum head = 0;
  for (const store::LogState& state : states) head = std::max(head, state.head());
  return head;
}

Outcome<store::LogState> get_log_named(const store::ReadTransaction& transaction,
                                       std::string_view text) {
  CULM_TOOLS_TRY(const LogKey log, find_log_named(transaction, text));
  CULM_TOOLS_TRY(const auto state, about(short_name(log), transaction.get_log(log)));
  return *state;
}

Outcome<store::LogState> read_log_named(const store::Store& store, std::string_view text) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  return get_log_named(transaction, text);
}

Outcome<store::LogState> read_log(const store::Store& store, const LogKey& log) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto state, about(short_name(log), transaction.get_log(log)));
  return *state;
}

/// One that cannot be read is no reason to say nothing of a log.
static const std::vector<GivenName>& given_names() {
  static const std::vector<GivenName> names = list_given_names().value_or(std::vector<GivenName>());
  return names;
}

/// A given name of this log alone, with ".LOG_ID" where it is its author's.
static std::optional<std::string> given_name_of_one(const LogKey& log) {
  const auto exact =
      std::ranges::find(given_names(), LogName{log.author, log.log_id}, &GivenName::log);
  if (exact != given_names().end()) return exact->name;
  const auto author =
      std::ranges::find(given_names(), LogName{log.author, std::nullopt}, &GivenName::log);
  if (author == given_names().end()) return std::nullopt;
  return author->name + "." + std::to_string(to_integer(log.log_id));
}

std::string short_name(const LogKey& log, std::size_t digits) {
  if (const auto name = given_name_of(given_names(), log)) return *name;
  std::string text = to_hex(log.author.bytes).substr(0, digits);
  if (log.log_id != LogId{}) text.append(".").append(std::to_string(to_integer(log.log_id)));
  return text;
}

std::string name_of_one(const LogKey& log) {
  const std::string digits = to_hex(log.author.bytes).substr(0, 12);
  return given_name_of_one(log).value_or(digits + "." + std::to_string(to_integer(log.log_id)));
}

std::string whole_name_of_one(const LogKey& log) {
  return to_string(LogName{log.author, log.log_id});
}

std::string findable_name_of_one(const LogKey& log) {
  return given_name_of_one(log).value_or(whole_name_of_one(log));
}

std::string short_name(const sealing::PeerKey& peer) { return to_hex(peer.bytes).substr(0, 12); }

std::string human_dropped(const RangeSet& entries, const RangeSet& payloads) {
  if (entries.empty()) return {};
  std::string text = "; " + human_entries(entries.count());
  text += entries.count() == 1 ? " that is here is dropped" : " that are here are dropped";
  if (!payloads.empty()) text += ", with " + human_payloads(payloads.count());
  return text + ": " + human_ranges(entries);
}

RangeSet last_of(const RangeSet& set, std::uint64_t count) {
  RangeSet last;
  const auto ranges = set.ranges();
  for (auto range_at = ranges.rbegin(); range_at != ranges.rend() && count > 0; ++range_at) {
    const SeqRange& range = *range_at;
    const std::uint64_t more = std::min(count - 1, range.last - range.first);
    last.insert({range.last - more, range.last});
    count -= more + 1;
  }
  return last;
}

}  // namespace culm::tools
