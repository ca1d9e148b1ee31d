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
#include "tools/cli/progress.hpp"
#include "tools/relay/asio.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {

struct SyncOptions {
  std::string address;
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

  SeqNum peer_head = 0;
  RangeSet peer_held;
  RangeSet peer_payloads;
  RangeSet peer_refuses;  ///< payloads that it deleted
  SeqNum pushed_head = 0;
  bool pushed = false;  ///< the peer has said that it holds all that is held here
};

/// What happened on the wire.
struct SyncTotals {
  std::optional<sealing::PeerKey> peer;
  replication::SessionStats stats;
  double seconds = 0;
};

/// The node that a sync uses, with its store.
struct SyncPlace {
  asio::io_context& io;
  const store::Store& store;
  transport::Node& node;
  bool has_terminal = false;  ///< of its own, for a progress bar
};

/// Moves logs between the store of a node and one peer, over as many sessions as they need.
class Sync {
 public:
  /// All must outlive the sync, which writes what came of them into `logs`.
  Sync(Context& context, const SyncOptions& options, const SyncPlace& place,
       std::vector<LogSync>& logs);
  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;
  ~Sync();

  /// Until all is done, or with --live until `interrupt`; then calls `done`, which may destroy the
  /// sync. Fails with exit 6 when the peer cannot be reached or goes away before the end, 4 when it
  /// sends what does not verify, 5 when the store fails.
  void begin(const node::Endpoint& endpoint, const std::optional<sealing::PeerKey>& expected_peer,
             std::function<void(Outcome<void>)> done);
  /// A person wants it to end.
  void interrupt();

  [[nodiscard]] const SyncTotals& totals() const noexcept { return totals_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Part { kWanted, kWhole };
  struct Asked {
    LogSync* log = nullptr;
    Part part{};
  };
  /// The logs of one session.
  struct Group {
    std::vector<LogSync*> logs;
    std::map<replication::WantId, Asked> wants;
    node::DialId dial = 0;
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
  void on_event(Group& group, const node::SessionRef& session, const replication::Event& event);
  void on_established(const node::SessionRef& session, const replication::Established& event);
  void on_peer_has(const replication::PeerHas& has);
  void on_denied(Group& group, const replication::Denied& denied);
  void on_want_ended(Group& group, const replication::WantEnded& ended);
  void on_ended(Group& group, const replication::Ended& ended);
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
  /// Of all sessions of this sync so far.
  [[nodiscard]] replication::SessionStats stats() const;
  /// `handler`, as long as the sync is there.
  template <class Handler>
  [[nodiscard]] auto guarded(Handler handler);

  Context& context_;
  const SyncOptions& options_;
  SyncPlace place_;
  transport::ObserverId observer_ = 0;
  std::function<void(Outcome<void>)> done_;
  node::Endpoint endpoint_;
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
