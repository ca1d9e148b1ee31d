#pragma once

#include <optional>

#include "culm/core/hash.hpp"
#include "culm/replication/host/writer.hpp"

namespace culm::host {

/// Takes a payload as it comes, for an entry that is not there yet: a small one into memory, of a
/// larger one so much and the rest into the store, whichever process writes there.
///
///     PayloadStager stager(*opened.writer, *opened.store);
///     while (const auto bytes = read_more()) CULM_CHECK(stager.put(*bytes));
///     CULM_TRY(const auto staged, stager.finish());
///     CULM_CHECK(staged ? appender.append_staged(*staged) : appender.append({{stager.bytes()}}));
///
/// What no entry was bound to is erased when it ends, or, where the process is killed, when the
/// store is next opened to write.
class PayloadStager {
 public:
  /// A payload with fewer bytes is not staged. Whole parts.
  static constexpr std::size_t kStagedBytesMin = 80 * limits::kPayloadChunkBytes;

  /// Both must outlive it. `store` is that of the writer.
  PayloadStager(Writer& writer, const store::Store& store) : writer_(writer), store_(store) {}
  PayloadStager(const PayloadStager&) = delete;
  PayloadStager& operator=(const PayloadStager&) = delete;
  ~PayloadStager();

  /// The next bytes, however many. Fails with kPayloadTooLarge, or as the writer.
  [[nodiscard]] Result<void> put(ByteView bytes);
  /// Says that these were all. Nothing where the payload is small: then `bytes` has all of it.
  [[nodiscard]] Result<std::optional<store::StagedPayload>> finish();
  [[nodiscard]] ByteView bytes() const noexcept { return buffer_; }
  /// Of all that came.
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return put_ + buffer_.size(); }

 private:
  [[nodiscard]] Result<void> flush();

  Writer& writer_;
  const store::Store& store_;
  std::optional<store::KvClaim> claim_{};  ///< once the first parts are staged
  store::Stage stage_{};
  Hasher hasher_{};
  std::uint64_t put_ = 0;  ///< bytes that are in the store
  Bytes buffer_{};         ///< those behind them
};

}  // namespace culm::host
