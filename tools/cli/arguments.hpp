#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/sealing.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/command_line.hpp"
#include "tools/cli/names.hpp"

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
/// Bytes: "5000", "10k", "1.5 MB", powers of 1000; "64KiB", powers of 1024.
[[nodiscard]] Outcome<std::uint64_t> parse_size(std::string_view what, std::string_view text);
template <class Into>
[[nodiscard]] Option::Value size_of(Into& into) {
  return value_of("SIZE", into, parse_size);
}
/// Seconds: "90", "1.5s", "2m", "1h", "500ms".
[[nodiscard]] Outcome<double> parse_time(std::string_view what, std::string_view text);
/// Its default is shown in seconds.
[[nodiscard]] Option::Value time_of(double& into);
[[nodiscard]] inline Option::Value ranges_of(RangeSet& into) {
  return value_of("RANGES", into, parse_range_option);
}

/// Ranges as they are typed, each end perhaps counted from the end of a log: "last", "-10-" for the
/// last ten entries, "5--2". Spec: names.md#seqnums
class RangeWords {
 public:
  RangeWords() = default;
  [[nodiscard]] static Outcome<RangeWords> parse(std::string_view what, std::string_view text);
  /// The last `text` entries, of which there is one at least.
  [[nodiscard]] static Outcome<RangeWords> parse_newest(std::string_view what,
                                                        std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
  /// What they mean in a log with this head. A range that begins before entry 1 begins with it.
  [[nodiscard]] RangeSet of(SeqNum head) const;
  /// The same of one of several logs, the highest head of which is `head_max`: where the ranges
  /// name what lies above the head and up to that, all above the head is meant of the others.
  [[nodiscard]] RangeSet of(SeqNum head, SeqNum head_max) const;
  /// Fails where a range such as last-5 ends before it begins, in a log with this head.
  [[nodiscard]] Outcome<void> check_in(SeqNum head) const;
  /// Where in the text the first range begins that needs a head; nothing where none does.
  [[nodiscard]] std::optional<std::size_t> counted_from_last() const;

 private:
  struct End {
    SeqNum number = 0;
    bool is_from_last = false;  ///< 1 is the last entry
  };
  struct Range {
    End first;
    End last;
    std::size_t at = 0;  ///< in the text
  };
  /// Reads one range, which ends with `text`.
  struct Reader {
    std::string_view text;
    std::size_t at = 0;
    std::string_view reason{};  ///< why what is there is none

    [[nodiscard]] std::optional<End> take_end();
    [[nodiscard]] std::optional<Range> take_range();
  };

  std::string text_;
  std::vector<Range> ranges_;
};
[[nodiscard]] inline Option::Value ranges_of(RangeWords& into) {
  return value_of("RANGES", into, RangeWords::parse);
}
[[nodiscard]] inline Option::Value newest_of(RangeWords& into) {
  return value_of("N", into, RangeWords::parse_newest);
}

/// Whether a seqnum is counted from the end of a log.
[[nodiscard]] bool is_from_last(std::string_view text);

/// A seqnum in a log with this head: a number from 1 on, "last", or "-10" for the tenth from the
/// end.
[[nodiscard]] Outcome<SeqNum> parse_seqnum_of(std::string_view what, std::string_view text,
                                              SeqNum head);

/// Digits of an author that a name must have at least.
inline constexpr std::size_t kNameDigitsMin = 8;

/// What `text` names: as `find_whole_name`, or by at least kNameDigitsMin digits that no other
/// author in the store begins with. Fails with kLogUnknown, kUsage (ambiguous), and as that.
[[nodiscard]] Outcome<LogName> find_name(const store::ReadTransaction& transaction,
                                         std::string_view text);

/// The one log that `text` names. An author is one log only while the store knows no others of the
/// author; where it knows none, log 0 is meant. Fails as `find_name`.
[[nodiscard]] Outcome<LogKey> find_log_named(const store::ReadTransaction& transaction,
                                             std::string_view text);

/// Which logs an author stands for, beside those that the store knows.
enum class OfAuthor { kKnown, kKnownAndLog0 };

/// Each of them as `find_name`, an author as all logs of the author; where there are no names, all
/// logs of the store. Each log once. Fails with kLogUnknown for an author of whom there is none.
[[nodiscard]] Outcome<std::vector<LogKey>> find_logs_named(
    const store::ReadTransaction& transaction, const std::vector<std::string>& names,
    OfAuthor of_author = OfAuthor::kKnown);

/// The states of all logs that `text` names, as of now; at least one.
[[nodiscard]] Outcome<std::vector<store::LogState>> read_logs_named(const store::Store& store,
                                                                    const std::string& text);

/// `find_log_named`, and the state of that log.
[[nodiscard]] Outcome<store::LogState> get_log_named(const store::ReadTransaction& transaction,
                                                     std::string_view text);

/// The same as of now; the snapshot is not kept.
[[nodiscard]] Outcome<store::LogState> read_log_named(const store::Store& store,
                                                      std::string_view text);

[[nodiscard]] SeqNum highest_head(const std::vector<store::LogState>& states);

/// The state of `log` as of now.
[[nodiscard]] Outcome<store::LogState> read_log(const store::Store& store, const LogKey& log);

/// What `culm name` called it, else author digits and log_id as short as people can read it.
[[nodiscard]] std::string short_name(const LogKey& log, std::size_t digits = 12);
/// The same for a verb that is to take this log alone, and not all of its author's:
/// "4fd3ab12cdef.0".
[[nodiscard]] std::string name_of_one(const LogKey& log);
/// The same where no store may know it.
[[nodiscard]] std::string whole_name_of_one(const LogKey& log);
/// The same, by the name that `culm name` gave where there is one.
[[nodiscard]] std::string findable_name_of_one(const LogKey& log);
[[nodiscard]] std::string short_name(const sealing::PeerKey& peer);
/// What a fork has cost here, behind a sentence that says where it is: "; 3 entries that are here
/// are dropped, with 3 payloads: 4-6", or "" where that is nothing.
[[nodiscard]] std::string human_dropped(const RangeSet& entries, const RangeSet& payloads);

/// The last `count` members of `set`.
[[nodiscard]] RangeSet last_of(const RangeSet& set, std::uint64_t count);

}  // namespace culm::tools
