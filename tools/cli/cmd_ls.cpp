#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <unistd.h>

#include "culm/feed/closure.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/gone.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/kept.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kRowsPerPortion = 1000;

struct Options {
  std::string prefix;
  bool full = false;
};

/// What `ls` says of a log.
struct Summary {
  SeqNum head = 0;
  std::uint64_t entries = 0;
  std::uint64_t certificate_entries = 0;
  bool is_complete = false;
  RangeSet payloads_missing;  ///< not held and not deleted here
  std::uint64_t payload_bytes = 0;
  std::string state;
  Tone tone = Tone::kPartial;
};

/// What a log lacks of payloads. Those that are not wanted do not come with the next sync. Of those
/// that count as deleted some may never have been here.
std::string lacking_payloads(std::uint64_t missing, std::uint64_t unwanted, std::uint64_t deleted,
                             std::uint64_t untold) {
  std::string text;
  if (missing != 0) text += ", but " + human_payloads(missing) + " not held";
  if (unwanted != 0) {
    text += unwanted == missing ? " and not wanted" : ", " + human_count(unwanted) + " not wanted";
  }
  if (deleted == 0) return text;
  text += (missing != 0 ? ", " : ", but ") + human_payloads(deleted) + " deleted";
  if (untold == 0) return text;
  return text + (untold == deleted ? ", or never here"
                                   : ", or " + human_count(untold) + " of them never here");
}

Summary summarize(const store::LogState& log, const LostOfLog& lost) {
  Summary summary;
  const RangeSet served = log.served();
  summary.head = log.head();
  const RangeSet certificate = log.certificate();
  summary.certificate_entries = certificate.count();
  summary.entries = served.count() - summary.certificate_entries;
  summary.is_complete =
      summary.head != 0 && served.count() == summary.head && lost.lost.entries.empty();
  summary.state = summary.is_complete ? "complete to " + std::to_string(summary.head)
                  : summary.head == 0 ? "empty"
                                      : "partial";
  const bool is_ended = log.end_of_log != 0 && log.end_of_log == summary.head;
  if (is_ended) summary.state = summary.is_complete ? "ended" : "partial, ended";
  if (log.cap != 0) summary.state = "capped at " + std::to_string(log.cap);
  // What is held as a proof in a part needs no payload.
  const RangeSet lacking = (summary.is_complete ? served : served - certificate) - log.payloads;
  summary.payloads_missing = lacking - log.deleted;
  const bool is_whole = summary.is_complete && summary.payloads_missing.empty();
  summary.tone = log.cap != 0 ? Tone::kBad : is_whole ? Tone::kGood : Tone::kPartial;
  const RangeSet unwanted = summary.payloads_missing - log.interest.payloads_wanted(summary.head);
  summary.state += lacking_payloads(summary.payloads_missing.count(), unwanted.count(),
                                    (lacking & log.deleted).count(),
                                    (lacking & log.deleted & lost.lost.untold).count());
  summary.state += human_lost(lost);
  if (!lost.unwanted.empty()) summary.state += "; " + human_unwanted(lost);
  summary.state += human_mark(lost);
  return summary;
}

Json to_json(const store::LogState& log, const Summary& summary, const LostOfLog& lost,
             const InPart& in_part, const std::vector<GivenName>& names) {
  const auto name = given_name_of(names, log.log);
  Json object = {{"type", "log"},
                 {"log", to_string(log.log)},
                 {"name", name ? Json(*name) : Json()},
                 {"head", summary.head},
                 {"held", to_string(log.served())},
                 {"entries", summary.entries},
                 {"certificate_entries", summary.certificate_entries},
                 {"verified", (log.verified & log.served()).count()},
                 {"payloads", (log.payloads & log.served()).count()},
                 {"payload_bytes", summary.payload_bytes},
                 {"payloads_missing", to_string(summary.payloads_missing)},
                 {"payloads_in_part", in_part.seqnums.count()},
                 {"payload_bytes_in_part", in_part.bytes},
                 {"payloads_deleted", (log.deleted & log.served()).count()},
                 {"complete", summary.is_complete},
                 {"cut_off", to_string(lost.cut_off)},
                 {"lost_unwanted", to_string(lost.unwanted.entries)},
                 {"payloads_lost_unwanted", to_string(lost.unwanted.payloads)},
                 {"interest", to_string(log.interest.entries.ranges)},
                 {"interest_newest", log.interest.entries.newest}};
  add_lost(object, lost.lost);
  object["end_of_log"] = log.end_of_log == 0 ? Json() : Json(log.end_of_log);
  object["cap"] = log.cap == 0 ? Json() : Json(log.cap);
  if (lost.published != 0) object["published"] = lost.published;
  if (lost.elsewhere != 0) object["published_elsewhere"] = lost.elsewhere;
  if (lost.is_withheld) object["withheld"] = true;
  return object;
}

std::size_t common_digits(const LogKey& a, const LogKey& b) {
  const std::string left = to_hex(a.author.bytes);
  const std::string right = to_hex(b.author.bytes);
  if (left == right) return 0;  // other logs of the author are told apart by log_id
  return static_cast<std::size_t>(std::ranges::mismatch(left, right).in1 - left.begin());
}

/// Long enough for one line never to be taken for its neighbours.
std::size_t digits_needed(const std::vector<LogKey>& logs, std::size_t at) {
  std::size_t digits = 12;
  if (at > 0) digits = std::max(digits, common_digits(logs[at - 1], logs[at]) + 1);
  if (at + 1 < logs.size()) digits = std::max(digits, common_digits(logs[at], logs[at + 1]) + 1);
  return digits;
}

/// `text` in lines of at most `room`, broken between words, or within one that is longer.
std::vector<std::string> wrapped(std::string_view text, std::size_t room) {
  std::vector<std::string> lines;
  while (text.size() > room) {
    const auto space = text.rfind(' ', room);
    const bool is_between = space != std::string_view::npos && space != 0;
    lines.emplace_back(text.substr(0, is_between ? space : room));
    text.remove_prefix(is_between ? space + 1 : room);
  }
  lines.emplace_back(text);
  return lines;
}

/// What is shown of each log. On a terminal that is too narrow columns are left out, and a state,
/// and a name that is very long, goes on below itself.
class Rows {
 public:
  Rows(const Output& out, bool fits) : out_(out) {
    constexpr std::size_t kUsualColumns = 80;
    if (fits && out.is_terminal()) columns_ = columns_of(STDOUT_FILENO).value_or(kUsualColumns);
  }

  void add(std::vector<std::string> cells, Tone tone) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths_[i] = std::max(widths_[i], cells[i].size());
    }
    rows_.push_back({std::move(cells), tone});
  }
  [[nodiscard]] std::size_t count() const { return rows_.size(); }
  /// The rows so far, and forgets them.
  std::string take() {
    if (!table_) choose_columns();
    const std::size_t state_room = room_beside(used(), kStateRoomMin);
    const std::size_t name_room = room_beside(used() - name_width() + state_room, kNameRoomMin);
    for (const Row& row : rows_) {
      std::vector<std::string> cells;
      for (const std::size_t i : shown_) cells.push_back(row.cells[i]);
      const std::vector<std::string> names = wrapped(row.cells.front(), name_room);
      const std::vector<std::string> states = wrapped(row.cells.back(), state_room);
      for (std::size_t i = 0; i < std::max(names.size(), states.size()); ++i) {
        cells.front() = i < names.size() ? names[i] : "";
        cells.back() = i < states.size() ? out_.toned(row.tone, states[i]) : "";
        table_->add(std::exchange(cells, std::vector<std::string>(shown_.size())));
      }
    }
    rows_.clear();
    return table_->take();
  }

 private:
  struct Row {
    std::vector<std::string> cells;
    Tone tone;
  };
  static constexpr std::array<std::string_view, 7> kHeaders = {
      "log", "head", "entries", "certificate", "payloads", "bytes", "state"};
  static constexpr std::size_t kState = kHeaders.size() - 1;
  static constexpr std::size_t kStateRoom = 30;     ///< less only where no column can be left out
  static constexpr std::size_t kStateRoomMin = 20;  ///< of the widest "complete to N"
  static constexpr std::size_t kNameRoomMin = 12;
  static constexpr std::size_t kLeftOut[] = {3, 5, 1, 4, 2};  ///< in this order

  [[nodiscard]] std::size_t name_width() const {
    return std::max(kHeaders.front().size(), widths_.front());
  }
  /// What `used` columns leave of the terminal, but at least `least`.
  [[nodiscard]] std::size_t room_beside(std::size_t used, std::size_t least) const {
    if (!columns_) return std::string::npos;
    return std::max(least, *columns_ - std::min(used, *columns_));
  }
  /// Columns before that of the state.
  [[nodiscard]] std::size_t used() const {
    std::size_t sum = 0;
    for (const std::size_t i : shown_) {
      if (i != kState) sum += std::max(kHeaders.at(i).size(), widths_.at(i)) + 2;
    }
    return sum;
  }
  void choose_columns() {
    shown_ = {0, 1, 2, 3, 4, 5, kState};
    const std::size_t least = std::min(kStateRoom, widths_.at(kState));
    for (const std::size_t column : kLeftOut) {
      if (!columns_ || used() + least <= *columns_) break;
      std::erase(shown_, column);
    }
    std::vector<Table::Column> columns;
    for (const std::size_t i : shown_) {
      const bool is_left = i == 0 || i == kState;
      columns.push_back(
          {std::string(kHeaders.at(i)), is_left ? Table::Align::kLeft : Table::Align::kRight});
    }
    table_.emplace(std::move(columns));
  }

  const Output& out_;
  std::optional<std::size_t> columns_;  ///< of the terminal, where it is to fit
  std::array<std::size_t, kHeaders.size()> widths_{};
  std::vector<std::size_t> shown_;
  std::optional<Table> table_;
  std::vector<Row> rows_;
};

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  std::vector<LogKey> logs;
  CULM_TOOLS_TRY(const auto names, list_given_names());
  const bool is_start =
      std::ranges::find(names, options.prefix, &GivenName::name) == names.end() &&
      options.prefix.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (is_start) {
    auto listed = transaction.list_logs(options.prefix);
    if (!listed && listed.error().code == Errc::kHexFormat) {
      return usage("\"" + preview(as_bytes(options.prefix), 70) +
                   "\" is not the beginning of an author: hex digits, at most 64");
    }
    CULM_TOOLS_TRY(logs, std::move(listed));
    if (logs.empty() && !options.prefix.empty()) {
      return fail_with(Failure(Error{Errc::kLogUnknown}).about("\"" + options.prefix + "\""));
    }
  } else {
    CULM_TOOLS_TRY(logs, find_logs_named(transaction, {options.prefix}));
  }
  const LostFinder losses(context, *store);
  Rows rows(context.out, !options.full);
  std::string step;       // of the first log of which something is lost
  std::string elsewhere;  // of the first that is behind another store
  std::size_t elsewhere_logs = 0;
  std::string withheld;  // of the first that is
  for (std::size_t i = 0; i < logs.size(); ++i) {
    CULM_TOOLS_TRY(const auto state, transaction.get_log(logs[i]));
    const store::LogState& log = *state;
    CULM_TOOLS_TRY(const LostOfLog lost, about(short_name(log.log), losses.find(transaction, log)));
    if (!lost.empty() && step.empty()) step = next_if_lost(log, lost);
    if (lost.elsewhere != 0 && elsewhere_logs++ == 0) elsewhere = next_if_elsewhere(log.log);
    if (lost.is_withheld && withheld.empty()) withheld = next_if_withheld(log.log);
    Summary summary = summarize(log, lost);
    CULM_TOOLS_TRY(summary.payload_bytes, count_payload_bytes(transaction, log));
    CULM_TOOLS_TRY(const InPart in_part, find_in_part(transaction, log, log.served()));
    if (context.json) {
      CULM_TOOLS_CHECK(context.out.write_json(to_json(log, summary, lost, in_part, names)));
      continue;
    }
    if (!in_part.seqnums.empty()) {
      summary.state += "; " + human_size(in_part.bytes) + " in parts of " +
                       human_payloads(in_part.seqnums.count());
    }
    rows.add({options.full ? to_string(log.log) : short_name(log.log, digits_needed(logs, i)),
              std::to_string(summary.head), human_count(summary.entries),
              human_count(summary.certificate_entries),
              human_count((log.payloads & log.served()).count()), human_size(summary.payload_bytes),
              summary.state},
             summary.tone);
    if (rows.count() == kRowsPerPortion) CULM_TOOLS_CHECK(context.out.say(rows.take()));
  }
  std::vector<store::GoneLog> gone;
  if (options.prefix.empty()) gone = losses.gone(transaction);
  const auto tell_rest = [&]() -> Outcome<void> {
    CULM_TOOLS_CHECK(tell_gone(context, gone));
    return options.prefix.empty() ? tell_kept(context) : Outcome<void>();
  };
  if (context.json) return tell_rest();
  if (elsewhere_logs > 1) elsewhere += kThenOthers;
  if (elsewhere.empty()) elsewhere = std::move(withheld);
  context.next = logs.empty()
                     ? "`culm append` begins a log, `culm sync HOST:PORT AUTHOR` fetches one"
                     : std::move(step.empty() ? elsewhere : step);
  CULM_TOOLS_CHECK(context.out.say(logs.empty() ? "no logs\n" : rows.take()));
  return tell_rest();
}

}  // namespace

void add_ls(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "ls",
      "List the logs of the store. Per log: the highest seqnum held (head), entries that are\n"
      "wanted, other entries, which prove those or were wanted once (certificate), payloads held\n"
      "and their bytes, and the state:\n"
      "  complete to N  every entry from 1 to N, the head, is held; peers may have later ones\n"
      "  partial        some are not\n"
      "  empty          none is, though some are wanted\n"
      "  ended          the author has closed the log\n"
      "  capped at N    the author has forked the log; entries from N on are not valid\n"
      "and, behind that, how many of its payloads are not held, or not wanted (`culm select`), or\n"
      "were deleted here, what is there of payloads that have come in part only: the next sync\n"
      "goes on with them, and what is lost.\n"
      "\n"
      "Lost is what damage took, is wanted, and is not here again; also what the author mark of a\n"
      "log tells of that was last written with this very store. What is perhaps lost may never\n"
      "have been here (`culm help verify`). Of a log whose mark was written with another store it\n"
      "says how far this one is behind.\n"
      "\n"
      "Of what was appended while no peer, or not all, could tell of more it says that a node\n"
      "serves it only once a known peer was asked. What damage took and is not wanted any more\n"
      "is no loss, and said apart; `culm verify` says how it comes back. Your own logs that are\n"
      "not in the store, though their author marks tell of it (`culm mark`), as after a restore,\n"
      "are named with the command that takes them from a peer; not those that were forgotten. A\n"
      "damaged file that `culm repair` has kept, as it may hold logs of which nothing is left\n"
      "here, is named as well.",
      "culm ls --full", options, run);
  verb.group(VerbGroup::kRead);
  verb.add_option("PREFIX", &options->prefix,
                  "Only logs whose author begins with these digits, or has this name");
  verb.add_flag(
      "--full", options->full,
      "Print whole names, and not those that `culm name` gave; wider than most terminals");
}

}  // namespace culm::tools
