#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>

#include "culm/store/detail/log_places.hpp"
#include "culm/store/store.hpp"

namespace culm::store::detail {

/// The states of logs that were read or written last, so that a log of many ranges is taken apart
/// at most once for each of its changes and not for each who asks. Safe from any thread.
class LogCache {
 public:
  /// The state that `row` of kLogs and the rows that belong to it hold. A row that was taken apart
  /// before is known by its ends, where its change and its checksum stand; what lies between, and
  /// its blocks, are not looked at again. Fails as `open_log` and `read_sets`.
  /// With `from`, where it was not, what `read_upper_sets` reads if that can be.
  [[nodiscard]] Result<UpperState> decode(const KvReadTransaction& kv, const LogKey& log,
                                          ByteView row, SeqNum from);

  /// The state that was written with `row`, and committed.
  void keep(const LogState& state, ByteView row);
  /// Whether it is worth it.
  [[nodiscard]] static bool is_kept(const LogState& state, ByteView row);

  // What `Store::hold_back` says.
  void hold_back(const LogKey& log, SeqNum from);
  void release(const LogKey& log);
  /// The state with what is held back of the log.
  [[nodiscard]] SharedLogState shown(SharedLogState state);

  [[nodiscard]] LogPlaces& places() noexcept { return places_; }

 private:
  /// The size is part of it.
  using Ends = std::array<std::uint8_t, 40>;
  struct Kept {
    Ends ends;
    SharedLogState state;
    std::size_t ranges;
  };
  using Latest = std::list<Kept>;

  static Ends ends_of(ByteView row);
  SharedLogState find(const LogKey& log, const Ends& ends);
  void keep(Kept kept);
  void forget(Latest::iterator kept);

  std::mutex mutex_;
  Latest latest_;  ///< the one that was asked for last comes first
  std::map<LogKey, Latest::iterator> by_log_;
  std::size_t ranges_ = 0;

  struct HeldBack {
    SeqNum from = 0;
    SharedLogState whole{};  ///< that was asked for last,
    SharedLogState shown{};  ///< and what was shown of it
  };
  std::atomic<std::size_t> held_back_count_ = 0;
  std::map<LogKey, HeldBack> held_back_;
  LogPlaces places_;
};

}  // namespace culm::store::detail
