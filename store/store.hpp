#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/sealing.hpp"
#include "culm/feed/checked_unit.hpp"
#include "culm/store/kv.hpp"
#include "culm/store/log_state.hpp"

/// Durable logs over a `Kv`: the one store logic, whatever lies below. Spec: store.md
namespace culm::store {

/// Tells one store from another, not from copies that something else than a backup made of it.
using StoreId = std::array<std::uint8_t, 16>;

/// Bounds of `ReadTransaction::known_peers`.
inline constexpr std::size_t kKnownPeersMax = 16;
inline constexpr std::size_t kKnownPeerBytesMax = 300;
inline constexpr std::size_t kPeerKeysMax = 4;

/// Where a peer that the store has synced with was found, and whom.
struct KnownPeer {
  std::string address;
  /// Of those that answered there, the latest last, at most kPeerKeysMax; none where an older
  /// program kept the address.
  std::vector<sealing::PeerKey> keys{};

  [[nodiscard]] bool is_of(const sealing::PeerKey& key) const {
    return std::ranges::find(keys, key) != keys.end();
  }
  friend bool operator==(const KnownPeer&, const KnownPeer&) = default;
};

/// Rows that hold a large payload, or parts of one while it arrives. A payload may have several,
/// one for each that brings it; at most one becomes it. Never used for anything else again.
struct Stage {
  std::uint64_t number = 0;  ///< of its log; 0 while it is bound to no entry
  SeqNum seqnum = 0;         ///< of its entry, or the number that who brings the parts has claimed
  std::uint64_t id = 0;      ///< from 1

  friend bool operator==(const Stage&, const Stage&) = default;
};

/// A payload that is in the store before its entry, in a stage that is not bound to one.
struct StagedPayload {
  Stage stage;
  Hash hash;  ///< that its parts have together
  std::uint64_t size_bytes = 0;

  friend bool operator==(const StagedPayload&, const StagedPayload&) = default;
};

/// Who brings the parts of a stage.
struct Bearer {
  std::optional<sealing::PeerKey> peer{};  ///< nothing: several, or nobody in particular
  /// Nobody else is to go on with it: parts of several did not fit together once.
  bool is_alone = false;

  friend bool operator==(const Bearer&, const Bearer&) = default;
};

/// A stage that is nobody's payload.
struct UnfinishedStage {
  Stage stage;
  std::uint64_t size_bytes = 0;  ///< that are there
  Bearer bearer{};
  bool takes_parts = true;  ///< false: it is being erased, or its entry has a payload already
};

/// An entry as it is stored. Borrows from its transaction.
struct StoredEntry {
  EntryView entry;
  /// The payload, when it is held and lies in the entry's row, as every payload of up to
  /// limits::kPayloadInlineBytesMax bytes does.
  std::optional<ByteView> inline_payload;
};

/// What is damaged of a log. Spec: damage.md#damage
struct Damage {
  RangeSet entries;   ///< lost, and with them their payloads
  RangeSet payloads;  ///< lost, of entries that are not
  RangeSet rows;      ///< damaged; the entry in them proves itself: they can be written again

  [[nodiscard]] bool empty() const { return entries.empty() && payloads.empty() && rows.empty(); }
};

/// What damage took of a log, entries with their payloads and payloads alone. Spec:
/// damage.md#damage
struct Lost {
  RangeSet entries;
  RangeSet payloads;
  /// Of which only a state told that was lost: entries may never have been here, payloads neither,
  /// or were deleted. Also of what now counts as deleted.
  RangeSet untold{};

  [[nodiscard]] bool empty() const { return entries.empty() && payloads.empty(); }
  [[nodiscard]] Lost sure() const { return {entries - untold, payloads - untold}; }
  [[nodiscard]] Lost perhaps() const { return {entries & untold, payloads & untold}; }
  friend bool operator==(const Lost&, const Lost&) = default;
};

/// A state that is made again, and what may be lost, which it does not tell.
struct Restored {
  LogState state;
  Lost lost;
};

/// What a damaged row still says that proves itself.
struct Remains {
  EntryBuffer entry;
  /// Of a payload that is held and lies in the row, when it is whole.
  std::optional<Bytes> payload;
};

/// The entry whose row or payload the error says is damaged; 0 where it says no such thing.
[[nodiscard]] SeqNum damaged_entry(const Error& error) noexcept;

namespace detail {

/// What is known of the store as a whole.
struct StoreMeta {
  StoreId id{};
  std::uint64_t log_count = 0;  ///< logs have the numbers 1 to this one
  std::uint64_t last_change = 0;
  std::uint64_t last_stage = 0;
  std::uint64_t forgotten = 0;  ///< logs of that number that are known no more
};

struct StageRow;
class LogCache;

}  // namespace detail

/// A consistent view of the store. Stays in one thread and ends before its store does; what it
/// hands out lives as long as it does (in a write transaction: until its next write). Where a
/// `LogState` is asked for, it is the one that this transaction gives.
///
/// A row that was damaged, swapped or lost is kStoreDamaged, with the seqnum if it was an entry's;
/// any other failure of the disk is kStoreIo.
class ReadTransaction {
 public:
  ReadTransaction(ReadTransaction&&) noexcept = default;
  ReadTransaction& operator=(ReadTransaction&&) noexcept = default;
  ~ReadTransaction() = default;

  /// The state of `log`, or null when it is unknown. Damage to a row that was read or written
  /// before and has not changed may pass unseen; the audit sees it.
  [[nodiscard]] Result<SharedLogState> find_log(const LogKey& log) const;
  /// Fails with kLogUnknown.
  [[nodiscard]] Result<SharedLogState> get_log(const LogKey& log) const;
  /// What an author asks of a log, or nothing when it is unknown; shows what is held back too.
  [[nodiscard]] Result<std::optional<LogOutline>> find_outline(const LogKey& log) const;
  /// All logs whose author's hex starts with the hex digits `prefix`, ordered by key; at most
  /// `max`. Without the logs that became known in this transaction. Fails with kHexFormat.
  [[nodiscard]] Result<std::vector<LogKey>> list_logs(std::string_view prefix = {},
                                                      std::size_t max = SIZE_MAX) const;

  /// Nothing when the entry is not held.
  [[nodiscard]] Result<std::optional<StoredEntry>> find_entry(const LogState& log,
                                                              SeqNum seqnum) const;
  [[nodiscard]] Result<std::optional<EntryView>> find_entry(const LogOutline& log,
                                                            SeqNum seqnum) const;
  /// Fails with kEntryNotHeld.
  [[nodiscard]] Result<StoredEntry> get_entry(const LogState& log, SeqNum seqnum) const;

  /// Calls `visit` for the held entries of `seqnums`, ascending, while it returns true; hands its
  /// error on. `visit` does not write.
  using Visit = std::function<Result<bool>(const StoredEntry&)>;
  [[nodiscard]] Result<void> visit_entries(const LogState& log, const RangeSet& seqnums,
                                           const Visit& visit) const;

  /// As `visit_entries`, but passes over those that are damaged, also where `visit` is the one that
  /// says so. Returns them.
  [[nodiscard]] Result<RangeSet> visit_sound_entries(const LogState& log, const RangeSet& seqnums,
                                                     const Visit& visit) const;

  /// What is damaged of the held entries of `seqnums` and of their payloads. Reads all of these.
  [[nodiscard]] Result<Damage> find_damage(const LogState& log, const RangeSet& seqnums) const;
  /// What damage took of the log, at whatever time, that is still wanted and did not come again.
  [[nodiscard]] Result<Lost> find_lost(const LogState& log) const;
  /// What the row of a held entry says that proves itself, whether the row is damaged or not;
  /// nothing where the entry is lost.
  [[nodiscard]] Result<std::optional<Remains>> find_remains(const LogState& log,
                                                            SeqNum seqnum) const;
  /// What `drop_damaged` makes of a log whose state is damaged, before it drops anything. Fails
  /// with kStoreDamaged where no entry of the log can be read, and with kLogFragmented.
  [[nodiscard]] Result<Restored> restored_log(const LogKey& log) const;

  /// Part of a held payload from byte `offset`: at most `size_max` bytes, and possibly fewer
  /// because it borrows from one row; empty exactly at the end. Fails with kPayloadDeleted,
  /// kPayloadNotHeld.
  [[nodiscard]] Result<ByteView> read_payload(const LogState& log, SeqNum seqnum,
                                              std::uint64_t offset, std::size_t size_max) const;

  /// Stages that are nobody's payload: of payloads that arrive, of which parts have come, or that
  /// are half deleted; at most `max`. Costs what all large payloads of the store cost, one row
  /// each.
  [[nodiscard]] Result<std::vector<UnfinishedStage>> unfinished_stages(std::size_t max) const;
  /// Stages that are bound to no entry. `unfinished_stages` are without them.
  [[nodiscard]] Result<std::vector<Stage>> unbound_stages() const;
  /// Of entries of `seqnums` those stages that take parts, ascending by seqnum; at most `max`.
  /// Costs no more than the large payloads of the log, one row each, nor than ranges and what is
  /// found.
  [[nodiscard]] Result<std::vector<UnfinishedStage>> arriving_stages(
      const LogState& log, const RangeSet& seqnums, std::size_t max = SIZE_MAX) const;
  /// The part of a stage that begins at `offset`. Fails with kStoreDamaged where it is not there.
  [[nodiscard]] Result<ByteView> read_part(const Stage& stage, std::uint64_t offset) const;

  /// Whether there are rows of forgotten logs, because it was interrupted.
  [[nodiscard]] Result<bool> has_forgotten() const;

  /// Bytes of the parts of payloads that are nobody's payload: that arrive, or are being erased.
  /// Costs as `unfinished_stages`.
  [[nodiscard]] Result<std::uint64_t> staged_bytes() const;

  /// Where the bytes of the store's file are.
  [[nodiscard]] Result<KvSpace> space() const { return kv_->space(); }
  /// How long that file would be once it was compacted, within a few hundredths. Reads every row.
  [[nodiscard]] Result<std::uint64_t> packed_bytes() const;

  /// The recorded evidence against the log's author, lowest `at` first; at most `max`.
  [[nodiscard]] Result<std::vector<Evidence>> evidence(const LogState& log,
                                                       std::size_t max = SIZE_MAX) const;

  /// The peers that this store has synced with, in the order in which their addresses were first
  /// met; at most kKnownPeersMax.
  [[nodiscard]] Result<std::vector<KnownPeer>> known_peers() const;

  /// Numbers the latest change, that of this transaction not counted; 0 for a new store.
  [[nodiscard]] Result<std::uint64_t> last_change() const;
  /// The logs that changed after change `after`, in the order of their last change; at most `max`.
  struct Change {
    std::uint64_t number = 0;
    LogKey log;

    friend bool operator==(const Change&, const Change&) = default;
  };
  [[nodiscard]] Result<std::vector<Change>> changes(std::uint64_t after, std::size_t max) const;

 private:
  friend class Store;
  friend class StoreAudit;
  friend class WriteTransaction;

  explicit ReadTransaction(std::unique_ptr<KvReadTransaction> kv) : kv_(std::move(kv)) {}

  Result<std::optional<detail::UpperState>> read_log(const LogKey& log, SeqNum from) const;
  Result<void> check_absent(ByteView key) const;
  Result<void> check_no_logs() const;
  Result<StoredEntry> open_entry(const LogState& log, SeqNum seqnum, ByteView key,
                                 ByteView value) const;
  /// A stage of the entry: that of its payload, or any.
  Result<std::optional<detail::StageRow>> find_payload_stage(const LogState& log,
                                                             SeqNum seqnum) const;
  Result<std::optional<Stage>> find_stage(const LogState& log, SeqNum seqnum) const;
  Result<ByteView> get_chunk(const Stage& stage, const EntryView& entry,
                             std::uint64_t offset) const;
  Result<bool> is_proven_entry(const LogState& log, const EntryView& entry) const;
  Result<Lost> read_lost(const LogState& log) const;
  Result<bool> has_sound_payload(const LogState& log, const EntryView& entry) const;

  std::unique_ptr<KvReadTransaction> kv_;
  const detail::TouchedLogs* touched_ = nullptr;  // of the write transaction that this is
  detail::LogCache* cache_ = nullptr;             // of the store
};

class CheckedSignatures;

/// What `ingest` did.
struct IngestReport {
  RangeSet added;  ///< entries that were not held before
  RangeSet payloads_added;
  std::uint64_t payload_bytes_added = 0;
  std::uint64_t signatures_checked = 0;  ///< that the accepting rule asked for
  std::optional<Defect> defect;          ///< recorded evidence that lowered the cap
};

/// What came of one attempt to ingest a unit.
struct IngestAttempt {
  /// Empty where verdicts were missing: then nothing was changed.
  std::optional<IngestReport> report;
  /// To be checked outside of any write transaction (`CheckedUnit::check_missing`), before the next
  /// attempt. On a log that nobody changed meanwhile that one decides.
  std::vector<UncheckedEntry> missing;
};

/// The one writer at a time; `Store::update` makes and commits it. What is refused for its input
/// changes nothing, and the transaction goes on; after any other failure nothing of it is kept.
///
/// Damage ends with its rows. A call that meets the damaged row of an entry drops it, as
/// `drop_damaged` does, and goes on as if the entry had never been held; `dropped` tells of it,
/// also where the call then fails.
class WriteTransaction : public ReadTransaction {
 public:
  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;

  /// Decides upon a unit, and appends it: whole or not at all, idempotent. Checks no signature and
  /// hashes no payload; see `store::ingest` for a unit that stands alone. A log that was unknown
  /// becomes known when something of it is kept. Payloads are kept with their entries, also where
  /// those were held before; payloads in `deleted` are dropped without a word. Evidence that lowers
  /// the cap is recorded. Fails as `accept_unit` does, with kLogFragmented, or as the `Kv`.
  [[nodiscard]] Result<IngestAttempt> ingest(const CheckedUnit& unit,
                                             const AcceptOptions& options = {});

  /// The verdicts that `ingest` would be missing now. Changes nothing; fails as `accept_unit`.
  [[nodiscard]] Result<std::vector<UncheckedEntry>> find_missing(const CheckedUnit& unit,
                                                                 const AcceptOptions& options = {});

  /// Records evidence that came by itself; a log that was unknown becomes known. Returns what it
  /// proves, and nothing when it does not lower the cap: then it is not recorded.
  [[nodiscard]] Result<std::optional<Defect>> record_evidence(const ProvenDefect& proven);

  /// Adds the entries to `verified` that are still held; none where these would be too many ranges.
  /// No change of the log: nobody gets another answer by it. Fails with kLogUnknown.
  [[nodiscard]] Result<void> mark_verified(const CheckedSignatures& checked);

  /// Adds the address of a peer, and its key to those of this address; of either the one that was
  /// met first goes where there are too many. No change where they are known. Precondition: at most
  /// kKnownPeerBytesMax bytes.
  [[nodiscard]] Result<void> remember_peer(std::string_view address,
                                           const std::optional<sealing::PeerKey>& key);
  /// All that answered there. No change where it is not known.
  [[nodiscard]] Result<void> forget_peer(std::string_view address);

  /// Replaces the interest. A log that was unknown becomes known. Fails with kRangesTooMany.
  [[nodiscard]] Result<void> set_interest(const LogKey& log, const LogInterest& interest);
  /// Erases parts of payloads of the log that its interest does not want, and takes the rows that
  /// it touches from `rows_left` while there are any; whether no part is left. Who brings more of
  /// one is told as after `drop_stage`. Fails with kLogUnknown.
  [[nodiscard]] Result<bool> drop_unwanted_parts(const LogKey& log, std::size_t& rows_left);

  /// Deletes the payloads of `seqnums` (held or not) and remembers not to take them again, lowest
  /// first, until about `rows_max` rows were touched. Returns what of `seqnums` remains for the
  /// next step; the same call does no harm where it was interrupted. Entries stay. Fails with
  /// kLogUnknown, kLogFragmented.
  [[nodiscard]] Result<RangeSet> delete_payloads(const LogKey& log, const RangeSet& seqnums,
                                                 std::size_t rows_max);
  /// The same, and takes the rows that it touches from `rows_left`.
  [[nodiscard]] Result<RangeSet> delete_within(const LogKey& log, const RangeSet& seqnums,
                                               std::size_t& rows_left);
  /// Reads what is held of `seqnums` and drops what is damaged, see `find_damage`: an entry that
  /// is lost is held no longer, nor is its payload; of one that proves itself only the payload
  /// goes, where that is damaged. Both may be taken again. Returns the seqnums. Where an entry is
  /// lost, the payloads that are left are counted again: that costs a look at each of their rows,
  /// and drops entries that are lost there too. Where it was the highest held, the store gets
  /// another id. Where the state of the log is damaged it is made of the log's rows first: what is
  /// here is wanted then, and payloads that are not count as deleted. What entries lead to and is
  /// not here counts as lost from then on. Where the list of known peers is damaged it goes as
  /// well. Fails with kLogUnknown, kLogFragmented, and with kStoreDamaged
  /// where no row says which log it is of.
  [[nodiscard]] Result<RangeSet> drop_damaged(const LogKey& log, const RangeSet& seqnums);
  /// What was dropped for its damage so far.
  using Dropped = std::map<LogKey, RangeSet>;
  [[nodiscard]] const Dropped& dropped() const noexcept { return dropped_; }
  /// Makes the log unknown at once; its rows are left for `erase_forgotten`. Nothing keeps it from
  /// becoming known again, as another one. Fails with kLogUnknown.
  [[nodiscard]] Result<void> forget(const LogKey& log);
  /// Erases rows of forgotten logs, until about `rows_max` rows were touched; whether none are
  /// left.
  [[nodiscard]] Result<bool> erase_forgotten(std::size_t rows_max);
  /// Payloads of `seqnums` may be taken again. Fails with kLogUnknown, kLogFragmented.
  [[nodiscard]] Result<void> undelete_payloads(const LogKey& log, const RangeSet& seqnums);
  /// From here on this transaction takes payloads of `seqnums` though they were deleted: one that
  /// becomes held is deleted no longer, the others stay so. Replaces what was said before.
  void undelete_as_taken(RangeSet seqnums) { undeleting_ = std::move(seqnums); }

  /// Keeps the payload of a held entry, of any size. `payload_hash` is what the caller made of it:
  /// nothing is hashed here. False where it is not taken: it is held, or deleted. Fails with
  /// kLogUnknown, kEntryNotHeld, kLogCapped, kPayloadTooLarge, kLogFragmented; with kPayloadSize,
  /// kPayloadHash when it is not the entry's.
  [[nodiscard]] Result<bool> put_payload(const LogKey& log, SeqNum seqnum, ByteView payload,
                                         const Hash& payload_hash);

  /// Begins a stage for the payload of a held entry that arrives in parts: rows of its own, so that
  /// several may bring one payload and a wrong part spoils nobody else's. Nothing where the payload
  /// is not taken. Fails as `put_payload`; with kPayloadSize where it would be a single part.
  [[nodiscard]] Result<std::optional<Stage>> begin_stage(const LogKey& log, SeqNum seqnum,
                                                         const Bearer& bearer = {});
  /// Writes the next part of the payload, over as many transactions as it takes. `offset` is where
  /// the parts before it end; each but the last has limits::kPayloadChunkBytes. False where nothing
  /// is written, because the payload is held by now, or deleted, or the stage was dropped. A `peer`
  /// that is not the stage's bearer makes it one of several. Fails as `begin_stage`, and with
  /// kPayloadSize when that part is not the next, or `is_last` and is not.
  [[nodiscard]] Result<bool> put_stage_part(
      const LogKey& log, const Stage& stage, std::uint64_t offset, ByteView part,
      const std::optional<sealing::PeerKey>& peer = std::nullopt, bool is_last = false);
  /// Declares that the stage is the payload. `payload_hash` is what the caller made of the parts
  /// that it put there: nothing is hashed here, nor copied. False as `put_stage_part`. Fails as
  /// that, with kPayloadSize when parts are missing, with kPayloadHash when the entry says
  /// otherwise.
  [[nodiscard]] Result<bool> finish_stage(const LogKey& log, const Stage& stage,
                                          const Hash& payload_hash);
  /// Begins a stage that is bound to no entry, for a payload that is larger than
  /// limits::kPayloadInlineBytesMax and has no entry yet. `claim`: see `Store::claim`.
  [[nodiscard]] Result<Stage> begin_unbound_stage(const KvClaim& claim);
  /// As `put_stage_part`; behind a part that is shorter than limits::kPayloadChunkBytes none comes.
  /// Fails with kPayloadSize, kPayloadTooLarge, and with kPayloadNotHeld when the stage is gone.
  [[nodiscard]] Result<void> put_unbound_part(const Stage& stage, std::uint64_t offset,
                                              ByteView part);
  /// Makes the stage the payload of a held entry, as `finish_stage` does, and copies nothing. False
  /// where that payload is not taken: it is held, or deleted. Fails as `put_payload`, and with
  /// kPayloadNotHeld when the stage is gone.
  [[nodiscard]] Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                        const StagedPayload& staged);
  /// Erases stages that are bound to no entry and that nobody claims, until `rows_max` rows were
  /// touched; whether none are left.
  using IsClaimed = std::function<bool(std::uint64_t claim)>;
  [[nodiscard]] Result<bool> drop_unclaimed(const IsClaimed& is_claimed, std::size_t rows_max);
  /// Erases a stage, unless it is a payload, until `rows_left` rows were touched, and counts them
  /// there; whether nothing is left to erase. One whose own row is damaged goes too. Where
  /// something is, the stage takes no more parts; so it does at once with 0 rows.
  [[nodiscard]] Result<bool> drop_stage(const Stage& stage, std::size_t& rows_left);

 private:
  friend class Store;

  WriteTransaction(std::unique_ptr<KvWriteTransaction> kv, const detail::StoreMeta& meta);

  struct Intake;

  /// Makes the call again whenever the damaged entry that it met could be dropped.
  template <class Call>
  auto without_damage(const LogKey& log, Call call) -> decltype(call()) {
    for (;;) {
      auto result = call();
      const SeqNum damaged = result ? 0 : damaged_entry(result.error());
      if (damaged == 0) return result;
      CULM_TRY(const RangeSet dropped, drop_damaged(log, RangeSet{{damaged, damaged}}));
      if (dropped.empty()) return result;
    }
  }
  [[nodiscard]] bool is_barred(const LogState& state, SeqNum seqnum) const;
  Result<void> release_stage(const LogState& state, SeqNum seqnum);
  Result<void> restore_log(const LogKey& log);
  Result<void> drop(detail::TouchedLog& touched, const Damage& damage);
  Result<void> forget_entries(detail::TouchedLog& touched, RangeSet lost);
  Result<void> remember_lost(const LogState& state, const Lost& lost);
  enum class WithPayload { kNever, kIfWhole };
  Result<bool> restore_row(LogState& state, SeqNum seqnum, WithPayload payload);
  void change_id();

  Result<IngestAttempt> ingest_once(const CheckedUnit& unit, const AcceptOptions& options);
  Result<detail::TouchedLog*> touch(const LogKey& log, SeqNum from = 0);
  Result<detail::TouchedLog*> touch_known(const LogKey& log, SeqNum from = 0);
  Result<void> complete(detail::TouchedLog& touched);
  void mark_changed(detail::TouchedLog& touched);

  Result<UnitVerdict> judge(detail::TouchedLog& touched, const CheckedUnit& unit,
                            const AcceptOptions& options);
  Result<Intake> plan(const detail::TouchedLog& touched, std::span<const UnitEntry> unit,
                      const UnitVerdict& verdict, SeqNum cap) const;
  Result<void> take(detail::TouchedLog& touched, const UnitVerdict& verdict, Intake intake);
  Result<void> append(const LogState& state, const AcceptedEntry& accepted, bool with_payload);
  Result<void> put_entry(const LogState& state, const EntryView& entry, ByteView payload);
  void hold_payload(detail::TouchedLog& touched, const EntryView& entry);
  /// An entry whose payload may be taken.
  struct Wanted {
    detail::TouchedLog* touched;
    StoredEntry stored;
  };
  Result<std::optional<Wanted>> find_wanted(const LogKey& log, SeqNum seqnum);
  Result<std::optional<Wanted>> find_wanted_once(const LogKey& log, SeqNum seqnum);
  Result<std::optional<detail::StageRow>> find_row(const Stage& stage) const;
  Result<bool> erase_stage(detail::StageRow& stage, std::size_t& rows_left);
  Stage make_stage(const LogState& state, SeqNum seqnum);
  Result<detail::StageRow> get_unbound(const Stage& stage) const;
  Result<void> put_stage(const detail::StageRow& row);
  Result<void> put_chunk(const Stage& stage, std::uint64_t offset, ByteView chunk);
  Result<RangeSet> delete_step(detail::TouchedLog& touched, const RangeSet& seqnums,
                               std::size_t& rows_left);
  Result<void> forget_payload(LogState& state, SeqNum seqnum);
  Result<bool> drop_stages_of(const LogState& state, SeqNum seqnum, std::size_t& rows_left);
  Result<SeqNum> find_staged(const LogState& state, const RangeSet& seqnums, SeqNum from) const;
  Result<void> put_evidence(detail::TouchedLog& touched, const Evidence& evidence, SeqNum at);

  Result<bool> erase_rows(Table table, std::uint64_t number, std::size_t& rows_left);
  Result<bool> erase_stages(std::uint64_t number, std::size_t& rows_left);

  Result<void> put_row(Table table, ByteView key);
  Result<void> put_peers(const std::vector<KnownPeer>& peers);
  Result<void> put_change(LogState& state);
  Result<void> put_log(detail::TouchedLog& touched);
  Result<void> commit();
  /// After a failure in the midst of writing nothing of the transaction counts.
  template <class T>
  Result<T> noted(Result<T> result) {
    if (!result) failed_ = result.error();
    return result;
  }

  KvWriteTransaction& kv_write_;  // the same that the base owns
  detail::StoreMeta meta_;
  bool is_meta_changed_ = false;
  bool is_deletion_ = false;  ///< see `Store::deletions`
  detail::TouchedLogs touched_logs_;
  Dropped dropped_;
  RangeSet undeleting_;
  Bytes row_;  // the row being written, kept for its memory
  std::optional<Error> failed_;
};

/// A store. Safe to use from several threads; each transaction stays in one.
class Store {
 public:
  /// Opens what `kv` holds, or makes a new store in it when it is empty and writable. Fails with
  /// kStoreVersion, kStoreNotFound (empty and read-only), kStoreDamaged.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(std::unique_ptr<Kv> kv, Random& random);
  ~Store();

  /// As it was when the store was opened.
  [[nodiscard]] const StoreId& id() const noexcept { return id_; }
  /// Whether `open` has made it. Of those who open what is empty at once, one has.
  [[nodiscard]] bool was_made() const noexcept { return was_made_; }
  [[nodiscard]] Result<ReadTransaction> read() const;

  /// Runs `body` in a write transaction and commits, durably. When the store is full it is grown
  /// and `body` runs again from the start, so `body` must not keep what it did the first time. No
  /// transaction of the calling thread may be open. Where nothing changed, nothing is written.
  /// Fails with the error of `body`, kStoreFull, kStoreReadOnly, or kStoreIo, after which only
  /// opening the store again tells whether the commit happened.
  using Body = std::function<Result<void>(WriteTransaction&)>;
  [[nodiscard]] Result<void> update(const Body& body);

  /// Gives the disk back what is free, such as what deleted payloads have left: see `Kv::compact`.
  /// No transaction of the calling thread may be open.
  /// On a full disk it uses the store's reserve.
  [[nodiscard]] Result<void> compact();

  /// One step of a deletion in a transaction of its own: see `WriteTransaction::delete_payloads`.
  /// It touches limits::kRowsPerStepMax rows, so that others get to write between steps, and fewer
  /// on a full disk, where the last resort is the store's reserve. Returns what of `seqnums` is
  /// left for the next step.
  [[nodiscard]] Result<RangeSet> delete_payloads(const LogKey& log, const RangeSet& seqnums);

  /// For who stages a payload before its entry: as long as it lives, nobody takes what was staged
  /// under it for something that a process left which was killed. Fails with kStoreIo.
  [[nodiscard]] Result<KvClaim> claim() const { return kv_->claim(); }
  /// One step of erasing what such a process left, as those of `delete_payloads`; whether nothing
  /// is left. Where there is nothing it costs a look.
  [[nodiscard]] Result<bool> reclaim();

  /// Entries of the log from `from` on are not served, by what is read through this object, until
  /// `release`: for as long as an author's new entries are stored and their mark is not. Replaces
  /// what was said before of this log. From any thread.
  void hold_back(const LogKey& log, SeqNum from);
  void release(const LogKey& log);

  /// Rises with each update of this object that keeps more payloads from being taken (again). From
  /// any thread.
  [[nodiscard]] std::uint64_t deletions() const noexcept { return deletions_; }
  /// The logs of which updates of this object have dropped what was damaged, since the last call:
  /// they may be asked for again. From any thread.
  [[nodiscard]] std::set<LogKey> take_damaged();

 private:
  Store(std::unique_ptr<Kv> kv, const StoreId& id);

  Result<void> update_once(const Body& body);
  static Result<void> touch_meta(WriteTransaction& transaction);
  using Step = std::function<Result<void>(WriteTransaction&, std::size_t rows_max)>;
  Result<void> update_within_room(const Step& step);

  std::unique_ptr<Kv> kv_;
  std::unique_ptr<detail::LogCache> cache_;
  StoreId id_;
  bool was_made_ = false;
  std::atomic<std::size_t> rows_per_step_ = limits::kRowsPerStepMax;  ///< for which there was room
  std::atomic<std::uint64_t> deletions_ = 0;
  std::mutex damaged_mutex_;
  std::set<LogKey> damaged_;
};

}  // namespace culm::store
