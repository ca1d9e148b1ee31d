#include "culm/feed/writer.hpp"

#include <utility>

#include "culm/feed/lipmaa.hpp"

namespace culm {

LogWriter::LogWriter(const SecretKey& key, LogId log_id, const LogTail& tail, FindHash find_hash)
    : key_(key), log_{key.author(), log_id}, tail_(tail), find_hash_(std::move(find_hash)) {}

Result<EntryBuffer> LogWriter::append(ByteView payload, Tag tag) {
  if (payload.size() > limits::kPayloadSizeBytesMax) return fail(Errc::kPayloadTooLarge);
  return append(hash(payload), payload.size(), tag);
}

Result<EntryBuffer> LogWriter::append(const Hash& payload_hash, std::uint64_t payload_size,
                                      Tag tag) {
  if (tail_.ended) return fail(error_for(Errc::kLogEnded, tail_.seqnum));
  if (tail_.seqnum == kSeqnumMax) return fail(error_for(Errc::kSeqnumEnd, tail_.seqnum));
  if (payload_size > limits::kPayloadSizeBytesMax) return fail(Errc::kPayloadTooLarge);

  EntryFields fields{.tag = tag,
                     .log = log_,
                     .seqnum = tail_.seqnum + 1,
                     .lipmaalink = {},
                     .backlink = {},
                     .payload_size = payload_size,
                     .payload_hash = payload_hash};
  if (has_lipmaalink(fields.seqnum)) {
    CULM_TRY(fields.lipmaalink, find_hash_(lipmaa(fields.seqnum)));
  }
  if (fields.seqnum > 1) fields.backlink = tail_.hash;

  EntryBuffer entry = sign_entry(fields, key_);
  tail_ = {fields.seqnum, hash(entry.bytes()), tag == Tag::kEndOfLog};
  return entry;
}

}  // namespace culm
