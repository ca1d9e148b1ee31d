#pragma once

#include <cstdint>
#include <vector>

#include "culm/core/limits.hpp"
#include "culm/replication/message.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Larger payloads wait for all else of their want, in steps of size: so small ones come although
/// each connection breaks before a large one is through.
inline constexpr std::uint64_t kSmallPayloadBytesMax = 1024 * 1024;

/// Entries of a unit newest first, beside their path: both have room in the least credit.
inline constexpr std::uint64_t kRunEntriesMax = limits::kUnitEntriesMax / 32;

/// One want of the peer while it is served: what is to be sent, what the peer has. Decides what
/// comes next and does none of it. Spec: replication.md#wants
struct ServedWant {
  ///   backlog --all that there was is sent--> live --budget, cancel, a failure--> over
  ///      '---------------done, cancel, a failure------------------------------^
  enum class Phase { kBacklog, kLive, kOver };

  /// Takes over what `asked` says the peer holds.
  explicit ServedWant(Want asked);

  /// Settles what is to be sent of the log as it is now. Call it again when the log has changed.
  void plan(const store::LogState& log);

  /// The peer has shown that it holds these. Of more ranges than a peer needs to show, those that
  /// are one too many may be sent in vain.
  void peer_holds(const RangeSet& shown_entries, const RangeSet& shown_payloads);
  /// The entry, or its payload, cannot be read: until the log has changed it counts as not held.
  /// False where it was not to be sent. The want does not end before `drop_finished` was called for
  /// it: something may be left of the entry.
  [[nodiscard]] bool pass_over(SeqNum seqnum);
  void drop_finished(const RangeSet& seqnums) { awaited -= seqnums; }
  /// Whether the peer wants, and does not hold, some of what damage took of the log.
  [[nodiscard]] bool lacks(const store::Lost& lost, const store::LogState& log) const;
  /// What of the log can be sent to this peer, or is there already.
  [[nodiscard]] RangeSet shown(const store::LogState& log) const;
  /// A payload was sent, or is there no longer.
  void settle_payload(SeqNum seqnum);

  /// Whether the budget allows a message with a unit or part of so many bytes.
  [[nodiscard]] bool has_budget_for(std::uint64_t content_bytes) const;

  enum class Step { kNothing, kUnit, kPayload, kReady, kComplete, kBudget };
  /// What comes next, with this much credit left. Precondition: planned, and not over.
  [[nodiscard]] Step next_step(std::uint64_t credit) const;
  /// The entries of the next unit; newest first, a run of so many and its path. Precondition:
  /// `next_step` is kUnit.
  [[nodiscard]] RangeSet next_unit(std::uint64_t run = kRunEntriesMax) const;

  /// Payloads to be begun now, if they are not too large: the peer has their entries. None while a
  /// small one is under way.
  [[nodiscard]] RangeSet ready_payloads() const;
  [[nodiscard]] std::uint64_t ready_size_max() const;
  /// Those of them that are larger wait: until nothing else is left or, if one is under way, until
  /// that has ended.
  void put_off_larger(const RangeSet& larger);
  /// Nothing else is left: the turn is of larger ones.
  void take_larger();
  struct Chunked {
    SeqNum seqnum = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  /// The payload of `entry` from its start or, once, from where the peer says it is to go on.
  [[nodiscard]] Chunked begun(const EntryView& entry);
  [[nodiscard]] bool takes_payload(const EntryView& entry) const;
  [[nodiscard]] bool takes_any_size() const;
  /// Which take most of its memory.
  [[nodiscard]] std::uint64_t ranges() const {
    return want.interest.ranges.ranges().size() + known.ranges().size() + entries.ranges().size() +
           payloads.ranges().size() + settled.ranges().size() + put_off.ranges().size() +
           large.ranges().size() + cut_short.ranges().size();
  }

  Want want;                ///< but for its sets of what is held, which lie below
  SeqNum head = 0;          ///< the highest there was: a window of the newest never moves down
  RangeSet known;           ///< entries the peer has shown to hold or was sent
  RangeSet entries;         ///< to be sent
  RangeSet payloads;        ///< to be sent
  RangeSet put_off;         ///< of these, for being too large yet
  RangeSet large;           ///< of these, those found to be no small ones
  RangeSet settled;         ///< payloads that need not be sent
  RangeSet cut_short;       ///< that cannot be: damaged behind much of them that was sent
  RangeSet unreadable;      ///< here, whatever changes
  RangeSet damaged;         ///< here, so that they cannot be sent
  RangeSet awaited;         ///< of these, about which the host does something
  bool is_short = false;    ///< of what the peer was told to be held, as some was damaged
  bool has_gaps = false;    ///< the proofs of what is to be sent are not all here
  std::uint64_t bytes = 0;  ///< sent, as credit counts
  Phase phase = Phase::kBacklog;
  bool planned = false;
  /// Payloads that are under way in parts, at most two: a small one goes between the parts of a
  /// large one.
  std::vector<Chunked> chunked{};
  std::uint64_t size_max = kSmallPayloadBytesMax;  ///< of payloads whose turn it is

 private:
  void keep_chunked();
};

}  // namespace culm::replication
