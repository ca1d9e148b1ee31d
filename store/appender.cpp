#include "culm/store/appender.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "culm/core/assert.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/store/check_published.hpp"

namespace culm::store {
namespace {

Result<void> commit_own(WriteTransaction& transaction, const SignedUnit& unit) {
  const SeqNum first = unit.entries().front().entry.seqnum();
  CULM_CHECK(check_is_new(transaction, unit.log(), first));
  CULM_TRY(const auto known, transaction.find_outline(unit.log()));
  if (known) {
    const RangeSet own{{first, unit.entries().back().entry.seqnum()}};
    CULM_CHECK(transaction.undelete_payloads(unit.log(), own));
  }
  CULM_TRY(const auto attempt, transaction.ingest(unit.checked(), {.full = true}));
  // A verdict can be missing only of a held entry that these disagree with.
  if (!attempt.report) return fail(error_for(Errc::kAuthorMarkFork, first));
  if (attempt.report->defect) {
    return fail(error_for(Errc::kAuthorMarkFork, attempt.report->defect->at));
  }
  if (unit.staged()) CULM_CHECK(transaction.bind_stage(unit.log(), first, *unit.staged()));
  return {};
}

/// How many of `payloads`, at least one, are the next unit.
std::size_t count_unit(std::span<const ByteView> payloads) {
  const std::size_t count_max = std::min(payloads.size(), limits::kUnitEntriesMax);
  std::size_t count = 1;
  for (std::size_t bytes = payloads[0].size(); count < count_max; ++count) {
    bytes += payloads[count].size();
    if (bytes > limits::kCommitBytesTarget) break;
  }
  return count;
}

}  // namespace

struct Appender::State {
  const Store& store;
  const SecretKey& key;
  LogKey log;
  AuthorMark& mark;
  Commit commit;
  AppenderOptions options;
  LogTail tail;
  bool is_marked = false;   ///< whether anything was ever published, or begun
  bool is_unasked = false;  ///< the gate was due, and nobody could be asked
  bool is_begun = false;    ///< and so it was for all that there is of the log

  Result<void> append(std::span<const ByteView> payloads, Tag tag,
                      const std::optional<StagedPayload>& staged);
  Result<void> look();
  Result<void> compare(const ReadTransaction& transaction, const LogOutline& known);
  Result<std::optional<Published>> read_mark();
  /// The store that a mark names.
  [[nodiscard]] StoreId place() const {
    if (!is_unasked) return store.id();
    return is_begun ? kBegunStore : kUnaskedStore;
  }
};

/// Finds the tail of the log and makes sure that it may be appended to.
Result<void> Appender::State::look() {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto found, transaction.find_outline(log));
  const LogOutline known = found.value_or(LogOutline{});
  if (known.cap != 0) return fail(error_for(Errc::kLogCapped, known.cap));
  LogTail seen;
  // Also what a node holds back: it is signed, and its mark may have failed to move.
  seen.seqnum = known.held.empty() ? 0 : known.held.max();
  CULM_TRY(const auto last, transaction.find_entry(known, seen.seqnum));
  if (last) {
    seen.hash = last->hash();
    seen.ended = last->is_end_of_log();
  }
  tail = seen;
  CULM_CHECK(compare(transaction, known));
  if (tail.ended) return fail(error_for(Errc::kLogEnded, tail.seqnum));
  if (tail.seqnum == 0) return {};
  // Links never cross, so whatever a later entry links to lies on this path.
  for (const SeqNum n : path_to_first(tail.seqnum)) {
    if (!known.held.contains(n)) return fail(error_for(Errc::kEntryNotHeld, n));
  }
  return {};
}

Result<void> Appender::State::compare(const ReadTransaction& transaction, const LogOutline& known) {
  CULM_TRY(const auto published, read_mark());
  if (!published && tail.seqnum != 0 && !options.adopt) {
    return fail(error_for(Errc::kAuthorMarkFormat, tail.seqnum));
  }
  if (published) {
    const auto checked = check_published(transaction, known, *published);
    const bool is_of_mark = !checked && checked.error().code == Errc::kAuthorMarkFormat;
    if (!checked && !(is_of_mark && options.adopt)) return checked;
    CULM_TRY(const bool is_branch, holds_branch(transaction, known, *published));
    if (is_branch) return fail(error_for(Errc::kAuthorMarkFork, published->branch_at()));
  }
  is_marked = published.has_value();
  const Published now{tail.seqnum, tail.hash, store.id()};
  if (published == now) {
    is_unasked = false;  // or somebody else was answered since
    return {};
  }
  if (options.gate) {
    // Nobody is asked about a log that has ended, and what is not sure stays so.
    CULM_TRY(const bool is_asked,
             tail.ended ? Result<bool>(!culm::store::is_unasked(mark)) : options.gate(tail.seqnum));
    is_unasked = !is_asked;
    // One that was moved back to nothing is known to have begun elsewhere.
    const bool is_said = published && published->is_begun() && !published->is_copied;
    is_begun = tail.seqnum == 0 ? !published || is_said : is_said;
  }
  // A mark of another time or place stays what it is until something was committed: else who passed
  // the gate and appended nothing would have opened it for the next.
  const bool is_of_this = published && !published->is_copied && published->store == store.id();
  return is_of_this ? mark.write({tail.seqnum, tail.hash, place()}) : Result<void>();
}

Result<std::optional<Published>> Appender::State::read_mark() {
  auto published = mark.read();
  if (!published && options.adopt && published.error().code == Errc::kAuthorMarkFormat) {
    return std::nullopt;
  }
  return published;
}

Appender::Appender(std::unique_ptr<State> state) : state_(std::move(state)) {}
Appender::Appender(Appender&&) noexcept = default;
Appender& Appender::operator=(Appender&&) noexcept = default;
Appender::~Appender() = default;

Result<Appender> Appender::open(const Store& store, const SecretKey& key, LogId log_id,
                                AuthorMark& mark, Commit commit, const AppenderOptions& options) {
  std::unique_ptr<State> state(
      new State{store, key, {key.author(), log_id}, mark, std::move(commit), options, {}});
  // Who asks nobody does not answer for who could ask nobody.
  if (!options.gate) state->options.gate = [&mark](SeqNum /*tail*/) { return !is_unasked(mark); };
  CULM_CHECK(with_lock(mark, [&state] { return state->look(); }));
  state->options.gate = nullptr;
  return Appender(std::move(state));
}

Result<SeqNum> Appender::append(std::span<const ByteView> payloads) {
  while (!payloads.empty()) {
    const std::size_t count = count_unit(payloads);
    CULM_CHECK(append_unit(payloads.first(count), Tag::kEntry));
    payloads = payloads.subspan(count);
  }
  return head();
}

Result<SeqNum> Appender::append_staged(const StagedPayload& payload, Tag tag) {
  CULM_CHECK(append_unit({}, tag, payload));
  return head();
}

Result<SeqNum> Appender::end(ByteView payload) {
  CULM_CHECK(append_unit({&payload, 1}, Tag::kEndOfLog));
  return head();
}

/// Precondition: the mark is locked.
Result<void> Appender::State::append(std::span<const ByteView> payloads, Tag tag,
                                     const std::optional<StagedPayload>& staged) {
  CULM_CHECK(look());
  std::vector<EntryBuffer> buffers;
  std::vector<UnitEntry> unit;
  Verdicts good;
  buffers.reserve(payloads.size() + 1);  // entries of the unit borrow from it
  unit.reserve(payloads.size() + 1);
  const SeqNum last = tail.seqnum;
  const auto find_hash = [&](SeqNum seqnum) -> Result<Hash> {
    if (seqnum > last) return unit[static_cast<std::size_t>(seqnum - last - 1)].hash;
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(const auto known, transaction.find_outline(log));
    CULM_TRY(const auto entry, transaction.find_entry(known.value_or(LogOutline{}), seqnum));
    if (!entry) return fail(error_for(Errc::kEntryNotHeld, seqnum));
    return entry->hash();
  };
  LogWriter writer(key, log.log_id, tail, find_hash);
  const auto add = [&](const EntryBuffer& entry, std::optional<ByteView> payload) {
    buffers.push_back(entry);
    unit.push_back({buffers.back().view(), writer.tail().hash, payload, payload.has_value()});
    good.add(writer.tail().hash, {});
  };
  for (const ByteView payload : payloads) {
    CULM_TRY(const EntryBuffer entry, writer.append(payload, tag));
    add(entry, payload);
  }
  if (staged) {
    CULM_TRY(const EntryBuffer entry, writer.append(staged->hash, staged->size_bytes, tag));
    add(entry, std::nullopt);
  }
  CULM_TRY(CheckedUnit checked, check_unit(log, unit, std::move(good)));
  // A log never stands without a mark: that would be one that was lost.
  if (last == 0 && !is_marked) CULM_CHECK(mark.write({0, {}, kBegunStore}));
  bool is_moved = false;
  const auto move_mark = [&]() -> Result<void> {
    is_moved = true;
    tail = writer.tail();
    CULM_CHECK(mark.write({tail.seqnum, tail.hash, place()}));
    options.adopt = false;
    return {};
  };
  CULM_CHECK(commit(SignedUnit(std::move(checked), staged), move_mark));
  CULM_ASSERT(is_moved);
  return {};
}

Result<void> Appender::append_unit(std::span<const ByteView> payloads, Tag tag,
                                   const std::optional<StagedPayload>& staged) {
  return with_lock(state_->mark, [&] { return state_->append(payloads, tag, staged); });
}

SeqNum Appender::head() const noexcept { return state_->tail.seqnum; }

Result<void> check_is_new(const ReadTransaction& transaction, const LogKey& log, SeqNum first) {
  CULM_TRY(const auto known, transaction.find_outline(log));
  // Two entries with one seqnum would be a fork; these nobody has seen yet.
  if (!known || known->held.smallest_from(first) == 0) return {};
  return fail(error_for(Errc::kAuthorMarkFork, first));
}

Result<void> admit_own(Store& store, const LogKey& log, SeqRange own) {
  bool is_deleted = false;
  {
    CULM_TRY(const auto transaction, store.read());
    CULM_CHECK(check_is_new(transaction, log, own.first));
    CULM_TRY(const auto state, transaction.find_log(log));
    is_deleted = state && !(state->deleted & RangeSet{own}).empty();
  }
  if (!is_deleted) return {};
  return store.update([&](WriteTransaction& transaction) {
    return transaction.undelete_payloads(log, RangeSet{own});
  });
}

Appender::Commit commit_into(Store& store) {
  return [&store](const SignedUnit& unit, const Appender::MoveMark& move_mark) -> Result<void> {
    CULM_CHECK(store.update(
        [&unit](WriteTransaction& transaction) { return commit_own(transaction, unit); }));
    return move_mark();
  };
}

}  // namespace culm::store
