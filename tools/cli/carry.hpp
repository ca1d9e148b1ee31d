#pragma once

#include <cstddef>
#include <string>

#include "culm/store/store.hpp"

/// Parts of commands that are printed to be run; those by which payloads are taken out of a log and
/// appended to one again.
namespace culm::tools {

/// Payloads that are to be carried.
struct Carried {
  RangeSet seqnums;
  /// Whether each is one line to `append --lines`, which makes several entries of what holds a line
  /// end. False where to know that would take long.
  bool are_lines = false;
};

/// So many bytes of payloads are looked at for line ends.
inline constexpr std::uint64_t kLookedAtBytes = 1'048'576;

/// Of the entries of `range` those with a payload.
[[nodiscard]] Carried look_at_payloads(const store::Store& store, const LogKey& log,
                                       SeqRange range);

/// What brings them back as they are. `cat`, `append`: each command without what is to follow.
struct CarryWords {
  std::string how;  ///< "as text", or why not
  std::string keep;
  std::string append;
};
[[nodiscard]] CarryWords carry_words(const Carried& carried, const std::string& cat,
                                     const std::string& append);

/// The first ranges of a set, as many as a command that is printed has room for.
[[nodiscard]] RangeSet fit_in_command(const RangeSet& set, std::size_t characters_max = 60);
/// Behind such a command, where it has no room for all of `set`; else "".
[[nodiscard]] std::string then_others(const RangeSet& set, std::size_t characters_max = 60);

/// "`culm --store BACKUP export LOG --jsonl | culm import --jsonl -`", which brings what is not
/// here.
[[nodiscard]] std::string import_command(const std::string& log);
/// How payloads that were deleted here come back, from a peer all that is `missing`; the first of
/// them, where they are very many.
[[nodiscard]] std::string take_back_deleted(const LogKey& log, const RangeSet& deleted,
                                            const RangeSet& missing, bool may_be_at_peer = true);

/// "culm append --key KEY", with the log id where it is not 0. `key`: the key file; "" where it is
/// not known.
[[nodiscard]] std::string append_command(const std::string& key, const LogKey& log);

}  // namespace culm::tools
