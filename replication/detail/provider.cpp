#include "culm/replication/detail/provider.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {
namespace {

/// Payloads of unwanted sizes that are passed over at a time.
constexpr std::uint64_t kSkippedRowsMax = limits::kPumpRowsMax / 16;
/// What a peer may show to hold beyond what it declared; the rest may be sent in vain.
constexpr std::size_t kShownRangesMax = 2 * limits::kRangesPerMessageMax;

bool takes_any_size(const Want& want) {
  return want.payload_size_min == 0 && want.payload_size_max == limits::kPayloadSizeBytesMax;
}

/// Measured averages of the elided form beside the payload, for the estimate in a quote.
constexpr std::uint64_t kWireBytesEntry = 68;
constexpr std::uint64_t kWireBytesCertificateEntry = 190;

}  // namespace

Result<Have> make_have(const store::ReadTransaction& transaction, const store::LogState& log) {
  Have have;
  have.log = log.log;
  have.head = log.head();
  if (have.head != 0) {
    CULM_TRY(const auto head, transaction.get_entry(log, have.head));
    have.head_hash = head.entry.hash();
  }
  have.held = first_ranges(log.served());
  have.payloads = first_ranges(log.payloads & log.served());
  return have;
}

RangeSet first_ranges(const RangeSet& set, std::size_t ranges_max) {
  if (set.ranges().size() <= ranges_max) return set;
  RangeSet out;
  for (const SeqRange& range : set.ranges().first(ranges_max)) out.insert(range);
  return out;
}

RangeSet lowest(const RangeSet& set, std::uint64_t count) {
  RangeSet out;
  for (const SeqRange& range : set.ranges()) {
    if (count == 0) break;
    const std::uint64_t taken = std::min(count - 1, range.last - range.first) + 1;
    out.insert(SeqRange{range.first, range.first + (taken - 1)});
    count -= taken;
  }
  return out;
}

RangeSet highest(const RangeSet& set, std::uint64_t count) {
  const std::uint64_t all = set.count();
  return all <= count ? set : set - lowest(set, all - count);
}

Provider::Provider(const store::Store& store, SignatureVerifier& verifier, Outbox& outbox,
                   SessionStats& stats)
    : store_(store), verifier_(verifier), outbox_(outbox), stats_(stats) {}

Result<void> Provider::take_id(WantId want) {
  if (want <= last_id_) return fail(Errc::kProtocolState);
  last_id_ = want;
  return {};
}

Result<void> Provider::accept(Want want) {
  if (served_.size() >= limits::kWantsPerSessionMax) return fail(Errc::kBusy);

  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.get_log(want.log));
  Served served;
  served.known = std::exchange(want.held, {});
  served.settled =
      std::exchange(want.payloads_held, {}) | std::exchange(want.payloads_excepted, {});
  served.want = std::move(want);
  plan(served, log);
  CULM_CHECK(answer(served, transaction, log));
  if (served.want.quote_only) {
    finish(served, DoneReason::kComplete);
  } else {
    served_.push_back(std::move(served));
  }
  return {};
}

void Provider::cancel(WantId want) {
  for (Served& served : served_) {
    if (served.want.id == want) finish(served, DoneReason::kCancelled);
  }
  std::erase_if(served_, [](const Served& served) { return served.ended; });
}

void Provider::drop(WantId want) {
  std::erase_if(served_, [&](const Served& served) { return served.want.id == want; });
}

void Provider::peer_holds(const LogKey& log, const RangeSet& entries, const RangeSet& payloads) {
  for (Served& served : served_) {
    if (served.want.log != log) continue;
    if (served.known.ranges().size() + entries.ranges().size() > kShownRangesMax) continue;
    if (served.settled.ranges().size() + payloads.ranges().size() > kShownRangesMax) continue;
    served.known |= entries;
    served.settled |= payloads;
    served.entries -= entries;
    served.payloads -= payloads;
  }
}

void Provider::log_changed(const LogKey& log) {
  for (Served& served : served_) {
    if (served.want.log == log) served.planned = false;
  }
}

bool Provider::serves(const LogKey& log) const {
  return std::ranges::any_of(served_, [&](const Served& served) { return served.want.log == log; });
}

void Provider::plan(Served& served, const store::LogState& log) const {
  const Want& want = served.want;
  const RangeSet available = log.served();
  served.head = std::max(served.head, log.head());
  const RangeSet wanted = resolve(want.interest, served.head) & available;
  served.entries = RangeSet();
  served.payloads = RangeSet();
  if (want.entries) served.entries = (closure(wanted, log.head()) & available) - served.known;
  if (want.payloads) served.payloads = (wanted & log.payloads) - served.settled;
  if (!want.entries) served.payloads &= served.known;
  served.planned = true;
}

Result<void> Provider::answer(Served& served, const store::ReadTransaction& transaction,
                              const store::LogState& log) {
  CULM_TRY(const auto have, make_have(transaction, log));
  outbox_.send(have);
  CULM_TRY(const auto quoted, quote(served, transaction, log));
  outbox_.send(quoted);
  return {};
}

Result<Quote> Provider::quote(const Served& served, const store::ReadTransaction& transaction,
                              const store::LogState& log) {
  const RangeSet asked = served.entries & resolve(served.want.interest, log.head());
  Quote quote;
  quote.want = served.want.id;
  quote.entries = asked.count();
  quote.certificate_entries = served.entries.count() - quote.entries;
  CULM_CHECK(sum_payloads(quote, served, transaction, log));
  quote.wire_bytes = quote.payload_bytes + quote.entries * kWireBytesEntry +
                     quote.certificate_entries * kWireBytesCertificateEntry;
  return quote;
}

Result<void> Provider::sum_payloads(Quote& quote, const Served& served,
                                    const store::ReadTransaction& transaction,
                                    const store::LogState& log) {
  const std::uint64_t payloads = served.payloads.count();
  if (takes_any_size(served.want) && served.payloads == log.payloads) {
    quote.payload_bytes = log.payload_bytes;
    return {};
  }
  if (payloads > quote_rows_left_) {
    quote.payload_bytes = log.payload_bytes / log.payloads.count() * payloads;
    quote.exact = false;
    return {};
  }
  quote_rows_left_ -= payloads;
  return transaction.visit_entries(log, served.payloads,
                                   [&](const store::StoredEntry& stored) -> Result<bool> {
                                     if (takes_payload(served.want, stored.entry)) {
                                       quote.payload_bytes += stored.entry.payload_size();
                                     }
                                     return true;
                                   });
}

Result<void> Provider::pump() {
  quote_rows_left_ = limits::kPumpRowsMax;
  std::size_t steps = 0;
  bool progressed = true;
  while (progressed && steps < limits::kPumpStepsMax && !outbox_.full()) {
    progressed = false;
    for (Served& served : served_) {
      CULM_TRY(const bool stepped, step(served));
      if (stepped) ++steps;
      progressed = progressed || stepped;
    }
    std::erase_if(served_, [](const Served& served) { return served.ended; });
  }
  has_more_ = progressed && !outbox_.full();
  return {};
}

Result<bool> Provider::step(Served& served) {
  auto stepped = step_of(served);
  if (stepped || !is_of_log(stepped.error().code)) return stepped;
  // What is wrong with one log here must not keep the others from being served.
  served.ended = true;
  outbox_.send(Deny{served.want.log, served.want.id, DenyReason::kBusy});
  return true;
}

Result<bool> Provider::step_of(Served& served) {
  if (served.ended || outbox_.full()) return false;
  if (served.planned) {
    const bool idle = served.entries.empty() && served.payloads.empty();
    if (idle ? served.said_ready : credit_ < limits::kCreditBytesMin) return false;
  }
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.get_log(served.want.log));
  if (!served.planned) plan(served, log);

  const bool nothing_left = served.entries.empty() && served.payloads.empty();
  if (!nothing_left && served.want.budget_bytes != 0 && served.bytes >= served.want.budget_bytes) {
    finish(served, DoneReason::kBudget);
    return true;
  }
  if (nothing_left && !served.want.live) {
    finish(served, DoneReason::kComplete);
    return true;
  }
  if (nothing_left) {
    if (served.said_ready) return false;
    served.said_ready = true;
    outbox_.send(Ready{served.want.id});
    return true;
  }
  if (credit_ < limits::kCreditBytesMin) return false;

  // Payloads of entries that the peer has come first: they belong to the unit just sent.
  if (served.chunked || !(served.payloads & served.known).empty()) {
    CULM_CHECK(send_payload(served, transaction, log));
  } else {
    CULM_CHECK(send_unit(served, transaction, log));
  }
  return true;
}

RangeSet Provider::next_unit(const Served& served) const {
  if (served.want.order == Order::kAscending) {
    return lowest(served.entries, limits::kUnitEntriesMax);
  }
  // Newest first: a run from the top, and what anchors its lowest entry. The run is short, so that
  // run and path together stay within the least credit.
  RangeSet unit = highest(served.entries, limits::kUnitEntriesMax / 32);
  RangeSet anchors;
  for (const SeqNum seqnum : path_to_first(unit.min())) anchors.insert(seqnum);
  return unit | (anchors & served.entries);
}

Result<void> Provider::send_unit(Served& served, const store::ReadTransaction& transaction,
                                 const store::LogState& log) {
  std::uint64_t size_max =
      std::min<std::uint64_t>(limits::kUnitBytesTarget, credit_ - limits::kCreditBytesMin / 4);
  if (served.want.budget_bytes != 0) {
    size_max = std::min(size_max, served.want.budget_bytes - served.bytes);
  }
  const bool ascending = served.want.order == Order::kAscending;
  const RangeSet planned = next_unit(served);
  std::uint64_t entries_left = planned.count();
  RangeSet sent;
  RangeSet sent_payloads;
  RangeSet refused_payloads;
  std::uint64_t payload_bytes = 0;
  unit_.clear();
  UnitEncoder encoder(unit_, served.known, served.want.full ? LinkForm::kWhole : LinkForm::kElided);
  CULM_CHECK(transaction.visit_entries(
      log, planned, [&](const store::StoredEntry& stored) -> Result<bool> {
        const SeqNum seqnum = stored.entry.seqnum();
        std::optional<ByteView> payload;
        if (served.payloads.contains(seqnum)) {
          if (!takes_payload(served.want, stored.entry)) {
            refused_payloads.insert(seqnum);
          } else if (stored.inline_payload) {
            payload = stored.inline_payload;
          }
        }
        const std::size_t payload_size = payload ? payload->size() : 0;
        // A newest-first unit is never cut from above, it would lose its newest: payloads that
        // leave no room for what is still to come follow on their own instead.
        const std::uint64_t entries_size =
            (ascending ? 1 : entries_left) * limits::kEntrySizeBytesMax;
        if (encoder.entry_count() != 0 && unit_.size() + payload_size + entries_size > size_max) {
          if (ascending) return false;
          payload.reset();
        }
        encoder.add(stored.entry, payload);
        --entries_left;
        sent.insert(seqnum);
        if (payload) {
          sent_payloads.insert(seqnum);
          payload_bytes += payload->size();
        }
        return true;
      }));
  // Who asks for whole links may hold other entries than these where it has declared to hold some.
  static const RangeSet none;
  const RangeSet& linking = served.want.full ? none : served.known;
  CULM_TRY(const bool is_good, has_good_sinks(sent, linking, transaction, log));
  if (!is_good) {
    // Its author's deed, which nobody can be given as an entry.
    served.ended = true;
    outbox_.send(Deny{log.log, served.want.id, DenyReason::kNotServed});
    return {};
  }

  spend(served, outbox_.send(Entries{served.want.id, unit_}));
  stats_.entries_sent += sent.count();
  stats_.payload_bytes_sent += payload_bytes;
  served.known |= sent;
  served.entries -= sent;
  served.payloads -= sent_payloads;
  served.payloads -= refused_payloads;
  served.settled |= sent_payloads;
  served.settled |= refused_payloads;
  return {};
}

Result<void> Provider::send_payload(Served& served, const store::ReadTransaction& transaction,
                                    const store::LogState& log) {
  if (!served.chunked) {
    if (!takes_any_size(served.want)) {
      CULM_TRY(const bool is_found, skip_payloads(served, transaction, log));
      if (!is_found) return {};
    }
    served.chunked = Served::Chunked{(served.payloads & served.known).min(), 0};
  }
  return send_chunk(served, transaction, log);
}

Result<bool> Provider::skip_payloads(Served& served, const store::ReadTransaction& transaction,
                                     const store::LogState& log) {
  const RangeSet next = lowest(served.payloads & served.known, kSkippedRowsMax);
  RangeSet unwanted;
  bool is_found = false;
  CULM_CHECK(
      transaction.visit_entries(log, next, [&](const store::StoredEntry& stored) -> Result<bool> {
        is_found = takes_payload(served.want, stored.entry);
        if (!is_found) unwanted.insert(stored.entry.seqnum());
        return !is_found;
      }));
  served.payloads -= unwanted;
  served.settled |= unwanted;
  return is_found;
}

Result<void> Provider::send_chunk(Served& served, const store::ReadTransaction& transaction,
                                  const store::LogState& log) {
  const SeqNum seqnum = served.chunked->seqnum;
  const auto settle = [&] {
    served.payloads.erase(SeqRange{seqnum, seqnum});
    served.settled.insert(seqnum);
    served.chunked.reset();
  };
  if (!log.payloads.contains(seqnum)) {  // it was deleted under way
    settle();
    return {};
  }
  CULM_TRY(const auto stored, transaction.get_entry(log, seqnum));
  CULM_TRY(const ByteView chunk, transaction.read_payload(log, seqnum, served.chunked->offset,
                                                          limits::kPayloadChunkBytes));
  Payload payload;
  payload.want = served.want.id;
  payload.seqnum = seqnum;
  payload.offset = served.chunked->offset;
  payload.last = payload.offset + chunk.size() == stored.entry.payload_size();
  payload.bytes = chunk;
  spend(served, outbox_.send(payload));
  stats_.payload_bytes_sent += chunk.size();
  served.chunked->offset += chunk.size();
  if (payload.last) settle();
  return {};
}

Result<bool> Provider::has_good_sinks(const RangeSet& sent, const RangeSet& known,
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
    CULM_TRY(const auto stored, transaction.get_entry(log, sink));
    const EntryView& entry = stored.entry;
    if (!verifier_.verify(log.log.author, entry.signed_bytes(), entry.signature())) return false;
  }
  return true;
}

bool Provider::takes_payload(const Want& want, const EntryView& entry) {
  return entry.payload_size() >= want.payload_size_min &&
         entry.payload_size() <= want.payload_size_max;
}

void Provider::spend(Served& served, std::size_t bytes) {
  const std::uint64_t counted = counted_bytes(bytes);
  credit_ -= std::min(credit_, counted);
  served.bytes += counted;
}

void Provider::finish(Served& served, DoneReason reason) {
  served.ended = true;
  outbox_.send(Done{served.want.id, reason});
}

}  // namespace culm::replication
