#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "culm/core/time.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/replication/node/subscriptions.hpp"

namespace culm::node {

/// Shares out among several peers what is missing of one log: who is asked for what, until when,
/// and who next. Decides and does nothing. The rules:
///
/// - A peer is asked for a segment: a run of seqnums that are missing and that it says it holds.
///   Nothing is asked of two peers at a time, but for the last: when nothing is left to be given
///   out, one who has nothing to do is asked for what a much slower one still owes, once.
/// - A segment is large enough that what anchors it again (some 50 entries) is little beside it,
///   and small enough that the peers end together. A peer has two at most: the second is asked for
///   when the first is half there, so that it never waits.
/// - Late is who was asked for what another could bring and has brought nothing new for
///   `kLateAfter`, or less than `kRateBytesMin` over `kRateOver`, while nothing that it brought
///   waits to be stored. What it owes goes to others, and it is asked again after `kForgivenAfter`,
///   or once there is nobody else. The session goes on; `Liveness` ends one that stalls, much
///   later.
/// - So is who brought less than `kSlowBytesMax` over `kRateOver`, once another has nothing to do
///   who could bring it and was not slower when last measured: parts of payloads say nothing before
///   the last whether they are right, and nobody can hold up a fetch with them. Of whom nothing was
///   measured yet takes over from one at a time, so that it cannot stop all others by a promise.
/// - What a peer said it holds and twice did not bring is not asked of it again. Who brought
///   nothing new of two segments is asked for nothing more: what it says it holds counts as not
///   said. Corrupt bytes end its session, and so `remove` it.
/// - What a peer had no room to speak of is asked of it once, and no more after `kGuessesMax`
///   segments of it that brought nothing; nobody thinks worse of it for that.
/// - Who is too busy for a segment is asked for half of it, down to `kSegmentEntriesMin`.
class FetchPlanner {
 public:
  static constexpr Duration kLateAfter = std::chrono::seconds(5);
  static constexpr Duration kForgivenAfter = std::chrono::seconds(30);
  static constexpr Duration kRateOver = std::chrono::seconds(30);
  static constexpr std::uint64_t kRateBytesMin = 16 * 1024;
  static constexpr std::uint64_t kSlowBytesMax = 8 * 1024 * 1024;
  static constexpr std::uint64_t kSegmentEntriesMin = 4096;
  static constexpr std::uint64_t kSegmentBytesMin = 1024 * 1024;
  static constexpr std::size_t kSegmentsPerPeerMax = 2;
  static constexpr std::uint32_t kFruitlessMax = 2;
  static constexpr std::uint32_t kGuessesMax = 16;

  struct Options {
    /// Segments from above instead of from below.
    bool newest_first = false;
    /// All of one peer, and of another only if that one fails: for what cannot be cut into
    /// segments.
    bool one_at_a_time = false;
    /// Bytes of an entry with what is wanted of its payload, as far as that is known before.
    std::uint64_t entry_bytes = 256;
  };
  struct Segment {
    SessionId peer = 0;
    RangeSet entries;
  };

  explicit FetchPlanner(const Options& options) : options_(options) {}

  /// What is wanted and not here, of what some peer that is believed says it holds.
  void set_missing(RangeSet missing) { missing_ = std::move(missing); }
  /// Peers that may be asked, those among them that have not said yet what they hold.
  void set_peers_expected(std::size_t peers) { peers_expected_ = peers; }
  void set_entry_bytes(std::uint64_t bytes) { options_.entry_bytes = bytes; }
  [[nodiscard]] const RangeSet& missing() const noexcept { return missing_; }

  /// What a peer can bring, as it says, and what it has not spoken of; it is new if it was not
  /// there.
  void peer_holds(SessionId peer, const RangeSet& held, Instant now, const RangeSet& unsaid = {});
  /// What of that it has not spoken of it may yet bring.
  [[nodiscard]] RangeSet guesses(SessionId peer) const;
  /// A peer is gone, or serves nothing of the log.
  void remove(SessionId peer);

  /// What to ask for now; it is under way from here on.
  [[nodiscard]] std::vector<Segment> assign(Instant now);

  /// A peer has sent a piece of so many bytes; it waits to be stored.
  void received(SessionId peer, std::uint64_t bytes);
  /// A piece that a peer had sent is stored or refused; `brought` is new here, and of `gained`
  /// nothing more is missing. `part_bytes` of a payload in parts were kept.
  void stored(SessionId peer, const RangeSet& brought, const RangeSet& gained,
              std::uint64_t part_bytes, Instant now);
  /// A segment is answered to its end, and all it brought is stored; `missing` is set before.
  void ended(SessionId peer, const RangeSet& segment, Instant now);
  /// A segment could not be asked for.
  void give_back(SessionId peer, const RangeSet& segment);
  /// It was too much for the peer. False where nothing smaller is worth asking for.
  [[nodiscard]] bool ask_less(SessionId peer, const RangeSet& segment);

  /// What is no longer waited for, to be cancelled: all that late peers owe, and what another peer
  /// was asked for as well and has brought.
  [[nodiscard]] std::vector<Segment> take_cancelled(Instant now);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  /// Whether something is under way.
  [[nodiscard]] bool is_waiting() const;
  /// Whether some peer may be asked for something that is missing, now or later.
  [[nodiscard]] bool can_go_on() const;
  /// Whether what a peer says it holds still counts.
  [[nodiscard]] bool believes(SessionId peer) const;
  /// Asks a peer for nothing until it is said to have room again.
  void set_busy(SessionId peer, bool is_busy);

 private:
  struct Asked {
    RangeSet entries;      ///< as it was asked for; what of it is missing is owed
    bool shared = false;   ///< another peer was asked for it as well
    bool brought = false;  ///< something new of it has come
  };
  struct Peer {
    RangeSet held;
    RangeSet unsaid;               ///< of these, what it has not said to hold
    RangeSet doubted;              ///< said to be held, and not brought once
    RangeSet refused;              ///< said to be held, and not brought
    std::vector<Asked> asked;      ///< at most kSegmentsPerPeerMax
    std::size_t pieces = 0;        ///< that wait to be stored
    std::uint64_t came_bytes = 0;  ///< by these and those before them, and did not count yet
    std::uint32_t fruitless = 0;   ///< segments of which nothing new came
    std::uint32_t guesses = 0;     ///< likewise, of what it has not said to hold
    std::uint64_t segment_entries_max = std::numeric_limits<std::uint64_t>::max();
    bool is_busy = false;
    bool is_late = false;
    Instant late_since{};
    Instant progressed{};  ///< when it last brought something, or was asked
    Instant window{};      ///< since when `window_bytes` count
    std::uint64_t window_bytes = 0;
    std::uint64_t rate_bytes = 0;   ///< of the last whole window; 0: not known yet
    double entries_per_second = 0;  ///< measured; 0: not known yet
    Instant measured{};
    std::uint64_t measured_entries = 0;
  };

  using Row = std::pair<const SessionId, Peer>;

  [[nodiscard]] RangeSet under_way() const;
  [[nodiscard]] RangeSet owed(const Peer& peer) const;
  [[nodiscard]] RangeSet available(const Peer& peer) const;
  [[nodiscard]] bool has_turn(const Peer& peer) const;
  [[nodiscard]] std::uint64_t segment_entries(const Peer& peer, std::uint64_t left) const;
  [[nodiscard]] RangeSet cut(const RangeSet& from, std::uint64_t entries) const;
  /// What the slowest peer owes, for one who has nothing to do.
  [[nodiscard]] Asked take_again(SessionId idle);
  void ask(Peer& peer, Asked asked, Instant now);
  /// Where there is nobody else, late ones are asked again.
  void forgive(Instant now);
  [[nodiscard]] bool can_be_replaced(const Row& late) const;
  /// Whether it is slow and somebody else has nothing to do; noted in `untried` if that one has yet
  /// to show its rate.
  [[nodiscard]] bool gives_way(const Row& slow, std::set<SessionId>& untried) const;
  [[nodiscard]] std::optional<Instant> late_at(const Row& row) const;

  Options options_;
  RangeSet missing_;
  std::size_t peers_expected_ = 0;
  std::map<SessionId, Peer> peers_;
};

}  // namespace culm::node
