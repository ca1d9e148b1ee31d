#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "culm/feed/checked_unit.hpp"
#include "culm/feed/range_set.hpp"

namespace culm {

/// How a unit encoder writes links whose target the receiver has.
enum class LinkForm : std::uint8_t {
  kElided,  ///< as short as the receiver can restore them
  kWhole,   ///< 64 bytes each, for a receiver that failed to
};

/// The elided form of a unit: what the other side can compute is left out. One codec for the wire
/// and for files. Author and log id stand outside, once. Spec: elided.md
///
///   unit    = entry, entry, ... up to the end of the bytes
///   entry   = mask 1 byte, [gap VarU64], [lipmaalink], [backlink], payload, signature 64
///   link    = nothing | first 8 bytes of the hash | 64 bytes of the hash, as the mask says
///   payload = size VarU64, bytes            when the mask says that the payload is here whole
///           | size VarU64, hash 64 bytes    otherwise
///
/// A gap is the count of seqnums passed over since the entry before, or since 0.
class UnitEncoder {
 public:
  /// `known`: link targets that the receiver holds already, entries of earlier units of this
  /// transfer included. Appends to `out`; both must outlive the encoder. The unit is complete after
  /// each entry.
  UnitEncoder(Bytes& out, const RangeSet& known, LinkForm link_form = LinkForm::kElided);

  /// Adds the next entry, with its payload or without. Entries ascend. Returns the bytes added.
  /// Preconditions: `payload`, if any, is the one the entry signs, size included, and not larger
  /// than `limits::kPayloadInlineBytesMax`; at most `limits::kUnitEntriesMax` entries.
  std::size_t add(const EntryView& entry, std::optional<ByteView> payload);

  [[nodiscard]] std::size_t entry_count() const noexcept { return entry_count_; }

 private:
  /// Appends what stands for a link and returns its form in the mask.
  std::uint8_t add_link(SeqNum target, const Hash& link);

  Bytes& out_;
  const RangeSet& known_;
  LinkForm link_form_;
  RangeSet members_;
  SeqNum last_ = 0;
  std::size_t entry_count_ = 0;
};

/// Hashes of entries outside the unit that a restoration may need.
class LinkTargets {
 public:
  virtual ~LinkTargets() = default;

  /// The hash of the entry held at `seqnum`, or nothing.
  [[nodiscard]] virtual Result<std::optional<Hash>> find(SeqNum seqnum) = 0;
};

/// Restores canonical bytes and hashes them, once each, and every payload; takes `elided` over, in
/// which the payloads lie. No signature is checked. Fails with kUnitEmpty, with kElidedFormat
/// and the offset, with kLimit, or with kElidedTarget and the seqnum of a link target that is not
/// held or not the sender's: then the unit is asked for once more with whole links.
/// Errors of `targets` are handed on. Spec: elided.md#restoring
[[nodiscard]] Result<CheckedUnit> restore_unit(const LogKey& log, Bytes elided,
                                               LinkTargets& targets);

/// What an elided unit brings, by its masks and lengths alone.
struct ElidedContents {
  RangeSet seqnums;
  RangeSet payloads;                    ///< entries whose payload is here
  std::uint64_t payload_bytes = 0;      ///< of all these together,
  std::uint64_t payload_bytes_min = 0;  ///< of the smallest; 0 when there is none
  std::uint64_t payload_bytes_max = 0;  ///< and of the largest
};

/// Looks into an elided unit; no hash is computed. Fails with kUnitEmpty, kElidedFormat, kLimit.
[[nodiscard]] Result<ElidedContents> read_elided(ByteView elided);

}  // namespace culm
