#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "culm/core/result.hpp"
#include "culm/core/types.hpp"
#include "culm/replication/host/replica.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/node/endpoint.hpp"

/// The question to peers whether an author may append, where mark and store came from different
/// times. Spec: store.md#append-gate
namespace culm::host {

/// What known peers say of a log.
struct KnownHead {
  std::size_t asked = 0;     ///< peers that this store has synced with
  std::size_t answered = 0;  ///< none of them where they would not tell
  SeqNum head = 0;           ///< the highest entry that any of them holds
  /// What a peer says that it holds beyond the tail, and did not show: no answer.
  struct Claim {
    node::Endpoint endpoint;
    SeqNum head = 0;
  };
  std::vector<Claim> unproven{};

  /// Whether any of them could know: who holds nothing of a log does not.
  [[nodiscard]] bool is_of_use(SeqNum tail) const noexcept {
    return answered != 0 && (head != 0 || tail == 0);
  }
  /// Whether the log may be appended to behind `tail`. Fails with kAuthorMarkBehind for the head
  /// of a peer that holds more, and, where one is required, with kAuthorHeadUnknown.
  [[nodiscard]] Result<void> check(AppendGate gate, SeqNum tail) const;
};

/// Asks them, at most 5 s: through the node that runs on the store in `directory`, if one does,
/// otherwise by itself, with the network that `options` name. Who says that it holds more than
/// `tail` is to show its last entry, for at most 5 s each and 20 s in all; a node keeps what comes.
/// That nobody could be asked is no error. Fails as the store does.
[[nodiscard]] Result<KnownHead> ask_known_peers(const WritableStore& store,
                                                const std::string& directory, const LogKey& log,
                                                SeqNum tail, const ReplicaOptions& options = {});

}  // namespace culm::host
