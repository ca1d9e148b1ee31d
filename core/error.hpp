#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culm {

/// Why something was refused. One enumerator is one reason and one row of the table in error.cpp,
/// which says everything that culm knows of it:
///
///     name()           its stable name in JSON, vectors and tests
///     describe()       its sentence for people
///     fault()          who brought it about
///     ends()           what it ends
///     full_may_help()  whether asking for the unit in full may show another outcome
///
/// Decisions follow from these answers; the library lists codes nowhere else. Spec: errors.md#table
enum class Errc : std::uint16_t {
  // core
  kHexFormat = 1,
  kVarU64Truncated,
  kVarU64Noncanonical,  ///< Spec: entry.md#varu64
  kHashFormat,          ///< Spec: entry.md#yamf-hash
  kKeyFormat,
  kCryptoSelfTest,
  kSealBroken,

  // feed
  kEntryTruncated = 100,  ///< Spec: entry.md#fields
  kEntryTrailing,
  kEntryTag,
  kEntryTooLong,
  kSeqnumZero,
  kSeqnumEnd,       ///< the log has used every seqnum
  kEntrySignature,  ///< Spec: verification.md#criterion
  kAuthorKey,       ///< Spec: verification.md#criterion
  kLinkMismatch,    ///< Spec: verification.md#links
  kEntryForeign,    ///< an entry of another author or log
  kUnitOrder,       ///< Spec: verification.md#units
  kUnitEmpty,
  kUnitUnanchored,  ///< Spec: verification.md#anchored
  kFork,            ///< Spec: verification.md#defects
  kLogCapped,       ///< at or above the log's cap
  kLogEnded,        ///< nothing follows an end-of-log entry
  kPayloadHash,     ///< Spec: verification.md#payload
  kPayloadSize,     ///< Spec: verification.md#payload
  kPayloadTooLarge,
  kRange,       ///< start 0 or start > end
  kRangeOrder,  ///< Spec: closure.md#range-sets
  kRangesTooMany,
  kElidedFormat,  ///< Spec: elided.md
  kElidedTarget,  ///< an elided link cannot be restored from what is held
  kEvidence,      ///< the bytes prove no defect

  // store
  kStoreIo = 200,
  kStoreFull,
  kStoreDamaged,
  kStoreVersion,
  kStoreLocked,
  kStoreNotFound,
  kStoreReadOnly,
  kStoreFormat,
  kLogUnknown,
  kEntryNotHeld,
  kPayloadNotHeld,
  kPayloadDeleted,
  kAuthorMarkBehind,  ///< the store lacks entries that were published
  kAuthorMarkFork,    ///< the store holds another entry where one was published
  kAuthorMarkFormat,
  kAuthorMarkLocked,
  kAuthorHeadUnknown,
  kLogFragmented,   ///< more ranges than are kept of one log
  kBusy,            ///< a bound of this side is reached; later it may go
  kStoreBusy,       ///< the store is read by as many as it takes
  kKeyFileMissing,  ///< Spec: key-file.md#reading
  kKeyFileLink,
  kKeyFileKind,
  kKeyFileOwner,
  kKeyFileShared,
  kKeyFileFormat,
  kKeyFileVersion,
  kKeyFileMismatch,  ///< its author is not the secret's

  // replication
  kFrameLength = 300,
  kFrameTruncated,
  kMsgpackLength,
  kMsgpackDepth,
  kMsgpackType,
  kMsgpackNoncanonical,
  kMsgpackTrailing,
  kMessageSchema,
  kMessageUtf8,
  kMessageType,
  kProtocolState,
  kProtocolVersion,
  kFlow,
  kLimit,
  kHandshake,
  kDecrypt,
  kUnsolicited,
  kPeerSilent,
  kPeerSlow,
  kPeerStalled,
  kPeerClosed,
  kPeerUnexpected,  ///< the peer's key is not the pinned one
  kDenied,          ///< the peer does not serve or take a log
  kPeerFull,        ///< it says so: as busy as kBusy is here
  kPeerForeign,     ///< what answers speaks something else
  kPeerNetwork,     ///< of another network, or another version of the protocol
  kPeerSelf,        ///< it has this side's own key
  kPeerHungUp,      ///< before it said anything
  kPeerRefused,     ///< once it had this side's identity, without a word
  kPeerStoreFull,   ///< it says so: as full as kStoreFull is here
  kPeerStore,       ///< it says that its store fails, as this side's does with Fault::kOwnStore

  // transport and tools
  kNetwork = 400,
  kAddress,
  kTimeout,
  kFileIo,
  kFileExists,
  kFileFormat,
  kUsage,
  kNodeSilent,  ///< the node that runs on the store does not answer
};

/// Who brought an error about. It decides who is blamed: a peer for kPeer and nothing else.
/// Spec: errors.md#fault
enum class Fault : std::uint8_t {
  kNobody,    ///< chance, the network, or two honest sides that hold different things
  kAuthor,    ///< the log's author broke or ended it; who delivers that is not to blame
  kPeer,      ///< the other side did what no honest peer does
  kOwnStore,  ///< this side: its store or its disk
  kCaller,    ///< what was asked for cannot be done
};

/// What an error ends, from the narrowest to the widest. Spec: errors.md#scope
enum class Scope : std::uint8_t {
  kCall,     ///< the call that returns it, nothing else
  kUnit,     ///< one unit or payload is passed over
  kLog,      ///< what goes on about one log: a want, a comparison
  kSession,  ///< the session
  kStore,    ///< everything that needs the store
};

/// Which number `Error::detail` is.
enum class ErrorDetail : std::uint8_t { kNone, kOffset, kSeqnum, kSystem };

/// A reason with at most one number beside it. Small and trivially copyable: making one costs
/// nothing, `message()` makes the text.
struct Error {
  Errc code{};
  ErrorDetail detail_kind = ErrorDetail::kNone;
  std::uint64_t detail = 0;

  friend bool operator==(const Error&, const Error&) = default;
};

/// An error at a byte of the input, counted from 0.
[[nodiscard]] constexpr Error error_at(Errc code, std::uint64_t offset) {
  return {code, ErrorDetail::kOffset, offset};
}

/// An error about the entry `seqnum`.
[[nodiscard]] constexpr Error error_for(Errc code, std::uint64_t seqnum) {
  return {code, ErrorDetail::kSeqnum, seqnum};
}

/// An error of the operating system, by `errno`.
[[nodiscard]] constexpr Error error_system(Errc code, int number) {
  return {code, ErrorDetail::kSystem, static_cast<std::uint64_t>(number)};
}

/// Stable name, snake_case: "entry_truncated".
[[nodiscard]] std::string_view name(Errc code) noexcept;

/// One sentence without its full stop.
[[nodiscard]] std::string_view describe(Errc code) noexcept;

/// Who brought the error about. Spec: errors.md#fault
[[nodiscard]] Fault fault(Errc code) noexcept;

/// What the error ends: `ends(code) < Scope::kSession` spares the session. Spec: errors.md#scope
[[nodiscard]] Scope ends(Errc code) noexcept;

/// Whether an elided unit that failed so may be good, or fail for its true reason, when its links
/// come in full. Spec: replication.md#units
[[nodiscard]] bool full_may_help(Errc code) noexcept;

/// "nobody", "author", "peer", "own store", "caller".
[[nodiscard]] std::string_view name(Fault fault) noexcept;

/// "call", "unit", "log", "session", "store".
[[nodiscard]] std::string_view name(Scope scope) noexcept;

/// The sentence with the place: "the entry ends too early (at byte 17)".
[[nodiscard]] std::string message(const Error& error);

}  // namespace culm
