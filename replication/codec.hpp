#pragma once

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"
#include "culm/replication/message.hpp"

/// Messages as msgpack arrays whose first element is the type. Spec: replication.md#messages
namespace culm::replication {

/// Appends the message to `out`. Precondition: the message is within its limits.
void encode(Bytes& out, const Message& message);

/// Reads exactly one message in its only form: no length is believed before its bytes are there,
/// and the bytes must be those that `encode` writes. `Entries` and `Payload` borrow from `bytes`.
/// Fails with kMsgpackLength, kMsgpackDepth, kMsgpackType, kMsgpackNoncanonical, kMsgpackTrailing,
/// kMessageType, kMessageSchema, kMessageUtf8, kVarU64Truncated, kVarU64Noncanonical, kRange,
/// kRangesTooMany, kLimit. Spec: replication.md#errors
[[nodiscard]] Result<Message> decode(ByteView bytes);

}  // namespace culm::replication
