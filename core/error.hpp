#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culm {

/// Why something was refused. One enumerator is one reason; `name()` is its stable name in JSON,
/// vectors and tests, `describe()` its sentence for people.
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

  // transport and tools
  kNetwork = 400,
  kAddress,
  kTimeout,
  kFileIo,
  kFileExists,
  kFileFormat,
  kUsage,
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

/// The sentence with the place: "the entry ends too early (at byte 17)".
[[nodiscard]] std::string message(const Error& error);

}  // namespace culm
