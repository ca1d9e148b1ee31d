#pragma once

#include <cstdint>
#include <functional>

#include "culm/feed/entry_encoder.hpp"

namespace culm {

/// Where a log ends.
struct LogTail {
  SeqNum seqnum = 0;  ///< 0: the log is empty
  Hash hash;          ///< of the last entry
  bool ended = false;

  friend bool operator==(const LogTail&, const LogTail&) = default;
};

/// Makes the next entries of one log. Keeps no entry: it asks for the hash of a lipmaalink target.
/// An entry counts as made once `append` returns it: if it could not be kept and nobody has seen
/// it, throw the writer away and make one from the tail that is kept. Not thread-safe.
class LogWriter {
 public:
  /// The hash of the log's entry at a seqnum, which is always one below the tail.
  using FindHash = std::function<Result<Hash>(SeqNum)>;

  /// `key` must outlive the writer.
  LogWriter(const SecretKey& key, LogId log_id, const LogTail& tail, FindHash find_hash);

  /// After an `append` that succeeded: the entry that it returned.
  [[nodiscard]] const LogTail& tail() const noexcept { return tail_; }

  /// Signs the next entry over `payload`. Fails with kLogEnded, kSeqnumEnd, kPayloadTooLarge or the
  /// error of `find_hash`, and then changes nothing.
  [[nodiscard]] Result<EntryBuffer> append(ByteView payload, Tag tag = Tag::kEntry);

  /// The same for a payload that was hashed while it streamed by.
  [[nodiscard]] Result<EntryBuffer> append(const Hash& payload_hash, std::uint64_t payload_size,
                                           Tag tag = Tag::kEntry);

 private:
  const SecretKey& key_;
  LogKey log_;
  LogTail tail_;
  FindHash find_hash_;
};

}  // namespace culm
