#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "culm/core/hash.hpp"
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
  std::optional<store::Stage> resumes{};  ///< where the payload goes on that was to come from there
  bool is_alone = false;                  ///< nobody else is to go on with it
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
  /// Of a unit: added to what the store keeps of the log in the commit that takes the unit.
  std::shared_ptr<const store::LogInterest> keeps{};
  std::optional<sealing::PeerKey> peer{};  ///< whose session it is
  bool while_known = false;                ///< passed over where the store does not know the log
  RangeSet undeletes{};  ///< payloads it brings that are taken though they were deleted here
  RangeSet bare{};       ///< likewise, that are not taken though they come with their entries
};

/// What came of it. When the session is gone by then, `credit` goes back to its pool.
struct WorkReport {
  WorkId id;
  LogKey log;
  Result<store::IngestReport> outcome;
  std::uint64_t credit = 0;
  std::uint64_t stored_bytes = 0;  ///< of the part of a payload: kept, for the rest to come
  /// Of the log: what the commit found damaged, so that it is held no longer. In one report of each
  /// log.
  RangeSet damaged{};
};

/// Checks and commits what sessions received, many pieces in one transaction. Belongs to the one
/// thread that writes; no session is touched.
///
///   restore     in order: canonical bytes and all hashes, in a short read transaction. Links are
///               those of units before it from the same session, else of held entries. Parts of
///               large payloads are hashed as they come.
///   signatures  of units and evidence, in no transaction
///   commit      in order, in one transaction; no signature is checked in it, and no payload hashed
///   again       for a unit whose verdicts were not all at hand, and all work on its log behind it
///
/// Each want has stages of its own for the payloads that it brings, kPayloadsPerWantMax at a time:
/// nobody can withhold one from
/// others by beginning it, and who brought a wrong part is known. There are at most `stages_max`
/// that move; of more, the one that moved longest ago is left, so that to drive out one that
/// moves all others have to move as well.
///
/// What a want leaves of a payload stays, for a want that goes on with it (`PayloadWork::resumes`):
/// for an entry one stage of each peer, kStagesLeftMax in all, of more the smallest goes, and
/// kBytesLeftMax of parts, of more the one that was left longest ago. What was resumed is hashed
/// again from its rows, in steps: one with each commit, the rest by `hash_on`, before it is held.
/// Where it does not fit, all of it goes, and kPayloadHash says so: whose fault that is depends on
/// who brought the parts.
class Committer {
 public:
  static constexpr std::size_t kPayloadsPerWantMax = 4;
  static constexpr std::size_t kStagesLeftMax = 1024;
  static constexpr std::uint64_t kBytesLeftMax = std::uint64_t{16} << 30U;
  static constexpr std::uint64_t kHashedPerStep = 16 * 1024 * 1024;

  /// All must outlive the committer. It hashes about `hash_bytes_max` of rows in one step.
  Committer(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options,
            std::size_t stages_max = limits::kStagesMax,
            std::uint64_t hash_bytes_max = kHashedPerStep);

  /// Commits `works`, each whole or not at all, and reports on each, in order. Durable when it
  /// returns. When the store itself fails, the report on everything that was not committed before
  /// says so. Work of sessions that are distrusted is refused with kPeerClosed. On the last part of
  /// a payload that was resumed, `commit` or `hash_on` reports once all of it is hashed: reports on
  /// such parts of earlier commits come first.
  [[nodiscard]] std::vector<WorkReport> commit(std::vector<Work> works);

  /// Whether there are last parts that were not reported on.
  [[nodiscard]] bool is_hashing() const noexcept { return !due_.empty(); }
  /// The next step for these, as `commit` does one; reports on those that it decides.
  [[nodiscard]] std::vector<WorkReport> hash_on();

  /// Erases a bounded number of rows of payloads that will not be finished, also of those that
  /// an earlier process left; whether there are more. Done by `commit` too; worth a call where
  /// there is nothing to commit.
  bool tidy();

  /// Others than `commit` dropped what was damaged: there may be rows for `tidy`.
  void look_again() noexcept { has_looked_ = false; }

 private:
  using Outcome = Result<store::IngestReport>;

  struct Job;
  class EarlierTargets;

  /// A payload on its way in parts.
  struct Arrival {
    LogKey log;
    SeqNum seqnum = 0;
    std::optional<store::Stage> stage{};  ///< once its first part is committed
    Hasher hasher{};                      ///< of the bytes before `offset`, or, resumed, `hashed`
    std::uint64_t offset = 0;             ///< of the part that is due
    std::uint64_t put = 0;                ///< bytes that are committed
    std::uint64_t hashed = 0;             ///< of these, where it was resumed
    std::uint64_t moved = 0;              ///< orders these by their last part
    store::Bearer bearer{};
    RangeSet undeletes{};  ///< as those of the work
    bool is_resumed = false;
    bool is_over = false;    ///< takes no more parts
    bool is_futile = false;  ///< and nothing comes of those it has
  };
  /// A last part that was not reported on.
  struct Due {
    std::shared_ptr<Arrival> arrival;
    WorkReport report;
  };

  /// What one attempt does to them, once it is committed.
  struct Stages {
    std::map<Arrival*, store::Stage> begun;
    std::map<Arrival*, std::uint64_t> put;
    std::set<Arrival*> held;    ///< became the payload
    std::set<Arrival*> ended;   ///< take no more parts
    std::set<Arrival*> futile;  ///< and will not become it
  };

  [[nodiscard]] std::vector<Job> check(std::vector<Work> works);
  [[nodiscard]] Result<void> attempt(std::vector<Job>& jobs);
  [[nodiscard]] Result<store::IngestAttempt> apply(store::WriteTransaction& transaction,
                                                   const Job& job, Stages& stages);

  void hash_part(Job& job, const PayloadWork& payload);
  [[nodiscard]] Result<bool> put_part(store::WriteTransaction& transaction, const Job& job,
                                      Stages& stages);
  /// Takes the stage for the payload. One that does not fit takes no more parts from here on.
  [[nodiscard]] static Result<bool> finish(store::WriteTransaction& transaction, const LogKey& log,
                                           const store::Stage& stage, const Hash& payload_hash);
  void keep(const Stages& stages);
  void begin_arrival(const Work& work, const PayloadWork& payload);
  [[nodiscard]] std::shared_ptr<Arrival> resume(const Work& work, const PayloadWork& payload);
  void became_held(Arrival& arrival);
  [[nodiscard]] Result<bool> hash_rows(Arrival& arrival, std::uint64_t& bytes_left) const;
  [[nodiscard]] bool complete(Arrival& arrival, bool is_last, std::uint64_t& bytes_left,
                              Outcome& outcome);
  [[nodiscard]] std::vector<WorkReport> complete_due(std::uint64_t& bytes_left);
  void leave(const Arrival& arrival);
  void leave(const store::UnfinishedStage& left);
  void sweep();
  void find_left();
  void forget_capped(const LogKey& log, SeqNum cap);

  store::Store& store_;
  SignatureVerifier& verifier_;
  AcceptOptions options_;
  std::size_t stages_max_;
  std::uint64_t hash_bytes_max_;
  /// By the want that brings them.
  std::multimap<std::weak_ptr<const SessionToken>, std::shared_ptr<Arrival>, std::owner_less<>>
      arrivals_;
  std::vector<std::shared_ptr<Arrival>> past_;  ///< their last part came, or they were replaced
  std::deque<Due> due_;
  std::uint64_t parts_ = 0;
  std::vector<store::UnfinishedStage> left_;  ///< that may be resumed, as they were left
  std::vector<store::Stage> dropped_;         ///< of which there are rows
  std::size_t marked_ = 0;                    ///< so many of them are going
  bool has_looked_ = false;                   ///< for what an earlier process left
};

}  // namespace culm::replication
