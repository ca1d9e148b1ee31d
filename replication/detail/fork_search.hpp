#pragma once

#include <cstdint>
#include <map>

#include "culm/replication/detail/comparison.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/postponed_haves.hpp"
#include "culm/replication/detail/requester.hpp"

namespace culm::replication {

/// Finds out whether the peer holds the same branch of a log: where its head is another entry than
/// the one held here, bisects with compares, and hands in the lowest pair that differs as evidence.
/// Wants of the log neither end nor catch up meanwhile. Of a log there is one search at a time, or
/// one pair with the committer, and none behind a pair that proved nothing: who answers at will
/// must not keep this side at work. What is wrong with one log here ends its
/// search and nothing else. Spec: replication.md#compare
///
///   have --all before it is committed--> under way --equal, evidence, too many queries--> over
///    '--it is not yet--> postponed ------^
class ForkSearch {
 public:
  /// All must outlive the search.
  ForkSearch(const store::Store& store, Requester& requester, Outbox& outbox)
      : store_(store), requester_(requester), outbox_(outbox) {}

  /// The peer said what it holds of a log.
  [[nodiscard]] Result<void> on_have(const Have& have);
  /// Nothing of `log` that was received waits for the committer any more.
  [[nodiscard]] Result<void> on_settled(const LogKey& log);
  /// Fails with kUnsolicited, or kEvidence where the peer has made the answer up.
  [[nodiscard]] Result<void> on_answer(const Compare& answer);
  /// Whether the peer owes an answer.
  [[nodiscard]] bool awaits_peer() const { return !searches_.empty(); }

 private:
  struct Search {
    Comparison comparison;
    Bytes theirs;  ///< the peer's entry at the lowest difference known so far
    std::uint32_t queries = 0;
  };

  [[nodiscard]] Result<void> start(const Have& have);
  [[nodiscard]] Result<void> ask(Search& search, const store::ReadTransaction& transaction,
                                 const store::LogState& log);
  [[nodiscard]] Result<void> advance(Search& search, const Compare& answer);
  void end(const LogKey& log);

  const store::Store& store_;
  Requester& requester_;
  Outbox& outbox_;
  std::map<LogKey, Search> searches_;
  PostponedHaves postponed_;
};

/// What is held at the place of the peer's query; the entry as well where it is another.
[[nodiscard]] Result<Compare> answer_query(const store::Store& store, const Compare& query);

}  // namespace culm::replication
