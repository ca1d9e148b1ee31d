#pragma once

#include <list>
#include <optional>

#include "culm/core/sealing.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/credit_pool.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/message.hpp"
#include "culm/replication/stats.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// The serving half of a session: answers the peer's wants from the store, as far as credit and the
/// outbox allow. Spec: replication.md#wants
class Provider {
 public:
  /// All must outlive the provider.
  Provider(const store::Store& store, SignatureVerifier& verifier, Outbox& outbox,
           SessionStats& stats);

  /// Fails with kProtocolState when the id of a want is not larger than all before.
  [[nodiscard]] Result<void> take_id(WantId want);
  /// Takes a want that the policy allows. Fails as the store, or with kBusy when too many are open.
  [[nodiscard]] Result<void> accept(Want want);
  /// The peer no longer wants it: says done.
  void cancel(WantId want);
  /// The peer has refused what it got: nothing more is said.
  void drop(WantId want);
  /// The peer has shown that it holds these: they need not be sent.
  void peer_holds(const LogKey& log, const RangeSet& entries, const RangeSet& payloads);
  void add_credit(std::uint64_t bytes) noexcept { credit_ += bytes; }

  /// The store has changed: live wants of `log` go on.
  void log_changed(const LogKey& log);
  /// Whether the peer wants anything of `log`.
  [[nodiscard]] bool serves(const LogKey& log) const;

  /// Sends what may be sent now, and no more than is fair to other sessions.
  [[nodiscard]] Result<void> pump();
  /// Whether the last `pump` stopped although it could have gone on.
  [[nodiscard]] bool has_more() const noexcept { return has_more_; }

  /// Bytes of credit that the peer has granted and that are not used up.
  [[nodiscard]] std::uint64_t credit() const noexcept { return credit_; }

 private:
  struct Served {
    Want want;          ///< but for its sets of what is held, which lie below
    SeqNum head = 0;    ///< the highest there was: a window of the newest never moves down
    RangeSet known;     ///< entries the peer has shown to hold or was sent
    RangeSet entries;   ///< to be sent
    RangeSet payloads;  ///< to be sent
    RangeSet settled;   ///< payloads the peer has shown to hold, excepted, sent or not wanted
    std::uint64_t bytes = 0;
    bool planned = false;
    bool said_ready = false;
    bool ended = false;
    struct Chunked {
      SeqNum seqnum = 0;
      std::uint64_t offset = 0;
    };
    std::optional<Chunked> chunked;  ///< the payload that is under way in parts
  };

  void plan(Served& served, const store::LogState& log) const;
  [[nodiscard]] Result<void> answer(Served& served, const store::ReadTransaction& transaction,
                                    const store::LogState& log);
  [[nodiscard]] Result<Quote> quote(const Served& served, const store::ReadTransaction& transaction,
                                    const store::LogState& log);
  [[nodiscard]] Result<void> sum_payloads(Quote& quote, const Served& served,
                                          const store::ReadTransaction& transaction,
                                          const store::LogState& log);
  [[nodiscard]] Result<bool> step_of(Served& served);
  [[nodiscard]] Result<void> send_payload(Served& served, const store::ReadTransaction& transaction,
                                          const store::LogState& log);
  /// Sends one countable message, or says ready or done. False: nothing to do.
  [[nodiscard]] Result<bool> step(Served& served);
  [[nodiscard]] RangeSet next_unit(const Served& served) const;
  [[nodiscard]] Result<void> send_unit(Served& served, const store::ReadTransaction& transaction,
                                       const store::LogState& log);
  [[nodiscard]] Result<void> send_chunk(Served& served, const store::ReadTransaction& transaction,
                                        const store::LogState& log);
  /// Passes over payloads of sizes that are not wanted; whether it came to one that is.
  [[nodiscard]] Result<bool> skip_payloads(Served& served,
                                           const store::ReadTransaction& transaction,
                                           const store::LogState& log);
  /// Whether each entry of `sent` that nothing links to at the peer is signed well.
  [[nodiscard]] Result<bool> has_good_sinks(const RangeSet& sent, const RangeSet& known,
                                            const store::ReadTransaction& transaction,
                                            const store::LogState& log);
  [[nodiscard]] static bool takes_payload(const Want& want, const EntryView& entry);
  void spend(Served& served, std::size_t bytes);
  void finish(Served& served, DoneReason reason);

  const store::Store& store_;
  SignatureVerifier& verifier_;
  Outbox& outbox_;
  SessionStats& stats_;
  std::list<Served> served_;
  WantId last_id_ = 0;
  std::uint64_t credit_ = 0;
  std::uint64_t quote_rows_left_ = limits::kPumpRowsMax;  ///< until the next `pump`
  bool has_more_ = false;
  Bytes unit_;
};

/// What the store holds of a log, as one message can say it.
[[nodiscard]] Result<Have> make_have(const store::ReadTransaction& transaction,
                                     const store::LogState& log);

/// At most the first `ranges_max` ranges of `set`: what a message can carry.
[[nodiscard]] RangeSet first_ranges(const RangeSet& set,
                                    std::size_t ranges_max = limits::kRangesPerMessageMax);

/// The lowest `count` members of `set`.
[[nodiscard]] RangeSet lowest(const RangeSet& set, std::uint64_t count);

/// The highest `count` members of `set`.
[[nodiscard]] RangeSet highest(const RangeSet& set, std::uint64_t count);

}  // namespace culm::replication
