#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culm/replication/transport/node.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"
#include "tools/cli/progress.hpp"
#include "tools/relay/asio.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {

/// Where to, and who it must be.
struct SyncTarget {
  std::vector<node::Endpoint> endpoints;  ///< HOST:PORT first
  std::optional<sealing::PeerKey> peer;
};

struct SyncOptions {
  std::string address;
  std::vector<std::string> also;
  std::vector<std::string> logs;
  std::string range;
  std::string newest;
  bool entries_only = false;
  bool undelete = false;
  bool once = false;
  bool live = false;
  bool push = false;
  bool quote = false;
  bool newest_first = false;
  std::string budget;
  std::string payload_max;
  std::string peer;
  double timeout_seconds = 30;
  HostOptions host_options;
};

/// What is to be done with one log, and what came of it.
struct LogSync {
  LogKey log;
  replication::WantRequest want;
  std::uint64_t payload_bytes_before = 0;

  std::optional<replication::Quote> quote;        ///< for what is wanted and not held
  std::optional<replication::Quote> whole_quote;  ///< for the whole log, for one who holds nothing
  RangeSet added;                                 ///< entries that came
  std::optional<replication::DoneReason> done;
  std::optional<replication::DenyReason> want_denied;
  std::optional<Error> error;  ///< of this side, for which the want was given up
  std::optional<replication::DenyReason> offer_denied;
  bool whole_over = false;
  bool is_incomplete = false;  ///< several peers together did not bring all that one of them holds

  SeqNum peer_head = 0;
  RangeSet peer_held;
  RangeSet peer_payloads;
  RangeSet peer_refuses;  ///< payloads that it deleted
  SeqNum pushed_head = 0;
  bool pushed = false;  ///< the peer has said that it holds all that is held here
};

/// What one of the peers brought.
struct PeerSync {
  node::Endpoint endpoint;
  std::optional<sealing::PeerKey> peer;  ///< once it has answered
  replication::SessionStats stats;
  std::optional<Failure> failure;  ///< why it was given up
};

/// What happened on the wire.
struct SyncTotals {
  std::vector<PeerSync> peers;      ///< the one at HOST:PORT first
  replication::SessionStats stats;  ///< of all of them
  double seconds = 0;

  /// Whether any peer has answered.
  [[nodiscard]] bool is_established() const;
};

/// The node that a sync uses, with its store.
struct SyncPlace {
  asio::io_context& io;
  const store::Store& store;
  transport::Node& node;
  bool has_terminal = false;  ///< of its own, for a progress bar
};

/// Moves logs between the store of a node and a peer, over as many sessions as they need; or
/// fetches them from several peers together.
class Sync {
 public:
  /// All must outlive the sync, which writes what came of them into `logs`.
  Sync(Context& context, const SyncOptions& options, const SyncPlace& place,
       std::vector<LogSync>& logs);
  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;
  ~Sync();

  /// Until all is done, or with --live until `interrupt`; then calls `done`, which may destroy the
  /// sync. Fails with exit 6 when no peer can be reached, or what one should bring is missing when
  /// it went away, 4 when it sent what does not verify, 5 when the store fails.
  void begin(const SyncTarget& target, std::function<void(Outcome<void>)> done);
  /// A person wants it to end.
  void interrupt();

  /// So far, open sessions included.
  [[nodiscard]] SyncTotals totals() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class Part { kWanted, kWhole };
  struct Asked {
    LogSync* log = nullptr;
    Part part{};
  };
  /// The logs of one session, or of one with each peer.
  struct Group {
    std::vector<LogSync*> logs;
    std::map<replication::WantId, Asked> wants;
    node::DialId dial = 0;                          ///< to the peer at HOST:PORT; 0: not begun
    std::map<node::DialId, std::size_t> under_way;  ///< dials that are not over, and their peers
    std::size_t fetched = 0;                        ///< logs that were begun, of several peers
    std::size_t fetching = 0;                       ///< those among them that have not ended
    bool is_closing = false;
    bool is_over = false;
    std::string last_failure;
  };

  /// A want that was denied and is made again, for --live.
  struct Retry {
    Clock::time_point at;
    Group* group = nullptr;
    LogSync* log = nullptr;
  };

  void make_groups(std::vector<LogSync>& logs);
  void start(Group& group);
  void dial(Group& group, std::size_t peer, node::DialOptions options);
  void fetch(Group& group);
  void on_fetched(LogSync& log, const node::FetchEnded& ended);
  void on_event(Group& group, const node::SessionRef& session, const replication::Event& event);
  void on_established(const node::SessionRef& session, const replication::Established& event);
  void on_peer_has(const replication::PeerHas& has);
  void on_denied(Group& group, const replication::Denied& denied);
  void on_want_ended(Group& group, const replication::WantEnded& ended);
  void on_ended(Group& group, const node::SessionRef& session, const replication::Ended& ended);
  void on_peer_lost(Group& group, std::size_t peer, Failure failure);
  [[nodiscard]] bool has_several() const { return totals_.peers.size() > 1; }
  void on_committed(const replication::WorkReport& report);
  [[nodiscard]] Outcome<void> check_pushed(LogSync& log);
  void start_groups();
  /// What was deleted here, and is wanted now, may come again; then starts.
  void undelete();
  [[nodiscard]] bool is_complete(const LogSync& log) const;
  /// Looks, once the node has come to rest, whether a group is done.
  void look_later();
  void look();
  void tick();
  void show_progress(const replication::SessionStats& stats);
  void ask_again();
  void say(const Json& event, const std::string& text);
  void say_received();
  void finish(Outcome<void> outcome);
  /// `handler`, as long as the sync is there.
  template <class Handler>
  [[nodiscard]] auto guarded(Handler handler);

  Context& context_;
  const SyncOptions& options_;
  SyncPlace place_;
  transport::ObserverId observer_ = 0;
  std::function<void(Outcome<void>)> done_;
  std::optional<sealing::PeerKey> expected_peer_;
  std::map<LogKey, LogSync*> by_key_;
  std::vector<Group> groups_;
  SyncTotals totals_;
  /// What handlers hold weakly, because they may come when the sync is gone.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  asio::steady_timer timer_;
  Clock::time_point started_;
  Clock::time_point progressed_;  ///< when something last moved
  std::uint64_t moved_bytes_ = 0;
  std::map<LogKey, std::uint64_t> unsaid_;  ///< entries that came and were not told of, for --live
  std::deque<Retry> to_ask_;
  std::optional<Progress> progress_;
  bool finished_ = false;
  bool look_posted_ = false;
};

}  // namespace culm::tools
