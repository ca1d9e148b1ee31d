#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "culm/replication/node/sync_report.hpp"

/// What a sync tells the application: see `Sync`.
namespace culm::node {

/// Numbers the syncs of a node, from 1.
using SyncId = std::uint64_t;

/// How much has moved so far; some times a second, but not while live.
struct SyncProgress {
  replication::SessionStats stats;
  /// What is to be received in all; nothing before it is known of each log.
  std::optional<std::uint64_t> bytes_expected;
};
struct SyncConnected {
  Endpoint endpoint;
  sealing::PeerKey peer;
};
/// It is called again, or given up; told once for each reason in a row. Only while live.
struct SyncDisconnected {
  Endpoint endpoint;
  Error error;
  std::string text;  ///< what the peer said at that
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
  // Wanted and not here, as the peer does not hold it.
  RangeSet missing{};           ///< entries
  RangeSet payloads_missing{};  ///< of entries that are here, and of no other size than is wanted
};
/// A peer has all that it takes up to `head`, for the first time or more than before: everything,
/// but for what it has not said that it holds.
struct SyncPushed {
  Endpoint endpoint;
  LogKey log;
  SeqNum head = 0;
  RangeSet unconfirmed{};           ///< entries
  RangeSet payloads_unconfirmed{};  ///< likewise
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
  RangeSet dropped{};           ///< as `LogReport::dropped`
  RangeSet payloads_dropped{};  ///< likewise
};
/// A log that nobody has named was forgotten here: it is not synced any more, and not in the
/// report.
struct SyncForgotten {
  LogKey log;
};
/// A log that nobody has named is known here now: it is synced too, and in the report.
struct SyncJoined {
  LogKey log;
  std::optional<Error> error{};  ///< why it is not synced, where it is only in the report
};
/// The last.
struct SyncEnded {
  SyncReport report;
};

using SyncEvent =
    std::variant<SyncProgress, SyncConnected, SyncDisconnected, SyncReceived, SyncCaughtUp,
                 SyncPushed, SyncDenied, SyncForked, SyncForgotten, SyncJoined, SyncEnded>;

}  // namespace culm::node
