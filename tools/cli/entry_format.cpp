#include "tools/cli/entry_format.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "culm/feed/lipmaa.hpp"
#include "culm/replication/host/json.hpp"
#include "culm/replication/node/sync_report.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kPortionBytes = 256 * 1024;
constexpr std::size_t kPreviewBytes = 512;
/// Of most names of logs, 12 digits with a log_id of one.
constexpr std::size_t kNameColumns = 14;

std::string padded(std::string text, std::size_t width) {
  text.insert(0, width - std::min(width, text.size()), ' ');
  return text;
}

std::string_view level_of(const store::LogState& log, SeqNum n) {
  return log.verified.contains(n) ? "verified" : "attested";
}

std::string_view payload_state(const store::LogState& log, SeqNum n) {
  if (log.payloads.contains(n)) return "held";
  return log.deleted.contains(n) ? "deleted" : "not_held";
}

Result<std::string> payload_preview(const store::ReadTransaction& transaction,
                                    const store::LogState& log, const EntryView& entry,
                                    std::size_t columns) {
  const SeqNum n = entry.seqnum();
  if (!log.payloads.contains(n)) return std::string();
  CULM_TRY(const ByteView start, transaction.read_payload(log, n, 0, kPreviewBytes));
  return preview(start, columns, start.size() == entry.payload_size());
}

/// Where printing has come to.
struct Place {
  SeqNum seqnum = 0;
  bool is_begun = false;
  std::uint64_t offset = 0;         ///< in the payload of `seqnum`
  std::uint64_t payload_bytes = 0;  ///< of all so far
};

/// Reads a large payload before anything of it is printed: half of one helps nobody.
Result<void> check_payload(const store::ReadTransaction& transaction, const store::LogState& log,
                           const store::StoredEntry& stored) {
  if (stored.inline_payload) return {};
  for (std::uint64_t offset = 0; offset < stored.entry.payload_size();) {
    CULM_TRY(const ByteView part,
             transaction.read_payload(log, stored.entry.seqnum(), offset, kPortionBytes));
    offset += part.size();
  }
  return {};
}

/// Whether a payload follows. What could not be read leaves nothing in `text`.
Result<bool> begin_entry(const store::ReadTransaction& transaction, const store::LogState& log,
                         SeqNum seqnum, EntryFormat& format, std::string& text) {
  CULM_TRY(const store::StoredEntry entry, transaction.get_entry(log, seqnum));
  const std::size_t size_before = text.size();
  auto begun = format.begin(text, transaction, log, entry);
  if (begun && *begun) {
    const auto sound = check_payload(transaction, log, entry);
    if (!sound) begun = fail(sound.error());
  }
  if (!begun) text.resize(size_before);
  return begun;
}

Place next_place(SeqNum n, const RangeSet& seqnums, const Place& place) {
  return {n == kSeqnumMax ? 0 : seqnums.smallest_from(n + 1), false, 0, place.payload_bytes};
}

/// Also where it fails, `text` is what was printed until then.
Result<void> next_portion(const store::ReadTransaction& transaction, const store::LogState& log,
                          const RangeSet& seqnums, Place& place, EntryFormat& format,
                          RangeSet& damaged, std::string& text) {
  while (place.seqnum != 0 && text.size() < kPortionBytes) {
    const SeqNum n = place.seqnum;
    bool is_done = false;
    if (!place.is_begun) {
      const auto begun = begin_entry(transaction, log, n, format, text);
      if (!begun && begun.error().code != Errc::kStoreDamaged) return fail(begun.error());
      // Of a damaged page LMDB's transaction may give nothing more: the next portion has another.
      const bool is_page = !begun && store::damaged_entry(begun.error()) != n;
      const auto remains = begun || is_page ? Result<std::optional<store::Remains>>(std::nullopt)
                                            : transaction.find_remains(log, n);
      if (!remains && remains.error().code != Errc::kStoreDamaged) return fail(remains.error());
      if (!begun && (!remains || !*remains || !format.put_remains(text, log, **remains))) {
        damaged.insert(n);
      }
      is_done = !begun || !*begun;
      place = {n, true, 0, place.payload_bytes};
      if (is_page || !remains) {
        place = next_place(n, seqnums, place);
        return {};
      }
    } else {
      CULM_TRY(const ByteView part, transaction.read_payload(log, n, place.offset, kPortionBytes));
      place.offset += part.size();
      place.payload_bytes += part.size();
      is_done = part.empty();
      if (is_done) format.end(text);
      if (!is_done) format.payload(text, part);
    }
    if (is_done) place = next_place(n, seqnums, place);
  }
  return {};
}

std::string_view words_of_several(Errc missing) {
  if (missing == Errc::kPayloadDeleted) return "the payloads were deleted here";
  return missing == Errc::kPayloadNotHeld ? "the payloads are not held"
                                          : "the entries are not held";
}

Failure stopped_at(SeqNum seqnum, const Error& error) {
  Failure failure(error);
  if (error.code != Errc::kStoreDamaged) return failure;
  failure.message = "stopped at seqnum " + std::to_string(seqnum) + ": " + failure.message +
                    "; what lies before it was written";
  failure.fields["seqnum"] = seqnum;
  return failure;
}

}  // namespace

Outcome<RangeSet> print_entries(Output& out, const store::Store& store, const LogKey& log,
                                const RangeSet& seqnums, EntryFormat& format, Progress* progress) {
  RangeSet damaged;
  Place place{seqnums.smallest_from(1), false, 0};
  while (place.seqnum != 0) {
    std::string text;
    const auto portion = [&]() -> Result<void> {
      CULM_TRY(const auto transaction, store.read());
      CULM_TRY(const auto state, transaction.get_log(log));
      return next_portion(transaction, *state, seqnums, place, format, damaged, text);
    }();
    CULM_TOOLS_CHECK(out.write_raw(text));
    if (!portion) {
      return fail_with(stopped_at(place.seqnum, portion.error()).about(short_name(log)));
    }
    if (progress != nullptr) progress->advance(std::exchange(place.payload_bytes, 0));
  }
  return damaged;
}

Outcome<std::uint64_t> bytes_to_print(const Output& out, const store::Store& store,
                                      const std::vector<PrintedPayloads>& logs) {
  if (!out.is_regular_file() || ::isatty(STDERR_FILENO) != 1) return 0;
  std::uint64_t bytes = 0;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const auto& [log, seqnums] : logs) {
    const RangeSet payloads = seqnums & log.payloads;
    if (payloads == log.payloads) {
      bytes += log.payload_bytes;
      continue;
    }
    const auto add = [&bytes](const store::StoredEntry& stored) -> Result<bool> {
      bytes += stored.entry.payload_size();
      return true;
    };
    // Of a damaged page it is said when that is printed.
    const auto visited = transaction.visit_sound_entries(log, payloads, add);
    if (!visited && visited.error().code != Errc::kStoreDamaged) return fail_with(visited.error());
  }
  return bytes;
}

Outcome<void> unless_damaged(const LogKey& log, const RangeSet& damaged, const RangeSet& payloads) {
  const RangeSet all = damaged | payloads;
  if (all.empty()) return {};
  Failure failure(error_for(Errc::kStoreDamaged, all.min()));
  failure.message += "; damaged and left out: ";
  if (!damaged.empty()) failure.message += to_string(damaged);
  if (!payloads.empty()) {
    failure.message += (damaged.empty() ? "" : "; ") + human_payloads(payloads.count()) + ", of " +
                       to_string(payloads);
  }
  failure.fields["damaged"] = to_string(all);
  return fail_with(std::move(failure).about(short_name(log)));
}

RangeSet named_in(RangeSet range) {
  if (!range.contains(kSeqnumMax)) return range;
  const SeqRange open = range.ranges().back();
  // The highest seqnum alone has no open end.
  if (open.first != kSeqnumMax) range.erase(open);
  return range;
}

Outcome<void> unless_missing(const store::LogState& log, const RangeSet& missing, Errc error,
                             bool may_be_at_peer) {
  if (missing.empty()) return {};
  RangeSet deleted;
  if (error == Errc::kPayloadNotHeld && log.head() != 0) {
    deleted = missing & log.deleted & RangeSet{{1, log.head()}};
  }
  const RangeSet others = missing - deleted;
  const RangeSet& said = others.empty() ? deleted : others;
  Failure failure(Error{others.empty() ? Errc::kPayloadDeleted : error});
  if (said.count() > 1) failure.message = words_of_several(failure.code);
  failure.message += ": " + human_ranges(said);
  if (!others.empty() && !deleted.empty()) {
    failure.message += "; deleted here: " + human_ranges(deleted);
  }
  failure.fields["missing"] = to_string(missing);
  if (node::find_dropped(log).contains(missing)) {
    failure.step = "`culm cat " + name_of_one(log.log) + " --dropped --range " +
                   to_string(fit_in_command(missing)) + "` prints what the fork dropped";
  } else if (missing.min() > log.head()) {
    failure.step = "the highest entry known here is " + std::to_string(log.head());
  } else if (error == Errc::kPayloadNotHeld && deleted.empty() && !log.interest.payloads) {
    failure.step = "`culm select " + name_of_one(log.log) +
                   " --payloads` wants payloads of the log; `culm sync HOST:PORT " +
                   name_of_one(log.log) + "` then fetches them from a peer that has them";
  } else if (!deleted.empty()) {
    failure.step = take_back_deleted(log.log, deleted, missing, may_be_at_peer);
  } else {
    const std::string those = said.count() == 1 ? "it" : "them";
    failure.step = "`culm sync HOST:PORT " + name_of_one(log.log) + " --range " +
                   to_string(fit_in_command(missing)) + "` fetches " + those +
                   " from a peer that has " + those;
    if (!may_be_at_peer) {
      failure.step = "no peer is known that could have " + those + ": " +
                     import_command(name_of_one(log.log)) + " brings " + those + " from a backup";
    }
  }
  return fail_with(std::move(failure).about(short_name(log.log)));
}

LineFormat::LineFormat(const Options& options)
    : options_(options),
      seqnum_width_(std::max<std::size_t>(std::to_string(options.head).size(), 6)),
      columns_(0) {
  const std::size_t used = (options.with_log ? kNameColumns + 2 : 0) + seqnum_width_ + 22;
  columns_ = std::max<std::size_t>(terminal_columns(), used + 20) - used;
}

std::string LineFormat::header() const {
  return padded("seqnum", seqnum_width_) + "  level         size  payload\n";
}

Result<bool> LineFormat::begin(std::string& out, const store::ReadTransaction& transaction,
                               const store::LogState& log, const store::StoredEntry& stored) {
  const EntryView& entry = stored.entry;
  const SeqNum n = entry.seqnum();
  const std::string_view state = payload_state(log, n);
  if (options_.json) {
    out += to_line(Json{{"type", "entry"},
                        {"log", to_string(log.log)},
                        {"seqnum", n},
                        {"hash", to_hex(entry.hash().bytes)},
                        {"level", level_of(log, n)},
                        {"is_end_of_log", entry.is_end_of_log()},
                        {"payload_size", entry.payload_size()},
                        {"payload_hash", to_hex(entry.payload_hash().bytes)},
                        {"payload_state", state}}) +
           "\n";
    return false;
  }
  if (options_.with_log) {
    std::string name = short_name(log.log);
    name.resize(std::max(name.size(), kNameColumns), ' ');
    out += name + "  ";
  }
  out += padded(std::to_string(n), seqnum_width_) + "  ";
  out += std::string(level_of(log, n)) + "  " + padded(human_size(entry.payload_size()), 8) + "  ";
  if (entry.is_end_of_log()) out += "[end of log] ";
  if (state == "held") {
    CULM_TRY(const std::string text, payload_preview(transaction, log, entry, columns_));
    out += text;
  } else {
    out += state == "deleted" ? "[deleted]" : "[not held]";
  }
  out += "\n";
  return false;
}

Result<bool> PayloadFormat::begin(std::string& out, const store::ReadTransaction& /*transaction*/,
                                  const store::LogState& log, const store::StoredEntry& entry) {
  if (options_.json) {
    out += R"({"type":"payload","log":")" + to_string(log.log) + R"(","seqnum":)" +
           std::to_string(entry.entry.seqnum()) + R"(,"payload":")";
  }
  return true;
}

void PayloadFormat::payload(std::string& out, ByteView part) {
  if (options_.json) {
    out += to_hex(part);
  } else if (options_.escape) {
    append_bytes(cut_, part);
    const std::size_t used = escape(out, cut_, LineEnds::kKeep, true);
    cut_.erase(cut_.begin(), cut_.begin() + static_cast<std::ptrdiff_t>(used));
  } else {
    out += as_text(part);
  }
}

void PayloadFormat::end(std::string& out) {
  escape(out, cut_, LineEnds::kKeep);
  cut_.clear();
  if (options_.json) {
    out += "\"}\n";
  } else if (options_.lines) {
    out += "\n";
  }
}

Result<bool> JsonlFormat::begin(std::string& out, const store::ReadTransaction& /*transaction*/,
                                const store::LogState& log, const store::StoredEntry& entry) {
  const SeqNum n = entry.entry.seqnum();
  if (!take(n)) return false;
  out += R"({"encoded":")" + to_hex(entry.entry.bytes()) + "\"";
  const bool with_payload = with_payload_.contains(n) && log.payloads.contains(n);
  out += with_payload ? R"(,"payload":")" : "}\n";
  return with_payload;
}

bool JsonlFormat::take(SeqNum seqnum) {
  const bool is_anchored =
      seqnum == 1 || written_.contains(seqnum - 1) || written_.contains(lipmaa(seqnum));
  (is_anchored ? written_ : cut_off_).insert(seqnum);
  return is_anchored;
}

void JsonlFormat::payload(std::string& out, ByteView part) { out += to_hex(part); }

void JsonlFormat::end(std::string& out) { out += "\"}\n"; }

/// An entry without its payload is none the less true, and others need it as their proof.
bool JsonlFormat::put_remains(std::string& out, const store::LogState& log,
                              const store::Remains& remains) {
  const EntryView entry = remains.entry.view();
  if (!take(entry.seqnum())) return true;
  const bool with_payload =
      with_payload_.contains(entry.seqnum()) && log.payloads.contains(entry.seqnum());
  out += R"({"encoded":")" + to_hex(entry.bytes()) + "\"";
  if (with_payload && remains.payload) out += R"(,"payload":")" + to_hex(*remains.payload) + "\"";
  if (with_payload && !remains.payload) damaged_payloads_.insert(entry.seqnum());
  out += "}\n";
  return true;
}

}  // namespace culm::tools
