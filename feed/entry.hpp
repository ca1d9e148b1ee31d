#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/limits.hpp"
#include "culm/core/result.hpp"
#include "culm/core/signing.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/entry_format.hpp"

namespace culm {

/// One well-formed entry; borrows its bytes, so it lives no longer than they do. Says nothing of
/// signature, links or payload: `accept_unit` does. Parsing neither allocates nor does curve or
/// hash work. Nothing in it can fail once it is parsed, and since only canonical bytes parse,
/// equal fields mean equal bytes. Spec: entry.md#fields
class EntryView {
 public:
  /// `bytes` must be exactly one canonical entry. Fails with the first that is wrong, from left to
  /// right: kEntryTooLong (looked at before anything else), kEntryTruncated at the end of `bytes`,
  /// kEntryTag, kVarU64Noncanonical, kSeqnumZero or kHashFormat at the field, kEntryTrailing at the
  /// first byte too many.
  [[nodiscard]] static Result<EntryView> parse(ByteView bytes);

  [[nodiscard]] Tag tag() const noexcept { return tag_; }
  [[nodiscard]] bool is_end_of_log() const noexcept { return tag_ == Tag::kEndOfLog; }
  [[nodiscard]] Author author() const noexcept;
  [[nodiscard]] LogId log_id() const noexcept { return log_id_; }
  [[nodiscard]] LogKey log() const noexcept { return {author(), log_id_}; }
  [[nodiscard]] SeqNum seqnum() const noexcept { return seqnum_; }
  /// As encoded: nothing at seqnum 1 and where the target is seqnum - 1.
  [[nodiscard]] std::optional<Hash> lipmaalink() const noexcept;
  /// Nothing at seqnum 1.
  [[nodiscard]] std::optional<Hash> backlink() const noexcept;
  /// The hash that this entry states for `target`, whichever link it is; nothing when it has no
  /// link to `target`. Asking for the backlink's target costs no arithmetic.
  [[nodiscard]] std::optional<Hash> link_to(SeqNum target) const noexcept;
  /// What the author says, in bytes; any number.
  [[nodiscard]] std::uint64_t payload_size() const noexcept { return payload_size_; }
  [[nodiscard]] Hash payload_hash() const noexcept;
  [[nodiscard]] Signature signature() const noexcept;

  /// The whole encoding.
  [[nodiscard]] ByteView bytes() const noexcept { return bytes_; }
  /// What the signature covers.
  [[nodiscard]] ByteView signed_bytes() const noexcept;
  /// Hashes the whole encoding, at each call.
  [[nodiscard]] Hash hash() const;

  /// Where each field starts, in bytes from the start of the entry, for the inspector. The tag is
  /// at 0, the author at 1.
  struct Offsets {
    std::uint16_t log_id = 0;
    std::uint16_t seqnum = 0;
    std::uint16_t lipmaalink = 0;  ///< 0: absent
    std::uint16_t backlink = 0;    ///< 0: absent
    std::uint16_t payload_size = 0;
    std::uint16_t payload_hash = 0;
    std::uint16_t signature = 0;
  };
  [[nodiscard]] Offsets offsets() const noexcept { return offsets_; }

 private:
  EntryView() = default;

  ByteView bytes_;
  Offsets offsets_;
  Tag tag_{};
  LogId log_id_{};
  SeqNum seqnum_ = 0;
  std::uint64_t payload_size_ = 0;
};

/// What is to be checked of the entry's signature. Borrows from it.
[[nodiscard]] SignatureCheck signature_check(const EntryView& entry);

/// Owns the bytes of one well-formed entry, without heap memory. A value.
class EntryBuffer {
 public:
  explicit EntryBuffer(const EntryView& entry);

  /// Valid as long as this buffer stays where it is.
  [[nodiscard]] ByteView bytes() const noexcept { return ByteView(bytes_).first(size_); }
  /// Valid as long as this buffer stays where it is. Parses at each call.
  [[nodiscard]] EntryView view() const;

 private:
  std::array<std::uint8_t, limits::kEntrySizeBytesMax> bytes_{};
  std::uint16_t size_;
};

}  // namespace culm
