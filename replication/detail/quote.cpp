#include "culm/replication/detail/quote.hpp"

#include <algorithm>

#include "culm/core/limits.hpp"
#include "culm/core/varu64.hpp"
#include "culm/feed/lipmaa.hpp"

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

/// Payloads of a sample. Of very many, the sizes of so many tell those of all.
constexpr std::uint64_t kSampleRows = 1024;
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

/// Members of `set` in even distances, about `count` of them.
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
  const bool is_sampled = count > rows_left;
  if (is_all || (is_sampled && rows_left == 0)) {
    return average_payloads(served, log, is_all);
  }
  const RangeSet sample =
      is_sampled ? sample_of(served.payloads, std::min(rows_left, kSampleRows)) : served.payloads;
  const std::uint64_t rows = sample.count();
  rows_left -= std::min(rows_left, rows);
  Payloads payloads;
  CULM_CHECK(
      transaction.visit_entries(log, sample, [&](const store::StoredEntry& stored) -> Result<bool> {
        if (served.takes_payload(stored.entry)) {
          payloads.add(stored.entry.payload_size(), served.entries.contains(stored.entry.seqnum()));
        }
        return true;
      }));
  if (is_sampled && rows != 0) payloads.scale(rows, count);
  return payloads;
}

/// What the peer has already of the payload that it goes on with.
std::uint64_t bytes_held(const ServedWant& served) {
  return served.payloads.contains(served.want.resume_seqnum) ? served.want.resume_offset : 0;
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

}  // namespace

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
  payloads.bytes -= std::min(payloads.bytes, bytes_held(served));
  quote.payload_bytes = payloads.bytes;
  quote.exact = payloads.exact;
  quote.wire_bytes = answer_bytes(have) + bytes_of_messages(served, payloads, log);
  return quote;
}

}  // namespace culm::replication
