// How the next unit or part of a want is made and sent.
#include <algorithm>
#include <optional>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/replication/detail/responder.hpp"

namespace culm::replication {
namespace {

/// Payloads of unwanted sizes that are passed over at a time.
constexpr std::uint64_t kSkippedRowsMax = limits::kPumpRowsMax / 16;
/// Rows that are read upwards to find the highest of them that is wanted.
constexpr std::uint64_t kRowsDownMax = 16;

/// Begins the next payload. Passes over those of sizes that are not wanted, or that are not there
/// any more, and puts off those that are too large yet. Counts the rows read.
Result<void> begin_payload(ServedWant& served, const RangeSet& ready,
                           const store::ReadTransaction& transaction, const store::LogState& log,
                           std::uint64_t& rows_read) {
  const bool ascending = served.want.order == Order::kAscending;
  const SeqNum resumed = served.want.resume_seqnum;
  RangeSet next = ascending ? lowest(ready, kSkippedRowsMax) : highest(ready, kRowsDownMax);
  if (ready.contains(resumed)) next = RangeSet{{resumed, resumed}};
  const std::uint64_t size_max = served.ready_size_max();
  RangeSet unwanted = next - log.payloads;
  RangeSet larger;
  std::optional<ServedWant::Chunked> found;
  CULM_CHECK(transaction.visit_entries(log, next - unwanted,
                                       [&](const store::StoredEntry& stored) -> Result<bool> {
                                         const SeqNum seqnum = stored.entry.seqnum();
                                         ++rows_read;
                                         if (!served.takes_payload(stored.entry)) {
                                           unwanted.insert(seqnum);
                                         } else if (stored.entry.payload_size() > size_max) {
                                           larger.insert(seqnum);
                                         } else {
                                           found = served.begun(stored.entry);
                                         }
                                         return !found || !ascending;
                                       }));
  served.payloads -= unwanted;
  served.settled |= unwanted;
  served.put_off_larger(larger);
  if (found) served.chunked.push_back(*found);
  return {};
}

}  // namespace

/// Its entries, and of these the payloads that came along or are not wanted.
struct Responder::MadeUnit {
  RangeSet sent;
  RangeSet settled;
  std::uint64_t payload_bytes = 0;
};

/// Of the entries planned, as many as there is room for; newest first all of them.
Result<Responder::MadeUnit> Responder::make_unit(const ServedWant& served, const RangeSet& planned,
                                                 const store::ReadTransaction& transaction,
                                                 const store::LogState& log) {
  std::uint64_t size_max =
      std::min<std::uint64_t>(outbox_.unit_bytes_target(), credit_ - limits::kCreditBytesMin / 4);
  if (served.want.budget_bytes != 0) {
    size_max = std::min(size_max, served.want.budget_bytes - served.bytes);
  }
  const bool ascending = served.want.order == Order::kAscending;
  std::uint64_t entries_left = planned.count();
  MadeUnit made;
  unit_.clear();
  UnitEncoder encoder(unit_, served.known, served.want.full ? LinkForm::kWhole : LinkForm::kElided);
  CULM_CHECK(transaction.visit_entries(
      log, planned, [&](const store::StoredEntry& stored) -> Result<bool> {
        const SeqNum seqnum = stored.entry.seqnum();
        ++rows_read_;
        std::optional<ByteView> payload;
        if (served.payloads.contains(seqnum)) {
          if (!served.takes_payload(stored.entry)) {
            made.settled.insert(seqnum);
          } else if (stored.inline_payload) {
            payload = stored.inline_payload;
          }
        }
        const std::size_t payload_size = payload ? payload->size() : 0;
        // A newest-first unit is never cut from above, it would lose its newest: payloads that
        // leave no room for what is still to come follow on their own instead.
        const std::uint64_t entries_size =
            (ascending ? 1 : entries_left) * limits::kEntrySizeBytesMax;
        if (unit_.size() + payload_size + entries_size > size_max) {
          if (ascending && encoder.entry_count() != 0) return false;
          if (!ascending) payload.reset();
        }
        encoder.add(stored.entry, payload);
        --entries_left;
        made.sent.insert(seqnum);
        if (payload) {
          made.settled.insert(seqnum);
          made.payload_bytes += payload->size();
        }
        return true;
      }));
  return made;
}

Result<void> Responder::send_unit(ServedWant& served, const store::ReadTransaction& transaction,
                                  const store::LogState& log) {
  const bool ascending = served.want.order == Order::kAscending;
  std::uint64_t run = kRunEntriesMax;
  CULM_TRY(MadeUnit made, make_unit(served, served.next_unit(run), transaction, log));
  while (!ascending && run > 1 && !served.has_budget_for(unit_.size())) {
    run /= 2;
    CULM_TRY(made, make_unit(served, served.next_unit(run), transaction, log));
  }
  if (!served.has_budget_for(unit_.size())) {
    finish(served, DoneReason::kBudget);
    return {};
  }
  // Who asks for whole links may hold other entries than these where it has declared to hold some.
  static const RangeSet none;
  const RangeSet& linking = served.want.full ? none : served.known;
  CULM_TRY(const bool is_good, has_good_sinks(made.sent, linking, transaction, log));
  if (!is_good) {
    // Its author's deed, which nobody can be given as an entry.
    deny(served, DenyReason::kNotServed);
    return {};
  }

  spend(served, outbox_.send(Entries{served.want.id, unit_}));
  stats_.entries_sent += made.sent.count();
  stats_.payload_bytes_sent += made.payload_bytes;
  served.known |= made.sent;
  served.entries -= made.sent;
  served.payloads -= made.settled;
  served.settled |= made.settled;
  return {};
}

Result<void> Responder::send_payload(ServedWant& served, const store::ReadTransaction& transaction,
                                     const store::LogState& log) {
  const RangeSet ready = served.ready_payloads();
  if (!ready.empty()) CULM_CHECK(begin_payload(served, ready, transaction, log, rows_read_));
  if (!served.chunked.empty()) return send_chunk(served, transaction, log);
  if (ready.empty()) served.take_larger();
  return {};
}

Result<void> Responder::send_chunk(ServedWant& served, const store::ReadTransaction& transaction,
                                   const store::LogState& log) {
  ServedWant::Chunked& chunked = served.chunked.back();
  const SeqNum seqnum = chunked.seqnum;
  if (!log.payloads.contains(seqnum)) {  // it was deleted under way
    served.settle_payload(seqnum);
    return {};
  }
  CULM_TRY(const ByteView chunk,
           transaction.read_payload(log, seqnum, chunked.offset, limits::kPayloadChunkBytes));
  if (!served.has_budget_for(chunk.size())) {
    finish(served, DoneReason::kBudget);
    return {};
  }
  Payload payload;
  payload.want = served.want.id;
  payload.seqnum = seqnum;
  payload.offset = chunked.offset;
  payload.last = payload.offset + chunk.size() == chunked.size;
  payload.bytes = chunk;
  spend(served, outbox_.send(payload));
  stats_.payload_bytes_sent += chunk.size();
  chunked.offset += chunk.size();
  if (payload.last) served.settle_payload(seqnum);
  return {};
}

Result<bool> Responder::has_good_sinks(const RangeSet& sent, const RangeSet& known,
                                       const store::ReadTransaction& transaction,
                                       const store::LogState& log) {
  // Inside a range each entry is linked to by the next.
  for (const SeqRange range : sent.ranges()) {
    const SeqNum sink = range.last;
    if (log.verified.contains(sink)) continue;
    const InLinks above(sink);
    const bool is_linked =
        std::ranges::any_of(above, [&](SeqNum n) { return sent.contains(n) || known.contains(n); });
    if (is_linked) continue;
    ++rows_read_;
    CULM_TRY(const auto stored, transaction.get_entry(log, sink));
    const EntryView& entry = stored.entry;
    if (!verifier_.verify(log.log.author, entry.signed_bytes(), entry.signature())) return false;
  }
  return true;
}

void Responder::spend(ServedWant& served, std::size_t bytes) {
  const std::uint64_t counted = counted_bytes(bytes);
  credit_ -= std::min(credit_, counted);
  served.bytes += counted;
}

}  // namespace culm::replication
