#pragma once

#include <cstddef>
#include <cstdint>

/// The fields of an entry, in order, and their sizes in bytes; nothing stands between them. The
/// seqnum alone decides which links are there. Spec: entry.md#fields
///
///   tag            1    0 entry, 1 end-of-log
///   author        32
///   log_id        1..9  VarU64
///   seqnum        1..9  VarU64, from 1
///   lipmaalink    66    yamf-hash; absent at seqnum 1 and where its target is seqnum - 1
///   backlink      66    yamf-hash; absent at seqnum 1
///   payload_size  1..9  VarU64
///   payload_hash  66    yamf-hash
///   signature     64    over everything above
namespace culm {

/// The first byte of an entry. Spec: entry.md#end-of-log
enum class Tag : std::uint8_t { kEntry = 0, kEndOfLog = 1 };

inline constexpr std::size_t kAuthorSizeBytes = 32;
inline constexpr std::size_t kSignatureSizeBytes = 64;

}  // namespace culm
