#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culm/core/time.hpp"
#include "culm/replication/event.hpp"
#include "culm/replication/node/endpoint.hpp"

/// What came of a sync, and why that is no success: see `Sync`.
namespace culm::node {

enum class LogOutcome {
  kComplete,    ///< all that is wanted is here, with `push` at every peer too; of a quote: it came
  kPartial,     ///< all that any peer holds is here, but not all that is wanted; or it was pushed,
                ///< and not all of it is confirmed
  kBudget,      ///< what is left does not fit into the budget
  kDenied,      ///< by every peer that answered; `LogReport::denied` says how
  kIncomplete,  ///< some peer says that it holds more, and none brought it; live also where one
                ///< takes more than it has confirmed
  kFailed,      ///< on this side: see LogReport::error
  kUnfinished,  ///< the sync ended before; live, before any peer had answered
};

/// Of what is held here, what a peer has not said that it holds.
struct Unconfirmed {
  Endpoint endpoint;
  RangeSet entries;
  RangeSet payloads;
  bool is_unsaid = false;  ///< it had no room to speak of them: it has said that it holds the rest
};

/// A peer declines what is pushed of a log.
struct OfferDenied {
  Endpoint endpoint;
  replication::DenyReason reason{};

  friend bool operator==(const OfferDenied&, const OfferDenied&) = default;
};

struct LogReport;
/// Whether a peer refused it, or each that did what was pushed of it, as its own store is damaged.
[[nodiscard]] bool is_denied_for_damage(const LogReport& log);
/// Whether peers have brought, and taken, only a part of it.
[[nodiscard]] bool is_partial(const LogReport& log);
/// Entries that lie in the store at or above the cap of their log: they stay there, and nobody
/// reads or serves them.
[[nodiscard]] RangeSet find_dropped(const store::LogState& log);

/// Of one log. Live, what holds at the end: what was denied and then served is not denied.
struct LogReport {
  LogKey log;
  LogOutcome outcome = LogOutcome::kUnfinished;
  std::optional<replication::DenyReason> denied;  ///< by the last peer that did
  std::vector<OfferDenied> offer_denied_by;       ///< by each that lacks some of it
  std::optional<Error> error;  ///< of this side, or kPeerStore of each peer, if that was why

  std::uint64_t entries = 0;              ///< wanted ones that came meanwhile, from anybody
  std::uint64_t certificate_entries = 0;  ///< others, as their proof
  std::uint64_t payload_bytes = 0;        ///< that are held now and were not before
  SeqNum head = 0;                        ///< here
  SeqNum peer_head = 0;                   ///< the highest that a peer has said
  std::vector<SeqNum> peer_heads;         ///< of each peer, in the order of the request
  /// Peers that did not say what they hold of it, nor no, or were passed over while they were to
  /// bring some of it and have not said anything since.
  std::vector<Endpoint> silent;
  std::vector<Endpoint>
      damaged;                ///< peers that have lost some of it by damage, where some is lacking
  SeqNum cap = 0;             ///< 0: no fork is known
  SeqNum end_of_log = 0;      ///< here; 0: it may go on
  RangeSet dropped;           ///< held from the cap on, where it was lowered meanwhile
  RangeSet payloads_dropped;  ///< of these
  /// Wanted and not here: it exists, or was named. Of a quote, with an error: which no peer holds.
  RangeSet missing;
  /// Wanted, now or by what the store keeps, and above the head: it may come to be. Of it only what
  /// was named now counts as missing.
  RangeSet beyond_head;
  // Of entries that are here, of a quote also with a peer; not where a peer did not serve it.
  RangeSet payloads_missing;   ///< likewise
  RangeSet payloads_left_out;  ///< of these, the ones of another size than was asked for
  /// Payloads that a peer holds and that were deleted here, and so did not come: of a part that was
  /// named, else of what is wanted. Of a quote too.
  RangeSet deleted_here;
  // With `push`.
  bool is_pushed = false;                ///< every peer has said that it holds all that is here
  std::vector<Unconfirmed> unconfirmed;  ///< by each other one, unless the log was new here
  /// Here, and leads to nothing: no peer can take it. What of it is not wanted is owed to nobody,
  /// so not `unconfirmed`.
  RangeSet cut_off;

  // Their wire_bytes are what the sync receives in all, with a share of what all logs have in
  // common: handshakes, and what is said of logs before anything is asked for.
  std::optional<replication::Quote> quote;  ///< for what is wanted and was not here, of one peer
  /// For all that the first peer holds. Not live, and with several peers not if it came too late.
  std::optional<replication::Quote> whole_quote;
};

/// Of one peer.
struct PeerReport {
  Endpoint endpoint;
  std::optional<sealing::PeerKey> peer{};  ///< once it has answered; no `error`: not waited for
  replication::SessionStats stats{};
  std::optional<Error> error{};  ///< why it was given up, or live why it is not connected
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
  std::optional<Error> error;  ///< with kFailed
  /// In the order of the request, but for those of `SyncForgotten`; then those of `SyncJoined`.
  /// None if the store failed before.
  std::vector<LogReport> logs;
  std::vector<PeerReport> peers;    ///< in the order of the request
  replication::SessionStats stats;  ///< of all peers
  Duration took{};
};

/// Whether nothing is known to keep the peer from answering, and some log lacks its answer.
[[nodiscard]] bool is_unanswered(const SyncReport& report, const PeerReport& peer);

/// Whether any entry or payload has come, or part of one.
[[nodiscard]] bool has_come(const SyncReport& report);

/// Why a sync that has ended is no success.
struct SyncShortfall {
  Error error;
  const PeerReport* peer = nullptr;  ///< the one that was lost, if that is why
  const LogReport* log = nullptr;    ///< the one that failed or was denied, if that is why
};

/// What keeps a sync from being a success, the gravest first; nothing if it is one. Borrows from
/// `report`. The error is that of this side's store, why a peer was lost, kTimeout when nothing
/// moved or its time was over while some peer was not lost, or one was passed over in a push,
/// kPeerStalled when a peer did not bring what it says it holds, kPeerClosed when the sync was
/// stopped, kDenied when a peer does not serve or take a log; of one that is LogOutcome::kPartial
/// kPeerStore when damage took some of it at each peer, otherwise kEntryNotHeld or kPayloadNotHeld;
/// kUsage where nothing has come, as of one that is LogOutcome::kBudget nothing fits. A fork is no
/// failure of the sync: see `LogReport::cap`.
[[nodiscard]] std::optional<SyncShortfall> why_not_done(const SyncReport& report);

}  // namespace culm::node
