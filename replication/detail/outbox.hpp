#pragma once

#include <cstddef>

#include "culm/core/limits.hpp"
#include "culm/replication/codec.hpp"
#include "culm/replication/frame.hpp"

namespace culm::replication {

/// Collects the messages of one call of the session, so that they share encrypted records. Nothing
/// makes it grow without end while the peer does not read:
///
///   answers, credit        follow what the peer sends, who is not listened to while it is overfull
///   entries, payloads      wait while it is full
///   receipts               likewise; one stands for all that were due before it
///   offers                 limits count them for a session
///   defects                likewise, and wait while it is full
///   wants, what ends them  follow open wants, which a limit counts
class Outbox {
 public:
  /// Encodes at once, so whatever `message` borrows may go. Returns its bytes, as credit counts.
  std::size_t send(const Message& message) {
    const std::size_t position = begin_frame(plaintext_);
    encode(plaintext_, message);
    end_frame(plaintext_, position);
    return plaintext_.size() - position - kFramePrefixBytes;
  }

  /// Frames not yet handed to the channel.
  [[nodiscard]] Bytes& plaintext() noexcept { return plaintext_; }

  /// Encrypted bytes that the socket has not taken.
  void set_unsent(std::size_t bytes) noexcept { unsent_ = bytes; }

  /// Whether nothing but answers to small messages should be added now.
  [[nodiscard]] bool full() const noexcept {
    return unsent_ + plaintext_.size() >= limits::kSessionOutputBytesMax;
  }

  /// Whether not even these.
  [[nodiscard]] bool overfull() const noexcept {
    return unsent_ + plaintext_.size() >= limits::kSessionAnswersBytesMax;
  }

 private:
  Bytes plaintext_;
  std::size_t unsent_ = 0;
};

}  // namespace culm::replication
