#include "culm/feed/entry_encoder.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"
#include "culm/core/varu64.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm {
namespace {

class FieldWriter {
 public:
  explicit FieldWriter(MutableByteView out) : out_(out) {}

  [[nodiscard]] ByteView written() const { return out_.first(size_); }

  void put(ByteView bytes) {
    std::ranges::copy(bytes, out_.subspan(size_).begin());
    size_ += bytes.size();
  }
  void put_varu64(std::uint64_t value) { size_ += varu64::encode(out_.subspan(size_), value); }
  void put_yamf_hash(const Hash& hash) {
    encode_yamf_hash(out_.subspan(size_), hash);
    size_ += kYamfHashSizeBytes;
  }

 private:
  MutableByteView out_;
  std::size_t size_ = 0;
};

/// All that the signature covers.
FieldWriter write_signed_fields(MutableByteView out, const EntryFields& fields) {
  CULM_ASSERT(out.size() >= limits::kEntrySizeBytesMax);
  CULM_ASSERT(fields.seqnum >= 1);
  CULM_ASSERT(fields.lipmaalink.has_value() == has_lipmaalink(fields.seqnum));
  CULM_ASSERT(fields.backlink.has_value() == (fields.seqnum > 1));

  FieldWriter writer(out);
  const auto tag = static_cast<std::uint8_t>(fields.tag);
  writer.put({&tag, 1});
  writer.put(fields.log.author.bytes);
  writer.put_varu64(to_integer(fields.log.log_id));
  writer.put_varu64(fields.seqnum);
  if (fields.lipmaalink) writer.put_yamf_hash(*fields.lipmaalink);
  if (fields.backlink) writer.put_yamf_hash(*fields.backlink);
  writer.put_varu64(fields.payload_size);
  writer.put_yamf_hash(fields.payload_hash);
  return writer;
}

}  // namespace

ByteView encode_entry(MutableByteView out, const EntryFields& fields, const Signature& signature) {
  FieldWriter writer = write_signed_fields(out, fields);
  writer.put(signature.bytes);
  return writer.written();
}

EntryBuffer sign_entry(const EntryFields& fields, const SecretKey& key) {
  CULM_ASSERT(fields.log.author == key.author());
  std::array<std::uint8_t, limits::kEntrySizeBytesMax> bytes{};
  FieldWriter writer = write_signed_fields(bytes, fields);
  writer.put(key.sign(writer.written()).bytes);
  const auto entry = EntryView::parse(writer.written());
  CULM_ASSERT(entry);
  return EntryBuffer(*entry);
}

}  // namespace culm
