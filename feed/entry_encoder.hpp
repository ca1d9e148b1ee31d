#pragma once

#include <optional>

#include "culm/feed/entry.hpp"

namespace culm {

/// Everything of an entry but its signature.
struct EntryFields {
  Tag tag = Tag::kEntry;
  LogKey log;
  SeqNum seqnum = 0;
  std::optional<Hash> lipmaalink;  ///< present iff `has_lipmaalink(seqnum)`
  std::optional<Hash> backlink;    ///< present iff `seqnum > 1`
  std::uint64_t payload_size = 0;
  Hash payload_hash;
};

/// Writes the canonical encoding at the start of `out` and returns it, borrowed from `out`.
/// Preconditions: seqnum >= 1, links present exactly where the format has them,
/// `out.size() >= limits::kEntrySizeBytesMax`. Spec: entry.md#fields
ByteView encode_entry(MutableByteView out, const EntryFields& fields, const Signature& signature);

/// Signs `fields` and returns the entry; the same fields give the same entry. Precondition: as
/// `encode_entry`, and `fields.log.author` is the key's author. Spec: entry.md#signature
[[nodiscard]] EntryBuffer sign_entry(const EntryFields& fields, const SecretKey& key);

}  // namespace culm
