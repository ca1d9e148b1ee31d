#include "culm/replication/detail/quote.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/core/varu64.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/store/row_damage.hpp"

namespace culm::replication {
namespace {

/// Have, quote and done without ranges, each with its frame, and their part of records.
constexpr std::uint64_t kAnswerBytes = 120;
/// Beside the content of a message: its frame, type, want and the like, and its part of a record.
constexpr std::uint64_t kUnitBytes = 28;
constexpr std::uint64_t kPayloadBytes = 15;
/// What links to units sent before take of a unit: see elided.md#writing. Measured.
constexpr std::uint64_t kLinkBytesUnit = 72;
constexpr std::uint64_t kLinkBytesUnitNewestFirst = 200;
/// Of an entry in the elided form, beside links, payload and the size of that.
constexpr std::uint64_t kEntryBytes = 65;
constexpr std::uint64_t kHashBytes = 64;
constexpr std::uint64_t kShortHashBytes = 8;

/// Entries that are looked at for their links: at the start of each range, where links lead out.
constexpr std::uint64_t kLinkEntriesMax = 2048;
constexpr std::uint64_t kLinkEntriesOfRangeMax = 256;

std::uint64_t parts_of(std::uint64_t payload_size) {
  const std::uint64_t chunk = limits::kPayloadChunkBytes;
  return std::max<std::uint64_t>(1, (payload_size + chunk - 1) / chunk);
}

/// Payloads that a want will move.
struct Payloads {
  std::uint64_t bytes = 0;
  std::uint64_t in_units = 0;  ///< payloads that travel with their entry
  std::uint64_t messages = 0;  ///< for the others
  bool exact = true;

  void add(std::uint64_t size, bool with_entry) {
    bytes += size;
    if (with_entry && size <= limits::kPayloadInlineBytesMax) {
      ++in_units;
    } else {
      messages += parts_of(size);
    }
  }
  /// They are `count` out of `all`.
  void scale(std::uint64_t count, std::uint64_t all) {
    for (std::uint64_t* const sum : {&bytes, &in_units, &messages}) {
      *sum = static_cast<std::uint64_t>(static_cast<double>(*sum) / static_cast<double>(count) *
                                        static_cast<double>(all));
    }
    exact = false;
  }
};

/// As if all were alike, without reading any.
Payloads average_payloads(const ServedWant& served, const store::LogState& log, bool is_all) {
  Payloads payloads;
  const std::uint64_t count = served.payloads.count();
  if (count == 0) return payloads;
  const std::uint64_t size = log.payload_bytes / log.payloads.count();
  payloads.bytes = is_all ? log.payload_bytes : size * count;
  if (size <= limits::kPayloadInlineBytesMax) {
    payloads.in_units = (served.payloads & served.entries).count();
  }
  payloads.messages = (count - payloads.in_units) * parts_of(size);
  payloads.exact = is_all;
  return payloads;
}

Result<Payloads> sum_payloads(const ServedWant& served, const store::ReadTransaction& transaction,
                              const store::LogState& log, std::uint64_t& rows_left) {
  const std::uint64_t count = served.payloads.count();
  const bool is_all = served.takes_any_size() && served.payloads == log.payloads;
  // What a budget lets come is looked up behind.
  const std::uint64_t rows_max = served.want.budget_bytes == 0 ? rows_left : rows_left / 2;
  const bool is_sampled = count > rows_max;
  if (is_all || (is_sampled && rows_max == 0)) {
    return average_payloads(served, log, is_all);
  }
  const RangeSet sample =
      is_sampled ? sample_of(served.payloads, std::min(rows_max, kSampleRows)) : served.payloads;
  const std::uint64_t rows = sample.count();
  rows_left -= std::min(rows_left, rows);
  Payloads payloads;
  const auto add = [&](const store::StoredEntry& stored) -> Result<bool> {
    if (served.takes_payload(stored.entry)) {
      payloads.add(stored.entry.payload_size(), served.entries.contains(stored.entry.seqnum()));
    }
    return true;
  };
  const auto visited = transaction.visit_entries(log, sample, add);
  if (!visited && store::is_of_pages(visited.error())) return average_payloads(served, log, false);
  if (!visited) return fail(visited.error());
  if (is_sampled && rows != 0) payloads.scale(rows, count);
  return payloads;
}

std::uint64_t bytes_of_link(const ServedWant& served, SeqNum target) {
  if (served.entries.contains(target)) return 0;
  return served.known.contains(target) ? kShortHashBytes : kHashBytes;
}

/// Gaps and links of the entries. Inside a range most have none.
std::uint64_t bytes_of_links(const ServedWant& served) {
  std::uint64_t bytes = 0;
  std::uint64_t looked_at = 0;
  std::uint64_t ranges = 0;
  for (const SeqRange& range : served.entries.ranges()) {
    if (looked_at >= kLinkEntriesMax) break;
    ++ranges;
    if (range.first > 1) bytes += 1 + bytes_of_link(served, range.first - 1);
    const std::uint64_t more = std::min(range.last - range.first, kLinkEntriesOfRangeMax - 1);
    for (SeqNum n = range.first; n - range.first <= more; ++n) {
      if (has_lipmaalink(n)) bytes += bytes_of_link(served, lipmaa(n));
      ++looked_at;
      if (n == kSeqnumMax) break;
    }
  }
  return ranges == 0 ? 0 : bytes * served.entries.ranges().size() / ranges;
}

/// How many bytes the sizes of payloads take.
std::uint64_t bytes_of_size(const store::LogState& log) {
  const std::uint64_t count = log.payloads.count();
  return varu64::encoded_size(count == 0 ? 0 : log.payload_bytes / count);
}

std::uint64_t bytes_of_ranges(const RangeSet& set) {
  std::uint64_t bytes = 0;
  SeqNum end = 0;
  for (const SeqRange& range : set.ranges()) {
    bytes +=
        varu64::encoded_size(range.first - end) + varu64::encoded_size(range.last - range.first);
    end = range.last;
  }
  return bytes;
}

std::uint64_t bytes_of_messages(const ServedWant& served, const Payloads& payloads,
                                const store::LogState& log) {
  const std::uint64_t entries = served.entries.count();
  std::uint64_t bytes = entries * (kEntryBytes + bytes_of_size(log)) +
                        (entries - std::min(entries, payloads.in_units)) * kHashBytes +
                        bytes_of_links(served) + payloads.bytes + payloads.messages * kPayloadBytes;
  const bool ascending = served.want.order == Order::kAscending;
  const std::uint64_t unit_entries = limits::kUnitEntriesMax / (ascending ? 1 : 32);
  const std::uint64_t units = std::max((entries + unit_entries - 1) / unit_entries,
                                       entries == 0 ? 0 : bytes / limits::kUnitBytesTarget);
  bytes += units * kUnitBytes;
  if (entries > unit_entries) {
    const std::uint64_t link_bytes = ascending ? kLinkBytesUnit : kLinkBytesUnitNewestFirst;
    bytes += (entries - unit_entries) * link_bytes / unit_entries;
  }
  return bytes;
}

/// An entry to be sent, or a payload, or both.
struct Row {
  SeqNum seqnum = 0;
  bool is_entry = false;
  bool has_payload = false;
  std::uint64_t size = 0;  ///< of the payload
  std::uint64_t held = 0;  ///< bytes of it that the peer has
};

/// Passes what a want would send before a budget in the order in which it is sent, and adds up what
/// is let through. Each row stands for `weight` that are alike.
class BudgetGate {
 public:
  BudgetGate(const ServedWant& served, std::uint64_t link_bytes, double weight)
      : served_(served), link_bytes_(link_bytes), weight_(weight) {}

  void pass(const std::vector<Row>& rows, const RangeSet& asked) {
    constexpr std::uint64_t kTimesLarger = 16;
    for (const Row& row : rows) {
      if (!row.is_entry && row.size <= kSmallPayloadBytesMax) pass_payload(row);
    }
    std::vector<Row> unit;
    for (const Row& row : rows) {
      if (!row.is_entry) continue;
      if (!unit.empty() && is_full(unit, bytes_of(row))) pass_unit(unit, asked);
      unit_bytes_ += bytes_of(row);
      unit.push_back(row);
    }
    pass_unit(unit, asked);
    for (std::uint64_t size = kSmallPayloadBytesMax; size < limits::kPayloadSizeBytesMax;
         size *= kTimesLarger) {
      for (const Row& row : rows) {
        if (row.size > size && row.size <= size * kTimesLarger) pass_payload(row);
      }
    }
  }
  [[nodiscard]] bool is_over() const { return is_over_; }

  double entries = 0;
  double certificate_entries = 0;
  double payload_bytes = 0;  ///< of those that come whole

 private:
  static bool is_inline(const Row& row) {
    return row.has_payload && row.size <= limits::kPayloadInlineBytesMax;
  }
  [[nodiscard]] std::uint64_t bytes_of(const Row& row) const {
    return kEntryBytes + varu64::encoded_size(row.size) + link_bytes_ +
           (is_inline(row) ? row.size : kHashBytes);
  }
  [[nodiscard]] bool is_full(const std::vector<Row>& unit, std::uint64_t more) const {
    std::uint64_t entries_max = limits::kUnitEntriesMax;
    if (served_.want.order == Order::kNewestFirst) {  // the first brings a path along
      const std::size_t path = entries == 0 ? path_to_first(unit.back().seqnum).size() - 1 : 0;
      entries_max = kRunEntriesMax + path;
    }
    const std::uint64_t bytes_max =
        std::min<std::uint64_t>(limits::kUnitBytesTarget, limits::kCreditBytesMin * 3 / 4 +
                                                              static_cast<std::uint64_t>(spent_));
    return static_cast<double>(unit.size() + 1) * weight_ > static_cast<double>(entries_max) ||
           static_cast<double>(unit_bytes_ + more) * weight_ > static_cast<double>(bytes_max);
  }

  void pass_unit(std::vector<Row>& unit, const RangeSet& asked) {
    for (const Row& row : unit) {
      const double count = let_through(bytes_of(row));
      (asked.contains(row.seqnum) ? entries : certificate_entries) += count;
      if (is_inline(row)) payload_bytes += count * static_cast<double>(row.size);
    }
    spent_ += static_cast<double>(kUnitBytes);
    for (const Row& row : unit) {
      if (!is_inline(row) && row.size <= kSmallPayloadBytesMax) pass_payload(row);
    }
    unit.clear();
    unit_bytes_ = 0;
  }

  void pass_payload(const Row& row) {
    if (!row.has_payload) return;
    const std::uint64_t bytes = row.size - row.held;
    const std::uint64_t sent = bytes + parts_of(bytes) * kPayloadBytes;
    payload_bytes +=
        let_through(std::max(sent, limits::kCountedBytesMin)) * static_cast<double>(row.size);
  }

  /// Of those that a row stands for.
  double let_through(std::uint64_t bytes) {
    if (is_over_) return 0;
    const double left = static_cast<double>(served_.want.budget_bytes) - spent_;
    double count = weight_;
    if (count * static_cast<double>(bytes) > left) {
      count = std::floor(std::max(left, 0.0) / static_cast<double>(bytes));
      is_over_ = true;
    }
    spent_ += count * static_cast<double>(bytes);
    return count;
  }

  const ServedWant& served_;
  std::uint64_t link_bytes_;
  double weight_;
  double spent_ = 0;
  std::uint64_t unit_bytes_ = 0;
  bool is_over_ = false;
};

Result<std::vector<Row>> read_rows(const ServedWant& served, const RangeSet& seqnums,
                                   const store::ReadTransaction& transaction,
                                   const store::LogState& log) {
  std::vector<Row> rows;
  const auto add = [&](const store::StoredEntry& stored) -> Result<bool> {
    Row row{.seqnum = stored.entry.seqnum(), .is_entry = served.entries.contains(row.seqnum)};
    row.has_payload = served.payloads.contains(row.seqnum) && served.takes_payload(stored.entry);
    row.size = row.has_payload ? stored.entry.payload_size() : 0;
    row.held = std::min(bytes_held(served, row.seqnum), row.size);
    rows.push_back(row);
    return true;
  };
  CULM_CHECK(transaction.visit_sound_entries(log, seqnums, add));
  if (served.want.order == Order::kNewestFirst) std::ranges::reverse(rows);
  std::stable_partition(rows.begin(), rows.end(), [](const Row& row) { return row.held != 0; });
  return rows;
}

}  // namespace

Result<void> fit_budget(const ServedWant& served, std::uint64_t around,
                        const store::ReadTransaction& transaction, const store::LogState& log,
                        std::uint64_t& rows_left, Quote& quote) {
  const RangeSet all = served.entries | served.payloads;
  const auto count = static_cast<double>(all.count());
  const RangeSet sample = sample_of(all, rows_left + 1);
  const std::uint64_t rows = sample.count();
  rows_left -= std::min(rows_left, rows);
  const std::uint64_t entries = std::max<std::uint64_t>(served.entries.count(), 1);
  BudgetGate gate(served, bytes_of_links(served) / entries, count / static_cast<double>(rows));
  CULM_TRY(const auto read, read_rows(served, sample, transaction, log));
  gate.pass(read, resolve(served.want.interest, log.head()));
  quote.wire_bytes = around + served.want.budget_bytes;
  quote.exact = false;
  if (!gate.is_over()) return {};
  quote.entries = static_cast<std::uint64_t>(gate.entries);
  quote.certificate_entries = static_cast<std::uint64_t>(gate.certificate_entries);
  quote.payload_bytes = static_cast<std::uint64_t>(gate.payload_bytes);
  return {};
}

std::uint64_t bytes_held(const ServedWant& served, SeqNum payload) {
  const bool is_begun = payload != 0 && payload == served.want.resume_seqnum;
  return is_begun && served.payloads.contains(payload) ? served.want.resume_offset : 0;
}

RangeSet sample_of(const RangeSet& set, std::uint64_t count) {
  const std::uint64_t step = set.count() / count + 1;
  RangeSet sample;
  std::uint64_t next = step / 2;  // as the members are counted
  std::uint64_t passed = 0;
  for (const SeqRange& range : set.ranges()) {
    const std::uint64_t last = passed + (range.last - range.first);
    for (; next <= last; next += step) sample.insert(range.first + (next - passed));
    passed = last + 1;
  }
  return sample;
}

std::uint64_t answer_bytes(const Have& have) {
  return kAnswerBytes + bytes_of_ranges(have.held) + bytes_of_ranges(have.payloads);
}

Result<Quote> make_quote(const ServedWant& served, const Have& have,
                         const store::ReadTransaction& transaction, const store::LogState& log,
                         std::uint64_t& rows_left) {
  const RangeSet asked = served.entries & resolve(served.want.interest, log.head());
  Quote quote;
  quote.want = served.want.id;
  quote.entries = asked.count();
  quote.certificate_entries = served.entries.count() - quote.entries;
  CULM_TRY(Payloads payloads, sum_payloads(served, transaction, log, rows_left));
  quote.payload_bytes = payloads.bytes;
  quote.exact = payloads.exact;
  payloads.bytes -= std::min(payloads.bytes, bytes_held(served, served.want.resume_seqnum));
  quote.wire_bytes = answer_bytes(have) + bytes_of_messages(served, payloads, log);
  return quote;
}

}  // namespace culm::replication
