#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"
#include "culm/core/time.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/feed/verify.hpp"
#include "culm/replication/node/sync.hpp"
#include "culm/store/store.hpp"

namespace culm {

namespace host {
class CommitWatch;
}

struct ReplicaOptions {
  /// Make the directory and the store if they are missing.
  bool create = true;
  /// How much is checked before what comes in is stored.
  AcceptOptions accept{};
  /// Talk only to peers that name the same network; any text.
  std::string network{};
  /// The secret of a closed network, in a file. Spec: key-file.md#node-keys
  std::string network_key_file{};
  /// The secret that peers know this store by, in a file; "": peer.key in the store's directory.
  std::string peer_key_file{};
  /// Where the author marks of own logs lie; "": the place of the user, see
  /// `store::find_marks_directory`.
  std::string marks_directory{};
};

/// What to ask of the peers that this store has synced with, before the first append, where author
/// mark and store came from different times. Spec: store.md#append-gate
enum class AppendGate : std::uint8_t {
  kAsk,       ///< whether they hold more of the log; go on where none can be asked
  kRequired,  ///< the same, and do not go on then
  kNever,
};

struct OwnLogOptions {
  LogId log_id{};
  /// Make the key if there is no such file.
  bool make_key = true;
  /// See `store::AppenderOptions`.
  bool adopt = false;
  AppendGate gate = AppendGate::kAsk;
};

/// A log that is written here. Append with one key in one place only: two that do so fork the log,
/// and no peer can mend that. Belongs to its `Replica`, which outlives it. Not thread-safe.
class OwnLog {
 public:
  OwnLog(OwnLog&&) noexcept;
  OwnLog& operator=(OwnLog&&) noexcept;
  ~OwnLog();

  [[nodiscard]] LogKey key() const;
  /// The seqnum of the last entry; 0 for none.
  [[nodiscard]] SeqNum head() const;

  /// Signs an entry and stores it; durable when it returns. A node that runs on the store in
  /// another process writes it, and tells its peers at once. Returns the seqnum. Fails as
  /// `store::Appender::append`.
  [[nodiscard]] Result<SeqNum> append(ByteView payload);
  [[nodiscard]] Result<SeqNum> append(std::string_view payload);
  /// Many at a time cost little more than one; those that were stored before one fails stay.
  /// Returns the seqnum of the last.
  [[nodiscard]] Result<SeqNum> append(std::span<const ByteView> payloads);
  /// The same for one payload of any size that comes in pieces, so that memory does not grow with
  /// it. `give` returns the next piece, an empty one at the end; where it fails nothing is
  /// appended.
  using Give = std::function<Result<ByteView>()>;
  [[nodiscard]] Result<SeqNum> append(const Give& give);
  /// Closes the log for good.
  [[nodiscard]] Result<SeqNum> end(ByteView payload = {});

 private:
  friend class Replica;
  struct Impl;
  explicit OwnLog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// Tells which entries of a log have come into the store, in this process or another, as soon as
/// they are committed; fetches nothing itself, and `Replica::read` reads them.
///
///   auto follower = replica.follow(log);
///   const culm::RangeSet fresh = follower.next().value();
///   for (const culm::SeqRange range : fresh.ranges()) { ... }
///
/// Not thread-safe. May be used in `told` of a sync, in the same thread; there ask it to wait for
/// nothing, since the sync waits for it.
class Follower {
 public:
  Follower(Follower&&) noexcept;
  Follower& operator=(Follower&&) noexcept;
  ~Follower();

  /// The entries that can be read with their payload and were not told before; waits at most so
  /// long for the first. Empty when nothing came. Fails as the store.
  [[nodiscard]] Result<RangeSet> next(Duration wait_max = std::chrono::seconds(1));

 private:
  friend class Replica;
  Follower(const store::Store& store, std::unique_ptr<host::CommitWatch> watch, const LogKey& log,
           SeqNum from);
  [[nodiscard]] Result<RangeSet> look();

  const store::Store* store_;
  std::unique_ptr<host::CommitWatch> watch_;
  LogKey log_;
  RangeSet told_;  ///< and all that is below where it began
  std::uint64_t change_ = 0;
};

/// A sync in a thread of its own: see `Replica::start_sync`. Meanwhile the `Replica`, which
/// outlives it, may be used as ever, its calls that write among them, and peers hear of what they
/// write at once; it starts no other sync.
class RunningSync {
 public:
  RunningSync(RunningSync&&) noexcept;
  RunningSync& operator=(RunningSync&&) noexcept;
  /// Ends it, and waits until what has come is stored.
  ~RunningSync();

  /// Waits until it ends of itself; one that is live may never. Says what came of it.
  node::SyncReport wait();
  /// Ends it with what has come, and says what that was.
  node::SyncReport end();

 private:
  friend class Replica;
  struct Impl;
  explicit RunningSync(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// A store, opened to read it, to write one's own logs and to move logs from and to peers: the
/// short way to use culm. It writes by itself, or through the node that runs on the store in
/// another process (`culm relay`, `culm sync --live`); calls are the same in both cases. If that
/// node ran already when this was opened, then once it has ended calls that write fail with
/// kPeerClosed or kNetwork until another one runs; to write by itself, destroy this and open it
/// again.
///
///   auto replica = culm::Replica::open("notes").value();
///   auto mine = replica.open_log("me.key").value();
///   mine.append("hello").value();
///   replica.push("127.0.0.1:7474", {mine.key()}).value();
///
/// One call at a time, in one thread; what only reads may be called in others as well. `told` of a
/// sync may write too, and peers hear of it at once; a second sync beside one fails with kBusy. Who
/// needs more, such as to serve peers, has `host::StoreNode`.
class Replica {
 public:
  /// Fails with kStoreLocked when a node runs there that takes no requests, with kStoreNotFound, or
  /// as `store::LmdbKv::open`.
  [[nodiscard]] static Result<Replica> open(const std::string& directory,
                                            ReplicaOptions options = {});
  Replica(Replica&&) noexcept;
  Replica& operator=(Replica&&) noexcept;
  ~Replica();

  /// Whether a node ran on the store when this was opened.
  [[nodiscard]] bool is_beside_node() const;
  /// To read it in every way there is.
  [[nodiscard]] const store::Store& store() const;

  /// Opens one's own log by its key. All of the log is kept, unless the store's interest says
  /// otherwise. Fails as `store::read_key_file`, `store::open_author_mark`,
  /// `store::Appender::open` and `host::KnownHead::check`.
  [[nodiscard]] Result<OwnLog> open_log(const std::string& key_file,
                                        const OwnLogOptions& options = {});

  /// The payload of an entry, whole. Fails with kLogUnknown, kEntryNotHeld, kPayloadNotHeld,
  /// kPayloadDeleted.
  [[nodiscard]] Result<Bytes> read(const LogKey& log, SeqNum seqnum) const;
  /// The same in pieces, in order, so that memory does not grow with it; ends early with the error
  /// of `take`.
  using Take = std::function<Result<void>(ByteView piece)>;
  [[nodiscard]] Result<void> read(const LogKey& log, SeqNum seqnum, const Take& take) const;

  /// Deletes payloads and takes them no more, whatever peer offers them; what proves the rest
  /// stays.
  [[nodiscard]] Result<void> delete_payloads(const LogKey& log, const RangeSet& seqnums);
  /// All payloads of a log that are held; those of later entries are taken as before. Fails with
  /// kLogUnknown.
  [[nodiscard]] Result<void> delete_all(const LogKey& log);
  /// Removes a log, one's own too, as if it had never been here: what is in it, and what is wanted
  /// of it. An `OwnLog` of it appends no more. Fails with kLogUnknown.
  [[nodiscard]] Result<void> forget(const LogKey& log);
  /// Gives the disk back what deleted payloads and forgotten logs have left. The disk needs room
  /// for a copy of the rest; nothing can be written meanwhile. Fails as `store::Kv::compact`.
  [[nodiscard]] Result<void> compact();
  /// What to keep of a log, and so what a sync asks for that names no part.
  [[nodiscard]] Result<void> set_interest(const LogKey& log, const store::LogInterest& interest);

  /// Entries from `from` on, those that are in the store and those that a sync, or a node beside
  /// it, will bring. Valid as long as this.
  [[nodiscard]] Follower follow(const LogKey& log, SeqNum from = 1) const;

  /// Fetches logs from a peer at "HOST:PORT". What is wanted of each is what the store keeps of it,
  /// or everything. Fails, with what has come until then kept, unless all of it is here: with
  /// kEntryNotHeld or kPayloadNotHeld where that is all that the peer holds, for the rest see
  /// `node::why_not_done`; with kUsage beside a node when `ReplicaOptions` say
  /// anything of peers, for that node has its own.
  [[nodiscard]] Result<node::SyncReport> sync(std::string_view peer,
                                              const std::vector<LogKey>& logs);
  /// As `sync`, and offers those that have entries; done when the peer has said that it holds all
  /// that is here. Fails with kDenied when it does not take one, with kPayloadNotHeld when it has
  /// deleted payloads that are held here.
  /// Beside a `culm sync --live`, which serves its own logs alone, fails with kStoreLocked.
  [[nodiscard]] Result<node::SyncReport> push(std::string_view peer,
                                              const std::vector<LogKey>& logs);
  /// Whatever a sync can be, from several peers, in part or live. `told` hears what happens, in
  /// this thread, and ends it by returning false; so does `stop`, from any thread. Beside a node
  /// neither is heeded, and `live` fails with kUsage, as a request does that is not sound. For the
  /// rest see `SyncReport::outcome`.
  /// Each sync fails before anything has moved with kAuthorMarkFork where entries of one's own log
  /// were appended while no peer could be asked, and a peer shows others in their place: with the
  /// seqnum of the first, or of the peer's last where that is all that is known. A live one asks
  /// again each time that it connects. Spec: store.md#before-a-sync
  using Told = std::function<bool(const node::SyncEvent&)>;
  [[nodiscard]] Result<node::SyncReport> sync(const node::SyncRequest& request,
                                              const Told& told = {},
                                              const std::stop_token& stop = {});

  /// Begins a sync, such as a live one, and goes on with it in a thread of its own, where `told` is
  /// called; an `OwnLog` is used in one thread at a time. What keeps it from connecting is in its
  /// report. Fails beside a node with kStoreLocked.
  [[nodiscard]] Result<RunningSync> start_sync(const node::SyncRequest& request,
                                               const Told& told = {});

 private:
  friend class OwnLog;
  friend class RunningSync;
  struct Impl;
  explicit Replica(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace culm
