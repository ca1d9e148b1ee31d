#pragma once

#include <algorithm>
#include <cstddef>
#include <variant>

#include "culm/core/limits.hpp"
#include "culm/replication/codec.hpp"
#include "culm/replication/credit_pool.hpp"
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
///
/// It is full earlier where much waits for other peers, so that many that do not read cannot
/// take all memory.
class Outbox {
 public:
  explicit Outbox(CreditPool& pool) : pool_(pool) {}
  ~Outbox() { pool_.give_back_output(charged_); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Encodes at once, so whatever `message` borrows may go. Returns its bytes, as credit counts.
  std::size_t send(const Message& message) {
    const std::size_t position = begin_frame(plaintext_);
    encode(plaintext_, message);
    end_frame(plaintext_, position);
    const std::size_t bytes = plaintext_.size() - position - kFramePrefixBytes;
    const bool is_served =
        std::holds_alternative<Entries>(message) || std::holds_alternative<Payload>(message);
    if (!is_served) answers_ += bytes + kRecordOfItsOwn;
    return bytes;
  }

  /// Frames not yet handed to the channel.
  [[nodiscard]] Bytes& plaintext() noexcept { return plaintext_; }

  /// Encrypted bytes that the socket has not taken, and the memory that they are in.
  void set_unsent(std::size_t bytes, std::size_t memory) noexcept {
    pool_.give_back_output(charged_);
    unsent_ = bytes;
    if (unsent_ <= limits::kSessionOutputBytesFree) answers_ = 0;
    charged_ = memory - std::min(memory, limits::kSessionOutputBytesFree);
    pool_.charge_output(charged_);
  }

  /// How large a unit should be at most.
  [[nodiscard]] std::size_t unit_bytes_target() const noexcept {
    return pool_.is_short_of_output() ? limits::kSessionOutputBytesFree : limits::kUnitBytesTarget;
  }

  /// Whether nothing but answers to small messages should be added now.
  [[nodiscard]] bool full() const noexcept {
    return size() >= (pool_.is_short_of_output() ? limits::kSessionOutputBytesFree
                                                 : limits::kSessionOutputBytesMax);
  }

  /// Whether not even these. What is served does not count while the node is short: two that serve
  /// each other must both go on reading.
  [[nodiscard]] bool overfull() const noexcept {
    return size() >= limits::kSessionAnswersBytesMax ||
           (pool_.is_short_of_output() && answers_ >= limits::kSessionAnswersBytesFree);
  }

 private:
  static constexpr std::size_t kRecordOfItsOwn = 32;  ///< bytes around the smallest messages

  [[nodiscard]] std::size_t size() const noexcept { return unsent_ + plaintext_.size(); }

  CreditPool& pool_;
  Bytes plaintext_;
  std::size_t unsent_ = 0;
  std::size_t answers_ = 0;  // since little was unsent
  std::size_t charged_ = 0;
};

}  // namespace culm::replication
