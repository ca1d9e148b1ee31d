#pragma once

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
};

/// Has them show what they hold.
[[nodiscard]] Result<KnownHead> ask_peers(const Question& about);

/// The question of all of `logs` at once: those of which each peer says that it holds nothing, in
/// order. None where a peer does not say. Fails as the store.
[[nodiscard]] Result<std::vector<LogKey>> find_unheld(const OwnLogs& own,
                                                      const std::vector<LogKey>& logs,
                                                      std::vector<node::SyncPeer> peers,
                                                      const std::stop_token& stop);

/// Where nobody was asked before what is here was appended. Precondition: the mark is locked.
[[nodiscard]] Result<void> move_back(store::AuthorMark& mark, OtherBranch& other);

}  // namespace culm::host
