#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "culm/feed/checked_unit.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Names one piece of work of one session; unique in the process of the host.
struct WorkId {
  std::uint64_t session = 0;
  std::uint64_t work = 0;

  friend auto operator<=>(const WorkId&, const WorkId&) = default;
};

/// A unit in the elided form.
struct UnitWork {
  Bytes elided;
};

/// Part of a large payload, in order.
struct PayloadWork {
  SeqNum seqnum = 0;
  std::uint64_t offset = 0;
  bool last = false;
  Bytes bytes;
};

/// Evidence that came by itself.
struct EvidenceWork {
  Evidence evidence;
};

/// Lives as long as a want of a session, or work that came by it.
struct SessionToken {
  /// The peer was found at fault: what it sent is not worth looking at. Set by the session.
  std::atomic<bool> is_distrusted = false;
};

/// What a session wants done to the store.
struct Work {
  WorkId id;
  LogKey log;
  std::variant<UnitWork, PayloadWork, EvidenceWork> content;
  std::uint64_t credit = 0;  ///< what it took of the peer's credit
  std::shared_ptr<const SessionToken> session;
};

/// What came of it. When the session is gone by then, `credit` goes back to its pool.
struct WorkReport {
  WorkId id;
  LogKey log;
  Result<store::IngestReport> outcome;
  std::uint64_t credit = 0;
};

/// Checks and commits what sessions received, many pieces in one transaction. Belongs to the one
/// thread that writes; no session is touched.
///
///   restore     in order: canonical bytes and all hashes, in a short read transaction. Links are
///               those of units before it from the same session, else of held entries.
///   signatures  of units and evidence, in no transaction
///   commit      in order, in one transaction; no signature is checked in it
///   again       for a unit whose verdicts were not all at hand, and all work on its log behind it
class Committer {
 public:
  /// All must outlive the committer.
  Committer(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options);

  /// Commits `works`, each whole or not at all, and reports on each, in order. Durable when it
  /// returns. When the store itself fails, the report on everything that was not committed before
  /// says so. Work of sessions that are distrusted is refused with kPeerClosed.
  [[nodiscard]] std::vector<WorkReport> commit(std::vector<Work> works);

 private:
  using Outcome = Result<store::IngestReport>;

  struct Job;
  class EarlierTargets;

  [[nodiscard]] std::vector<Job> check(std::vector<Work> works);
  [[nodiscard]] Result<void> attempt(std::vector<Job>& jobs);
  [[nodiscard]] Result<store::IngestAttempt> apply(store::WriteTransaction& transaction,
                                                   const Job& job);
  [[nodiscard]] Result<store::IngestReport> apply_payload(store::WriteTransaction& transaction,
                                                          const Work& work,
                                                          const PayloadWork& payload);

  /// Who is bringing a payload in parts. Parts of others are passed over meanwhile, so that who
  /// brings a wrong one is known.
  struct Bringer {
    std::weak_ptr<const SessionToken> session;
    std::uint64_t offset = 0;  ///< of the part that is due
  };

  store::Store& store_;
  SignatureVerifier& verifier_;
  AcceptOptions options_;
  std::map<std::pair<LogKey, SeqNum>, Bringer> bringers_;
};

}  // namespace culm::replication
