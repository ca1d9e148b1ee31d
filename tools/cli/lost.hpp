#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "culm/store/store.hpp"

#include "tools/cli/failure.hpp"

/// What damage took: how much of it is wanted, and what to do about it.
namespace culm::tools {

/// What is wanted of a log, and was lost.
struct LostOfLog {
  store::Lost lost;
  RangeSet cut_off;  ///< held, and lead to entry 1 no more

  [[nodiscard]] bool empty() const { return lost.empty() && cut_off.empty(); }
};

/// Wanted entries that lead to entry 1 no more, once `lost` are gone.
[[nodiscard]] RangeSet find_cut_off(const store::LogState& log, const RangeSet& lost);
[[nodiscard]] Result<LostOfLog> find_lost(const store::ReadTransaction& transaction,
                                          const store::LogState& log);

/// "2 entries: 5,9; 1 payload: 7".
[[nodiscard]] std::string listed(const RangeSet& entries, const RangeSet& payloads);
/// The same of what is lost, with "4 entries that lead to nothing: 6-9".
[[nodiscard]] std::string listed(const LostOfLog& lost);

/// The ways to be rid of it: a peer, or to want less; where its author may not append, another log.
[[nodiscard]] std::string next_if_lost(const store::LogState& log, const LostOfLog& lost);
/// Behind "where nobody has it: ".
[[nodiscard]] std::string next_if_nobody_has(const store::LogState& log, const LostOfLog& lost);

/// Behind the next step of the first of several logs.
inline constexpr std::string_view kThenOthers =
    "; then the same of the other logs, which `culm verify` names";

/// What is lost of some logs.
struct LostCounts {
  std::uint64_t entries = 0;
  std::uint64_t payloads = 0;
  std::uint64_t cut_off = 0;
  std::uint64_t rows = 0;  ///< of entries of which nothing else is left

  void add(const LostOfLog& lost);
  [[nodiscard]] bool empty() const { return entries + payloads + cut_off + rows == 0; }
  /// Behind what is sound: "the store is sound, and ...".
  [[nodiscard]] Failure failure(const std::string& sound) const;
};

}  // namespace culm::tools
