#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culm/replication/host/writer.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"

namespace culm::tools {

/// "store DIR".
[[nodiscard]] std::string named(const Context& context);
/// What goes on, and yet the user is to know of a log.
struct Warning {
  std::string message;
  std::string next{};  ///< what to do next
  std::string risk{};  ///< a line of its own for people, else a part of the message
};
/// Says it on stderr.
void warn(const Context& context, std::string_view verb, const LogKey& log, Warning warning);
/// Payloads that are deleted, of logs that are wanted without payloads.
using Unwanted = std::map<LogKey, RangeSet>;
[[nodiscard]] Outcome<Unwanted> find_unwanted(const store::Store& store,
                                              std::span<const LogKey> logs);
/// Of logs of which some came again since: that it is not kept for ever.
[[nodiscard]] Outcome<std::string> tell_unwanted(const store::Store& store, const Unwanted& before);
/// Says on stderr that a verb has made the store, which is how a mistyped --store shows.
void tell_made(const Context& context);
/// Names the process that a failure waited for, where that is known, and how to let it go on where
/// it was stopped, or where the store was moved while it runs on it; or what is in the way of one
/// of the files of the store.
[[nodiscard]] Failure with_holder(Failure failure, const Context& context);

/// Says of an append that the node which was to write it is gone; what is said of peers does not
/// hold of it.
void explain_lost_node(Failure& failure, const LogKey& log);

/// Opens the store beside processes that write to it. Fails with exit 3 when there is none, 5
/// when it cannot be read.
[[nodiscard]] Outcome<std::unique_ptr<store::Store>> open_for_reading(const Context& context);

/// Entries of those of the logs that can be read.
[[nodiscard]] std::uint64_t count_held(const store::ReadTransaction& transaction,
                                       const std::vector<LogKey>& logs);

/// Payloads that have come in part; of each what most is there of.
struct InPart {
  RangeSet seqnums;
  std::uint64_t bytes = 0;
};
[[nodiscard]] Outcome<InPart> find_in_part(const store::ReadTransaction& transaction,
                                           const store::LogState& log, const RangeSet& seqnums);

/// Bytes of the payloads that are held, without those that a fork dropped.
[[nodiscard]] Outcome<std::uint64_t> count_payload_bytes(const store::ReadTransaction& transaction,
                                                         const store::LogState& log);

/// Does it to each log in turn, and prints what it wrote before the next. What fails names its log
/// and how many were done before.
[[nodiscard]] Outcome<void> for_each_log(Context& context, const std::vector<LogKey>& logs,
                                         const std::function<Outcome<void>(const LogKey&)>& work);

/// A change of a log, or a part of one, and what is said of it.
struct PlannedChange {
  host::LogChange change;
  std::size_t rows = 0;  ///< that it touches, about
  bool is_last = true;   ///< or the same log is planned again
  /// Made alone it may be interrupted, and says how far it is.
  bool says_how_far = false;
  /// What came of it; where it was refused too, of which a part may be made.
  std::function<Outcome<void>(bool is_made)> say{};
};
/// Nothing where the log is passed over.
using PlanChange = std::function<Outcome<std::optional<PlannedChange>>(const LogKey&)>;
/// As `host::Writer::change_all`.
using MakeChanges = std::function<host::ChangedLogs(std::span<const host::LogChange>)>;

/// Changes logs in portions, of each many small ones, and prints what came of each. Between these
/// it ends when it is interrupted, and says how many logs are done, where these are several. What
/// fails names its log as that of `for_each_log` does.
[[nodiscard]] Outcome<void> change_logs(Context& context, const std::vector<LogKey>& logs,
                                        const PlanChange& plan, const MakeChanges& make);

enum class IfMissing { kFail, kCreate };

/// Opens it to read and to write, by itself or through the node that runs on it: see
/// `host::open_to_write`. Where one is to be made `may_make` can refuse that. Fails as it does, as
/// `open_for_reading`, and with exit 8 and the pid when another process writes that takes no
/// requests for all of `wait_max`.
[[nodiscard]] Outcome<host::WritableStore> open_for_writing(
    const Context& context, IfMissing if_missing, SignatureVerifier& verifier,
    const AcceptOptions& options = {}, Duration wait_max = host::Writer::kWaitMax,
    const std::function<Outcome<void>()>& may_make = {});

}  // namespace culm::tools
