#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/store/author_mark_place.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/failure.hpp"

/// What damage took: how much of it is wanted, and what to do about it.
namespace culm::tools {

/// What is wanted of a log, and was lost.
struct LostOfLog {
  store::Lost lost;      ///< also what was published of an own log above the last entry here
  RangeSet cut_off;      ///< held, and lead to entry 1 no more
  SeqNum published = 0;  ///< by the author mark, where that entry is lost; else 0
  SeqNum tail = 0;       ///< the last entry here
  /// By an author mark that was last written with this very store, else 0. Up to there its author
  /// had all entries here, of which he may have deleted payloads.
  SeqNum appended = 0;
  /// By an author mark that was last written with another store, of which this one may be a copy,
  /// where that entry is above the last one here; else 0. Nothing is lost here then.
  SeqNum elsewhere = 0;
  std::uint64_t behind = 0;  ///< wanted entries up to there that are above the last one here
  /// Damage took it as well, and it is not wanted: it is no loss.
  store::Lost unwanted{};
  /// What damage surely took, whether it is wanted or not.
  store::Lost taken{};
  /// The same, of entries that prove more of what is wanted: a sync takes them.
  RangeSet proving{};
  /// Why its author mark keeps from appending to the log, other than that.
  std::optional<Error> mark_fault{};
  /// Its author mark, where a peer showed another branch than the one here, which is that fault.
  std::optional<store::Published> branch{};
  bool is_half_damaged = false;  ///< its author mark is, and the rest tells of no more than is here
  /// Nobody could tell of more before the last entries were appended: a node asks first.
  bool is_withheld = false;

  [[nodiscard]] bool empty() const { return lost.empty() && cut_off.empty(); }
};

/// Whether this user has appended to the log, in whichever store: then there is a mark of it, which
/// may be damaged.
[[nodiscard]] bool is_own(const LogKey& log);
/// Whether there are any, which tell own logs from others.
[[nodiscard]] bool has_author_marks();
/// Whether nothing tells whose logs are, and no peer has ever been met: each may be the only copy.
[[nodiscard]] bool may_be_alone(const Context& context, const store::ReadTransaction& transaction);

/// The option of `culm select` that does as `without_lost`.
inline constexpr std::string_view kWithoutLost = "--without-lost";
/// What is wanted, but for what is lost, and what leads to nothing without that; later entries are
/// wanted as before.
[[nodiscard]] store::LogInterest without_lost(const store::LogState& log, const RangeSet& lost);
/// Commands by which what was lost comes back once it turns up; `before`: what was wanted.
[[nodiscard]] std::string want_again(const store::LogState& log, const store::LogInterest& before);

/// Commands after which nothing of `lost` is wanted, and that they do that.
[[nodiscard]] std::string want_less(const store::LogState& log, const store::Lost& lost);

/// Why what is held of a log may be nowhere else, as far as is known here. A peer that a log came
/// from has it, unless what was lost here shows that its time is over.
enum class WhyAlone { kNot, kOwn, kDamage };
[[nodiscard]] Outcome<WhyAlone> find_why_alone(const store::ReadTransaction& transaction,
                                               store::LogState log);
/// Precondition: there is a reason.
[[nodiscard]] std::string perhaps_nowhere_else(WhyAlone why);
[[nodiscard]] Json to_json(WhyAlone why);

/// Wanted entries that lead to entry 1 no more, once `lost` are gone.
[[nodiscard]] RangeSet find_cut_off(const store::LogState& log, const RangeSet& lost);

/// Finds what is lost of the logs of a store, and what their author marks tell of, which are read
/// without a trace.
class LostFinder {
 public:
  LostFinder(const Context& context, const store::Store& store);

  [[nodiscard]] Result<LostOfLog> find(const store::ReadTransaction& transaction,
                                       const store::LogState& log) const;
  /// The same once `damage` is dropped; `log` is as `store::foresee_lost` takes it.
  [[nodiscard]] Result<LostOfLog> foresee(const store::ReadTransaction& transaction,
                                          const store::LogState& log, const store::Damage& damage,
                                          const store::Lost& untold) const;
  /// As `store::AuthorMarks::list_gone`.
  [[nodiscard]] std::vector<store::GoneLog> gone(const store::ReadTransaction& transaction) const {
    return marks_.list_gone(transaction, store_.id(), store::GoneFrom::kThis);
  }

 private:
  [[nodiscard]] LostOfLog with_mark(const store::ReadTransaction& transaction,
                                    const store::LogState& log, store::Lost lost,
                                    const RangeSet& gone) const;
  void compare_with_mark(const store::ReadTransaction& transaction, const store::LogState& log,
                         const RangeSet& gone, LostOfLog& found) const;

  const store::Store& store_;
  store::AuthorMarks marks_;
};

/// What is said where an author mark keeps from appending to the log.
[[nodiscard]] Failure mark_failure(const Error& error, const LogKey& log);

/// "2 entries: 5,9; 1 payload: 7".
[[nodiscard]] std::string listed(const RangeSet& entries, const RangeSet& payloads);
/// "lost: 2 entries: 5,9; perhaps lost: 1 payload: 7", where `words` is "lost".
[[nodiscard]] std::string listed(const std::string& words, const store::Lost& lost);
/// With the keys "lost", "payloads_lost" or others of what is surely lost, as of what is perhaps.
void add_lost(Json& object, const store::Lost& lost, const std::string& surely = "lost");
/// "; " and that of what is lost, with "4 entries that lead to nothing: 6-9"; "" where nothing is.
[[nodiscard]] std::string human_lost(const LostOfLog& lost);

/// "taken by damage and not wanted: 2 entries: 5,9"; "" where nothing is.
[[nodiscard]] std::string human_unwanted(const LostOfLog& lost);
/// The same of a log, with the commands that bring it back.
[[nodiscard]] std::string next_if_unwanted(const store::LogState& log, const LostOfLog& lost);

/// "; " and what its author mark says: why it keeps from appending, "3 entries behind: its author
/// mark tells of 10", that it is withheld; "" where none of these is so.
[[nodiscard]] std::string human_mark(const LostOfLog& lost);
/// What to do where it is withheld.
[[nodiscard]] std::string next_if_withheld(const LogKey& log);
/// What to do where it is behind another store.
[[nodiscard]] std::string next_if_elsewhere(const LogKey& log);

/// The ways to be rid of it: a peer, a backup, or to want less; where its author may not append,
/// another log.
[[nodiscard]] std::string next_if_lost(const store::LogState& log, const LostOfLog& lost);
/// Of an own log that lacks the entry its author mark tells of; "" of others.
[[nodiscard]] std::string next_if_behind(const Context& context, const store::Store& store,
                                         const LogKey& log);
/// The same behind "a peer".
[[nodiscard]] std::string other_ways(const store::LogState& log, const LostOfLog& lost);

/// Behind the next step of the first of several logs.
inline constexpr std::string_view kThenOthers =
    "; then the same of the other logs, which `culm verify` names";

/// Entries of which nothing else is left; nothing where nobody knows how many these are.
using LostRows = std::optional<std::uint64_t>;

/// What is lost of some logs.
struct LostCounts {
  std::uint64_t entries = 0;
  std::uint64_t payloads = 0;
  std::uint64_t cut_off = 0;
  LostRows rows = 0;
  std::uint64_t perhaps_entries = 0;
  std::uint64_t perhaps_payloads = 0;

  void add(const LostOfLog& lost);
  [[nodiscard]] bool empty() const {
    return entries + payloads + cut_off + perhaps_entries + perhaps_payloads == 0 && rows == 0;
  }
  /// Behind what is sound: "the store is sound, and ...".
  [[nodiscard]] Failure failure(const std::string& sound) const;
};

}  // namespace culm::tools
