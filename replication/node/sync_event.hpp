#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "culm/core/time.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/node/endpoint.hpp"

/// What a sync tells the application, and its report in the end: see `Sync`.
namespace culm::node {

/// Numbers the syncs of a node, from 1.
using SyncId = std::uint64_t;

enum class LogOutcome {
  kComplete,    ///< all that is wanted and that any peer holds is here; of a quote: it came
  kBudget,      ///< the budget was used up
  kDenied,      ///< by every peer that answered; `LogReport::denied` says how
  kIncomplete,  ///< some peer says that it holds more, and none brought it
  kFailed,      ///< on this side: see LogReport::error
  kUnfinished,  ///< the sync ended before, or was live
};

/// Of one log.
struct LogReport {
  LogKey log;
  LogOutcome outcome = LogOutcome::kUnfinished;
  std::optional<replication::DenyReason> denied;        ///< by the last peer that did
  std::optional<replication::DenyReason> offer_denied;  ///< likewise
  std::optional<Endpoint> offer_denied_by;
  std::optional<Error> error;  ///< of this side, where that was why

  std::uint64_t entries = 0;              ///< wanted ones that came meanwhile, from anybody
  std::uint64_t certificate_entries = 0;  ///< others, as their proof
  std::uint64_t payload_bytes = 0;        ///< that are held now and were not before
  SeqNum head = 0;                        ///< here
  SeqNum peer_head = 0;                   ///< the highest that a peer has said
  SeqNum cap = 0;                         ///< 0: no fork is known
  RangeSet missing;                       ///< wanted, known to exist, and not here
  RangeSet
      payloads_missing;    ///< wanted, of entries that are here; not before it has come to an end
  bool is_pushed = false;  ///< with `push`: every peer has said that it holds all that is here

  std::optional<replication::Quote> quote;  ///< for what is wanted and was not here, of one peer
  /// For all that the first peer holds. Not live, and with several peers not if it came too late.
  std::optional<replication::Quote> whole_quote;
};

/// Of one peer.
struct PeerReport {
  Endpoint endpoint;
  std::optional<sealing::PeerKey> peer{};  ///< once it has answered
  replication::SessionStats stats{};
  std::optional<Error> error{};  ///< why it was given up
  std::string text{};            ///< what it said at that
};

enum class SyncOutcome {
  kDone,  ///< each log has come to its own end
  /// As kDone, but some log is LogOutcome::kIncomplete, or a peer was lost before it had confirmed
  /// a push.
  kIncomplete,
  kNoPeer,    ///< no peer is left: see PeerReport::error
  kIdle,      ///< nothing has moved for SyncRequest::idle_max
  kDeadline,  ///< SyncRequest::whole_max has passed
  kStopped,   ///< the application has ended it, or the node
  kFailed,    ///< on this side: see SyncReport::error
};

struct SyncReport {
  SyncOutcome outcome = SyncOutcome::kStopped;
  std::optional<Error> error;     ///< with kFailed
  std::vector<LogReport> logs;    ///< in the order of the request; none if the store failed before
  std::vector<PeerReport> peers;  ///< in the order of the request
  replication::SessionStats stats;  ///< of all peers
  Duration took{};
};

struct SyncConnected {
  Endpoint endpoint;
  sealing::PeerKey peer;
};
/// It is called again, or given up; told once for each reason in a row. Only while live.
struct SyncDisconnected {
  Endpoint endpoint;
  Error error;
  std::string text;           ///< what the peer said at that
  bool has_answered = false;  ///< it has been connected before
  bool is_given_up = false;
};
/// Entries were stored: what has come since it was told last, at most some times a second.
struct SyncReceived {
  LogKey log;
  std::uint64_t entries = 0;
  SeqNum up_to = 0;  ///< the highest that has come in this sync
};
/// All that is wanted and that the peer held is here; what follows comes as it is made. Only while
/// live.
struct SyncCaughtUp {
  Endpoint endpoint;
  LogKey log;
  SeqNum head = 0;  ///< the peer's
};
/// A peer holds everything up to `head`, for the first time or more than before.
struct SyncPushed {
  Endpoint endpoint;
  LogKey log;
  SeqNum head = 0;
};
/// A peer declines a want, which while live is asked for again, of the next peer if there is one;
/// or an offer, which is repeated when it is connected again.
struct SyncDenied {
  Endpoint endpoint;
  LogKey log;
  replication::DenyReason reason{};
  bool is_offer = false;
  std::optional<Error> error;  ///< of this side, where that was why
};
/// The author has forked the log: entries from there on are not valid.
struct SyncForked {
  LogKey log;
  SeqNum at = 0;
};
/// The last.
struct SyncEnded {
  SyncReport report;
};

using SyncEvent = std::variant<SyncConnected, SyncDisconnected, SyncReceived, SyncCaughtUp,
                               SyncPushed, SyncDenied, SyncForked, SyncEnded>;

}  // namespace culm::node
