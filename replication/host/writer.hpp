#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "culm/core/signing.hpp"
#include "culm/core/time.hpp"
#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/log_change.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/lmdb_kv.hpp"
#include "culm/store/store.hpp"

namespace culm::host {

class NodeSocket;

/// A unit, and what the store keeps of its log from then on, beside what it keeps already.
struct KeptUnit {
  CheckedUnit unit;
  store::LogInterest keeps;
  RangeSet undeletes{};  ///< payloads of it that are taken though they were deleted here
};

/// What came of units that were taken together.
struct IngestedUnits {
  /// Of those before the first that was refused; empty where a unit before proved a fork of the
  /// log.
  std::vector<store::IngestReport> reports;
  Result<void> outcome;  ///< why one was refused, or the store failed
};

/// The ways in which verbs change a store, whichever process does the writing. Durable when they
/// return.
class Writer {
 public:
  /// How long others that write are waited for, unless something else is said.
  static constexpr Duration kWaitMax = std::chrono::seconds(10);

  virtual ~Writer() = default;

  /// One unit of at most limits::kUnitEntriesMax entries; gets verdicts that it lacked. A node
  /// checks it once more.
  [[nodiscard]] virtual Result<store::IngestReport> ingest(CheckedUnit& unit) = 0;
  /// As `ingest`, in order, with as few commits as it can. After a unit that proves a fork no other
  /// of that log is taken.
  [[nodiscard]] virtual IngestedUnits ingest_all(std::span<KeptUnit> units) = 0;
  using MoveMark = store::Appender::MoveMark;
  /// New entries of this author; nobody hears of them before `move_mark` has succeeded. Fails as
  /// that, or with kAuthorMarkFork, and keeps nothing, where the log has grown since they were
  /// signed.
  [[nodiscard]] virtual Result<void> append(const store::SignedUnit& unit,
                                            const MoveMark& move_mark) = 0;
  /// The mark has moved up to entries of which `append` could not say what came of them. A node
  /// shows them from then on; one that cannot be told does when the next ones come, or it runs
  /// again.
  virtual void publish(const LogKey& /*log*/) {}
  /// In order, with as few commits as it can, each of bounded size: of a log that is small its
  /// change is made by one of them or not at all. Without any, what is left of logs forgotten
  /// before is erased, as after a call that forgets all its logs. Parts that have come of payloads
  /// which are not wanted then are erased. Refuses one with kLogUnknown, kLogFragmented or
  /// kRangesTooMany, and those behind it are not made.
  [[nodiscard]] virtual ChangedLogs change_all(std::span<const LogChange> changes) = 0;
  /// As `store::WriteTransaction::drop_damaged`.
  [[nodiscard]] virtual Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) = 0;
  /// Of those that the store has synced with; until it syncs with the peer again.
  [[nodiscard]] virtual Result<void> forget_peer(const std::string& address) = 0;
  /// Gives the disk back what is free: see `store::Kv::compact`.
  [[nodiscard]] virtual Result<void> compact() = 0;

  // For `PayloadStager`, as those of `store::WriteTransaction`.
  [[nodiscard]] virtual Result<store::Stage> begin_stage(const store::KvClaim& claim) = 0;
  /// The next bytes, in parts of limits::kPayloadChunkBytes; all but the last bytes fill theirs.
  [[nodiscard]] virtual Result<void> put_parts(const store::Stage& stage, std::uint64_t offset,
                                               ByteView bytes) = 0;
  /// `undelete`: also where it was deleted.
  [[nodiscard]] virtual Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                                const store::StagedPayload& staged,
                                                bool undelete) = 0;
  /// Erases what was staged by processes that were killed. In steps, as `store::Store::reclaim`.
  [[nodiscard]] virtual Result<void> reclaim() = 0;

  // Of one log, as `change_all`.
  [[nodiscard]] Result<void> delete_payloads(const LogKey& log, const RangeSet& seqnums);
  [[nodiscard]] Result<void> set_interest(const LogKey& log, const store::LogInterest& interest);
  [[nodiscard]] Result<void> forget(const LogKey& log);
};

/// Writes to the store itself. Fails with kStoreLocked while a node of another process runs on it.
class DirectWriter final : public Writer {
 public:
  /// `store` and `verifier` must outlive the writer.
  DirectWriter(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options = {})
      : store_(store), verifier_(verifier), options_(options) {}

  [[nodiscard]] Result<store::IngestReport> ingest(CheckedUnit& unit) override;
  [[nodiscard]] IngestedUnits ingest_all(std::span<KeptUnit> units) override;
  [[nodiscard]] Result<void> append(const store::SignedUnit& unit,
                                    const MoveMark& move_mark) override;
  [[nodiscard]] Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) override;
  [[nodiscard]] ChangedLogs change_all(std::span<const LogChange> changes) override;
  [[nodiscard]] Result<void> forget_peer(const std::string& address) override;
  [[nodiscard]] Result<void> compact() override;
  [[nodiscard]] Result<store::Stage> begin_stage(const store::KvClaim& claim) override;
  [[nodiscard]] Result<void> put_parts(const store::Stage& stage, std::uint64_t offset,
                                       ByteView bytes) override;
  [[nodiscard]] Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                        const store::StagedPayload& staged, bool undelete) override;
  [[nodiscard]] Result<void> reclaim() override;

 private:
  Result<IngestedUnits> ingest_once(std::span<KeptUnit> units, std::set<LogKey>& forked);

  store::Store& store_;
  SignatureVerifier& verifier_;
  AcceptOptions options_;
};

/// Writes to the store itself, except while a node runs on it, which then writes.
class SharingWriter final : public Writer {
 public:
  /// `store` in `directory` and `verifier` must outlive the writer. A node uses checks and options
  /// of its own; one that takes no requests yet, or no more, is waited for, and so is a write of
  /// another process.
  SharingWriter(std::string directory, store::Store& store, SignatureVerifier& verifier,
                const AcceptOptions& options = {}, Duration wait_max = kWaitMax)
      : directory_(std::move(directory)), wait_max_(wait_max), direct_(store, verifier, options) {}

  [[nodiscard]] Result<store::IngestReport> ingest(CheckedUnit& unit) override;
  [[nodiscard]] IngestedUnits ingest_all(std::span<KeptUnit> units) override;
  [[nodiscard]] Result<void> append(const store::SignedUnit& unit,
                                    const MoveMark& move_mark) override;
  void publish(const LogKey& log) override;
  [[nodiscard]] Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) override;
  [[nodiscard]] ChangedLogs change_all(std::span<const LogChange> changes) override;
  [[nodiscard]] Result<void> forget_peer(const std::string& address) override;
  [[nodiscard]] Result<void> compact() override;
  [[nodiscard]] Result<store::Stage> begin_stage(const store::KvClaim& claim) override;
  [[nodiscard]] Result<void> put_parts(const store::Stage& stage, std::uint64_t offset,
                                       ByteView bytes) override;
  [[nodiscard]] Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                        const store::StagedPayload& staged, bool undelete) override;
  [[nodiscard]] Result<void> reclaim() override;

 private:
  template <class Write>
  auto write(Write write);

  std::string directory_;
  Duration wait_max_;
  DirectWriter direct_;
};

/// Has the node write that runs on the store. When that node ends, calls wait for another one to
/// run there, and fail with kPeerClosed. Whether a call was done that failed with that, kNetwork or
/// kNodeSilent (the node is stopped, or hangs) is not known.
class NodeClient final : public Writer {
 public:
  ~NodeClient() override;

  /// Nothing when no node takes connections at the socket in `directory`. `wait_max`: how long to
  /// wait for another node, and for a sign of life of this one, here at least a second.
  [[nodiscard]] static std::unique_ptr<NodeClient> connect(const std::string& directory,
                                                           Duration wait_max = kWaitMax);

  [[nodiscard]] Result<store::IngestReport> ingest(CheckedUnit& unit) override;
  [[nodiscard]] IngestedUnits ingest_all(std::span<KeptUnit> units) override;
  [[nodiscard]] Result<void> append(const store::SignedUnit& unit,
                                    const MoveMark& move_mark) override;
  void publish(const LogKey& log) override;
  [[nodiscard]] Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) override;
  [[nodiscard]] ChangedLogs change_all(std::span<const LogChange> changes) override;
  [[nodiscard]] Result<void> forget_peer(const std::string& address) override;
  [[nodiscard]] Result<void> compact() override;
  [[nodiscard]] Result<store::Stage> begin_stage(const store::KvClaim& claim) override;
  [[nodiscard]] Result<void> put_parts(const store::Stage& stage, std::uint64_t offset,
                                       ByteView bytes) override;
  [[nodiscard]] Result<bool> bind_stage(const LogKey& log, SeqNum seqnum,
                                        const store::StagedPayload& staged, bool undelete) override;
  [[nodiscard]] Result<void> reclaim() override;

  /// A sync by that node, which waits for its end. Fails with kStoreLocked when it is to push and
  /// the node serves only some of the logs. Precondition: not live.
  [[nodiscard]] Result<node::SyncReport> sync(const node::SyncRequest& request);

 private:
  NodeClient(std::string directory, std::unique_ptr<NodeSocket> socket, Duration wait_max);
  [[nodiscard]] Result<Json> ask(std::string_view request);
  [[nodiscard]] Result<control::Response> exchange(std::string_view request);

  std::string directory_;
  Duration wait_max_;
  std::unique_ptr<NodeSocket> socket_;  ///< none once it was broken
};

/// A store to read and to write, in whichever process the writing is done.
struct WritableStore {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Writer> writer;
  store::LmdbKv* kv = nullptr;  ///< of the store, to lock it; none beside a node
  NodeClient* node = nullptr;   ///< the writer, if that is what it is
};

/// Opens the store in `directory`, or beside the node that runs on it. `verifier`, which must
/// outlive it, and `options` are for what is ingested here; a node uses its own. Fails with
/// kStoreLocked when another process writes for all of `wait_max` and takes no requests, or as
/// `store::LmdbKv::open`.
[[nodiscard]] Result<WritableStore> open_to_write(const std::string& directory, bool create,
                                                  SignatureVerifier& verifier,
                                                  const AcceptOptions& options = {},
                                                  Duration wait_max = Writer::kWaitMax);
/// Opens it beside the process that writes to it, if there is one.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_to_read(const std::string& directory);

/// For an appender: has all of the log kept, unless the store's interest says something else, and
/// commits. Where a node has not said what came of it, the store tells. Both must outlive it.
[[nodiscard]] store::Appender::Commit commit_through(Writer& writer, const store::Store& store);

}  // namespace culm::host
