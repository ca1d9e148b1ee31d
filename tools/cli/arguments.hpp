#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/sealing.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/command_line.hpp"

/// What people type, turned into values; whatever is not one fails with exit 2.
namespace culm::tools {

/// Decimal digits only. `what` names the argument in the message.
[[nodiscard]] Outcome<std::uint64_t> parse_number(std::string_view what, std::string_view text);

/// A number from 1 on.
[[nodiscard]] Outcome<SeqNum> parse_seqnum(std::string_view what, std::string_view text);

/// How many threads check signatures.
[[nodiscard]] Outcome<std::size_t> parse_verify_threads(std::string_view what,
                                                        std::string_view text);

/// "5-9,20,30-".
[[nodiscard]] Outcome<RangeSet> parse_range_option(std::string_view what, std::string_view text);

/// A value of an option, read by `parse` into `into`, which has to outlive the tree and is not
/// touched where none is given.
template <class Into, class Parse>
[[nodiscard]] Option::Value value_of(const char* kind, Into& into, Parse parse) {
  return {kind, [&into, parse](const std::string& name, const std::string& text) -> Outcome<void> {
            CULM_TOOLS_TRY(into, parse(name, text));
            return {};
          }};
}
template <class Into>
[[nodiscard]] Option::Value number_of(Into& into) {
  return value_of("N", into, parse_number);
}
[[nodiscard]] inline Option::Value ranges_of(RangeSet& into) {
  return value_of("RANGES", into, parse_range_option);
}

/// Digits of an author that a name must have at least.
inline constexpr std::size_t kNameDigitsMin = 8;

/// Finds the log that `text` names: the author's hex, or at least kNameDigitsMin digits of it that
/// no other author in the store begins with, then ".log_id" where it is not 0. Without log_id and
/// with no log 0 the author's only log is meant. A full name needs no log in the store.
/// Fails with kLogUnknown, kHexFormat, kUsage (ambiguous).
[[nodiscard]] Outcome<LogKey> find_log_named(const store::ReadTransaction& transaction,
                                             std::string_view text);

/// Each of them as `find_log_named`; where there are no names, all logs of the store.
[[nodiscard]] Outcome<std::vector<LogKey>> find_logs_named(
    const store::ReadTransaction& transaction, const std::vector<std::string>& names);

/// `find_log_named`, and the state of that log.
[[nodiscard]] Outcome<store::LogState> get_log_named(const store::ReadTransaction& transaction,
                                                     std::string_view text);

/// The same as of now; the snapshot is not kept.
[[nodiscard]] Outcome<store::LogState> read_log_named(const store::Store& store,
                                                      std::string_view text);

/// Author digits and log_id as short as people can read it: for messages, not for input.
[[nodiscard]] std::string short_name(const LogKey& log, std::size_t digits = 12);
[[nodiscard]] std::string short_name(const sealing::PeerKey& peer);

/// The last `count` members of `set`.
[[nodiscard]] RangeSet last_of(const RangeSet& set, std::uint64_t count);

}  // namespace culm::tools
