#include <algorithm>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/store/check.hpp"
#include "culm/store/detail/log_cache.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/store.hpp"

namespace culm::store {

using detail::is_inline;
using detail::TouchedLog;

namespace {

/// Whether `set` with what is added has no more ranges than may be. Made of the two only where that
/// is in doubt.
Result<void> check_ranges(const RangeSet& set, const RangeSet& added, std::size_t below = 0) {
  constexpr std::size_t kMax = limits::kRangesPerLogMax;
  if (below + set.ranges().size() + added.ranges().size() <= kMax) return {};
  const RangeSet both = set | added;
  if (below + both.ranges().size() > kMax) return fail(Errc::kLogFragmented);
  return {};
}

/// From where on a state is asked for and changed by who ingests the unit.
SeqNum from_of(const CheckedUnit& unit) {
  return unit.entries().empty() ? 0 : unit.entries().front().entry.seqnum();
}

/// A log as the accepting rule sees it.
class HeldEntries final : public HeldLog {
 public:
  HeldEntries(const ReadTransaction& transaction, const LogState& state)
      : transaction_(transaction), state_(state) {}

  const RangeSet& held() const override { return state_.held; }
  const RangeSet& verified() const override { return state_.verified; }
  SeqNum cap() const override { return state_.cap; }
  SeqNum end_of_log() const override { return state_.end_of_log; }
  Result<EntryView> entry(SeqNum seqnum) override {
    CULM_TRY(const StoredEntry stored, transaction_.get_entry(state_, seqnum));
    return stored.entry;
  }

 private:
  const ReadTransaction& transaction_;
  const LogState& state_;
};

}  // namespace

/// What a unit will change, worked out before the first row is written.
struct WriteTransaction::Intake {
  RangeSet added;
  RangeSet payloads_added;
  RangeSet verified;
  std::vector<const UnitEntry*> late_payloads;  ///< of entries that were held before
};

WriteTransaction::WriteTransaction(std::unique_ptr<KvWriteTransaction> kv,
                                   const detail::StoreMeta& meta)
    : ReadTransaction(nullptr), kv_write_(*kv), meta_(meta) {
  kv_ = std::move(kv);
  ReadTransaction::touched_ = &touched_logs_;
}

/// All of its state, or as much as who asks for it and changes it from a seqnum on needs.
Result<TouchedLog*> WriteTransaction::touch(const LogKey& log, SeqNum from) {
  const auto known = touched_logs_.find(log);
  if (known != touched_logs_.end()) {
    if (from < known->second.from) CULM_CHECK(complete(known->second));
    return &known->second;
  }
  CULM_TRY(const auto stored, read_log(log, from));
  TouchedLog touched;
  if (stored) {
    touched.state = *stored->state;
    touched.before = stored->state;
    touched.from = stored->from;
    touched.below = stored->below;
  } else {
    touched.state.log = log;
  }
  return &touched_logs_.emplace(log, std::move(touched)).first->second;
}

/// Its rows are as they were: a state is written once, at the end.
Result<void> WriteTransaction::complete(TouchedLog& touched) {
  CULM_TRY(const auto stored, read_log(touched.state.log, 0));
  if (!stored) return fail(Errc::kStoreDamaged);
  touched.state = detail::whole_of(touched, *stored->whole());
  touched.before = stored->whole();
  touched.from = 0;
  touched.below = {};
  return {};
}

Result<TouchedLog*> WriteTransaction::touch_known(const LogKey& log, SeqNum from) {
  CULM_TRY(TouchedLog* const touched, touch(log, from));
  if (touched->state.number == 0) return fail(Errc::kLogUnknown);
  return touched;
}

void WriteTransaction::mark_changed(TouchedLog& touched) {
  touched.is_changed = true;
  if (touched.state.number == 0) touched.state.number = ++meta_.log_count;
}

Result<void> WriteTransaction::put_row(Table table, ByteView key) {
  if (failed_) return fail(*failed_);
  detail::seal(row_, table, key);
  return kv_write_.put(table, key, row_);
}

/// What a unit disagrees with may lie far below, where it is verified or will be.
Result<UnitVerdict> WriteTransaction::judge(TouchedLog& touched, const CheckedUnit& unit,
                                            const AcceptOptions& options) {
  for (;;) {
    HeldEntries held(*this, touched.state);
    auto verdict = accept_unit(unit.log(), unit.entries(), held, unit.verdicts(), options);
    const bool is_clear = verdict && verdict->missing.empty() && !verdict->proven;
    if (is_clear || touched.from == 0) return verdict;
    CULM_CHECK(complete(touched));
  }
}

Result<IngestAttempt> WriteTransaction::ingest(const CheckedUnit& unit,
                                               const AcceptOptions& options) {
  return without_damage(unit.log(), [&] { return ingest_once(unit, options); });
}

Result<IngestAttempt> WriteTransaction::ingest_once(const CheckedUnit& unit,
                                                    const AcceptOptions& options) {
  CULM_TRY(TouchedLog* const touched, touch(unit.log(), from_of(unit)));
  CULM_TRY(UnitVerdict verdict, judge(*touched, unit, options));
  LogState& state = touched->state;
  IngestAttempt attempt;
  if (!verdict.missing.empty()) {
    attempt.missing = std::move(verdict.missing);
    return attempt;
  }
  IngestReport& report = attempt.report.emplace();
  report.signatures_checked = verdict.signatures_checked;
  if (verdict.proven) report.defect = verdict.proven->defect();
  CULM_TRY(Intake intake,
           plan(*touched, unit.entries(), verdict, report.defect ? report.defect->at : state.cap));
  report.payloads_added = intake.payloads_added;
  for (const AcceptedEntry& accepted : verdict.accepted) {
    report.added.insert(accepted.entry().seqnum());
  }

  if (report.defect) {
    CULM_CHECK(noted(put_evidence(*touched, verdict.proven->evidence(), report.defect->at)));
  }
  const std::uint64_t bytes_before = state.payload_bytes;
  CULM_CHECK(noted(take(*touched, verdict, std::move(intake))));
  report.payload_bytes_added = state.payload_bytes - bytes_before;
  return attempt;
}

Result<std::vector<UncheckedEntry>> WriteTransaction::find_missing(const CheckedUnit& unit,
                                                                   const AcceptOptions& options) {
  CULM_TRY(TouchedLog* const touched, touch(unit.log(), from_of(unit)));
  CULM_TRY(UnitVerdict verdict, judge(*touched, unit, options));
  return std::move(verdict.missing);
}

Result<void> WriteTransaction::mark_verified(const CheckedSignatures& checked) {
  CULM_TRY(TouchedLog* const touched, touch_known(checked.log()));
  LogState& state = touched->state;
  const RangeSet verified = checked.good() & state.held;
  if (state.verified.contains(verified) || !check_ranges(state.verified, verified)) return {};
  state.verified |= verified;
  touched->is_marked = true;
  return {};
}

Result<WriteTransaction::Intake> WriteTransaction::plan(const TouchedLog& touched,
                                                        std::span<const UnitEntry> unit,
                                                        const UnitVerdict& verdict,
                                                        SeqNum cap) const {
  const LogState& state = touched.state;
  Intake intake;
  intake.verified = verdict.newly_verified;
  auto accepted = verdict.accepted.begin();
  for (const UnitEntry& item : unit) {
    const SeqNum n = item.entry.seqnum();
    if (accepted != verdict.accepted.end() && accepted->entry().seqnum() == n) {
      intake.added.insert(n);
      if (accepted->level() == Level::kVerified) intake.verified.insert(n);
      if ((item.payload || detail::has_empty_payload(item.entry)) && !is_barred(state, n)) {
        intake.payloads_added.insert(n);
      }
      ++accepted;
    } else if (item.payload && (cap == 0 || n < cap) && state.held.contains(n) &&
               !state.payloads.contains(n) && !is_barred(state, n)) {
      CULM_TRY(const StoredEntry stored, get_entry(state, n));
      // The other side of a fork says nothing about the payload of this one.
      if (!equal(stored.entry.bytes(), item.entry.bytes())) continue;
      intake.payloads_added.insert(n);
      intake.late_payloads.push_back(&item);
    }
  }
  // A mark may be made again at any time; a unit is not refused for it.
  if (!check_ranges(state.verified, intake.verified, touched.below[detail::kVerifiedSet])) {
    intake.verified = {};
  }
  CULM_CHECK(check_ranges(state.held, intake.added));
  CULM_CHECK(
      check_ranges(state.payloads, intake.payloads_added, touched.below[detail::kPayloadsSet]));
  CULM_CHECK(
      check_ranges(state.deleted - intake.payloads_added, {}, touched.below[detail::kDeletedSet]));
  return intake;
}

Result<void> WriteTransaction::take(TouchedLog& touched, const UnitVerdict& verdict,
                                    Intake intake) {
  LogState& state = touched.state;
  if (intake.added.empty() && intake.payloads_added.empty() &&
      state.verified.contains(intake.verified)) {
    return {};
  }
  mark_changed(touched);
  for (const AcceptedEntry& accepted : verdict.accepted) {
    const EntryView& entry = accepted.entry();
    const bool with_payload = intake.payloads_added.contains(entry.seqnum());
    CULM_CHECK(append(state, accepted, with_payload));
    if (with_payload) state.payload_bytes += entry.payload_size();
    if (entry.is_end_of_log()) state.end_of_log = entry.seqnum();
  }
  for (const UnitEntry* late : intake.late_payloads) {
    CULM_CHECK(put_entry(state, late->entry, *late->payload));
    state.payload_bytes += late->entry.payload_size();
  }
  state.held |= intake.added;
  state.payloads |= intake.payloads_added;
  state.deleted -= intake.payloads_added;
  state.verified |= intake.verified;
  return {};
}

Result<void> WriteTransaction::append(const LogState& state, const AcceptedEntry& accepted,
                                      bool with_payload) {
  return put_entry(state, accepted.entry(),
                   with_payload ? accepted.payload().value_or(ByteView{}) : ByteView{});
}

Result<void> WriteTransaction::put_entry(const LogState& state, const EntryView& entry,
                                         ByteView payload) {
  const SeqNum seqnum = entry.seqnum();
  detail::encode_entry(row_, entry.bytes(), is_inline(entry) ? payload : ByteView{});
  CULM_CHECK(put_row(Table::kEntries, detail::entry_row_key(state.number, seqnum)));
  if (is_inline(entry)) return {};
  if (payload.empty()) return {};
  const Stage stage = make_stage(state, seqnum);
  for (std::size_t offset = 0; offset < payload.size(); offset += limits::kPayloadChunkBytes) {
    const std::size_t size = std::min(payload.size() - offset, limits::kPayloadChunkBytes);
    CULM_CHECK(put_chunk(stage, offset, payload.subspan(offset, size)));
  }
  return put_stage({stage, detail::StageState::kPayload, payload.size()});
}

Result<std::optional<Defect>> WriteTransaction::record_evidence(const ProvenDefect& proven) {
  CULM_TRY(TouchedLog* const touched, touch(proven.log()));
  const Defect& defect = proven.defect();
  if (touched->state.cap != 0 && defect.at >= touched->state.cap) return std::nullopt;
  CULM_CHECK(noted(put_evidence(*touched, proven.evidence(), defect.at)));
  return defect;
}

Result<void> WriteTransaction::put_evidence(TouchedLog& touched, const Evidence& evidence,
                                            SeqNum at) {
  mark_changed(touched);
  touched.state.cap = at;
  detail::encode_evidence(row_, evidence);
  return put_row(Table::kEvidence, detail::entry_row_key(touched.state.number, at));
}

Result<void> WriteTransaction::set_interest(const LogKey& log, const LogInterest& interest) {
  if (interest.entries.ranges.ranges().size() > limits::kRangesPerLogMax) {
    return fail(Errc::kRangesTooMany);
  }
  CULM_TRY(TouchedLog* const touched, touch(log));
  if (touched->state.number != 0 && touched->state.interest == interest) return {};
  mark_changed(*touched);
  touched->state.interest = interest;
  return {};
}

Result<void> WriteTransaction::remember_peer(std::string_view address,
                                             const std::optional<sealing::PeerKey>& key) {
  CULM_ASSERT(address.size() <= kKnownPeerBytesMax);
  CULM_TRY(auto known, known_peers());
  auto peer = std::ranges::find(known, address, &KnownPeer::address);
  const bool is_new = peer == known.end();
  if (is_new) {
    if (known.size() >= kKnownPeersMax) known.erase(known.begin());
    peer = known.insert(known.end(), KnownPeer{std::string(address)});
  }
  auto& keys = peer->keys;
  const bool is_new_key = key && std::ranges::find(keys, *key) == keys.end();
  if (!is_new && !is_new_key) return {};
  if (is_new_key && keys.size() >= kPeerKeysMax) keys.erase(keys.begin());
  if (is_new_key) keys.push_back(*key);
  return put_peers(known);
}

Result<void> WriteTransaction::forget_peer(std::string_view address) {
  CULM_TRY(auto known, known_peers());
  const auto is_there = [&](const KnownPeer& peer) { return peer.address == address; };
  return std::erase_if(known, is_there) == 0 ? Result<void>() : put_peers(known);
}

Result<void> WriteTransaction::put_peers(const std::vector<KnownPeer>& peers) {
  detail::encode_peers(row_, peers);
  CULM_CHECK(noted(put_row(Table::kMeta, detail::peers_row_key())));
  detail::encode_peer_keys(row_, peers);
  return noted(put_row(Table::kMeta, detail::peer_keys_row_key()));
}

Result<void> WriteTransaction::put_change(LogState& state) {
  if (state.change != 0) {
    CULM_CHECK(kv_write_.erase(Table::kChanges, detail::change_row_key(state.change)));
  }
  state.change = ++meta_.last_change;
  detail::encode_change(row_, state.log);
  return put_row(Table::kChanges, detail::change_row_key(state.change));
}

Result<void> WriteTransaction::put_log(TouchedLog& touched) {
  if (detail::is_small(touched)) CULM_CHECK(complete(touched));
  CULM_CHECK(
      detail::write_log(kv_write_, touched.before.get(), touched.state, row_, touched.below));
  const bool is_whole = touched.from == 0;
  if (is_whole && detail::LogCache::is_kept(touched.state, row_)) touched.row = row_;
  return {};
}

Result<void> WriteTransaction::commit() {
  if (failed_) return fail(*failed_);
  bool is_changed = false;
  for (auto& [log, touched] : touched_logs_) {
    if (touched.is_changed) CULM_CHECK(put_change(touched.state));
    if (touched.is_changed || touched.is_marked) CULM_CHECK(put_log(touched));
    is_changed = is_changed || touched.is_changed;
  }
  if (is_changed || is_meta_changed_) {
    detail::encode_meta(row_, meta_);
    CULM_CHECK(put_row(Table::kMeta, detail::meta_row_key()));
  }
  CULM_CHECK(kv_write_.commit());
  for (const auto& [log, touched] : touched_logs_) {
    if (!touched.row.empty()) cache_->keep(touched.state, touched.row);
  }
  return {};
}

}  // namespace culm::store
