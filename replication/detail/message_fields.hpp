#pragma once

#include <concepts>
#include <type_traits>

#include "culm/core/limits.hpp"
#include "culm/replication/message.hpp"

/// The fields of each message in their order, for reading, writing and counting alike.
/// Spec: replication.md#messages
namespace culm::replication {

template <class M, class T>
concept Is = std::same_as<std::remove_const_t<M>, T>;

void want_id(auto& codec, auto& id) {
  codec.number(id);
  codec.require(id != 0);
}

void fields(auto& codec, Is<Hello> auto& m) {
  codec.number(m.version);
  codec.text(m.agent);
}

void fields(auto& codec, Is<Offer> auto& m) {
  codec.log(m.log);
  codec.number(m.head);
}

void fields(auto& codec, Is<Have> auto& m) {
  codec.log(m.log);
  codec.number(m.head);
  codec.hash(m.head_hash);
  codec.ranges(m.held);
  codec.ranges(m.payloads);
  codec.require(m.head != 0 || (m.head_hash == Hash{} && m.held.empty() && m.payloads.empty()));
}

void fields(auto& codec, Is<Want> auto& m) {
  want_id(codec, m.id);
  codec.log(m.log);
  codec.ranges(m.interest.ranges);
  codec.number(m.interest.newest);
  codec.flags(m.entries, m.payloads, m.live, m.full, m.quote_only);
  codec.choice(m.order, Order::kNewestFirst);
  codec.number(m.payload_size_min);
  codec.number(m.payload_size_max);
  codec.limit(m.payload_size_max <= limits::kPayloadSizeBytesMax);
  codec.number(m.budget_bytes);
  codec.ranges(m.held);
  codec.ranges(m.payloads_held);
  codec.ranges(m.payloads_excepted);
  codec.number(m.resume_seqnum);
  codec.number(m.resume_offset);
  codec.require(m.resume_offset % limits::kPayloadChunkBytes == 0);
  codec.require((m.resume_seqnum == 0) == (m.resume_offset == 0));
  codec.limit(m.resume_offset <= limits::kPayloadSizeBytesMax);
}

void fields(auto& codec, Is<Quote> auto& m) {
  want_id(codec, m.want);
  codec.number(m.entries);
  codec.number(m.certificate_entries);
  codec.number(m.payload_bytes);
  codec.number(m.wire_bytes);
  codec.flags(m.exact);
}

void fields(auto& codec, Is<Entries> auto& m) {
  want_id(codec, m.want);
  codec.view(m.unit);
}

void fields(auto& codec, Is<Payload> auto& m) {
  want_id(codec, m.want);
  codec.number(m.seqnum);
  codec.require(m.seqnum != 0);
  codec.number(m.offset);
  codec.require(m.offset % limits::kPayloadChunkBytes == 0);
  codec.flags(m.last);
  codec.view(m.bytes);
  codec.limit(m.bytes.size() <= limits::kPayloadChunkBytes);
  codec.limit(m.offset <= limits::kPayloadSizeBytesMax - m.bytes.size());
  codec.require(m.bytes.size() == limits::kPayloadChunkBytes ||
                (m.last && (m.offset == 0 || !m.bytes.empty())));
}

void fields(auto& codec, Is<Ready> auto& m) { want_id(codec, m.want); }

void fields(auto& codec, Is<Done> auto& m) {
  want_id(codec, m.want);
  codec.choice(m.reason, DoneReason::kDamaged);
}

void fields(auto& codec, Is<Cancel> auto& m) { want_id(codec, m.want); }

void fields(auto& codec, Is<Credit> auto& m) { codec.number(m.bytes); }

void fields(auto& codec, Is<Compare> auto& m) {
  codec.log(m.log);
  codec.number(m.seqnum);
  codec.require(m.seqnum != 0);
  codec.flags(m.answer);
  codec.optional_hash(m.hash);
  codec.entry(m.entry);
  codec.require(m.answer ? m.entry.empty() || m.hash : m.entry.empty() && m.hash);
}

void fields(auto& codec, Is<DefectFound> auto& m) {
  codec.log(m.log);
  codec.evidence(m.evidence);
}

void fields(auto& codec, Is<Deny> auto& m) {
  codec.log(m.log);
  codec.number(m.want);
  codec.choice(m.reason, kDenyReasonMax);
}

void fields(auto& codec, Is<Ping> auto& m) { codec.number(m.nonce); }

void fields(auto& codec, Is<Pong> auto& m) { codec.number(m.nonce); }

void fields(auto& codec, Is<Bye> auto& m) {
  codec.number(m.code);
  codec.text(m.text);
}

}  // namespace culm::replication
