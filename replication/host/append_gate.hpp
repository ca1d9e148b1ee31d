#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "culm/core/result.hpp"
#include "culm/core/time.hpp"
#include "culm/core/types.hpp"
#include "culm/replication/host/replica.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/node/endpoint.hpp"
#include "culm/store/author_mark.hpp"

/// The questions to peers that keep an author from forking a log, where mark and store came from
/// different times: whether to append, and whether to sync what was appended while nobody could be
/// asked. Spec: store.md#append-gate
namespace culm::host {

/// Entries of a log that a peer holds in place of those here.
struct OtherBranch {
  std::optional<node::Endpoint> endpoint;  ///< none where that is what the mark remembers
  SeqNum at = 0;              ///< the lowest one that was seen to differ, or that is not here
  store::Published common{};  ///< the last one below it that is the same; seqnum 0: none was seen
  bool is_unasked = false;    ///< nobody was asked before those here were appended
  [[nodiscard]] bool is_exact() const noexcept { return at == common.seqnum + 1; }
};

/// That a peer shows two entries of the author's for one seqnum.
struct ShownFork {
  node::Endpoint endpoint;
  SeqNum at = 0;  ///< no entry from here on is valid, for anybody
};

/// What peers say of a log.
struct KnownHead {
  std::size_t asked = 0;     ///< known peers, or those that were named
  std::size_t answered = 0;  ///< none of them where they would not tell
  bool is_denied = false;    ///< by all who answered: they may hold it, and not for this one
  SeqNum head = 0;           ///< the highest entry that any of them holds
  SeqNum met_head = 0;       ///< that one holds with whom this store has synced
  /// What a peer says that it holds and did not show: no answer.
  struct Claim {
    node::Endpoint endpoint;
    SeqNum head = 0;
  };
  std::vector<Claim> unproven{};
  std::vector<node::PeerReport> silent{};  ///< could not be asked
  /// Where one that this store has synced with could not be asked, as another one answers there
  /// now. Who does counts for what it shows alone: that it holds nothing is no answer.
  std::vector<node::Endpoint> replaced{};
  /// Of the first one that shows another branch; then nobody else was asked.
  std::optional<OtherBranch> other{};
  std::optional<ShownFork> fork{};  ///< likewise

  /// Whether any of them could know: who holds nothing of a log does not.
  [[nodiscard]] bool is_of_use(SeqNum tail) const noexcept {
    return answered != 0 && (head != 0 || tail == 0);
  }
  /// Whether the log may be appended to behind `tail`; false where it may, and the next appender is
  /// to ask again. Fails with kLogCapped where a peer shows a fork, with kAuthorMarkFork for the
  /// entry that a peer holds otherwise, with kAuthorMarkBehind for the head of a peer that holds
  /// more, and, where they are required, with kAuthorHeadUnknown unless all of them say theirs.
  [[nodiscard]] Result<bool> check(AppendGate gate, SeqNum tail) const;
};

/// Asks the peers that the store has synced with, at most `wait_max`, within 1 s and 5 s: through
/// the node that runs on the store in `directory`, if one does, otherwise by itself, with the
/// network that `options` name. Each that holds some of the log is to show its last entry, for at
/// most as long each and 20 s in all; nothing of it is kept, but by a node whose network `options`
/// do not open. That nobody could be asked is no error. Where a peer shows another branch, and
/// nobody was asked before this one was appended, moves the mark back to the last entry of both:
/// else the log could not go on once this branch was forgotten here and the other one was taken.
/// The mark remembers this branch.
/// Precondition: the mark is locked. Fails as store and mark.
[[nodiscard]] Result<KnownHead> ask_known_peers(const WritableStore& store,
                                                const std::string& directory,
                                                store::AuthorMark& mark, const LogKey& log,
                                                SeqNum tail, const ReplicaOptions& options = {},
                                                Duration wait_max = std::chrono::seconds(5));

/// Why peers may hold other entries of an own log than the store does.
enum class Doubt {
  kNone,
  kGrown,    ///< the store has more than the mark names
  kBegun,    ///< all of it was appended while nobody could be asked
  kUnasked,  ///< the last entries were
  kMarked,   ///< what the mark names is not here, or is another entry here; comes before these
};

/// Nobody could be asked: what became of one of the peers.
struct SilentPeer {
  node::PeerReport peer;  ///< of the sync, where `is_nobody`
  Doubt doubt = Doubt::kNone;
  bool is_nobody = false;                  ///< no peer of the sync has said anything
  std::vector<node::PeerReport> others{};  ///< that could know, and do not say either
  [[nodiscard]] bool is_marked() const noexcept { return doubt == Doubt::kMarked; }
};

/// No peer that could know shows what the mark names, or there is none.
struct Unshown {
  SeqNum marked = 0;  ///< not here, or another entry here; 0: this store knows no peer to ask
  std::optional<node::Endpoint> replaced{};  ///< there was one, see `KnownHead::replaced`
};

/// Why a log is not to be synced: it is forked where a peer holds another branch, and from the
/// shown fork on what is here would be dropped.
struct UnaskedLog {
  LogKey log;
  SeqNum tail = 0;  ///< here
  std::variant<OtherBranch, ShownFork, SilentPeer, Unshown> why{};
  bool is_elsewhere = false;  ///< it was appended to in another store on this machine
};

/// kAuthorMarkFork, kAuthorMarkBehind, kAuthorHeadUnknown, kLogCapped, or what became of the peer.
[[nodiscard]] Error why_not_synced(const UnaskedLog& log);

/// What a mark remembers of a branch that is here: that a peer showed another one. Fails as store
/// and mark.
[[nodiscard]] Result<std::optional<UnaskedLog>> find_remembered(const store::Store& store,
                                                                const LogKey& log,
                                                                store::AuthorMark& mark);

/// Fails as the store.
[[nodiscard]] Result<Doubt> find_doubt(const store::Store& store, const LogKey& log,
                                       const store::Published& published);
[[nodiscard]] Result<Doubt> find_doubt(const store::ReadTransaction& transaction,
                                       const store::LogOutline& log,
                                       const store::Published& published);

/// Where own logs are, and how peers are asked for them.
struct OwnLogs {
  const store::Store& store;
  std::string directory;        ///< of the store
  std::string marks_directory;  ///< see `store::find_marks_directory`
  ReplicaOptions options{};     ///< how peers are reached
};

/// Whether peers are to be asked of a log before it is synced. Fails as store and mark, but where
/// that is damaged.
[[nodiscard]] Result<bool> must_ask(const OwnLogs& own, const LogKey& log);
/// Of the logs of `request`, those. Fails likewise.
[[nodiscard]] Result<std::vector<LogKey>> list_unasked(const OwnLogs& own,
                                                       const node::SyncRequest& request);
/// What peers say of logs before a sync.
struct AskedLogs {
  std::optional<UnaskedLog> unasked{};  ///< the first that is not to be synced
  std::vector<LogKey> answered{};       ///< some peer did
  /// Of these, the ones that others may have as well: what a pull alone would not fork a push may.
  std::vector<LogKey> free{};
  std::vector<node::Endpoint> mute{};  ///< said nothing in time, while others answered
};

/// Has the peers of `request` show theirs of `logs`, as the gate does, before anything of them is
/// exchanged; one that peers hold as it is here is marked as asked. Takes at most 20 s, and less
/// than the sync may be idle, unless `is_again`: where nobody has answered yet, all that is left to
/// the sync may go by. Fails as store and mark; ends early with `stop`.
[[nodiscard]] Result<AskedLogs> ask_of_logs(const OwnLogs& own, const std::vector<LogKey>& logs,
                                            const node::SyncRequest& request,
                                            const std::stop_token& stop = {},
                                            bool is_again = false);
/// What it finds of all that `list_unasked` does.
[[nodiscard]] Result<std::optional<UnaskedLog>> find_unasked(const OwnLogs& own,
                                                             const node::SyncRequest& request);

/// After a sync that pushed: the marks of logs that all its peers confirm to hold as they are here
/// say no more that nobody was asked. Fails as store and mark.
[[nodiscard]] Result<void> bind_confirmed(const OwnLogs& own, const node::SyncReport& report);

}  // namespace culm::host
