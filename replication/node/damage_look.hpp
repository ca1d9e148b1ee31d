#pragma once

#include <vector>

#include "culm/core/random.hpp"
#include "culm/replication/known_damage.hpp"
#include "culm/replication/node/sync_request.hpp"
#include "culm/store/row_damage.hpp"

namespace culm::node {

/// What is damaged of a log of a sync.
struct LookedAt {
  LogKey log;
  store::RowDamage damage;  ///< `unreadable`: of the rows that were read
};

/// Reads, of each log in turn, what the request names and is held, and of the rest a sample unless
/// somebody has looked: kRowsOfLogMax entries of a log, kRowsMax of all, and until kBytesMax of
/// payloads were read. So damage is known of before a sync says that nothing is missing, which
/// costs no more however much is held. Of more than that another sample each time. Spec:
/// damage.md#damage
class DamageLook {
 public:
  static constexpr std::uint64_t kRowsOfLogMax = 1024;
  static constexpr std::uint64_t kRowsMax = 16 * kRowsOfLogMax;
  static constexpr std::uint64_t kBytesMax = std::uint64_t{16} * 1024 * 1024;
  static constexpr std::uint64_t kSliceRows = 32;  ///< are read at once, however large

  /// All must outlive it. `known` is told of logs that were read whole and can be.
  DamageLook(const store::Store& store, Random& random, replication::KnownDamage& known)
      : store_(store), random_(random), known_(known) {}

  /// Logs of which something is damaged. Who cannot read one at all finds nothing: that is met when
  /// it is synced.
  [[nodiscard]] std::vector<LookedAt> look(const SyncRequest& request);

 private:
  [[nodiscard]] Result<store::RowDamage> look_at(const replication::WantRequest& want);
  /// What of it was read.
  [[nodiscard]] Result<RangeSet> read(const store::ReadTransaction& transaction,
                                      const store::LogState& log, const RangeSet& sample,
                                      store::RowDamage& damage);
  [[nodiscard]] std::uint64_t any_below(std::uint64_t count);
  [[nodiscard]] RangeSet some_of(const RangeSet& set, std::uint64_t count);
  [[nodiscard]] bool is_sound(const store::ReadTransaction& transaction, const store::LogState& log,
                              SeqNum seqnum);

  const store::Store& store_;
  Random& random_;
  replication::KnownDamage& known_;
  std::uint64_t rows_left_ = kRowsMax;
  std::uint64_t bytes_left_ = kBytesMax;
};

}  // namespace culm::node
