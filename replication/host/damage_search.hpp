#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "culm/store/row_damage.hpp"

namespace culm::host {

/// Reads the rows of each entry and of its payload once, in a thread of its own, of low priority
/// where the system allows that: so damage is known before somebody needs what it took.
class DamageSearch {
 public:
  /// Called in the thread of the search, for each part of each log in turn: what is damaged of it.
  using Found =
      std::function<void(const LogKey& log, const SeqRange& part, const store::RowDamage& damage)>;

  /// Rows between two pauses, of one log or many: a few milliseconds, as a stop waits for them.
  static constexpr std::uint64_t kPortion = 64;

  /// `store` outlives this object. `pause`: what is left to others between two portions, and no
  /// less than a portion took.
  DamageSearch(const store::Store& store, Found found,
               std::chrono::milliseconds pause = std::chrono::milliseconds(10));
  DamageSearch(const DamageSearch&) = delete;
  DamageSearch& operator=(const DamageSearch&) = delete;
  /// Waits for the portion under way.
  ~DamageSearch();

 private:
  using Clock = std::chrono::steady_clock;

  void loop();
  /// Whether to go on.
  [[nodiscard]] bool search(const LogKey& log);
  /// Of the entries from `from` on; the first that was not looked at, 0 where none is left. Begins
  /// again with a log that was forgotten meanwhile, and taken again.
  [[nodiscard]] Result<SeqNum> look(const LogKey& log, SeqNum from);
  /// Whether no part of a payload in rows of its own is damaged.
  [[nodiscard]] bool is_sound(const LogKey& log, SeqNum seqnum);
  /// Up to the end of the portion, or of the payload: then it stays at `offset`.
  [[nodiscard]] Result<std::uint64_t> read_on(const LogKey& log, SeqNum seqnum,
                                              std::uint64_t offset);
  /// Between two portions. Whether to go on.
  [[nodiscard]] bool rest();

  const store::Store& store_;
  Found found_;
  std::chrono::milliseconds pause_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;
  // Its thread alone.
  Clock::time_point began_ = Clock::now();
  std::uint64_t rows_left_ = 0;  ///< of the portion
  std::uint64_t number_ = 0;     ///< of the log that was looked at last
  std::thread thread_;
};

}  // namespace culm::host
