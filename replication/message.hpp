#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "culm/core/hash.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/closure.hpp"
#include "culm/feed/defect.hpp"
#include "culm/feed/range_set.hpp"

/// What two peers say to each other. Spec: replication.md#messages
namespace culm::replication {

/// Chosen by the side that wants, unique in its session, ascending from 1.
using WantId = std::uint32_t;

inline constexpr std::uint32_t kProtocolVersion = 2;

/// First message of each side.
struct Hello {
  static constexpr std::uint8_t kType = 0;
  std::uint32_t version = kProtocolVersion;
  std::string agent;  ///< for people; UTF-8, at most limits::kTextBytesMax bytes
};

/// A log that the sender would push, should the receiver want it.
struct Offer {
  static constexpr std::uint8_t kType = 1;
  LogKey log;
  SeqNum head = 0;
};

/// What the sender holds of a log that the receiver has named; after a commit, the receipt for it.
struct Have {
  static constexpr std::uint8_t kType = 2;
  LogKey log;
  SeqNum head = 0;  ///< 0: nothing is held, and `head_hash` is zero
  Hash head_hash;
  RangeSet held;
  RangeSet payloads;
};

enum class Order : std::uint8_t { kAscending = 0, kNewestFirst = 1 };

/// Asks for the closure of a part of a log, without what is held already.
struct Want {
  static constexpr std::uint8_t kType = 3;
  WantId id = 0;
  LogKey log;
  Interest interest;
  bool entries = true;      ///< send entries not held
  bool payloads = true;     ///< send payloads of the entries in `interest`
  bool live = false;        ///< go on as the log grows
  bool full = false;        ///< leave no link out (after a restoration failed)
  bool quote_only = false;  ///< answer with have and quote alone
  Order order = Order::kAscending;
  std::uint64_t payload_size_min = 0;                             ///< payloads below are not wanted
  std::uint64_t payload_size_max = limits::kPayloadSizeBytesMax;  ///< nor payloads above
  std::uint64_t budget_bytes = 0;  ///< stop before more is sent; 0: no budget
  RangeSet held;
  RangeSet payloads_held;
  RangeSet payloads_excepted;  ///< deleted here: not wanted again
  /// The payload of which parts are here, all before `resume_offset`; 0: none is to be gone on
  /// with.
  SeqNum resume_seqnum = 0;
  std::uint64_t resume_offset = 0;  ///< of the part that is due; 0 with no payload
};

/// What answering a want will move. Counts are exact; `payload_bytes` is when `exact` says so.
struct Quote {
  static constexpr std::uint8_t kType = 4;
  WantId want = 0;
  std::uint64_t entries = 0;              ///< entries asked for that will be sent
  std::uint64_t certificate_entries = 0;  ///< entries sent besides, as their proof
  std::uint64_t payload_bytes = 0;
  std::uint64_t wire_bytes = 0;  ///< an estimate
  bool exact = true;
};

/// A unit in the elided form. `unit` borrows from the received frame.
struct Entries {
  static constexpr std::uint8_t kType = 5;
  WantId want = 0;
  ByteView unit;
};

/// Part of the payload of an entry that the receiver holds. Parts come in order from the first, or
/// from where the want says that its payload is to be gone on with; each but the last is
/// limits::kPayloadChunkBytes long. `bytes` borrows from the received frame.
struct Payload {
  static constexpr std::uint8_t kType = 6;
  WantId want = 0;
  SeqNum seqnum = 0;
  std::uint64_t offset = 0;
  bool last = false;
  ByteView bytes;
};

/// All of a live want that exists was sent; what follows is new.
struct Ready {
  static constexpr std::uint8_t kType = 7;
  WantId want = 0;
};

enum class DoneReason : std::uint8_t {
  kComplete = 0,
  kBudget = 1,
  kCancelled = 2,
  kDamaged = 3,  ///< all that is sound was sent: some of what is wanted was lost here by damage
};

/// Nothing more follows for this want.
struct Done {
  static constexpr std::uint8_t kType = 8;
  WantId want = 0;
  DoneReason reason = DoneReason::kComplete;
};

/// The sender no longer wants this; what is under way may still arrive.
struct Cancel {
  static constexpr std::uint8_t kType = 9;
  WantId want = 0;
};

/// Allows the receiver to send so many more bytes of entries and payload messages.
struct Credit {
  static constexpr std::uint8_t kType = 10;
  std::uint64_t bytes = 0;
};

/// Asks for, or answers with, the hash of the entry held at a seqnum. An answer that differs brings
/// the entry itself: with the asker's own it is evidence.
struct Compare {
  static constexpr std::uint8_t kType = 11;
  LogKey log;
  SeqNum seqnum = 0;
  bool answer = false;
  std::optional<Hash> hash;  ///< nothing: not held
  Bytes entry;               ///< empty unless an answer that differs
};

/// Evidence against the author of a log that the receiver replicates.
struct DefectFound {
  static constexpr std::uint8_t kType = 12;
  LogKey log;
  Evidence evidence;
};

enum class DenyReason : std::uint8_t {
  kNotServed = 0,   ///< not held, or not for you; the same answer for both
  kNotWanted = 1,   ///< an offer is declined
  kUnanchored = 2,  ///< a unit could not be anchored; nobody's fault
  kCapped = 3,      ///< the log is not valid there
  kBusy = 4,        ///< a limit is reached; try later
  kDamaged = 5,     ///< some of the log cannot be read in the denier's store
};
/// What later versions say means kBusy to this one.
inline constexpr DenyReason kDenyReasonMax{255};

/// Declines a want of the receiver, an offer, or a unit of the receiver.
struct Deny {
  static constexpr std::uint8_t kType = 13;
  LogKey log;
  WantId want = 0;  ///< 0: an offer
  DenyReason reason{};
};

struct Ping {
  static constexpr std::uint8_t kType = 14;
  std::uint64_t nonce = 0;
};

struct Pong {
  static constexpr std::uint8_t kType = 15;
  std::uint64_t nonce = 0;
};

/// The last message: nothing follows it. `code` 0 is a clean end, any other the `Errc` that the
/// sender met.
struct Bye {
  static constexpr std::uint8_t kType = 16;
  std::uint16_t code = 0;
  std::string text;
};

using Message = std::variant<Hello, Offer, Have, Want, Quote, Entries, Payload, Ready, Done, Cancel,
                             Credit, Compare, DefectFound, Deny, Ping, Pong, Bye>;

}  // namespace culm::replication
