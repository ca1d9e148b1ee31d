#include "culm/store/detail/reconciliation.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

class Reconciliation {
 public:
  Reconciliation(KvWriteTransaction& kv, Random& random, LostRows lost, const PageFile& file)
      : kv_(kv),
        random_(random),
        lost_(std::move(lost)),
        entries_before_(file.rows_of(Table::kEntries)),
        logs_before_(file.rows_of(Table::kLogs)),
        pages_(file.pages()),
        are_logs_counted_(file.counts_rows_of(Table::kLogs)),
        may_be_older_(file.may_be_older()),
        is_new_id_(file.may_be_older() || file.are_tables_damaged()) {}

  Result<void> run() {
    CULM_CHECK(find_meta());
    CULM_CHECK(settle_lost());
    CULM_CHECK(find_logs());
    CULM_CHECK(bound_numbers());
    CULM_CHECK(find_numbers());
    if (may_be_older_) CULM_CHECK(doubt_states());
    CULM_CHECK(check_evidence());
    if (states_.empty() && stateless_.empty() && !has_meta_) return fail(Errc::kStoreDamaged);
    CULM_CHECK(check_entries());
    CULM_CHECK(keep_old_states());
    CULM_CHECK(check_stages());
    CULM_CHECK(check_blocks());
    CULM_CHECK(check_parts());
    CULM_CHECK(check_lost());
    CULM_CHECK(remember_lost());
    CULM_CHECK(count_named());
    return put_meta();
  }

  [[nodiscard]] Reconciled result() const {
    const std::size_t logs = states_.size() + stateless_.size();
    Reconciled made{entries_,
                    named_,
                    {},
                    are_logs_counted_ && logs > logs_before_,
                    are_logs_counted_ && logs == logs_before_};
    for (const auto& [log, number] : stateless_) {
      if (lost_.old_numbers.contains(number)) made.old_logs.insert(log);
    }
    for (const auto& [number, log] : states_) {
      const bool is_doubted = doubted_.contains(log) || lost_.forgotten.contains(number);
      if (may_be_older_ && is_doubted) made.old_logs.insert(log);
    }
    return made;
  }

 private:
  template <class Visit>
  Result<void> for_each(Table table, ByteView from, Visit visit) {
    CULM_TRY(const auto cursor, kv_.cursor(table));
    CULM_TRY(auto row, cursor->seek(from));
    while (row) {
      CULM_CHECK(visit(*row));
      CULM_TRY(row, cursor->next());
    }
    return {};
  }

  Result<void> erase(Table table, const KvRow& row) {
    const Bytes key(row.key.begin(), row.key.end());
    return kv_.erase(table, key);
  }

  Result<void> find_meta() {
    CULM_TRY(const auto value, kv_.get(Table::kMeta, meta_row_key()));
    if (value) {
      CULM_TRY(const ByteView body, unseal(Table::kMeta, meta_row_key(), *value));
      CULM_TRY(meta_, decode_meta(body));
    }
    has_meta_ = value.has_value();
    return for_each(Table::kMeta, forgotten_row_key(0), [&](const KvRow& row) {
      const std::uint64_t number = parse_forgotten_row_key(row.key);
      if (number != 0) forgotten_.insert(number);
      return Result<void>();
    });
  }

  /// Where the rows that a tree leads to are those of all logs, others are of logs forgotten since.
  Result<void> settle_lost() {
    std::uint64_t found = 0;
    CULM_CHECK(for_each(Table::kLogs, log_row_key({}), [&](const KvRow& /*row*/) {
      ++found;
      return Result<void>();
    }));
    found -= lost_.logs.size();
    are_all_known_ = (has_meta_ && !lost_.has_meta && found == meta_.log_count - meta_.forgotten) ||
                     (are_logs_counted_ && found == logs_before_);
    if (!are_all_known_) return {};
    for (const LogKey& log : lost_.logs) {
      CULM_CHECK(kv_.erase(Table::kLogs, log_row_key(log)));
    }
    return {};
  }

  /// Those whose states are whole, with the rows of `changes`, which these say.
  Result<void> find_logs() {
    std::set<std::uint64_t> changes;
    CULM_CHECK(for_each(Table::kLogs, log_row_key({}), [&](const KvRow& row) -> Result<void> {
      CULM_TRY(const LogKey log, parse_log_row_key(row.key));
      const auto state = read_state(log, row.value);
      const bool is_good = state && !states_.contains(state->number) &&
                           !forgotten_.contains(state->number) &&
                           changes.insert(state->change).second;
      if (!is_good) {
        stateless_.emplace(log, 0);
        return {};
      }
      states_.emplace(state->number, log);
      meta_.log_count = std::max(meta_.log_count, state->number);
      meta_.last_change = std::max(meta_.last_change, state->change);
      return {};
    }));
    for (const auto& [number, log] : states_) {
      CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log)));
      CULM_TRY(const auto opened, open_log(log, *value));
      Bytes row;
      encode_change(row, log);
      const auto key = change_row_key(opened.state.change);
      seal(row, Table::kChanges, key);
      CULM_CHECK(kv_.put(Table::kChanges, key, row));
    }
    return {};
  }

  Result<LogState> read_state(const LogKey& log, ByteView value) const {
    CULM_TRY(auto opened, open_log(log, value));
    return read_sets(kv_, std::move(opened));
  }

  /// They are given in turn: what is far above those of rows that are no older ones is made up.
  Result<void> bound_numbers() {
    if (!states_.empty()) last_number_ = states_.rbegin()->first;
    if (!lost_.sure_numbers.empty()) {
      last_number_ = std::max(last_number_, *lost_.sure_numbers.rbegin());
    }
    if (lost_.has_meta && is_made_up(meta_.log_count)) meta_.log_count = last_number_;
    last_number_ = std::max(last_number_, meta_.log_count);
    for (auto number = forgotten_.begin(); number != forgotten_.end();) {
      if (is_made_up(*number)) {
        CULM_CHECK(kv_.erase(Table::kMeta, forgotten_row_key(*number)));
        number = forgotten_.erase(number);
      } else {
        ++number;
      }
    }
    return {};
  }

  bool is_made_up(std::uint64_t number) const {
    return number > last_number_ && number - last_number_ > pages_;
  }

  /// Logs of which entries are here, and whose states are lost. One with a number that was not
  /// given yet is of a later commit than the states.
  Result<void> find_numbers() {
    CULM_TRY(const auto cursor, kv_.cursor(Table::kEntries));
    std::set<LogKey> known;
    for (const auto& [number, log] : states_) known.insert(log);
    std::map<LogKey, std::uint64_t> found;
    CULM_TRY(auto row, cursor->seek(entry_row_key(0, 0)));
    while (row) {
      CULM_TRY(const auto place, parse_row_place(row->key));
      const bool is_settled = states_.contains(place.number) || forgotten_.contains(place.number);
      const auto opened = is_settled ? fail(Errc::kStoreDamaged) : open_entry_row(*row);
      const bool may_be_given = opened && !is_made_up(place.number);
      if (may_be_given) found.insert_or_assign(opened->entry.log(), place.number);
      if (!opened && !is_settled) {
        CULM_TRY(row, cursor->next());
        continue;
      }
      if (place.number == UINT64_MAX) break;
      CULM_TRY(row, cursor->seek(entry_row_key(place.number + 1, 0)));
    }
    std::erase_if(found, [&](const auto& log) { return known.contains(log.first); });
    // Where those that were not found in old pages alone are all, others were forgotten.
    const auto sure = std::ranges::count_if(
        found, [&](const auto& log) { return lost_.sure_numbers.contains(log.second); });
    const bool are_sure_all =
        are_logs_counted_ && states_.size() + static_cast<std::size_t>(sure) >= logs_before_;
    for (const auto& [log, number] : found) {
      const bool may_be = (!are_all_known_ || stateless_.contains(log)) &&
                          (!are_sure_all || lost_.sure_numbers.contains(number));
      const bool is_later = may_be_older_ && number > last_number_;
      if (!may_be && !is_later) continue;
      stateless_.insert_or_assign(log, number);
      meta_.log_count = std::max(meta_.log_count, number);
    }
    return settle_stateless();
  }

  /// Each gets a row that is damaged, so that it is made again; of which nothing is here, goes.
  Result<void> settle_stateless() {
    for (auto log = stateless_.begin(); log != stateless_.end();) {
      is_new_id_ = true;
      const auto key = log_row_key(log->first);
      if (log->second == 0) {
        CULM_CHECK(kv_.erase(Table::kLogs, key));
        log = stateless_.erase(log);
        continue;
      }
      CULM_CHECK(kv_.put(Table::kLogs, key, kLostState));
      numbers_.insert(log->second);
      ++log;
    }
    for (const auto& [number, log] : states_) numbers_.insert(number);
    return {};
  }

  /// A later commit may have changed them, and all that rows claim of that is unproven but entries,
  /// which their author signed: where there are some that a state does not know it is made again
  /// with these.
  Result<void> doubt_states() {
    const auto states = states_;
    for (const auto& [number, log] : states) {
      CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log)));
      CULM_TRY(LogState state, read_state(log, *value));
      const auto found = lost_.old_states.find(log);
      if (found != lost_.old_states.end()) {
        const LogState& other = found->second.newest.state;
        const bool is_later =
            std::pair(other.number, other.change) > std::pair(number, state.change);
        if (is_later) doubted_.insert(log);
      }
      if (!lost_.old_numbers.contains(number)) continue;
      whole_.emplace(log, std::move(state));
      states_.erase(number);
      stateless_.emplace(log, number);
    }
    return settle_stateless();
  }

  /// A cap without its evidence.
  Result<void> check_evidence() {
    std::map<std::uint64_t, LogKey> uncapped;
    for (const auto& [number, log] : states_) {
      CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log)));
      CULM_TRY(const auto opened, open_log(log, *value));
      if (opened.state.cap == 0) continue;
      const auto key = entry_row_key(number, opened.state.cap);
      CULM_TRY(const auto evidence, kv_.get(Table::kEvidence, key));
      if (!evidence) uncapped.emplace(number, log);
    }
    for (const auto& [number, log] : uncapped) {
      states_.erase(number);
      stateless_.insert_or_assign(log, number);
    }
    return settle_stateless();
  }

  bool is_known(std::uint64_t number) const {
    return numbers_.contains(number) || forgotten_.contains(number);
  }
  /// Not what was erased before.
  bool is_counted(std::uint64_t number) const {
    return numbers_.contains(number) || lost_.sure_numbers.contains(number);
  }

  /// Rows that lay in pages which nothing leads to may be older than the state of their log.
  Result<void> check_entries() {
    std::optional<LogState> state;
    return for_each(Table::kEntries, entry_row_key(0, 0), [&](const KvRow& row) -> Result<void> {
      CULM_TRY(const auto place, parse_row_place(row.key));
      if (!is_known(place.number)) return erase(Table::kEntries, row);
      if (is_counted(place.number)) ++entries_;
      CULM_CHECK(find_state(state, place.number));
      return state ? check_entry(*state, row, place.seqnum) : Result<void>();
    });
  }

  Result<void> check_entry(const LogState& state, const KvRow& row, SeqNum seqnum) {
    if (!state.held.contains(seqnum)) {
      --entries_;
      return erase(Table::kEntries, row);
    }
    const auto opened = open_entry_row(row);
    if (!opened || !is_inline(opened->entry)) return {};
    const bool has_payload = opened->payload.size() == opened->entry.payload_size();
    const bool is_due = state.payloads.contains(seqnum);
    if (is_due && !has_payload) {  // damaged: the entry may still prove itself
      const Bytes key(row.key.begin(), row.key.end());
      Bytes value(row.value.begin(), row.value.end());
      value.back() ^= 1U;
      return kv_.put(Table::kEntries, key, value);
    }
    return is_due || opened->payload.empty() ? Result<void>() : put_bare(row, *opened);
  }

  /// The entry without its payload.
  Result<void> put_bare(const KvRow& row, const EntryRow& opened) {
    Bytes value;
    const auto bytes = opened.entry.bytes();
    encode_entry(value, Bytes(bytes.begin(), bytes.end()), {});
    const Bytes key(row.key.begin(), row.key.end());
    seal(value, Table::kEntries, key);
    return kv_.put(Table::kEntries, key, value);
  }

  /// What older states tell of a lost one, or what the one tells that is made again, as all that is
  /// known. What was deleted at any time stays so.
  Result<void> keep_old_states() {
    for (const auto& [log, number] : stateless_) {
      LogState state;
      state.log = log;
      state.number = number;
      const auto whole = whole_.find(log);
      const auto old = lost_.old_states.find(log);
      if (whole != whole_.end()) {
        state.interest = whole->second.interest;
        state.deleted = whole->second.deleted;
        CULM_CHECK(delete_payloads(number, state.deleted));
      } else if (old != lost_.old_states.end() && old->second.newest.state.number == number) {
        CULM_CHECK(take_old_state(state, old->second));
      } else {
        continue;
      }
      deleted_.emplace(number, state.deleted);
      const bool is_kept = state.deleted.ranges().size() <= limits::kRangesPerLogMax;
      if (is_kept) CULM_CHECK(write_lost_log(kv_, std::move(state)));
    }
    return {};
  }

  /// Also what sound rows lack counts as deleted. It may never have been here.
  Result<void> take_old_state(LogState& state, const OldState& old) {
    const auto& [newest, blocks] = old.newest;
    state.interest = newest.interest;
    if (blocks[kInterestSet].count != 0) state.interest.entries = everything();
    CULM_TRY(state.deleted, read_sound_blocks(kv_, state.number, kDeletedSet));
    state.deleted |= old.deleted;
    CULM_TRY(const RangeSet bare, delete_payloads(state.number, state.deleted));
    state.deleted |= bare;
    return add_lost(state.number, {}, bare);
  }

  /// Returns of which others sound rows lack the payload.
  Result<RangeSet> delete_payloads(std::uint64_t number, const RangeSet& deleted) {
    RangeSet bare;
    CULM_TRY(const auto cursor, kv_.cursor(Table::kEntries));
    CULM_TRY(auto row, cursor->seek(entry_row_key(number, 0)));
    while (row) {
      CULM_TRY(const auto place, parse_row_place(row->key));
      if (place.number != number) break;
      const auto opened = open_entry_row(*row);
      if (opened && deleted.contains(place.seqnum)) {
        if (!opened->payload.empty()) CULM_CHECK(put_bare(*row, *opened));
      } else if (opened && is_inline(opened->entry) && opened->payload.empty()) {
        bare.insert(place.seqnum);
      }
      CULM_TRY(row, cursor->next());
    }
    return bare;
  }

  /// One that arrives goes where a part of it is lost; so does what nobody knows of, as where the
  /// entry or a row that says so was lost.
  Result<void> check_stages() {
    std::optional<LogState> state;
    RowPlace payload;  // the last
    return for_each(Table::kStages, stage_row_key(0, 0, 0), [&](const KvRow& row) -> Result<void> {
      const auto opened = open_stage(row);
      if (!opened) return erase(Table::kStages, row);
      const auto [number, seqnum, id] = opened->stage;
      const bool is_payload = opened->state == StageState::kPayload;
      if (number != 0) {
        CULM_TRY(const auto entry, kv_.get(Table::kEntries, entry_row_key(number, seqnum)));
        CULM_CHECK(find_state(state, number));
        const bool is_second = is_payload && payload.number == number && payload.seqnum == seqnum;
        const auto deleted = deleted_.find(number);
        const bool may_be = state ? state->payloads.contains(seqnum)
                                  : deleted == deleted_.end() || !deleted->second.contains(seqnum);
        const bool is_theirs = !is_payload || may_be;
        if (!entry || is_second || !is_theirs) return erase(Table::kStages, row);
        if (is_payload) payload = {number, seqnum, id};
      }
      CULM_TRY(const std::uint64_t bytes, count_part_bytes(id));
      if (opened->state == StageState::kArriving && bytes != opened->size_bytes) {
        return erase(Table::kStages, row);
      }
      stages_.insert(id);
      meta_.last_stage = std::max(meta_.last_stage, id);
      return {};
    });
  }

  /// None where it is lost.
  Result<void> find_state(std::optional<LogState>& state, std::uint64_t number) const {
    if (state && state->number == number) return {};
    state.reset();
    const auto log = states_.find(number);
    if (log == states_.end()) return {};
    CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log->second)));
    CULM_TRY(state, read_state(log->second, *value));
    return {};
  }

  Result<std::uint64_t> count_part_bytes(std::uint64_t stage) const {
    std::uint64_t bytes = 0;
    CULM_TRY(const auto cursor, kv_.cursor(Table::kPayloads));
    CULM_TRY(auto row, cursor->seek(chunk_row_key(stage, 0)));
    while (row) {
      CULM_TRY(const auto place, parse_chunk_place(row->key));
      if (place.stage != stage) break;
      bytes += row->value.size() - 1 - kChecksumSizeBytes;
      CULM_TRY(row, cursor->next());
    }
    return bytes;
  }

  Result<void> check_parts() {
    return for_each(Table::kPayloads, chunk_row_key(0, 0), [&](const KvRow& row) -> Result<void> {
      CULM_TRY(const auto place, parse_chunk_place(row.key));
      meta_.last_stage = std::max(meta_.last_stage, place.stage);
      return stages_.contains(place.stage) ? Result<void>() : erase(Table::kPayloads, row);
    });
  }

  /// A state that is made again has those alone that were written with what is known of it.
  Result<void> check_blocks() {
    CULM_CHECK(for_each(Table::kSets, set_row_key(0, 0, 0), [&](const KvRow& row) -> Result<void> {
      CULM_TRY(const auto place, parse_set_place(row.key));
      const bool is_kept = states_.contains(place.number) || deleted_.contains(place.number) ||
                           forgotten_.contains(place.number);
      return is_kept ? Result<void>() : erase(Table::kSets, row);
    }));
    return for_each(Table::kEvidence, entry_row_key(0, 0), [&](const KvRow& row) -> Result<void> {
      CULM_TRY(const auto place, parse_row_place(row.key));
      return is_known(place.number) ? Result<void>() : erase(Table::kEvidence, row);
    });
  }

  /// A number that no log has may be given to a new one.
  Result<void> check_lost() {
    return for_each(Table::kMeta, lost_row_key(0), [&](const KvRow& row) -> Result<void> {
      const std::uint64_t number = parse_lost_row_key(row.key);
      const bool is_kept = number == 0 || numbers_.contains(number);
      return is_kept ? Result<void>() : erase(Table::kMeta, row);
    });
  }

  /// Where the state of one log alone is lost, the rows that the tree of entries had besides those
  /// of the others were of that log. Its highest entry had at least their number as its seqnum.
  Result<void> remember_lost() {
    const bool is_one = stateless_.size() == 1 && states_.size() + 1 == logs_before_;
    if (!is_one || !forgotten_.empty()) return {};
    std::uint64_t had = entries_before_;
    for (const auto& [number, log] : states_) {
      CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log)));
      CULM_TRY(const LogState state, read_state(log, *value));
      had -= std::min(had, state.held.count());
    }
    const std::uint64_t number = stateless_.begin()->second;
    CULM_TRY(const SeqNum head, find_last_entry(number));
    return had <= head ? Result<void>() : add_lost(number, {{head + 1, had}}, {});
  }

  Result<void> add_lost(std::uint64_t number, const RangeSet& entries, const RangeSet& untold) {
    if (entries.empty() && untold.empty()) return {};
    const auto key = lost_row_key(number);
    CULM_TRY(const auto value, kv_.get(Table::kMeta, key));
    Lost lost = open_lost(number, value);
    lost.entries |= entries;
    lost.untold |= untold;
    Bytes row;
    encode_lost(row, lost);
    seal(row, Table::kMeta, key);
    return kv_.put(Table::kMeta, key, row);
  }

  Result<void> count_named() {
    for (const auto& [number, log] : states_) {
      CULM_TRY(const auto value, kv_.get(Table::kLogs, log_row_key(log)));
      CULM_TRY(const LogState state, read_state(log, *value));
      named_ += state.held.count();
    }
    return for_each(Table::kEntries, entry_row_key(0, 0), [&](const KvRow& row) {
      const auto place = parse_row_place(row.key);
      if (place && !states_.contains(place->number) && is_counted(place->number)) ++named_;
      return Result<void>();
    });
  }

  Result<SeqNum> find_last_entry(std::uint64_t number) const {
    CULM_TRY(const auto cursor, kv_.cursor(Table::kEntries));
    CULM_TRY(const auto row, cursor->seek_before(entry_row_key(number, kSeqnumMax)));
    if (!row) return 0;
    CULM_TRY(const auto place, parse_row_place(row->key));
    return place.number == number ? place.seqnum : 0;
  }

  Result<void> put_meta() {
    for (const std::uint64_t number : forgotten_) {
      meta_.log_count = std::max(meta_.log_count, number);
    }
    meta_.forgotten = meta_.log_count - states_.size() - stateless_.size();
    if (is_new_id_ || !has_meta_) random_.fill(meta_.id);
    Bytes row;
    encode_meta(row, meta_);
    seal(row, Table::kMeta, meta_row_key());
    return kv_.put(Table::kMeta, meta_row_key(), row);
  }

  KvWriteTransaction& kv_;
  Random& random_;
  LostRows lost_;
  std::uint64_t entries_before_;  ///< rows, as the file counts them
  std::uint64_t logs_before_;
  std::uint64_t pages_;  ///< of the file
  bool are_logs_counted_;
  bool may_be_older_;
  bool is_new_id_;
  bool are_all_known_ = false;     ///< the logs that are not forgotten
  std::uint64_t last_number_ = 0;  ///< of those that surely were given
  StoreMeta meta_;
  bool has_meta_ = false;
  std::set<std::uint64_t> forgotten_;       ///< numbers of which rows may be left
  std::map<std::uint64_t, LogKey> states_;  ///< by number
  std::map<LogKey, std::uint64_t> stateless_;
  std::set<LogKey> doubted_;          ///< of which a later state may have been
  std::map<LogKey, LogState> whole_;  ///< of stateless ones that are made again all the same
  std::set<std::uint64_t> numbers_;   ///< of both
  std::map<std::uint64_t, RangeSet> deleted_;  ///< that old states tell, by number
  std::set<std::uint64_t> stages_;
  std::uint64_t entries_ = 0;
  std::uint64_t named_ = 0;
};

}  // namespace

Result<Reconciled> reconcile(KvWriteTransaction& kv, Random& random, LostRows lost,
                             const PageFile& file) {
  Reconciliation reconciliation(kv, random, std::move(lost), file);
  CULM_CHECK(reconciliation.run());
  return reconciliation.result();
}

}  // namespace culm::store::detail
