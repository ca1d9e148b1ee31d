#pragma once

#include <cstddef>
#include <cstdint>

/// Every bound in the system, in one place. Units stand in the names; maxima are inclusive.
/// Spec: replication.md#limits, entry.md#limits
namespace culm::limits {

// Entries.
inline constexpr std::size_t kEntrySizeBytesMin = 1 + 32 + 1 + 1 + 1 + 66 + 64;
inline constexpr std::size_t kEntrySizeBytesMax = 1 + 32 + 3 * 9 + 3 * 66 + 64;

/// Entries with a link to one entry: the most has s(40) = (3^40 - 1) / 2, one for each block level
/// and the next spine number. Spec: lipmaa.md#target
inline constexpr std::size_t kInLinksMax = 41;
/// Entries on a head path or a tail path: 3k - 3 at level k, most at level 41.
inline constexpr std::size_t kPathEntriesMax = 3 * 41 - 3;
/// Entries in a certificate pool: 4k - 4 at level k, most at level 41.
inline constexpr std::size_t kPoolEntriesMax = 4 * 41 - 4;

// Payloads.
inline constexpr std::uint64_t kPayloadSizeBytesMax = std::uint64_t{1} << 32;
/// Payloads up to this size travel inside the unit of their entry and lie in one row.
inline constexpr std::size_t kPayloadInlineBytesMax = 32 * 1024;
inline constexpr std::size_t kPayloadChunkBytes = 48 * 1024;
/// Payloads that a node receives in parts at a time, each by one want: all wants of some sessions.
inline constexpr std::size_t kStagesMax = 4096;

// Range sets.
/// In each range set of a message.
inline constexpr std::size_t kRangesPerMessageMax = 4096;
inline constexpr std::size_t kRangesPerLogMax = std::size_t{1} << 20;
/// Of a range set that lies in the row of its log; a larger one lies in blocks.
inline constexpr std::size_t kRangesPerRowMax = 128;
/// In a block; in each but the last of a set at least the other.
inline constexpr std::size_t kRangesPerBlockMax = 512;
inline constexpr std::size_t kRangesPerBlockMin = 128;

// Wire.
inline constexpr std::size_t kNoisePlaintextBytesMax = 65'519;
inline constexpr std::size_t kMessageBytesMax = 256 * 1024;
/// Of the first message of a connection. A stranger costs the record that it comes in, and no more.
inline constexpr std::size_t kHelloBytesMax = 512;
/// Memory that the buffer of an idle connection keeps.
inline constexpr std::size_t kIdleBufferBytesMax = 4096;
inline constexpr std::size_t kMsgpackDepthMax = 4;
inline constexpr std::size_t kUnitEntriesMax = 1024;
inline constexpr std::size_t kUnitBytesTarget = 128 * 1024;
inline constexpr std::size_t kTextBytesMax = 256;
inline constexpr std::size_t kEvidenceEntriesMax = 64;

// Sessions and nodes.
inline constexpr std::size_t kWantsPerSessionMax = 64;
inline constexpr std::size_t kOffersPerSessionMax = 256;
inline constexpr std::size_t kLogsNamedPerSessionMax = 1024;
/// Queries of one comparison; bisecting takes 64 at most, and begins again when a cap falls.
inline constexpr std::uint32_t kQueriesPerComparisonMax = 256;
inline constexpr std::uint32_t kDefectsPerSessionMax = 64;
/// Denies beyond one for each want and offer.
inline constexpr std::uint32_t kSpareDeniesPerSessionMax = 64;
/// Credit outstanding.
inline constexpr std::uint64_t kCreditBytesMax = std::uint64_t{1} << 31U;
inline constexpr std::uint64_t kSessionCreditBytes = 1024 * 1024;
/// What an entries or payload message counts at least, so that credit bounds their number too.
inline constexpr std::uint64_t kCountedBytesMin = 256;
/// Least credit that a session that fetches gets, and least that a provider needs to go on: one
/// payload chunk, or one entry with an inline payload, always fits.
inline constexpr std::uint64_t kCreditBytesMin = 64 * 1024;
inline constexpr std::uint64_t kNodeCreditBytes = 256 * 1024 * 1024;
/// Nothing is added to so much unsent output but answers to small messages,
inline constexpr std::size_t kSessionOutputBytesMax = 1024 * 1024;
/// and with so much of it no further message is looked at.
inline constexpr std::size_t kSessionAnswersBytesMax = 2 * kSessionOutputBytesMax;
/// Memory of unsent output of all sessions of a node, but for the first kSessionOutputBytesFree of
/// each. While there is as much, nothing but answers is added to what is free, and with
/// kSessionAnswersBytesFree of these no further message is looked at.
inline constexpr std::size_t kNodeOutputBytes = 24 * 1024 * 1024;
inline constexpr std::size_t kSessionOutputBytesFree = 4 * 1024;
inline constexpr std::size_t kSessionAnswersBytesFree = 4 * 1024;
/// Memory of what has come and is not taken in, as messages have only begun, or wait for their turn
/// or for room to store them, but for the first kSessionInputBytesFree of each session and what the
/// credit of its peer stands for. While a node has so much it reads little at a time, and sessions
/// end that have been behind the longest: those that have been for kSlowMessageMs, or, where there
/// is half as much again, any.
inline constexpr std::size_t kNodeInputBytes = 24 * 1024 * 1024;
inline constexpr std::uint32_t kSlowMessageMs = 5'000;
inline constexpr std::size_t kSessionInputBytesFree = 8 * 1024;
/// What a session does for its peer's wants before it sees to anything else: messages, and rows
/// that are read without sending.
inline constexpr std::size_t kPumpStepsMax = 256;
inline constexpr std::uint64_t kPumpRowsMax = 4096;
/// Ranges of wants that a peer has open here, with what is to be sent for them: of a session, and
/// of all that have more than the first kServedRangesFree. A range takes 16 bytes.
inline constexpr std::uint64_t kServedRangesPerSession = 512 * 1024;
inline constexpr std::uint64_t kServedRangesNode = 2 * 1024 * 1024;
inline constexpr std::uint64_t kServedRangesFree = 256;
/// Messages that a session looks at before others have their turn.
inline constexpr std::size_t kMessagesPerTurn = 64;
/// Ranges of wants that a session takes apart before others have their turn.
inline constexpr std::uint64_t kPlannedRangesMax = 1024;
/// Bytes that may come by one want although they bring nothing new.
inline constexpr std::uint64_t kVainBytesPerWantMax = kSessionCreditBytes;
/// Inbound sessions, of which the handshake is complete.
inline constexpr std::uint32_t kSessionsNode = 128;
inline constexpr std::uint32_t kSessionsRelay = 10'000;
inline constexpr std::uint32_t kSessionsPerAddress = 64;
/// Inbound connections with a handshake under way.
inline constexpr std::uint32_t kHandshakes = 512;
inline constexpr std::uint32_t kHandshakesPerAddress = 64;
/// Sessions that were refused or evicted, and have not hung up yet.
inline constexpr std::size_t kFarewells = 32;
/// Read from a socket, and written to one, before the other connections have their turn.
inline constexpr std::size_t kReadBufferBytes = 64 * 1024;
inline constexpr std::size_t kPumpBytesMax = 256 * 1024;
/// A commit takes no further work once it has so many bytes of it.
inline constexpr std::size_t kCommitBytesTarget = 8 * 1024 * 1024;

// Time.
inline constexpr std::uint32_t kHandshakeTimeoutMs = 10'000;
inline constexpr std::uint32_t kPingIntervalMs = 30'000;
inline constexpr std::uint32_t kIdleTimeoutMs = 90'000;
/// How long a peer that is alive may leave a want without any answer or progress.
inline constexpr std::uint32_t kWantStallTimeoutMs = 30'000;
/// Bytes that count as progress, for links so slow that a message takes longer.
inline constexpr std::uint64_t kProgressBytes = 16 * 1024;
/// No key encrypts for longer: then the session ends, and a new one may follow.
inline constexpr std::uint32_t kSessionTimeoutMs = 24 * 60 * 60 * 1000;
inline constexpr std::uint32_t kWriteStallTimeoutMs = 30'000;
inline constexpr std::uint32_t kConnectTimeoutMs = 10'000;
/// How long one address of a name is tried alone before the next is tried beside it.
inline constexpr std::uint32_t kNextAddressMs = 250;
/// Addresses of a name that are tried.
inline constexpr std::size_t kAddressesMax = 16;
/// From the end of a session to the end of its connection, when the peer does not hang up.
inline constexpr std::uint32_t kCloseTimeoutMs = 3'000;
/// How long a session may be left alone before a newcomer takes its place where there are too many:
/// with no want open, with one, and where it has brought something.
inline constexpr std::uint32_t kSessionUnwantedMs = 30'000;
inline constexpr std::uint32_t kSessionQuietMs = 600'000;
inline constexpr std::uint32_t kSessionUsefulMs = 3'600'000;
/// How long nothing is accepted after the process had no descriptor left.
inline constexpr std::uint32_t kAcceptPauseMs = 100;
inline constexpr std::uint32_t kRedialDelayMsMin = 250;
inline constexpr std::uint32_t kRedialDelayMsMax = 60'000;
inline constexpr std::uint64_t kRecordsPerKeyMax = std::uint64_t{1} << 48;

// Store.
inline constexpr std::size_t kMapSizeBytesDefault = std::size_t{1} << 36;
inline constexpr std::uint32_t kReadersMax = 256;
/// Ranges of the states of logs that a store keeps at hand, 16 bytes each.
inline constexpr std::size_t kCachedRangesMax = std::size_t{1} << 22;
/// How long a node that starts waits for a write that is under way in another process.
inline constexpr std::uint32_t kNodeLockWaitMs = 5'000;
/// Rows written by one transaction of a long task (deletion, import), so that appends never starve.
inline constexpr std::size_t kRowsPerStepMax = 10'000;

}  // namespace culm::limits
