#include "culm/core/error.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace culm {
namespace {

struct Row {
  Errc code{};
  std::string_view name;
  std::string_view description;
};

constexpr Row kRows[] = {
    {Errc::kHexFormat, "hex_format", "this is not the hex text that is due here"},
    {Errc::kVarU64Truncated, "varint_truncated", "the number ends too early"},
    {Errc::kVarU64Noncanonical, "varint_noncanonical", "the number is not in its shortest form"},
    {Errc::kHashFormat, "hash_format", "this is not a yamf-hash of type BLAKE2b-512"},
    {Errc::kKeyFormat, "key_format", "this is not a key"},
    {Errc::kCryptoSelfTest, "crypto_self_test",
     "the crypto library decides signatures otherwise than culm must; nothing can be verified with "
     "it"},
    {Errc::kSealBroken, "seal_broken", "the sealed bytes were damaged or made with another key"},
    {Errc::kEntryTruncated, "entry_truncated", "the entry ends too early"},
    {Errc::kEntryTrailing, "entry_trailing", "bytes follow the end of the entry"},
    {Errc::kEntryTag, "entry_tag", "the tag is neither 0 (entry) nor 1 (end-of-log)"},
    {Errc::kEntryTooLong, "entry_too_long", "the entry is longer than any entry can be"},
    {Errc::kSeqnumZero, "seqnum_zero", "seqnums start at 1"},
    {Errc::kSeqnumEnd, "seqnum_end", "the log has no seqnum left"},
    {Errc::kEntrySignature, "entry_signature", "the signature is not good"},
    {Errc::kAuthorKey, "author_key",
     "the author key is not a valid point of the prime-order group"},
    {Errc::kLinkMismatch, "link_mismatch", "a link does not name the entry that is there"},
    {Errc::kEntryForeign, "entry_foreign", "the entry belongs to another log"},
    {Errc::kUnitOrder, "unit_order", "the entries do not ascend"},
    {Errc::kUnitEmpty, "unit_empty", "the unit holds no entry"},
    {Errc::kUnitUnanchored, "unit_unanchored", "no link target of the entry is held"},
    {Errc::kFork, "fork", "the author signed two entries for one seqnum"},
    {Errc::kLogCapped, "log_capped", "the log is not valid from here on, its author broke it"},
    {Errc::kLogEnded, "log_ended", "the log has ended"},
    {Errc::kPayloadHash, "payload_hash", "the payload is not the one that was signed"},
    {Errc::kPayloadSize, "payload_size", "the payload has not the size that was signed"},
    {Errc::kPayloadTooLarge, "payload_too_large", "the payload is larger than the limit"},
    {Errc::kRange, "range", "a range starts at 1 or later and ends no earlier than it starts"},
    {Errc::kRangeOrder, "range_order", "ranges must ascend without touching"},
    {Errc::kRangesTooMany, "ranges_too_many", "too many ranges"},
    {Errc::kElidedFormat, "elided_format", "the elided form is not well-formed"},
    {Errc::kElidedTarget, "elided_target", "a left-out link cannot be restored"},
    {Errc::kEvidence, "evidence", "these bytes prove no defect"},
    {Errc::kStoreIo, "store_io", "the store could not be read or written"},
    {Errc::kStoreFull, "store_full", "the disk or the quota of the store is full"},
    {Errc::kStoreDamaged, "store_damaged", "the store is damaged"},
    {Errc::kStoreVersion, "store_version", "the store was made by another version"},
    {Errc::kStoreLocked, "store_locked", "another process writes to the store"},
    {Errc::kStoreNotFound, "store_not_found", "there is no store"},
    {Errc::kStoreReadOnly, "store_read_only", "the store is open for reading only"},
    {Errc::kStoreFormat, "store_format", "a row of the store is not well-formed"},
    {Errc::kLogUnknown, "log_unknown", "the store holds nothing of this log"},
    {Errc::kEntryNotHeld, "entry_not_held", "the entry is not held"},
    {Errc::kPayloadNotHeld, "payload_not_held", "the payload is not held"},
    {Errc::kPayloadDeleted, "payload_deleted", "the payload was deleted here"},
    {Errc::kAuthorMarkBehind, "author_mark_behind",
     "entries that were published are missing from the store"},
    {Errc::kAuthorMarkFork, "author_mark_fork",
     "the store holds another entry than the one that was published"},
    {Errc::kAuthorMarkFormat, "author_mark_format", "the author mark is damaged"},
    {Errc::kAuthorMarkLocked, "author_mark_locked", "another process appends with this key"},
    {Errc::kFrameLength, "frame_length", "the message has an impossible length"},
    {Errc::kFrameTruncated, "frame_truncated", "the connection ended inside a message"},
    {Errc::kMsgpackLength, "msgpack_length", "a msgpack length exceeds the message"},
    {Errc::kMsgpackDepth, "msgpack_depth", "the message is nested too deeply"},
    {Errc::kMsgpackType, "msgpack_type", "a msgpack value has the wrong type"},
    {Errc::kMsgpackNoncanonical, "msgpack_noncanonical",
     "a msgpack value is not in its shortest form"},
    {Errc::kMsgpackTrailing, "msgpack_trailing", "bytes follow the message"},
    {Errc::kMessageSchema, "message_schema", "the message has not the fields of its type"},
    {Errc::kMessageUtf8, "message_utf8", "a text is not UTF-8"},
    {Errc::kMessageType, "message_type", "the message type is unknown"},
    {Errc::kProtocolState, "protocol_state", "the message is not due now"},
    {Errc::kProtocolVersion, "protocol_version", "the peer speaks another protocol version"},
    {Errc::kFlow, "flow", "the peer sent more than it was granted"},
    {Errc::kLimit, "limit", "a limit was exceeded"},
    {Errc::kHandshake, "handshake",
     "the handshake failed: another network, a wrong key or no culm peer"},
    {Errc::kDecrypt, "decrypt", "the connection was tampered with or damaged"},
    {Errc::kUnsolicited, "unsolicited", "the peer sent what nobody asked for"},
    {Errc::kPeerSilent, "peer_silent", "the peer has been silent for too long"},
    {Errc::kPeerSlow, "peer_slow", "the peer takes data too slowly"},
    {Errc::kPeerStalled, "peer_stalled", "the peer does not send what it was asked for"},
    {Errc::kPeerClosed, "peer_closed", "the peer closed the connection"},
    {Errc::kPeerUnexpected, "peer_unexpected", "the peer is not the one that was named"},
    {Errc::kNetwork, "network", "the network failed"},
    {Errc::kAddress, "address", "this is not a usable address"},
    {Errc::kTimeout, "timeout", "it took too long"},
    {Errc::kFileIo, "file_io", "the file could not be read or written"},
    {Errc::kFileExists, "file_exists", "the file exists already"},
    {Errc::kFileFormat, "file_format", "the file is not well-formed"},
    {Errc::kUsage, "usage", "the command line is not understood"},
};

const Row& row(Errc code) noexcept {
  static constexpr Row kUnknown{{}, "unknown", "unknown error"};
  const auto* const found = std::ranges::find(kRows, code, &Row::code);
  return found == std::end(kRows) ? kUnknown : *found;
}

}  // namespace

std::string_view name(Errc code) noexcept { return row(code).name; }

std::string_view describe(Errc code) noexcept { return row(code).description; }

std::string message(const Error& error) {
  std::string text(describe(error.code));
  switch (error.detail_kind) {
    case ErrorDetail::kNone:
      break;
    case ErrorDetail::kOffset:
      text += " (at byte " + std::to_string(error.detail) + ")";
      break;
    case ErrorDetail::kSeqnum:
      text += " (seqnum " + std::to_string(error.detail) + ")";
      break;
    case ErrorDetail::kSystem:
      text += std::string(" (") + std::strerror(static_cast<int>(error.detail)) + ")";
      break;
  }
  return text;
}

}  // namespace culm
