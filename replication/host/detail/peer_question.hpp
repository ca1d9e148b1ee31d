#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "culm/replication/host/append_gate.hpp"

/// What the gate before an append and the one before a sync have in common.
namespace culm::host {

/// Who is asked, of which log, and how.
struct Question {
  const store::Store& own;
  NodeClient* node;  ///< that runs on the store, if one does and is to ask
  const std::string& directory;
  const ReplicaOptions& options;
  const LogKey& log;
  SeqNum tail;
  std::vector<node::SyncPeer> peers;
  std::stop_token stop{};
  Duration wait_max = std::chrono::seconds(5);
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max();
};

/// Those that the store has synced with.
[[nodiscard]] Result<std::vector<node::SyncPeer>> list_known_peers(const store::Store& store);

/// All questions before one sync: they end before its own time does, unless `is_again`, and who was
/// mute once is not waited for again.
class Inquiry {
 public:
  Inquiry(const node::SyncRequest& request, bool is_again);

  /// For the next question: half of what is left, and at most 5 s; again, all of it. Nothing: no
  /// time is left.
  [[nodiscard]] std::optional<Duration> next_wait();
  [[nodiscard]] std::chrono::steady_clock::time_point end() const { return end_; }
  /// Whether some were not asked for want of time.
  [[nodiscard]] bool is_over() const { return is_over_; }
  /// Takes those that were mute out of `peers`.
  [[nodiscard]] std::vector<node::PeerReport> take_mute(std::vector<node::SyncPeer>& peers) const;
  /// Those among `peers` that were mute as they said nothing in time, where not all were mute.
  [[nodiscard]] std::vector<node::Endpoint> list_silent(
      const std::vector<node::SyncPeer>& peers) const;
  /// Keeps those that no handshake was done with; whether there are any.
  bool note(const std::vector<node::PeerReport>& peers);

 private:
  bool is_again_;
  std::chrono::steady_clock::time_point end_;
  bool is_over_ = false;
  std::vector<node::PeerReport> mute_;
};

/// Has them show what they hold.
[[nodiscard]] Result<KnownHead> ask_peers(const Question& about);

/// The question of all of `logs` at once: those of which each peer that is not mute says that it
/// holds nothing, in order. Fails as the store.
[[nodiscard]] Result<std::vector<LogKey>> find_unheld(const OwnLogs& own, std::vector<LogKey> logs,
                                                      std::vector<node::SyncPeer> peers,
                                                      Inquiry& inquiry,
                                                      const std::stop_token& stop);

/// Who holds a mark's lock may have been stopped, and who stops this side waits for no more.
constexpr Duration kLockOnceMax = std::chrono::milliseconds(200);

/// Calls `act` with the mark locked, which waits `kLockOnceMax`: as long as others do, but not
/// beyond `stop`.
template <class Act>
[[nodiscard]] Result<void> with_lock(store::AuthorMark& mark, const std::stop_token& stop,
                                     Act act) {
  const auto end = std::chrono::steady_clock::now() + store::FileAuthorMark::kWaitMax;
  for (;;) {
    auto done = store::with_lock(mark, act);
    const bool is_locked = !done && done.error().code == Errc::kAuthorMarkLocked;
    if (!is_locked || stop.stop_requested() || std::chrono::steady_clock::now() >= end) return done;
  }
}

/// Where nobody was asked before what is here was appended. Precondition: the mark is locked.
[[nodiscard]] Result<void> move_back(store::AuthorMark& mark, OtherBranch& other);

}  // namespace culm::host
