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
};

/// Has them show what they hold.
[[nodiscard]] Result<KnownHead> ask_peers(const Question& about);

/// Where nobody was asked before what is here was appended. Precondition: the mark is locked.
[[nodiscard]] Result<void> move_back(store::AuthorMark& mark, OtherBranch& other);

}  // namespace culm::host
