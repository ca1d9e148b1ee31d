#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/policy.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

/// Keeps a node from forking own logs with what was appended while nobody could be asked. Before
/// one of its syncs connects to a peer, all peers of the sync show what they hold of such logs; to
/// peers that connect to the node nothing is said or taken of them, nor are new entries shown to
/// who reads along, before a known peer was asked. Asks in threads of its own, and again now and
/// then. Used in the thread of `io` but where it is said. Spec: store.md#before-a-sync
class OwnLogGuard final : public replication::Policy {
 public:
  /// What keeps a log from being exchanged, or nothing where it may, see `AskedLogs`.
  using Outcome = Result<std::optional<UnaskedLog>>;
  using Found = std::function<void(const Outcome&)>;
  /// Told that entries are shown now that were not.
  using Shown = std::function<void(const LogKey&)>;

  /// All but `own` must outlive it. `policy`: what else peers may. No `own`: nothing is withheld.
  OwnLogGuard(boost::asio::io_context& io, store::Store& store, replication::Policy& policy,
              std::optional<OwnLogs> own, Found found, Shown shown);
  OwnLogGuard(const OwnLogGuard&) = delete;
  OwnLogGuard& operator=(const OwnLogGuard&) = delete;
  ~OwnLogGuard() override;

  using Answer = std::function<void(transport::DialAnswer)>;
  /// See `transport::BeforeDial`.
  void ask(transport::SyncDial dial, Answer answer);
  /// After a sync: see `host::bind_confirmed`. Where that fails, the next append asks once more.
  void ended(node::SyncId sync, const node::SyncReport& report);
  /// Ends what is asked, and asks no more.
  void stop();

  [[nodiscard]] bool may_read(const sealing::PeerKey& peer, const LogKey& log) override {
    return policy_.may_read(peer, log) && may_exchange(log);
  }
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& peer,
                                                               const LogKey& log) override {
    auto interest = policy_.accept_offer(peer, log);
    return interest && may_exchange(log) ? interest : std::nullopt;
  }
  [[nodiscard]] bool must_ask(const LogKey& log) override;

  // For who commits an author's entries, from any thread: they are shown once they are published,
  // and may be exchanged. See `store::Store::hold_back`.

  /// Before they are stored.
  void hold_back(const LogKey& log, SeqNum from);
  /// Once their mark has moved, or they were not stored.
  void publish(const LogKey& log);

 private:
  /// What the peers of one sync are asked, and who waits for it.
  struct Question {
    std::vector<std::pair<node::Endpoint, Answer>> waiting{};
    std::jthread thread{};        ///< joinable while they are asked
    std::vector<LogKey> asked{};  ///< and answered: no peer holds others; in order
    bool is_over = false;         ///< the sync is
  };
  /// Logs as their marks were when peers were asked.
  using Marked = std::map<LogKey, SeqNum>;
  /// What is known of an own log.
  struct Log {
    SeqNum held_from = 0;       ///< from here on entries are not shown; 0: all are
    bool is_published = false;  ///< and those are
    bool is_due = false;        ///< withheld until known peers were asked
    /// Of a mark of a log in doubt, of which no peer that was asked since holds others.
    std::optional<SeqNum> allowed{};
  };
  class Timer;

  [[nodiscard]] Marked find_marked(const std::vector<LogKey>& logs) const;
  void answered(node::SyncId sync, const Marked& marked, const Result<AskedLogs>& asked);
  [[nodiscard]] bool may_exchange(const LogKey& log);
  void show(const LogKey& log, Log& known);
  /// Shows what was withheld, where it may be exchanged now.
  void let_go(const LogKey& log);
  /// Asks the known peers for what is withheld.
  void look();
  void look_later();
  void looked(const std::vector<std::pair<LogKey, Outcome>>& found);
  void allow(const Marked& marked, const std::vector<LogKey>& free);
  [[nodiscard]] std::vector<LogKey> find_due();

  boost::asio::io_context& io_;
  store::Store& store_;
  replication::Policy& policy_;
  const std::optional<OwnLogs> own_;
  Found found_;
  Shown shown_;
  /// Gone with this, for what is still to be called then.
  std::shared_ptr<OwnLogGuard*> self_ = std::make_shared<OwnLogGuard*>(this);
  std::map<node::SyncId, Question> questions_;
  std::jthread look_;
  std::unique_ptr<Timer> timer_;
  std::chrono::steady_clock::time_point look_at_{};  ///< not before
  bool is_stopped_ = false;

  std::mutex mutex_;  ///< for what follows
  std::map<LogKey, Log> logs_;
};

}  // namespace culm::host
