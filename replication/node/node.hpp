#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/replication/credit_pool.hpp"
#include "culm/replication/node/action.hpp"
#include "culm/replication/node/admission.hpp"
#include "culm/replication/node/connection.hpp"
#include "culm/replication/node/options.hpp"
#include "culm/replication/node/row_drops.hpp"
#include "culm/replication/node/sync.hpp"
#include "culm/replication/policy.hpp"
#include "culm/store/row_damage.hpp"

namespace culm::node {

struct SessionStatus {
  SessionRef session;
  std::string agent;  ///< what the peer calls itself, once established
  replication::SessionStats stats;
};

/// Counted from the start of the node.
struct NodeStats {
  std::uint64_t accepted = 0;          ///< inbound connections
  std::uint64_t displaced = 0;         ///< of these, handshakes that made room for newer ones
  std::uint64_t refused = 0;           ///< inbound sessions that were one too many
  std::uint64_t evicted = 0;           ///< inbound sessions that made room for newer ones
  std::uint64_t dialed = 0;            ///< outbound connections
  std::uint64_t established = 0;       ///< of both, those with a complete handshake
  std::uint64_t commits = 0;           ///< of what sessions have received
  std::uint64_t works = 0;             ///< units, payload parts and evidence in them
  replication::SessionStats sessions;  ///< sums over all sessions, ended ones included
};

/// A peer among peers: all its connections, whom it calls, what it wants and what it writes in
/// which order; without socket, thread, clock or randomness of its own.
///
///   sockets      accepted, connected, received, sent ..   --> Connect, Transfer, ShutDown, Close
///   time         deadline_reached(now)                    <-- next_deadline
///   store work   finished(result)                         <-- Perform(job)
///   application  dial, want, run, stop ..                 --> SessionEvent, LogChanged, Stopped ..
///
///   node.received(session, bytes, now);  // or any other call
///   while (auto action = node.next_action()) perform(*action);
///   set_timer(node.next_deadline());     // it may be past
///
/// Take all actions before waiting for what happens next. `now` never goes back. The store is read
/// in these calls and written only by the jobs that are handed out. Calls for a session or a dial
/// that has ended do nothing; `want` and `offer` fail with kPeerClosed. Not thread-safe; `verifier`
/// is used in these calls and, by the host's committer, in the thread that writes.
class Node final : private Fetch::Sessions {
 public:
  /// All but `options` must outlive the node.
  Node(NodeOptions options, const store::Store& store, replication::Policy& policy,
       SignatureVerifier& verifier, Random& random);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Does this next; nothing when all is done.
  [[nodiscard]] std::optional<Action> next_action();

  // What the application asks for.

  /// Connects to a peer, now or, if so asked, whenever that is possible; behind the tasks that were
  /// given before, so that what is wanted heeds them.
  DialId dial(const Endpoint& endpoint, DialOptions options);
  /// Ends a dial and its session. Nothing happens if it has ended.
  void end_dial(DialId dial, Instant now);
  /// Wants a log of several peers together, once: see `Fetch`. What it wants becomes the store's
  /// interest as a dial's wants do.
  FetchId fetch(FetchRequest request);
  void end_fetch(FetchId fetch, Instant now);
  /// Moves logs between the store and some peers, once or as they grow: see `Sync`.
  SyncId sync(SyncRequest request, Instant now);
  /// Ends it with what has come, or with `error`; it tells so. Nothing happens if it has ended.
  void end_sync(SyncId sync, Instant now, std::optional<Error> error = std::nullopt);
  /// As the session's own. Fails with kPeerClosed when there is no such session, or as the session.
  /// The store's interest is the caller's business.
  [[nodiscard]] Result<replication::WantId> want(SessionId session,
                                                 const replication::WantRequest& request,
                                                 Instant now);
  void cancel(SessionId session, replication::WantId want, Instant now);
  [[nodiscard]] Result<void> offer(SessionId session, const LogKey& log, Instant now);
  /// Says bye with `code`, if any.
  void close_session(SessionId session, std::optional<Errc> code, Instant now);
  /// Performs `body` behind all that was given here before and is to be written, but before what
  /// sessions have received and waits; and tells peers of the logs that it has changed. Once the
  /// node stops and its last connection is closed `TaskFinished` tells kStoreReadOnly instead.
  TaskId run(StoreTask body);
  /// Tells peers of a log that was changed by somebody else.
  void log_changed(const LogKey& log, Instant now);
  /// All of `part` was read, and this is damaged of it.
  void damage_found(const LogKey& log, const SeqRange& part, const store::RowDamage& found,
                    Instant now);
  /// Tells syncs that `WriteTransaction::forget` has made a log unknown.
  void log_forgotten(const LogKey& log, Instant now);
  /// Accepts and dials no more, says bye to all, and tells `Stopped` when all connections are
  /// closed and all that was received is committed: after limits::kCloseTimeoutMs and the commit at
  /// most. Precondition: called once.
  void stop(Instant now);
  /// Jobs not handed out yet, for a host that ends without `stop`.
  [[nodiscard]] std::vector<Job> take_jobs() { return queue_.take_all(); }

  /// Works and tasks that were handed out and have not come back.
  [[nodiscard]] std::size_t jobs_under_way() const { return queue_.under_way(); }

  /// Sessions that have not ended, by id.
  [[nodiscard]] std::vector<SessionStatus> sessions() const;
  [[nodiscard]] NodeStats stats() const;

  // What happens to sockets.

  /// A peer has connected; `remote` is shown, `address` is counted: see `Admission`. One that makes
  /// room for others, or finds none once its handshake is done, ends with kBusy. Nothing: close the
  /// socket.
  [[nodiscard]] std::optional<SessionId> accepted(const Endpoint& remote, const Address& address,
                                                  Instant now);
  /// What `Connect` asked for has come about. Nothing: close the socket.
  [[nodiscard]] std::optional<SessionId> connected(DialId dial, Instant now);
  void connect_failed(DialId dial, const Error& error, Instant now);
  /// The host takes so long for it, in place of limits::kConnectTimeoutMs from the start.
  void extend_dial(DialId dial, Instant end) { plan_.extend(dial, end); }
  /// What the sync that has the dial is to move.
  [[nodiscard]] std::optional<std::pair<SyncId, SyncRequest>> find_sync_of(DialId dial) const;
  void received(SessionId session, ByteView bytes, Instant now);
  /// The peer sends no more, or the connection is broken.
  void receive_ended(SessionId session, Instant now);
  /// What is to be written; valid until the next call that is not const.
  [[nodiscard]] ByteView pending_output(SessionId session) const;
  void sent(SessionId session, std::size_t bytes, Instant now);
  /// The connection takes nothing any more.
  void send_failed(SessionId session, Instant now);
  /// Whether the socket should be read now.
  [[nodiscard]] bool wants_input(SessionId session) const;
  /// How much of it at a time: little while much input waits.
  [[nodiscard]] std::size_t read_bytes_max() const;

  // Time, and the thread that writes.

  [[nodiscard]] std::optional<Instant> next_deadline() const;
  void deadline_reached(Instant now);
  /// Takes what came of jobs, in the order they were handed out.
  void finished(JobResult result, Instant now);

 private:
  struct Dial {
    Endpoint endpoint;
    DialOptions options;
    SessionId session = 0;  ///< 0: none now
    /// By what the store's interest grows once the peer says that it holds something of the log.
    std::map<LogKey, store::LogInterest> wanted;
    std::set<LogKey> kept;  ///< logs whose interest is in the store, or on its way there
  };
  struct Link {
    SessionRef ref;
    std::string agent;
    Connection connection;
    Instant since;
    std::optional<Instant> armed;  ///< its place in `timers_`
    bool transfers = false;        ///< there is a Transfer in `actions_`
    bool is_refused = false;       ///< only its end is told
    ByteView last_words{};         ///< see `Close`
    // What was told to `admission_`.
    bool has_wants = false;
    std::uint64_t moved = 0;
    /// What is kept of logs of which nothing is here yet: goes along with what comes of them.
    std::map<LogKey, std::shared_ptr<const store::LogInterest>> keeps{};
  };
  struct Running {
    Fetch fetch;
    bool keeps_interest = false;  ///< what it wants is in the store's interest, or on its way there
    bool is_changed = false;      ///< its id is in `changed_fetches_`
    std::optional<Instant> armed;  ///< its place in `fetch_timers_`
    SyncId sync = 0;               ///< whose it is; 0: the application's
  };
  /// A sync, and what it does to the node.
  class RunningSync final : private Sync::Peers {
   public:
    RunningSync(Node& node, SyncId id, SyncRequest request)
        : sync(std::move(request), node.store_, *this), node_(node), id_(id) {}

    Sync sync;
    void look_for_damage();

   private:
    DialId dial(const Endpoint& endpoint, DialOptions options) override;
    void end_dial(DialId dial) override;
    FetchId fetch(FetchRequest request) override;
    void end_fetch(FetchId fetch) override;
    Result<replication::WantId> want(SessionId session,
                                     const replication::WantRequest& request) override;
    void cancel(SessionId session, replication::WantId want) override;
    Result<void> offer(SessionId session, const LogKey& log) override;
    [[nodiscard]] replication::SessionStats stats(SessionId session) const override;
    [[nodiscard]] bool must_ask(const LogKey& log) override { return node_.policy_.must_ask(log); }
    void conclude_after_commits() override;

    Node& node_;
    const SyncId id_;
  };
  /// Tasks of the node's own.
  struct DialStart {
    DialId dial = 0;
  };
  struct SyncEnd {
    SyncId sync = 0;
  };
  struct InterestTask {
    SessionId session = 0;
    DialId dial = 0;
    LogKey log;
  };

  [[nodiscard]] Link* find(SessionId session);
  [[nodiscard]] Link* find_open(SessionId session);
  [[nodiscard]] const Link* find_open(SessionId session) const;
  SessionId start_session(SessionRef ref, Instant now);
  /// Whether the session may stay; else it has ended.
  [[nodiscard]] bool admit(Link& link);
  void evict(SessionId session);
  /// Closes a connection at once.
  void drop(SessionId session);
  /// Likewise one whose handshake is under way, and says why if it can.
  void displace(SessionId session);
  void note_use(Link& link);
  /// Returns what failed for one log alone.
  [[nodiscard]] Result<std::vector<replication::Denied>> ask(const DialOptions& options,
                                                             replication::Session& session);
  /// Tells, sends and ends what is due of a session after something has happened to it.
  void settle(Link& link, Instant now);
  void take_event(Link& link, replication::Event& event);
  void subscribe(Link& link, const LogKey& log);
  void forget(SessionId session, Instant now);
  void arm(Link& link);

  void call_due(Instant now);
  void dial_failed(DialId dial, const Error& error, Instant now);
  void dial_over(DialId dial, Duration lasted, Instant now);
  void tell_dial_over(DialId dial);
  /// To the application, and to the sync that has the dial.
  void tell(SessionEvent event);
  /// To the sync, or where there is none to the application.
  template <class Told>
  void tell(SyncId sync, Told told);
  /// Of a dial that has no session: nothing else will be said of it.
  void tell_stopped(DialId dial, const Endpoint& endpoint);
  TaskId run(StoreTask body, bool waits);

  // Fetches. What happens is told to them at once; what follows from it is done once all is told.
  [[nodiscard]] Result<replication::WantId> want(SessionId session,
                                                 const replication::WantRequest& request) override;
  void cancel(SessionId session, replication::WantId want) override;
  template <class Change>
  void change_fetch(FetchId id, Change change);
  template <class Change>
  void change_fetches_of(const LogKey& log, Change change);
  void tell_fetches_received(const replication::Work& work);
  void tell_fetches_stored(const replication::WorkReport& report);
  /// A dial has a session now, or with 0 is over.
  void tell_fetches_of_dial(DialId dial, SessionId began);
  void tell_fetches_ended(SessionId session);
  /// Whether the event is for a fetch alone.
  [[nodiscard]] bool take_fetch_event(Link& link, const replication::Event& event);
  void advance_fetches();
  void wake_fetches(Instant now);
  void arm(FetchId id, Running& running);
  void forget_fetch(std::map<FetchId, Running>::iterator fetch);

  // Syncs: likewise.
  [[nodiscard]] Result<replication::WantId> want_and_keep(SessionId session,
                                                          const replication::WantRequest& request);
  [[nodiscard]] Sync* find_sync(SyncId sync);
  /// Whether it is of a sync that lets the log go once it is forgotten here.
  [[nodiscard]] bool is_while_known(const Link& link, const LogKey& log);
  void tell_syncs_stored(const replication::WorkReport& report);
  void advance_syncs();
  [[nodiscard]] std::optional<Instant> next_sync_deadline() const;

  /// Takes it out of what is held; whether that is news.
  bool drop_damaged(replication::Session* session, const replication::Damaged& damaged);
  void meet(const LogKey& log, const store::RowDamage& damage);
  void start_drops();
  void drop_finished(const RowDrops::Task& drop, const Result<void>& outcome, Instant now);
  void entries_lost(const LogKey& log, Instant now);
  /// When input is to be bounded; nothing while there is room for it.
  [[nodiscard]] std::optional<Instant> next_look() const;
  /// Gives back memory of input, and ends sessions that are behind where that is not enough.
  void bound_input(Instant now);
  void keep_wanted(Link& link, const LogKey& log);
  /// Now where something of the log is here, else with the first of it that `link` brings. Whether
  /// it was now.
  bool keep_interest(Link& link, const LogKey& log, const store::LogInterest& interest);
  void keep_after(const replication::WorkReport& report);
  void task_finished(TaskId task, const Result<void>& outcome, Instant now);
  /// Tells the sessions that care for the logs, then settles these and all of `told`.
  void fan_out(std::span<const LogKey> logs, std::set<SessionId> told, Instant now);
  void wake_for_credit();
  void stop_when_alone();

  NodeOptions options_;
  const store::Store& store_;
  replication::Policy& policy_;
  SignatureVerifier& verifier_;
  Random& random_;

  replication::CreditPool credit_;
  replication::ArrivingPayloads payloads_;
  Admission admission_;
  DialPlan plan_;
  Subscriptions subscriptions_;
  CommitQueue queue_;
  std::map<DialId, Dial> dials_;
  std::map<SessionId, Link> links_;
  std::set<std::pair<Instant, SessionId>> timers_;
  std::map<FetchId, Running> fetches_;
  std::multimap<LogKey, FetchId> fetches_by_log_;
  std::deque<FetchId> changed_fetches_;
  std::set<std::pair<Instant, FetchId>> fetch_timers_;
  std::map<SyncId, RunningSync> syncs_;
  std::map<DialId, SyncId> sync_dials_;  ///< dials of syncs, until they are over
  std::map<TaskId, std::variant<DialStart, SyncEnd, InterestTask, RowDrops::Task>> own_tasks_;
  const std::shared_ptr<replication::KnownDamage> damage_;
  RowDrops drops_;
  std::map<LogKey, Instant> told_damaged_;  ///< of the state or of pages, until when
  std::optional<Instant> last_look_;        ///< for sessions that are behind
  std::deque<Action> actions_;
  NodeStats stats_;
  DialId last_dial_ = 0;
  SessionId last_session_ = 0;
  TaskId last_task_ = 0;
  FetchId last_fetch_ = 0;
  SyncId last_sync_ = 0;
  Instant now_{};  ///< when something happened last
  bool stopping_ = false;
  bool stopped_ = false;
};

}  // namespace culm::node
