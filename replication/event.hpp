#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "culm/core/sealing.hpp"
#include "culm/replication/committer.hpp"
#include "culm/replication/message.hpp"
#include "culm/replication/stats.hpp"

/// What passes between a session and its host.
namespace culm::replication {

/// What the host asks of a peer.
struct WantRequest {
  LogKey log;
  Interest interest;
  bool entries = true;   ///< false: only payloads of entries that are held
  bool payloads = true;  ///< false: entries only
  bool live = false;
  bool quote_only = false;
  /// With `quote_only`: what it would move to a peer that holds nothing.
  bool from_nothing = false;
  Order order = Order::kAscending;
  std::uint64_t payload_size_min = 0;
  std::uint64_t payload_size_max = limits::kPayloadSizeBytesMax;
  std::uint64_t budget_bytes = 0;  ///< of the entries and payload messages; 0: no budget
  /// What came of the budget by all wants that share it; nothing: a want has one of its own.
  std::shared_ptr<std::uint64_t> budget_spent{};
  RangeSet undelete{};  ///< payloads that are taken though they were deleted here
  RangeSet bare{};      ///< entries whose payloads are not taken
};

/// The handshake is done: who the peer is, and what it calls itself.
struct Established {
  sealing::PeerKey peer;
  std::string agent;
};
/// The peer says what it holds (or, in a want, held) of a log.
struct PeerHas {
  LogKey log;
  SeqNum head = 0;
  RangeSet held;
  RangeSet payloads;
  RangeSet payloads_excepted;  ///< said in a want only: payloads that it will not take
};
/// A quote for a want of ours came.
struct Quoted {
  WantId want = 0;
  LogKey log;
  Quote quote;
};
/// Work for the committer; answer with `work_finished`.
struct WorkReceived {
  Work work;
};
/// Everything that existed for a live want is committed.
struct CaughtUp {
  WantId want = 0;
  LogKey log;
};
/// A want of ours has ended and all it brought is committed.
struct WantEnded {
  WantId want = 0;
  LogKey log;
  DoneReason reason = DoneReason::kComplete;
};
/// The peer declines a want (`want` != 0) or an offer of ours; or what came for a want could not be
/// taken: kUnanchored, kCapped, or kBusy with the `error` of this side that keeps it from going on.
/// So (with `want` 0) a node tells of what a dial wants or offers and this side could not ask for.
struct Denied {
  WantId want = 0;
  LogKey log;
  DenyReason reason{};
  std::optional<Error> error = std::nullopt;  ///< nothing where the peer has declined
};
/// A log was offered and, by the policy, is wanted now. The host keeps `interest` in the store with
/// the first entries that come of it; a node does so itself.
struct OfferAccepted {
  LogKey log;
  store::LogInterest interest;
};
/// A log was offered that the policy does not want.
struct OfferDeclined {
  LogKey log;
};
/// The row or the payload of a held entry is damaged in the store here: the session goes on without
/// it. The host drops it (`WriteTransaction::drop_damaged`), then says `Session::drop_finished`; a
/// node does so itself. Where other damage keeps the log from being served, nothing is to be done.
struct Damaged {
  LogKey log;
  SeqNum seqnum = 0;  ///< of the entry; 0: the log's state, or pages of the file
};
/// For the host alone: from now on the session is to hear of changes of the log (`log_changed`), as
/// long as it cares for it.
struct LogNamed {
  LogKey log;
};
/// The session has ended; `error` says why unless it was a clean end.
struct Ended {
  std::optional<Error> error;
  std::string text;    ///< what the peer said in its bye
  SessionStats stats;  ///< of the whole session
};

using Event = std::variant<Established, PeerHas, Quoted, WorkReceived, CaughtUp, WantEnded, Denied,
                           OfferAccepted, OfferDeclined, Damaged, LogNamed, Ended>;

}  // namespace culm::replication
