#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "culm/core/bytes.hpp"
#include "culm/feed/closure.hpp"

/// What a store knows of a log.
namespace culm::store {

/// What a peer keeps of a log.
struct LogInterest {
  Interest entries;
  /// Payloads are wanted too.
  bool payloads = true;

  /// Whether somebody has said that nothing is wanted. Where nobody has said anything it is false,
  /// as it is by default.
  [[nodiscard]] bool is_none() const noexcept { return entries.empty() && !payloads; }
  /// The entries whose payloads are wanted of a log with this head; all where nobody has said
  /// anything.
  [[nodiscard]] RangeSet payloads_wanted(SeqNum head) const;

  friend bool operator==(const LogInterest&, const LogInterest&) = default;
};

/// Everything known of a log but its rows. A value: it does not change with the store. Each of its
/// sets has at most limits::kRangesPerLogMax ranges. Spec: store.md#logs
struct LogState {
  LogKey log;
  std::uint64_t number = 0;  ///< prefix of the log's rows, from 1
  RangeSet held;             ///< entries with a row
  RangeSet payloads;         ///< held entries whose payload is held
  RangeSet verified;         ///< held entries whose own signature is known to be good
  RangeSet deleted;          ///< entries, held or not, whose payload is not taken (again)
  LogInterest interest;
  SeqNum cap = 0;                   ///< lowest `at` of the recorded evidence; 0: none
  SeqNum end_of_log = 0;            ///< seqnum of the held end-of-log entry; 0: none
  std::uint64_t change = 0;         ///< number of the last change of this log
  std::uint64_t payload_bytes = 0;  ///< of the payloads held
  SeqNum held_back = 0;  ///< not served from here on, see `Store::hold_back`; 0: none; not a row's

  /// Held entries that are not held back, also above the cap: what a peer need not send.
  [[nodiscard]] RangeSet shown() const;
  /// Held entries below the cap, and not held back: what is valid, served and counted.
  [[nodiscard]] RangeSet served() const;
  /// Those of them that are not wanted: they prove others, or were wanted once. None where nobody
  /// has said what is wanted.
  [[nodiscard]] RangeSet certificate() const;
  /// The highest of them, or 0.
  [[nodiscard]] SeqNum head() const;
  /// Whether the entry is one of them.
  [[nodiscard]] bool serves(SeqNum seqnum) const;

  friend bool operator==(const LogState&, const LogState&) = default;
};

/// A state as transactions hand it out: all that read the log between two changes of it share one,
/// which may outlive them and the store. A log of very many ranges thus costs a reader little.
using SharedLogState = std::shared_ptr<const LogState>;

/// What an author asks of a log before anything is appended to it, which takes the same time
/// however many ranges its payloads and deletions have. Spec: store.md#range-sets
struct LogOutline {
  LogKey log;
  std::uint64_t number = 0;
  RangeSet held;
  SeqNum cap = 0;
  bool is_selected = false;  ///< whether somebody has said which entries are wanted
};

namespace detail {

/// Of each set of a state how many ranges lie below what was read.
using RangesBelow = std::array<std::size_t, 5>;

/// A state for who changes it from a seqnum on: of each set but `held` what lies in blocks below
/// may be missing. Never handed out, kept or compared as a whole one.
struct UpperState {
  SharedLogState state;
  SeqNum from = 0;  ///< 0: nothing is missing
  RangesBelow below{};

  /// Precondition: nothing is missing.
  [[nodiscard]] SharedLogState whole() const;
};

/// The state of a log inside a write transaction; written once, when it commits.
struct TouchedLog {
  LogState state;
  SharedLogState before{};  ///< that the rows hold; null: they hold none, or a damaged one
  SeqNum from = 0;          ///< as in `UpperState`, of both
  RangesBelow below{};
  bool is_changed = false;
  bool is_marked = false;  ///< `verified` differs, which alone is no change
  Bytes row{};             ///< that was written, where `LogCache` is to know it
};
using TouchedLogs = std::map<LogKey, TouchedLog>;

}  // namespace detail
}  // namespace culm::store
