#include "culm/core/error.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace culm {
namespace {

using enum Fault;
using enum Scope;

constexpr bool kFullMayHelp = true;

struct Row {
  Errc code{};
  std::string_view name;
  Fault fault{};
  Scope ends{};
  std::string_view description;
  bool full_may_help = false;
};

constexpr Row kRows[] = {
    {Errc::kHexFormat, "hex_format", kCaller, kCall,
     "this is not hex text of the form expected here"},
    {Errc::kVarU64Truncated, "varint_truncated", kPeer, kSession, "the number ends too early"},
    {Errc::kVarU64Noncanonical, "varint_noncanonical", kPeer, kSession,
     "the number is not in its shortest form"},
    {Errc::kHashFormat, "hash_format", kPeer, kSession,
     "this is not a yamf-hash of type BLAKE2b-512"},
    {Errc::kKeyFormat, "key_format", kNobody, kCall, "this is not a key"},
    {Errc::kCryptoSelfTest, "crypto_self_test", kNobody, kStore,
     "the crypto library judges signatures otherwise than culm must; nothing can be verified with "
     "it"},
    {Errc::kSealBroken, "seal_broken", kNobody, kSession,
     "the sealed bytes were damaged or made with another key"},
    {Errc::kEntryTruncated, "entry_truncated", kPeer, kSession, "the entry ends too early"},
    {Errc::kEntryTrailing, "entry_trailing", kPeer, kSession, "bytes follow the end of the entry"},
    {Errc::kEntryTag, "entry_tag", kPeer, kSession,
     "the tag is neither 0 (entry) nor 1 (end-of-log)"},
    {Errc::kEntryTooLong, "entry_too_long", kPeer, kSession,
     "the entry is longer than any entry can be"},
    {Errc::kSeqnumZero, "seqnum_zero", kPeer, kSession, "seqnums start at 1"},
    {Errc::kSeqnumEnd, "seqnum_end", kAuthor, kLog, "the log has no seqnum left"},
    {Errc::kEntrySignature, "entry_signature", kPeer, kSession, "the signature is not good",
     kFullMayHelp},
    {Errc::kAuthorKey, "author_key", kPeer, kSession,
     "the author key is not a valid point of the prime-order group"},
    {Errc::kLinkMismatch, "link_mismatch", kNobody, kLog,
     "a link does not name the entry that is there", kFullMayHelp},
    {Errc::kEntryForeign, "entry_foreign", kPeer, kSession, "the entry belongs to another log"},
    {Errc::kUnitOrder, "unit_order", kPeer, kSession, "the entries do not ascend"},
    {Errc::kUnitEmpty, "unit_empty", kPeer, kSession, "the unit holds no entry"},
    {Errc::kUnitUnanchored, "unit_unanchored", kNobody, kLog,
     "no link target of the entry is held"},
    {Errc::kFork, "fork", kAuthor, kLog, "the author signed two entries for one seqnum"},
    {Errc::kLogCapped, "log_capped", kAuthor, kLog,
     "the log is not valid from here on, its author broke it"},
    {Errc::kLogEnded, "log_ended", kAuthor, kLog, "the log has ended"},
    {Errc::kPayloadHash, "payload_hash", kPeer, kSession,
     "the payload is not the one that was signed"},
    {Errc::kPayloadSize, "payload_size", kPeer, kSession,
     "the payload does not have the size that was signed"},
    {Errc::kPayloadTooLarge, "payload_too_large", kPeer, kSession,
     "the payload is larger than the limit"},
    {Errc::kRange, "range", kPeer, kSession,
     "a range starts at 1 or later and ends no earlier than it starts"},
    {Errc::kRangeOrder, "range_order", kCaller, kCall, "ranges must ascend without touching"},
    {Errc::kRangesTooMany, "ranges_too_many", kPeer, kSession, "too many ranges"},
    {Errc::kElidedFormat, "elided_format", kPeer, kSession, "the elided form is not well-formed"},
    {Errc::kElidedTarget, "elided_target", kPeer, kSession, "a left-out link cannot be restored",
     kFullMayHelp},
    {Errc::kEvidence, "evidence", kPeer, kSession, "these bytes prove no defect"},
    {Errc::kStoreIo, "store_io", kOwnStore, kStore, "the store could not be read or written"},
    {Errc::kStoreFull, "store_full", kOwnStore, kStore,
     "the disk or the quota of the store is full"},
    {Errc::kStoreDamaged, "store_damaged", kOwnStore, kLog, "the store is damaged"},
    {Errc::kStoreVersion, "store_version", kOwnStore, kStore,
     "the store was made by another version"},
    {Errc::kStoreLocked, "store_locked", kOwnStore, kStore, "another process writes to the store"},
    {Errc::kStoreNotFound, "store_not_found", kOwnStore, kStore, "there is no store"},
    {Errc::kStoreReadOnly, "store_read_only", kOwnStore, kStore,
     "the store is open for reading only"},
    {Errc::kStoreFormat, "store_format", kOwnStore, kLog, "a row of the store is not well-formed"},
    {Errc::kLogUnknown, "log_unknown", kNobody, kUnit, "the store holds nothing of this log"},
    {Errc::kEntryNotHeld, "entry_not_held", kNobody, kUnit, "the entry is not held"},
    {Errc::kPayloadNotHeld, "payload_not_held", kNobody, kUnit, "the payload is not held"},
    {Errc::kPayloadDeleted, "payload_deleted", kNobody, kUnit, "the payload was deleted here"},
    {Errc::kAuthorMarkBehind, "author_mark_behind", kOwnStore, kLog,
     "entries that were appended, and may be published, are missing from the store"},
    {Errc::kAuthorMarkFork, "author_mark_fork", kOwnStore, kLog,
     "the store holds another entry than the one that was published"},
    {Errc::kAuthorMarkFormat, "author_mark_format", kOwnStore, kLog, "the author mark is damaged"},
    {Errc::kAuthorMarkLocked, "author_mark_locked", kOwnStore, kLog,
     "another process appends with this key"},
    {Errc::kAuthorHeadUnknown, "author_head_unknown", kOwnStore, kLog,
     "no known peer that holds the log could be asked whether it holds more"},
    {Errc::kLogFragmented, "log_fragmented", kOwnStore, kLog,
     "the log is held in too many separate ranges"},
    {Errc::kBusy, "busy", kOwnStore, kLog, "busy: a limit of this side is reached for now"},
    {Errc::kStoreBusy, "store_busy", kOwnStore, kStore,
     "the store is read by as many as it takes at a time"},
    {Errc::kKeyFileMissing, "key_file_missing", kNobody, kCall, "the key file does not exist"},
    {Errc::kKeyFileLink, "key_file_link", kNobody, kCall, "the key file is a symbolic link"},
    {Errc::kKeyFileKind, "key_file_kind", kNobody, kCall, "the key file is not a regular file"},
    {Errc::kKeyFileOwner, "key_file_owner", kNobody, kCall, "the key file belongs to another user"},
    {Errc::kKeyFileShared, "key_file_shared", kNobody, kCall,
     "the key file may be read or written by others"},
    {Errc::kKeyFileFormat, "key_file_format", kNobody, kCall,
     "the file is no key, or a damaged one"},
    {Errc::kKeyFileVersion, "key_file_version", kNobody, kCall,
     "the key file was made by another version of culm"},
    {Errc::kKeyFileMismatch, "key_file_mismatch", kNobody, kCall,
     "the key file names an author that does not fit the secret"},
    {Errc::kFrameLength, "frame_length", kPeer, kSession, "the message has an impossible length"},
    {Errc::kFrameTruncated, "frame_truncated", kNobody, kSession,
     "the connection ended inside a message"},
    {Errc::kMsgpackLength, "msgpack_length", kPeer, kSession,
     "a msgpack length exceeds the message"},
    {Errc::kMsgpackDepth, "msgpack_depth", kPeer, kSession, "the message is nested too deeply"},
    {Errc::kMsgpackType, "msgpack_type", kPeer, kSession, "a msgpack value has the wrong type"},
    {Errc::kMsgpackNoncanonical, "msgpack_noncanonical", kPeer, kSession,
     "a msgpack value is not in its shortest form"},
    {Errc::kMsgpackTrailing, "msgpack_trailing", kPeer, kSession, "bytes follow the message"},
    {Errc::kMessageSchema, "message_schema", kPeer, kSession,
     "the message lacks fields of its type or has wrong ones"},
    {Errc::kMessageUtf8, "message_utf8", kPeer, kSession, "a text is not UTF-8"},
    {Errc::kMessageType, "message_type", kPeer, kSession, "the message type is unknown"},
    {Errc::kProtocolState, "protocol_state", kPeer, kSession,
     "the message is unexpected in this state"},
    {Errc::kProtocolVersion, "protocol_version", kNobody, kSession,
     "the peer speaks another protocol version"},
    {Errc::kFlow, "flow", kPeer, kSession, "the peer sent more than it was granted"},
    {Errc::kLimit, "limit", kPeer, kSession, "a limit was exceeded"},
    {Errc::kHandshake, "handshake", kNobody, kSession,
     "the handshake failed, or was not done in time"},
    {Errc::kDecrypt, "decrypt", kNobody, kSession, "the connection was tampered with or damaged"},
    {Errc::kUnsolicited, "unsolicited", kPeer, kSession, "the peer sent what nobody asked for"},
    {Errc::kPeerSilent, "peer_silent", kNobody, kSession, "the peer has been silent for too long"},
    {Errc::kPeerSlow, "peer_slow", kNobody, kSession, "the peer takes or brings data too slowly"},
    {Errc::kPeerStalled, "peer_stalled", kNobody, kSession,
     "the peer does not send what it was asked for"},
    {Errc::kPeerClosed, "peer_closed", kNobody, kSession, "the peer closed the connection"},
    {Errc::kPeerUnexpected, "peer_unexpected", kNobody, kSession,
     "the peer is not the one that was named"},
    {Errc::kDenied, "denied", kNobody, kLog, "the peer does not serve or take this log"},
    {Errc::kPeerFull, "peer_full", kNobody, kSession,
     "the peer is full: it has as many connections as it takes"},
    {Errc::kPeerForeign, "peer_foreign", kNobody, kSession, "what answers is no culm peer"},
    {Errc::kPeerNetwork, "peer_network", kNobody, kSession,
     "the peer is of another network, or of another version of the protocol"},
    {Errc::kPeerSelf, "peer_self", kNobody, kSession, "the peer has the key of this side"},
    {Errc::kPeerHungUp, "peer_hung_up", kNobody, kSession,
     "the other side hung up without an answer"},
    {Errc::kPeerRefused, "peer_refused", kNobody, kSession,
     "the peer hung up when it had the key of this side"},
    {Errc::kPeerStoreFull, "peer_store_full", kNobody, kSession,
     "the disk or the quota of the peer's store is full"},
    {Errc::kPeerStore, "peer_store", kNobody, kSession, "the peer's store fails"},
    {Errc::kNetwork, "network", kNobody, kSession, "the network failed"},
    {Errc::kAddress, "address", kCaller, kCall, "this is not a usable address"},
    {Errc::kTimeout, "timeout", kNobody, kSession, "it took too long"},
    {Errc::kFileIo, "file_io", kOwnStore, kCall, "the file could not be read or written"},
    {Errc::kFileExists, "file_exists", kCaller, kCall, "the file exists already"},
    {Errc::kFileFormat, "file_format", kNobody, kCall, "the file is not well-formed"},
    {Errc::kUsage, "usage", kCaller, kCall, "the command line is not understood"},
    {Errc::kNodeSilent, "node_silent", kNobody, kCall,
     "the node that runs on the store does not answer"},
};

const Row& row(Errc code) noexcept {
  static constexpr Row kUnknown{{}, "unknown", kNobody, kCall, "unknown error"};
  const auto* const found = std::ranges::find(kRows, code, &Row::code);
  return found == std::end(kRows) ? kUnknown : *found;
}

}  // namespace

std::string_view name(Errc code) noexcept { return row(code).name; }

std::string_view describe(Errc code) noexcept { return row(code).description; }

Fault fault(Errc code) noexcept { return row(code).fault; }

Scope ends(Errc code) noexcept { return row(code).ends; }

bool full_may_help(Errc code) noexcept { return row(code).full_may_help; }

std::string_view name(Fault fault) noexcept {
  switch (fault) {
    case kNobody:
      return "nobody";
    case kAuthor:
      return "author";
    case kPeer:
      return "peer";
    case kOwnStore:
      return "own store";
    case kCaller:
      return "caller";
  }
  return "unknown";
}

std::string_view name(Scope scope) noexcept {
  switch (scope) {
    case kCall:
      return "call";
    case kUnit:
      return "unit";
    case kLog:
      return "log";
    case kSession:
      return "session";
    case kStore:
      return "store";
  }
  return "unknown";
}

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
