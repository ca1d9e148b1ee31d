// The half of the machine that finds out whether two peers hold one branch of a log.
// Spec: replication.md#compare
#include <array>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/machine.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {

Result<void> Session::Machine::start_comparison(const Have& have) {
  if (comparisons_.contains(have.log)) return {};
  if (!requester_.settled(have.log)) {
    if (postponed_.insert_or_assign(have.log, have).second) requester_.hold_back(have.log);
    return {};
  }
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.find_log(have.log));
  if (!log) return {};
  RangeSet common = log->served() & have.held;
  if (common.empty()) return {};
  const SeqNum highest = common.max();
  CULM_TRY(const auto stored, transaction.get_entry(*log, highest));
  const Hash hash = stored.entry.hash();
  if (highest == have.head && hash == have.head_hash) return {};
  const auto [added, is_new] =
      comparisons_.emplace(have.log, ActiveComparison{Comparison(std::move(common)), {}, 0});
  requester_.hold_back(have.log);
  auto asked = ask_comparison(added->second, transaction, *log);
  if (is_of_log(asked)) end_comparison(have.log);
  return asked;
}

Result<void> Session::Machine::ask_comparison(ActiveComparison& active,
                                              const store::ReadTransaction& transaction,
                                              const store::LogState& log) {
  const auto seqnum = active.search.query();
  if (!seqnum || ++active.queries > limits::kQueriesPerComparisonMax) {
    end_comparison(log.log);
    return {};
  }
  CULM_TRY(const auto own, transaction.get_entry(log, *seqnum));
  outbox_.send(Compare{log.log, *seqnum, false, own.entry.hash(), {}});
  return {};
}

void Session::Machine::end_comparison(const LogKey& log) {
  comparisons_.erase(log);
  requester_.release(log);
}

Result<void> Session::Machine::answer_comparison(const Compare& query) {
  Compare answer{query.log, query.seqnum, true, std::nullopt, {}};
  if (policy_.may_read(*channel_.peer(), query.log)) {
    const auto found = find_compared(answer, query);
    // What cannot be read is not served, and the peer is not left waiting.
    if (!found && !is_of_log(found)) return found;
  }
  outbox_.send(answer);
  return {};
}

/// Puts into `answer` what is held at the place of the query.
Result<void> Session::Machine::find_compared(Compare& answer, const Compare& query) const {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.find_log(query.log));
  if (!log || !log->served().contains(query.seqnum)) return {};
  CULM_TRY(const auto stored, transaction.get_entry(*log, query.seqnum));
  answer.hash = stored.entry.hash();
  if (answer.hash != query.hash) {
    answer.entry.assign(stored.entry.bytes().begin(), stored.entry.bytes().end());
  }
  return {};
}

Result<void> Session::Machine::advance_comparison(const Compare& answer) {
  const auto found = comparisons_.find(answer.log);
  if (found == comparisons_.end() || found->second.search.query() != answer.seqnum) {
    return fail(error_for(Errc::kUnsolicited, answer.seqnum));
  }
  ActiveComparison& active = found->second;
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.get_log(answer.log));
  if (!answer.hash) {
    // The peer has learned of a lower cap meanwhile: the search begins anew below it.
    RangeSet common = active.search.common();
    common.erase(SeqRange{answer.seqnum, kSeqnumMax});
    if (common.empty()) {
      end_comparison(answer.log);
      return {};
    }
    active.search = Comparison(std::move(common));
    return ask_comparison(active, transaction, log);
  }
  CULM_TRY(const auto own, transaction.get_entry(log, answer.seqnum));
  const bool is_equal = own.entry.hash() == *answer.hash;
  if (!is_equal) {
    if (hash(answer.entry) != *answer.hash) {
      return fail(error_for(Errc::kEvidence, answer.seqnum));
    }
    active.theirs = answer.entry;
  }
  active.search.answer(is_equal);
  if (active.search.query()) return ask_comparison(active, transaction, log);
  if (const auto lowest = active.search.lowest_difference()) {
    CULM_TRY(const auto theirs, EntryView::parse(active.theirs));
    CULM_TRY(const auto stored, transaction.get_entry(log, *lowest));
    const std::array<EntryView, 2> pair{stored.entry, theirs};
    // Nobody is blamed: should the own entry be badly signed, the pair proves nothing.
    requester_.submit_evidence(answer.log, make_evidence(pair), false);
  }
  end_comparison(answer.log);
  return {};
}

}  // namespace culm::replication
