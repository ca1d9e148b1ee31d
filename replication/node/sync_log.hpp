#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "culm/replication/event.hpp"
#include "culm/replication/node/action.hpp"
#include "culm/replication/node/sync_event.hpp"
#include "culm/store/store.hpp"

namespace culm::node {

/// One log of a sync: what is wanted of it, what came, and what each peer has said of it. Decides
/// when the log is done; asks nobody.
class SyncLog {
 public:
  SyncLog(replication::WantRequest want, std::size_t peers);

  /// Completes the want: without an interest it is the one that the store keeps, or everything
  /// where nobody has said what to keep. `undeletes`: with the payloads of it that were deleted,
  /// also where it wants none.
  [[nodiscard]] Result<void> begin(const store::ReadTransaction& transaction, bool undeletes);

  [[nodiscard]] const LogKey& key() const { return want_.log; }
  [[nodiscard]] const replication::WantRequest& want() const { return want_; }
  /// What is wanted, the newest counted from the head here: a peer that lags behind has others,
  /// which nobody wants.
  [[nodiscard]] Interest interest_now() const;
  /// Nothing was asked for, and the store wants nothing: there is nothing to ask peers for.
  [[nodiscard]] bool wants_nothing() const { return wants_nothing_; }

  // What happens to it.
  /// It began here, and is not pushed: that peers do not serve it is no failure.
  void joined() { is_of_here_ = true; }
  void quoted(const replication::Quote& quote);
  void whole_quoted(const replication::Quote& quote) { report_.whole_quote = quote; }
  /// Nobody waits for the quote of the whole any more.
  void end_whole() { is_whole_over_ = true; }
  void fetched(const FetchEnded& ended);
  /// All of a quote was said. Damaged: it leaves out what the peer has lost.
  void quote_ended(bool is_damaged) {
    has_sound_quote_ = has_sound_quote_ || !is_damaged;
    report_.error = has_sound_quote_ ? std::nullopt : std::optional(Error{Errc::kPeerStore});
  }
  /// Where a quote is all that is wanted: no more will come.
  void end_quotes();
  void denied(std::size_t peer, const replication::Denied& denied);
  /// The peer serves it: what it declined before counts no more.
  void granted(std::size_t peer);
  void committed(const store::IngestReport& done) {
    added_ |= done.added;
    if (!added_.empty()) head_ = std::max(head_, added_.max());
    want_.undelete -= done.payloads_added;  // deleted again it stays so
    report_.payload_bytes += done.payload_bytes_added;
  }
  void peer_has(std::size_t peer, const replication::PeerHas& has);
  /// The peer declines to say what it holds. One that cannot has not answered.
  void declined(std::size_t peer, replication::DenyReason reason) {
    using enum replication::DenyReason;
    if (reason != kBusy && reason != kDamaged) peers_[peer].has_answered = true;
  }
  /// Whether the peer has said what it holds, or declined.
  [[nodiscard]] bool has_answered(std::size_t peer) const { return peers_[peer].has_answered; }
  void offered(std::size_t peer) { peers_[peer].offer_denied.reset(); }
  void offer_denied(std::size_t peer, replication::DenyReason reason) {
    peers_[peer].offer_denied = reason;
  }
  /// This side cannot read or keep it: nothing of it is waited for any more.
  void failed(const Error& error);
  /// These are damaged, count as held until they can be dropped, and no peer gets them.
  void not_dropped(const RangeSet& seqnums, const Error& error);
  void were_dropped(const RangeSet& seqnums) { undropped_ -= seqnums; }
  /// Fails with an error that is of this log alone; false for any other.
  [[nodiscard]] bool takes(const Error& error);
  [[nodiscard]] bool has_failed() const { return report_.outcome == LogOutcome::kFailed; }
  /// The peer is gone: it is not waited for.
  void peer_lost(std::size_t peer) { peers_[peer].is_lost = true; }

  /// A fork that is known by now, and was not when this was asked last, or at the beginning.
  [[nodiscard]] Result<std::optional<SyncForked>> look_forked(
      const store::ReadTransaction& transaction);

  /// Looks whether the peer has said that it holds all that it takes of what is held here. Returns
  /// the event that tells so, where that is for the first time or for more than before.
  [[nodiscard]] Result<std::optional<SyncPushed>> look_pushed(
      const store::ReadTransaction& transaction, std::size_t peer, const Endpoint& endpoint);

  /// The event that tells so once what the peer holds has come, with what it lacks.
  [[nodiscard]] Result<SyncCaughtUp> look_caught_up(const store::ReadTransaction& transaction,
                                                    std::size_t peer,
                                                    const Endpoint& endpoint) const;

  /// Whether another log may have its turn: only peers that take it are waited for, or of a quote
  /// those that did not answer yet.
  [[nodiscard]] bool is_turn_over() const;
  /// Whether nothing is waited for; `pushes`: nor that the peers take it.
  [[nodiscard]] bool is_over(bool pushes) const;
  /// Whether a peer was lost before it had said that it holds all that it takes.
  [[nodiscard]] bool is_push_lost() const;
  [[nodiscard]] const LogReport& report() const { return report_; }
  [[nodiscard]] const RangeSet& added() const { return added_; }
  /// The report, with what the store holds now. `pushed_to`: the peers, where it was pushed.
  [[nodiscard]] Result<LogReport> conclude(const store::ReadTransaction& transaction,
                                           std::span<const PeerReport> pushed_to) const;

 private:
  /// What one peer has said.
  struct Said {
    bool has_answered = false;
    SeqNum head = 0;
    RangeSet held;
    RangeSet payloads;
    RangeSet refused;         ///< payloads that it does not take
    bool has_enough = false;  ///< all that it takes
    SeqNum has_up_to = 0;
    bool is_lost = false;
    // The last that it answered, while live.
    bool has_granted = false;
    std::optional<replication::Denied> denied;
    std::optional<replication::DenyReason> offer_denied;
  };

  /// That peers have said they hold.
  [[nodiscard]] RangeSet payloads_there() const {
    RangeSet all;
    for (const Said& said : peers_) all |= said.payloads;
    return all;
  }
  /// A fork below the cap that was known before, if any was, and what it drops here.
  [[nodiscard]] static std::optional<SyncForked> find_forked(const store::LogState& log,
                                                             SeqNum cap_before);
  [[nodiscard]] bool has_enough(const Said& said, const store::LogState& log) const;
  /// What somebody who holds `theirs` can take of what is served here: it leads to entry 1.
  [[nodiscard]] static RangeSet find_provable(const RangeSet& served, const RangeSet& theirs);
  [[nodiscard]] static Unconfirmed unconfirmed(const Endpoint& endpoint, const Said& said,
                                               const RangeSet& held, const RangeSet& payloads_held);
  [[nodiscard]] SeqNum head_there() const {
    return want_.live || want_.quote_only || !is_wanted_over_ ? report_.peer_head : known_head_;
  }
  /// Takes from what each peer has answered last, and not before, what a live sync came to.
  void conclude_live(const store::LogState& log, bool is_all, LogReport& report) const;
  /// Takes away what a have had no room to speak of.
  static void cut_to_said(RangeSet& set, const RangeSet& said);
  /// Of a quote: what is wanted, and neither here nor with a peer that told of it.
  void find_lost_there(const store::LogState& log, const RangeSet& wanted, LogReport& report) const;
  /// What is wanted and not here, of the log and of the payloads of `wanted`.
  [[nodiscard]] Result<void> find_missing(const store::ReadTransaction& transaction,
                                          const store::LogState& log, const RangeSet& wanted,
                                          SeqNum head, LogReport& report) const;

  replication::WantRequest want_;
  RangeSet named_;  ///< seqnums of the request
  LogReport report_;
  std::vector<Said> peers_;
  RangeSet added_;
  RangeSet undropped_{};
  std::optional<Error> why_undropped_{};
  SeqNum known_head_ = 0;  ///< that peers have said and that is believed
  SeqNum head_ = 0;        ///< here, when it began or of what came
  SeqNum cap_ = 0;         ///< that is known
  SeqNum cap_before_ = 0;  ///< that was known when it began
  bool is_new_ = false;    ///< nothing of it was served here: there is nothing to be pushed
  bool is_of_here_ = false;
  bool wants_nothing_ = false;
  bool is_wanted_over_ = false;
  bool is_whole_over_ = false;
  bool has_sound_quote_ = false;
};

}  // namespace culm::node
