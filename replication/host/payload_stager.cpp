#include "culm/replication/host/payload_stager.hpp"

#include <algorithm>

namespace culm::host {

PayloadStager::~PayloadStager() {
  if (!claim_) return;
  claim_.reset();
  static_cast<void>(writer_.reclaim());
}

Result<void> PayloadStager::put(ByteView bytes) {
  if (bytes.size() > limits::kPayloadSizeBytesMax - size_bytes()) {
    return fail(Errc::kPayloadTooLarge);
  }
  while (!bytes.empty()) {
    if (buffer_.size() == kStagedBytesMin) CULM_CHECK(flush());
    const std::size_t size = std::min(bytes.size(), kStagedBytesMin - buffer_.size());
    append_bytes(buffer_, bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return {};
}

Result<std::optional<store::StagedPayload>> PayloadStager::finish() {
  if (size_bytes() < kStagedBytesMin) return std::nullopt;
  CULM_CHECK(flush());
  return store::StagedPayload{stage_, hasher_.finish(), put_};
}

Result<void> PayloadStager::flush() {
  if (!claim_) {
    CULM_TRY(claim_, store_.claim());
    CULM_TRY(stage_, writer_.begin_stage(*claim_));
  }
  CULM_CHECK(writer_.put_parts(stage_, put_, buffer_));
  hasher_.update(buffer_);
  put_ += buffer_.size();
  buffer_.clear();
  return {};
}

}  // namespace culm::host
