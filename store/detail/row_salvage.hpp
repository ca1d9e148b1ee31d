#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "culm/core/types.hpp"
#include "culm/feed/verify.hpp"
#include "culm/store/detail/page_file.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/kv.hpp"

namespace culm::store::detail {

/// What states in pages that may be old say of a log whose own state is lost.
struct OldState {
  LogRow newest;
  RangeSet deleted;  ///< at any time
};

/// What was taken from pages that nothing leads to: it may be older than the rest.
struct LostRows {
  bool has_meta = false;
  std::set<LogKey> logs;
  std::map<LogKey, OldState> old_states;
  std::set<std::uint64_t> old_numbers;   ///< of logs of which there are such entries
  std::set<std::uint64_t> sure_numbers;  ///< and others
  std::set<std::uint64_t> forgotten;     ///< of logs that a tree leads to, as such rows say
};

/// Takes over what can be read of a damaged file, in steps.
class RowSalvage {
 public:
  explicit RowSalvage(Kv& kv) : kv_(kv) {}

  /// Returns how many pages are damaged.
  Result<std::uint64_t> run(PageFile& file);

  [[nodiscard]] const LostRows& lost() const { return lost_; }
  /// Whether trees lead to rows alone that are sound.
  [[nodiscard]] bool are_all_sound() const noexcept { return are_all_sound_; }

 private:
  enum class Found : std::uint8_t { kLed, kLost, kOld };

  Result<void> take(Table table, const KvRow& row);
  Result<void> take_lost(const KvRow& row);
  Result<void> take_old(const PageFile::Place& place, const KvRow& row);
  [[nodiscard]] bool is_signed(const KvRow& row);
  Result<void> take_old_row(Table table, const KvRow& row);
  [[nodiscard]] bool is_better(Table table, const KvRow& row, ByteView than) const;
  void take_old_state(const KvRow& row);
  Result<void> take_bytes(const PageFile::Place& from, const KvRow& row);
  Result<void> take_proven(const PageFile::Place& from, const RowPlace& place,
                           const EntryRow& opened, const KvRow& row);
  Result<bool> is_number_of(std::uint64_t number, const LogKey& log, bool is_taken_if_free) const;
  void mark(Table table, const KvRow& row, Found found);
  Result<void> put(Table table, const KvRow& row);

  Kv& kv_;
  std::unique_ptr<KvWriteTransaction> txn_;
  std::size_t step_bytes_ = 0;
  std::map<std::uint64_t, LogKey> numbers_;  ///< that states say
  std::set<std::string> old_rows_;           ///< keys of entries of which another row may be newer
  LostRows lost_;
  bool are_all_sound_ = true;
  Ed25519Verifier verifier_;
};

}  // namespace culm::store::detail
