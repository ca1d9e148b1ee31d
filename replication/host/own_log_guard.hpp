#pragma once

#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::host {

/// Keeps a node from forking own logs: before one of its syncs connects to a peer, all peers of the
/// sync show what they hold of the logs that were appended to while nobody could be asked. Asks in
/// threads of its own; used in that of `io`. Spec: store.md#before-a-sync
class OwnLogGuard {
 public:
  /// What keeps a sync from connecting, or nothing where it may, as `find_unasked`.
  using Outcome = Result<std::optional<UnaskedLog>>;
  using Found = std::function<void(const Outcome&)>;

  /// `io` must outlive it.
  OwnLogGuard(boost::asio::io_context& io, OwnLogs own, Found found);
  OwnLogGuard(const OwnLogGuard&) = delete;
  OwnLogGuard& operator=(const OwnLogGuard&) = delete;
  /// Ends what is asked.
  ~OwnLogGuard();

  using Answer = std::function<void(transport::DialAnswer)>;
  /// See `transport::BeforeDial`.
  void ask(transport::SyncDial dial, Answer answer);

 private:
  /// What the peers of one sync are asked, and who waits for it.
  struct Question {
    std::vector<std::pair<node::Endpoint, Answer>> waiting{};
    std::jthread thread{};
  };

  void answered(node::SyncId sync, const Outcome& outcome);

  boost::asio::io_context& io_;
  OwnLogs own_;
  Found found_;
  /// Gone with this, for what is still to be called then.
  std::shared_ptr<OwnLogGuard*> self_ = std::make_shared<OwnLogGuard*>(this);
  std::map<node::SyncId, Question> questions_;
};

}  // namespace culm::host
