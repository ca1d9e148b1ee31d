#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "culm/replication/node/action.hpp"
#include "culm/replication/node/options.hpp"
#include "culm/replication/node/sync_log.hpp"
#include "culm/replication/node/sync_request.hpp"

namespace culm::node {

/// One call of the application: any number of logs, one or more peers, once or live. The rules:
///
/// - Once, each log is one `Fetch` of all the peers. A few logs are under way at a time, through
///   one session with each peer; the others wait in the order they were given. A session names
///   limits::kLogsNamedPerSessionMax logs, and limits::kWantsPerSessionMax where they are offered
///   as well; more than that are another group, with sessions of its own when the one before is
///   done. When each log has come to its end, it hangs up.
/// - Live, groups of limits::kWantsPerSessionMax logs have their sessions all at a time; there are
///   kLiveLogsMax logs at most. Each is wanted of one peer at a time, its source: of the first that
///   is connected, and when that one goes away, declines or ends it, of the next. One that falls
///   silent goes away when `Liveness` ends its session. When all that the source holds has come,
///   and when the log was quiet for `kQuietAfter`, it is asked after at the other peers, and who
///   has more of it becomes its source. Until something comes each is asked once, and again
///   `kNewsAfter` it says that it holds something else, where the source has not brought it. Where
///   all have declined it is asked for again after `kAskAgainAfter`, or when one says it holds
///   some. A log that joins has its place in the last group, or begins another one, as one does
///   that peers are to be asked for; with `kGroupsMax` of these it has none, and fails with kBusy.
/// - A peer that cannot be reached is called again while live. One that did what no honest peer
///   does, or is another than was meant, is given up. With no peer left the sync ends, and with no
///   log left as well.
/// - Once, what is late, and who is asked for what instead, is for `Fetch` and its planner to say.
///   Who is mute, as no handshake was done with it, is given up when others have answered and
///   nothing has moved for FetchPlanner::kLateAfter, or half of `idle_max` where that is less. Who
///   was so, or has ceased to answer, is not called for the groups that follow.
///
/// What happens to it is kept until `advance`, which reacts. So it may ask for whatever it wants,
/// and is never called back in the middle of that.
class Sync {
 public:
  /// How often it tells what has come and how much has moved, and
  static constexpr Duration kTickEvery = std::chrono::milliseconds(100);
  /// looks, while live, for logs that are to be asked for or after.
  static constexpr Duration kLookEvery = std::chrono::seconds(1);
  static constexpr Duration kAskAgainAfter = std::chrono::seconds(10);
  static constexpr Duration kQuietAfter = std::chrono::seconds(30);
  static constexpr Duration kNewsAfter = std::chrono::milliseconds(500);
  static constexpr std::size_t kGroupsMax = 16;

  /// What a sync does to its node.
  class Peers {
   public:
    virtual ~Peers() = default;
    virtual DialId dial(const Endpoint& endpoint, DialOptions options) = 0;
    virtual void end_dial(DialId dial) = 0;
    virtual FetchId fetch(FetchRequest request) = 0;
    virtual void end_fetch(FetchId fetch) = 0;
    /// Unless it is for a quote, widened by the store's interest, and kept there.
    [[nodiscard]] virtual Result<replication::WantId> want(
        SessionId session, const replication::WantRequest& request) = 0;
    virtual void cancel(SessionId session, replication::WantId want) = 0;
    [[nodiscard]] virtual Result<void> offer(SessionId session, const LogKey& log) = 0;
    /// Nothing for one that has ended.
    [[nodiscard]] virtual replication::SessionStats stats(SessionId session) const = 0;
    /// See `replication::Policy`.
    [[nodiscard]] virtual bool must_ask(const LogKey& log) = 0;
    /// Calls `conclude` once all that sessions have received until now is stored or refused.
    virtual void conclude_after_commits() = 0;
  };

  /// All but `request` must outlive it. Precondition: `is_sound(request)`.
  Sync(SyncRequest request, const store::Store& store, Peers& peers);
  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;

  /// Reads what the store knows of the logs. Precondition: called once, before all else.
  [[nodiscard]] Result<void> prepare();
  void begin(Instant now);
  /// Asks for nothing more and hangs up; the report follows with `conclude`. Nothing happens if it
  /// was ended before.
  void end(SyncOutcome outcome, Instant now, std::optional<Error> error = std::nullopt);
  void conclude();
  [[nodiscard]] bool is_over() const { return is_over_; }

  [[nodiscard]] const SyncRequest& request() const { return request_; }

  [[nodiscard]] bool cares_for(const LogKey& log) const { return by_key_.contains(log); }

  // What happens to it, as far as that is of its dials, fetches and logs; then call `advance`.
  void take(SessionEvent event) { inbox_.emplace_back(std::move(event)); }
  void take(DialOver over) { inbox_.emplace_back(over); }
  void take(const FetchQuoted& quoted) { inbox_.emplace_back(quoted); }
  void take(FetchEnded ended) { inbox_.emplace_back(std::move(ended)); }
  void take(const LogKey& log, const store::IngestReport& done) {
    inbox_.emplace_back(Stored{log, done});
  }
  void take_passed_over(FetchId fetch, DialId dial) {
    inbox_.emplace_back(PassedOver{fetch, dial});
  }
  /// Damaged entries of the log could not be dropped, or, without an error, they are by now.
  void take_undropped(const LogKey& log, const RangeSet& seqnums,
                      const std::optional<Error>& error) {
    if (cares_for(log)) inbox_.emplace_back(Undropped{log, seqnums, error});
  }
  /// The log was forgotten here.
  void take_forgotten(const LogKey& log) {
    if (request_.while_known.contains(log)) inbox_.emplace_back(Forgotten{log});
  }
  /// The log has changed here.
  void take_changed(const LogKey& log) {
    if (cares_for(log) || may_join(log)) inbox_.emplace_back(Changed{log});
  }

  /// Reacts to that, and to the time.
  void advance(Instant now);
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  /// What is to be told to the application.
  [[nodiscard]] std::optional<SyncEvent> next_event();

 private:
  struct Group;
  struct Log {
    SyncLog state;
    Group* group = nullptr;
    bool is_begun = false;
    bool has_turn = false;
    bool is_over = false;
    bool is_dropped = false;          ///< forgotten here, and nobody has named it
    std::set<std::size_t> quoting{};  ///< peers whose quote is waited for, where that is all
    std::set<DialId> unoffered{};     ///< to these, as there was nothing to offer
    std::map<std::size_t, Instant> passed_over{};  ///< peers, and when
    std::set<std::size_t> damaged{};               ///< peers that have lost some of it

    // Live.
    DialId source = 0;               ///< who is asked for it; 0: nobody
    replication::WantId want = 0;    ///< with the source
    SeqNum source_head = 0;          ///< that the source said last
    bool is_caught_up = false;       ///< all that the source held is here
    std::set<DialId> asked_after{};  ///< at these, since something of it came
    std::set<DialId> news{};         ///< these have said since that they hold something else
    DialId last_source = 0;
    Instant asked_at{};
    std::size_t declined = 0;            ///< by so many one soon after the other
    std::optional<Instant> ask_again{};  ///< when it is asked for again, as all have declined
    Instant active_at{};                 ///< when something of it came, or it was asked after

    std::uint64_t unsaid = 0;  ///< entries that came and were not told of
  };
  /// Logs that share their sessions.
  struct Group {
    std::vector<Log*> logs;
    std::size_t begun = 0;   ///< so many of the logs
    std::size_t turns = 0;   ///< so many have theirs
    std::size_t over = 0;    ///< so many are done
    std::set<DialId> dials;  ///< that are not over
    bool is_closing = false;
  };
  /// What a want is for, if not for what is to come.
  enum class Question { kWhole, kQuote, kHead };
  struct Asked {
    Log* log = nullptr;
    Question question{};
    DialId source = 0;  ///< of the log at that time
  };
  /// A dial to one peer, for one group.
  struct Call {
    DialId dial = 0;
    Group* group = nullptr;
    std::size_t peer = 0;
    SessionId session = 0;  ///< once established
    std::map<replication::WantId, Asked> asked{};
    std::optional<Error> last_reason{};  ///< why it was disconnected
    bool is_given_up = false;
  };
  struct Stored {
    LogKey log;
    store::IngestReport done;
  };
  struct Changed {
    LogKey log;
  };
  struct Forgotten {
    LogKey log;
  };
  struct Undropped {
    LogKey log;
    RangeSet seqnums;
    std::optional<Error> error;
  };
  struct PassedOver {
    FetchId fetch = 0;
    DialId dial = 0;
  };
  using Happened = std::variant<SessionEvent, DialOver, FetchQuoted, FetchEnded, Stored, Changed,
                                Forgotten, Undropped, PassedOver>;

  /// Makes it one of the group, not begun.
  [[nodiscard]] Result<Log*> add(replication::WantRequest want, Group& group,
                                 const store::ReadTransaction& transaction);
  [[nodiscard]] Result<void> begin(Log& log, const store::ReadTransaction& transaction);
  [[nodiscard]] bool has_several() const { return request_.peers.size() > 1; }
  [[nodiscard]] std::size_t logs_at_a_time() const;
  void start_group();
  void start(Log& log);
  void go_on(Group& group);
  /// Lets the next log have its turn, and hangs up when all are over.
  void settle(Log& log);
  void count_if_over(Log& log);
  void close(Group& group);
  void finish();
  void take_what_happened();
  void fail_with(const Error& error) { end(SyncOutcome::kFailed, now_, error); }

  // What happened.
  void on(const SessionEvent& event);
  void on(const DialOver& over);
  void on(const FetchQuoted& quoted);
  void on(const FetchEnded& ended);
  void on(const Stored& stored);
  void on(const Changed& changed);
  void on(const Forgotten& forgotten);
  void on(const Undropped& undropped);
  [[nodiscard]] bool may_join(const LogKey& log) const;
  void join(const LogKey& log);
  /// None where there are too many.
  [[nodiscard]] Group* find_place(bool must_ask);
  void on(const PassedOver& passed_over);
  void on(Call& call, const replication::Established& established);
  void on(Call& call, const replication::PeerHas& has);
  void on(Call& call, const replication::Quoted& quoted);
  void on(Call& call, const replication::CaughtUp& caught_up);
  void on(Call& call, const replication::WantEnded& ended);
  void on(Call& call, const replication::Denied& denied);
  void on(Call& call, const replication::Damaged& damaged);
  void on(Call& call, const replication::Ended& ended);
  template <class Other>
  void on(Call& /*call*/, const Other& /*event*/) {}
  /// `for_good`: it is not called for other logs either.
  void give_up(Call& call, bool for_good);
  /// Once: gives up whom nobody has heard of, where others have answered and nothing moves.
  void pass_over_mute();
  void look_pushed(Log& log, std::size_t peer);
  /// No matter who proved it: its commit may have failed in name alone, or be of another process.
  void look_forked(Log& log);

  // What is asked of a peer.
  void ask_and_offer(Call& call, Log& log);
  void offer(Call& call, Log& log);
  void ask(Call& call, Log& log, Question question);
  void answered(const Call& call, const Asked& asked);

  // Live.
  void choose_source(Log& log);
  /// Whether it was asked.
  bool set_source(Log& log, Call& call);
  void ask_later(Log& log);
  void leave_source(Log& log);
  /// The log's head has fallen: the newest of it begin lower than what was asked for.
  void ask_lower(Log& log);
  /// The source wants to bring no more: the next one, or later all again.
  void source_declined(Log& log);
  /// Asks the other peers whether they have more of it.
  void ask_after(Log& log);
  /// The peer says, unasked, that it holds something of it.
  void take_news(Log& log, const Call& call);
  void look_after_logs();

  [[nodiscard]] std::optional<Instant> next_tick() const;
  void tell_received(Log& log);
  /// What is to be received before anything of the logs: handshakes, and what is said of each.
  [[nodiscard]] std::uint64_t connection_bytes() const;
  /// To what the peers quote of each log, its share of that.
  void add_connections_to_quotes();
  [[nodiscard]] SyncProgress progress() const;
  /// Of a sync that has ended: see `LogReport::silent`.
  [[nodiscard]] std::vector<Endpoint> find_silent(const Log& log) const;
  [[nodiscard]] Log* find(const LogKey& log);
  [[nodiscard]] const Endpoint& endpoint_of(const Call& call) const {
    return reports_[call.peer].endpoint;
  }

  SyncRequest request_;
  const store::Store& store_;
  Peers& peers_;
  std::deque<Log> logs_;
  std::map<LogKey, Log*> by_key_;
  std::map<LogKey, Log*> dropped_;  ///< their places are kept for when they join again
  std::map<FetchId, Log*> by_fetch_;
  std::deque<Group> groups_;
  Group placeless_;  ///< logs that came too late, or when there were too many: nobody is dialed
  std::size_t groups_begun_ = 0;
  std::vector<PeerReport> reports_;
  std::set<std::size_t> given_up_;  ///< peers that are not called again
  std::map<DialId, Call> calls_;    ///< that are not over
  std::deque<Happened> inbox_;
  std::deque<SyncEvent> events_;
  std::set<Log*> unsaid_;
  bool asks_again_ = false;  ///< `Log::ask_again` of some log is set
  Instant now_{};
  std::optional<Instant> began_;
  Instant ticked_{};
  Instant active_at_{};             ///< when something moved last
  std::uint64_t active_bytes_ = 0;  ///< that had moved by then
  std::uint64_t new_bytes_ = 0;     ///< that had moved when something new did
  std::uint64_t new_pieces_ = 0;    ///< that had moved by then
  SyncReport report_;               ///< as far as `end` knows it
  bool is_ending_ = false;
  bool is_over_ = false;
};

}  // namespace culm::node
