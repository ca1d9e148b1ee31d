#include "culm/replication/detail/fork_search.hpp"

#include <array>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {

Result<void> ForkSearch::on_have(const Have& have) {
  if (searches_.contains(have.log)) return {};
  if (!requester_.settled(have.log)) {
    if (postponed_.put(have)) requester_.hold_back(have.log);
    return {};
  }
  return unless_of_log(start(have));
}

Result<void> ForkSearch::on_settled(const LogKey& log) {
  const auto have = postponed_.take(log);
  if (!have) return {};
  auto started = searches_.contains(log) ? Result<void>() : unless_of_log(start(*have));
  requester_.release(log);
  return started;
}

Result<void> ForkSearch::on_answer(const Compare& answer) {
  const auto found = searches_.find(answer.log);
  if (found == searches_.end() || found->second.comparison.query() != answer.seqnum) {
    return fail(error_for(Errc::kUnsolicited, answer.seqnum));
  }
  auto advanced = advance(found->second, answer);
  if (is_of_log(advanced)) end(answer.log);
  return unless_of_log(std::move(advanced));
}

Result<void> ForkSearch::start(const Have& have) {
  if (requester_.was_in_vain(have.log)) return {};
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto log, transaction.find_log(have.log));
  if (!log) return {};
  RangeSet common = log->served() & have.held;
  if (common.empty()) return {};
  const SeqNum highest = common.max();
  CULM_TRY(const auto stored, transaction.get_entry(*log, highest));
  if (highest == have.head && stored.entry.hash() == have.head_hash) return {};
  Search& search =
      searches_.emplace(have.log, Search{Comparison(std::move(common)), {}, 0}).first->second;
  requester_.hold_back(have.log);
  auto asked = ask(search, transaction, *log);
  if (is_of_log(asked)) end(have.log);
  return asked;
}

Result<void> ForkSearch::ask(Search& search, const store::ReadTransaction& transaction,
                             const store::LogState& log) {
  const auto seqnum = search.comparison.query();
  if (!seqnum || ++search.queries > limits::kQueriesPerComparisonMax) {
    end(log.log);
    return {};
  }
  CULM_TRY(const auto own, transaction.get_entry(log, *seqnum));
  outbox_.send(Compare{log.log, *seqnum, false, own.entry.hash(), {}});
  return {};
}

Result<void> ForkSearch::advance(Search& search, const Compare& answer) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(answer.log));
  const store::LogState& log = *state;
  if (!answer.hash) {
    // The peer has learned of a lower cap meanwhile: the search goes on below it.
    RangeSet common = search.comparison.common();
    common.erase(SeqRange{answer.seqnum, kSeqnumMax});
    if (common.empty()) {
      end(answer.log);
      return {};
    }
    search.comparison = Comparison(std::move(common));
    return ask(search, transaction, log);
  }
  CULM_TRY(const auto own, transaction.get_entry(log, answer.seqnum));
  const bool is_equal = own.entry.hash() == *answer.hash;
  if (!is_equal) {
    if (hash(answer.entry) != *answer.hash) return fail(error_for(Errc::kEvidence, answer.seqnum));
    search.theirs = answer.entry;
  }
  search.comparison.answer(is_equal);
  if (search.comparison.query()) return ask(search, transaction, log);
  if (const auto lowest = search.comparison.lowest_difference()) {
    CULM_TRY(const auto theirs, EntryView::parse(search.theirs));
    CULM_TRY(const auto stored, transaction.get_entry(log, *lowest));
    const std::array<EntryView, 2> pair{stored.entry, theirs};
    // Nobody is blamed: should the entry here be badly signed, the pair proves nothing.
    requester_.submit_evidence(answer.log, make_evidence(pair), false);
  }
  end(answer.log);
  return {};
}

void ForkSearch::end(const LogKey& log) {
  searches_.erase(log);
  requester_.release(log);
}

Result<Compare> answer_query(const store::Store& store, const Compare& query) {
  Compare answer{query.log, query.seqnum, true, std::nullopt, {}};
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto log, transaction.find_log(query.log));
  if (!log || !log->serves(query.seqnum)) return answer;
  CULM_TRY(const auto stored, transaction.get_entry(*log, query.seqnum));
  answer.hash = stored.entry.hash();
  if (answer.hash != query.hash) {
    answer.entry.assign(stored.entry.bytes().begin(), stored.entry.bytes().end());
  }
  return answer;
}

}  // namespace culm::replication
