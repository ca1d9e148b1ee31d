#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "culm/core/types.hpp"
#include "culm/store/kv.hpp"

namespace culm::store::detail {

/// Where the rows of logs lie of which no row of `logs` tells. Reads for the first such log what
/// tells it of all of them, and for the next ones only what was added since: so many of them cost
/// no more than one. Keeps two places of each log of the store. Safe from any thread.
class LogPlaces {
 public:
  /// 0 where no entry of the log can be read. `is_committed`: all that `kv` shows.
  [[nodiscard]] Result<std::uint64_t> find_number(const KvReadTransaction& kv, const LogKey& log,
                                                  bool is_committed);
  /// The change whose row names the log; 0 where none does.
  [[nodiscard]] Result<std::uint64_t> find_change(const KvReadTransaction& kv, const LogKey& log);

 private:
  struct Places {
    std::map<LogKey, std::uint64_t> by_log;
    std::uint64_t last_read = 0;
    std::optional<Error> damage{};  ///< that ended the reading: some logs may be missing

    [[nodiscard]] Result<std::uint64_t> of(const LogKey& log) const;
  };
  Result<void> read_numbers(const KvReadTransaction& kv, std::uint64_t& last);
  Result<void> read_changes(const KvReadTransaction& kv);

  std::mutex mutex_;
  Places numbers_;
  Places changes_;
};

}  // namespace culm::store::detail
