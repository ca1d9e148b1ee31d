#include "culm/feed/entry.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"
#include "culm/core/varu64.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm {
namespace {

constexpr std::size_t kAuthorOffset = 1;

static_assert(limits::kEntrySizeBytesMax == kAuthorOffset + kAuthorSizeBytes +
                                                3 * varu64::kSizeBytesMax + 3 * kYamfHashSizeBytes +
                                                kSignatureSizeBytes);
static_assert(limits::kEntrySizeBytesMin ==
              kAuthorOffset + kAuthorSizeBytes + 3 + kYamfHashSizeBytes + kSignatureSizeBytes);

/// Takes fields off the front of an entry. The offsets in its errors are those of the entry.
class FieldReader {
 public:
  explicit FieldReader(ByteView bytes) : bytes_(bytes) {}

  [[nodiscard]] std::uint16_t offset() const { return static_cast<std::uint16_t>(offset_); }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - offset_; }

  Result<void> skip(std::size_t size) {
    if (left() < size) return fail(error_at(Errc::kEntryTruncated, bytes_.size()));
    offset_ += size;
    return {};
  }

  Result<std::uint64_t> take_varu64() {
    const auto decoded = varu64::decode(bytes_.subspan(offset_));
    if (!decoded) {
      return decoded.error().code == Errc::kVarU64Truncated
                 ? fail(error_at(Errc::kEntryTruncated, bytes_.size()))
                 : fail(error_at(decoded.error().code, offset_));
    }
    offset_ += decoded->size_bytes;
    return decoded->value;
  }

  Result<void> skip_yamf_hash() {
    const std::size_t start = offset_;
    CULM_CHECK(skip(kYamfHashSizeBytes));
    if (!decode_yamf_hash(bytes_.subspan(start))) return fail(error_at(Errc::kHashFormat, start));
    return {};
  }

 private:
  ByteView bytes_;
  std::size_t offset_ = 0;
};

template <class T>
T copy_at(ByteView bytes, std::size_t offset) {
  T out;
  std::ranges::copy(bytes.subspan(offset, out.bytes.size()), out.bytes.begin());
  return out;
}

Hash hash_at(ByteView bytes, std::size_t offset) {
  return copy_at<Hash>(bytes, offset + kYamfHashSizeBytes - sizeof(Hash::bytes));
}

}  // namespace

Result<EntryView> EntryView::parse(ByteView bytes) {
  if (bytes.size() > limits::kEntrySizeBytesMax) {
    return fail(error_at(Errc::kEntryTooLong, limits::kEntrySizeBytesMax));
  }
  EntryView entry;
  entry.bytes_ = bytes;
  FieldReader reader(bytes);

  CULM_CHECK(reader.skip(kAuthorOffset));
  if (bytes[0] > static_cast<std::uint8_t>(Tag::kEndOfLog)) {
    return fail(error_at(Errc::kEntryTag, 0));
  }
  entry.tag_ = Tag{bytes[0]};
  CULM_CHECK(reader.skip(kAuthorSizeBytes));

  entry.offsets_.log_id = reader.offset();
  CULM_TRY(const std::uint64_t log_id, reader.take_varu64());
  entry.log_id_ = LogId{log_id};

  entry.offsets_.seqnum = reader.offset();
  CULM_TRY(entry.seqnum_, reader.take_varu64());
  if (entry.seqnum_ == 0) return fail(error_at(Errc::kSeqnumZero, entry.offsets_.seqnum));

  if (has_lipmaalink(entry.seqnum_)) {
    entry.offsets_.lipmaalink = reader.offset();
    CULM_CHECK(reader.skip_yamf_hash());
  }
  if (entry.seqnum_ > 1) {
    entry.offsets_.backlink = reader.offset();
    CULM_CHECK(reader.skip_yamf_hash());
  }

  entry.offsets_.payload_size = reader.offset();
  CULM_TRY(entry.payload_size_, reader.take_varu64());
  entry.offsets_.payload_hash = reader.offset();
  CULM_CHECK(reader.skip_yamf_hash());
  entry.offsets_.signature = reader.offset();
  CULM_CHECK(reader.skip(kSignatureSizeBytes));
  if (reader.left() != 0) return fail(error_at(Errc::kEntryTrailing, reader.offset()));
  return entry;
}

Author EntryView::author() const noexcept { return copy_at<Author>(bytes_, kAuthorOffset); }

std::optional<Hash> EntryView::lipmaalink() const noexcept {
  if (offsets_.lipmaalink == 0) return std::nullopt;
  return hash_at(bytes_, offsets_.lipmaalink);
}

std::optional<Hash> EntryView::backlink() const noexcept {
  if (offsets_.backlink == 0) return std::nullopt;
  return hash_at(bytes_, offsets_.backlink);
}

std::optional<Hash> EntryView::link_to(SeqNum target) const noexcept {
  if (target == seqnum_ - 1) return backlink();
  if (offsets_.lipmaalink != 0 && target == lipmaa(seqnum_)) return lipmaalink();
  return std::nullopt;
}

Hash EntryView::payload_hash() const noexcept { return hash_at(bytes_, offsets_.payload_hash); }

Signature EntryView::signature() const noexcept {
  return copy_at<Signature>(bytes_, offsets_.signature);
}

ByteView EntryView::signed_bytes() const noexcept { return bytes_.first(offsets_.signature); }

Hash EntryView::hash() const { return culm::hash(bytes_); }

SignatureCheck signature_check(const EntryView& entry) {
  return {entry.author(), entry.signed_bytes(), entry.signature()};
}

EntryBuffer::EntryBuffer(const EntryView& entry)
    : size_(static_cast<std::uint16_t>(entry.bytes().size())) {
  std::ranges::copy(entry.bytes(), bytes_.begin());
}

EntryView EntryBuffer::view() const {
  const auto entry = EntryView::parse(bytes());
  CULM_ASSERT(entry);
  return *entry;
}

}  // namespace culm
