#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "culm/feed/elided.hpp"
#include "culm/replication/detail/payload_claims.hpp"
#include "culm/replication/detail/resume.hpp"
#include "culm/replication/detail/spent_budgets.hpp"
#include "culm/replication/event.hpp"

namespace culm::replication {

/// One want of this side while the peer serves it. Knows what was asked for, and so what may come.
/// Spec: replication.md#wants
struct Request {
  ///   asked --have--> answered --ready--> ready --all of it committed--> caught up
  ///                       '---------done----'--------------done-------------'--> done
  ///
  /// A deny ends it in any phase; what is done ends once all it brought is committed. One that is
  /// cancelled, to be asked again with what is left of its budget, is kCancelled until the peer is
  /// done with it.
  enum class Phase { kAsked, kAnswered, kReady, kCaughtUp, kDone, kCancelled };

  /// The peer said what it holds of the log.
  void on_have(SeqNum peer_head);
  /// Fail with kProtocolState where that may not be said now.
  [[nodiscard]] Result<void> on_quote();
  [[nodiscard]] Result<void> on_ready();
  [[nodiscard]] Result<void> on_done(DoneReason reason);

  /// Whether a unit or a part of a payload was asked for.
  [[nodiscard]] bool is_solicited(const ElidedContents& contents) const;
  [[nodiscard]] bool is_solicited(const Payload& payload) const;
  /// Whether a payload that comes is not taken: the peer may not have been told of it.
  [[nodiscard]] bool is_bare(SeqNum seqnum) const { return asked.bare.contains(seqnum); }
  /// A unit or a part of a payload has come that counts so much: whether something of it is new.
  /// Fails with kUnsolicited when the budget was used up before, or when too much has come that
  /// was not new.
  [[nodiscard]] Result<bool> take(const ElidedContents& contents, std::uint64_t counted);
  [[nodiscard]] Result<bool> take(const Payload& payload, bool is_entry_here,
                                  std::uint64_t counted);
  /// Payloads that the peer is to leave out; where they are too many to be named, of the interest.
  [[nodiscard]] RangeSet find_excepted(const store::LogState& log) const;
  /// Whether there may be more to tell the peer of, where the store has counted so many deletions.
  [[nodiscard]] bool is_look_due(std::uint64_t counted) const;
  /// Whether the peer is to be told of more: of what it would still send, and, once all has come,
  /// of what it may wait to hear that it is held. Precondition: a look is due.
  [[nodiscard]] bool is_to_except_more(const store::LogState& log);
  /// Whether what still comes is passed over.
  [[nodiscard]] bool is_over() const { return phase == Phase::kDone || phase == Phase::kCancelled; }
  [[nodiscard]] bool has_budget() const { return asked.budget_bytes != 0; }
  [[nodiscard]] SpentBudgets::Budget budget() const {
    return has_budget() && !asked.quote_only ? asked.budget_spent : nullptr;
  }
  [[nodiscard]] std::uint64_t budget_left() const {
    return asked.budget_bytes - std::min(asked.budget_bytes, *asked.budget_spent);
  }
  /// Whether the peer owes an answer, or could send the rest of what it announced.
  [[nodiscard]] bool awaits_peer(bool credit_can_be_used) const;

  WantId id = 0;       ///< on the wire
  WantId host_id = 0;  ///< the id of the first asking, by which the host knows it
  WantRequest asked;
  bool full = false;
  bool is_offered = false;  ///< it answers an offer: nobody but the session asks again
  bool is_woken = false;    ///< likewise, again as soon as the last one was refused
  Phase phase = Phase::kAsked;
  bool quoted = false;
  DoneReason done{};                ///< of phase kDone
  SeqNum head_first = 0;            ///< the peer's head when it answered
  SeqNum head = 0;                  ///< the highest it has shown
  SeqNum head_last = 0;             ///< that it said last; lower, where it learned of a fork
  std::size_t works = 0;            ///< with the committer
  bool is_robbed = false;           ///< entries that the peer knows to be here were lost
  RangeSet brought;                 ///< entries that came by it
  RangeSet payloads_held{};         ///< that the peer was told of
  RangeSet excepted{};              ///< payloads that the peer was told to leave out
  std::uint64_t deletions = 0;      ///< of the store, when these were looked for
  RangeSet agreed{};                ///< entries that the peer has shown to hold as they are here
  std::uint64_t budget_bytes = 0;   ///< that the peer was told; 0: none
  std::uint64_t counted_bytes = 0;  ///< came, as credit counts
  std::uint64_t vain_bytes = 0;     ///< of these, in pieces with nothing new
  std::optional<ResumedPayload> resumed{};
  SeqNum alone = 0;  ///< a payload that came from several did not fit; it comes from one
  std::shared_ptr<PayloadClaims> claims{};
  std::shared_ptr<SessionToken> token = std::make_shared<SessionToken>();

 private:
  [[nodiscard]] Result<bool> count(std::uint64_t counted, bool is_new);
  /// Only a part that goes on where the ones before it ended is.
  [[nodiscard]] bool is_new_part(const Payload& payload);
  /// The entries that were asked for, at every head that the peer has shown and up to `head_max`.
  [[nodiscard]] RangeSet wanted_up_to(SeqNum head_max) const;

  /// How far a payload has come.
  struct Parts {
    std::uint64_t next = 0;  ///< the offset that is due
    std::uint64_t end = 0;   ///< the highest that it was
  };

  RangeSet payloads_;                ///< that came whole
  bool is_looked_after_ = false;     ///< once it had caught up
  std::map<SeqNum, Parts> parts_{};  ///< of others
};

}  // namespace culm::replication
