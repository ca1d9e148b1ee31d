#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "culm/feed/closure.hpp"
#include "culm/replication/host/commit_watch.hpp"
#include "culm/replication/host/sync_lines.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/names.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kChangesPerRound = 1000;
constexpr auto kMissingPause = std::chrono::milliseconds(50);

struct Options {
  std::string log;
  bool from_start = false;
  std::string until;
  bool payloads = false;
  bool lines = false;
};

class Follower {
 public:
  Follower(Context& context, const Options& options, const store::Store& store)
      : context_(context), options_(options), store_(store) {}

  Outcome<void> start();
  /// Prints what came since the last round, each entry whole; whether anything changed.
  Outcome<bool> round();
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  /// Fails where all is printed and the entry that is waited for will not come.
  Outcome<void> unless_in_vain();

 private:
  struct Seen {
    RangeSet printed;
    SeqNum cap = 0;
  };

  [[nodiscard]] RangeSet printable(const store::LogState& state) const;
  [[nodiscard]] Outcome<void> unless_in_vain(const store::LogState& state) const;
  Outcome<void> look_at(const LogKey& log);
  Outcome<void> print(const LogKey& log, const RangeSet& seqnums);

  Context& context_;
  const Options& options_;
  const store::Store& store_;
  std::optional<LogName> only_;
  SeqNum until_ = 0;
  std::uint64_t change_ = 0;
  std::map<LogKey, Seen> seen_;
  std::uint64_t printed_ = 0;  ///< entries
  bool is_done_ = false;
};

Outcome<void> Follower::start() {
  CULM_TOOLS_TRY(const auto transaction, store_.read());
  if (!options_.log.empty()) {
    CULM_TOOLS_TRY(only_, find_name(transaction, options_.log));
  }
  if (!options_.until.empty()) {
    if (!only_) return usage_without(context_, "LOG", "--until needs a LOG");
    CULM_TOOLS_TRY(until_, parse_seqnum("--until", options_.until));
  }
  if (options_.lines && !options_.payloads) {
    return usage_without(context_, "--payloads", "--lines goes with --payloads");
  }
  if (options_.from_start) return {};
  CULM_TOOLS_TRY(change_, transaction.last_change());
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, transaction.list_logs());
  for (const LogKey& log : logs) {
    if (only_ && !only_->matches(log)) continue;
    CULM_TOOLS_TRY(const auto state, transaction.get_log(log));
    seen_[log] = {printable(*state), state->cap};
    if (until_ != 0 && seen_[log].printed.contains(until_)) is_done_ = true;
  }
  if (is_done_ && !context_.json) {
    tell("culm: follow: entry " + std::to_string(until_) +
         " is held already; with --from-start it is printed");
  }
  return {};
}

RangeSet Follower::printable(const store::LogState& state) const {
  RangeSet seqnums = state.served();
  if (options_.payloads) seqnums &= state.payloads;
  if (until_ != 0) seqnums &= RangeSet{{1, until_}};
  return seqnums;
}

Outcome<bool> Follower::round() {
  const Uninterrupted whole;
  std::vector<store::ReadTransaction::Change> changes;
  {
    CULM_TOOLS_TRY(const auto transaction, store_.read());
    CULM_TOOLS_TRY(changes, transaction.changes(change_, kChangesPerRound));
  }
  for (const auto& change : changes) {
    change_ = change.number;
    if (!only_ || only_->matches(change.log)) CULM_TOOLS_CHECK(look_at(change.log));
  }
  CULM_TOOLS_CHECK(context_.out.flush());
  if (printed_ > 0) say_when_interrupted("printed " + human_entries(printed_));
  return !changes.empty();
}

Outcome<void> Follower::look_at(const LogKey& log) {
  store::SharedLogState state;
  {
    CULM_TOOLS_TRY(const auto transaction, store_.read());
    CULM_TOOLS_TRY(state, transaction.find_log(log));
  }
  if (!state) return {};
  Seen& seen = seen_[log];
  const RangeSet fresh = printable(*state) - seen.printed;
  CULM_TOOLS_CHECK(print(log, fresh));
  seen.printed |= fresh;
  printed_ += fresh.count();
  if (state->cap != seen.cap) {
    CULM_TOOLS_CHECK(context_.out.flush());
    const RangeSet dropped = node::find_dropped(*state);
    const node::SyncForked forked{log, state->cap, dropped, dropped & state->payloads};
    if (context_.json) {
      CULM_TOOLS_CHECK(context_.out.write_json(*control::event_line(forked)));
    } else {
      const std::string text = short_name(log) + ": the author forked the log at " +
                               std::to_string(forked.at) +
                               human_dropped(forked.dropped, forked.payloads_dropped);
      tell("culm: follow: " + text);
    }
    seen.cap = state->cap;
  }
  if (until_ != 0 && seen.printed.contains(until_)) is_done_ = true;
  return {};
}

Outcome<void> Follower::unless_in_vain() {
  if (until_ == 0) return {};
  CULM_TOOLS_TRY(const auto transaction, store_.read());
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, transaction.list_logs());
  Outcome<void> outcome;
  for (const LogKey& log : logs) {
    if (!only_->matches(log)) continue;
    CULM_TOOLS_TRY(const auto state, transaction.get_log(log));
    outcome = unless_in_vain(*state);
    if (outcome) return {};
  }
  return outcome;
}

Outcome<void> Follower::unless_in_vain(const store::LogState& state) const {
  const auto in_vain = [&](const std::string& why) {
    return fail_with(Failure(Exit::kNotFound, Errc::kEntryNotHeld,
                             "entry " + std::to_string(until_) + " will not come: " + why)
                         .about(short_name(state.log)));
  };
  if (printable(state).contains(until_)) return {};  // it came just now
  if (state.cap != 0 && until_ >= state.cap) {
    return in_vain("the author forked the log at " + std::to_string(state.cap));
  }
  if (state.end_of_log != 0 && until_ > state.end_of_log) {
    return in_vain("the author ended the log with " + std::to_string(state.end_of_log));
  }
  const SeqNum head = state.head();
  if (until_ > head) return {};
  const RangeSet wanted = options_.payloads ? state.interest.payloads_wanted(head) - state.deleted
                                            : resolve(state.interest.entries, head);
  if (wanted.contains(until_)) return {};
  return unless_missing(state, {{until_, until_}},
                        state.serves(until_) ? Errc::kPayloadNotHeld : Errc::kEntryNotHeld);
}

Outcome<void> Follower::print(const LogKey& log, const RangeSet& seqnums) {
  if (seqnums.empty()) return {};
  if (options_.payloads) {
    PayloadFormat format({context_.json, options_.lines, context_.out.is_terminal()});
    CULM_TOOLS_TRY(const RangeSet damaged,
                   print_entries(context_.out, store_, log, seqnums, format));
    return unless_damaged(log, damaged);
  }
  LineFormat format({context_.json, !only_ || !only_->log_id, 0});
  CULM_TOOLS_TRY(const RangeSet damaged, print_entries(context_.out, store_, log, seqnums, format));
  return unless_damaged(log, damaged);
}

Outcome<void> run(Context& context, const Options& given) {
  CULM_TOOLS_CHECK(guard_reading(context));
  end_well_when_terminated();
  say_when_interrupted("nothing came");
  bool has_waited = false;
  std::optional<host::CommitWatch> watch(context.store_directory);
  auto store = open_for_reading(context);
  while (!store && store.error().code == Errc::kStoreNotFound && !given.log.empty()) {
    CULM_TOOLS_TRY(const auto whole, find_whole_name(given.log));
    if (!whole) break;
    if (!std::exchange(has_waited, true) && !context.json) {
      tell("culm: follow: waits for " + named(context) + ", which is not there yet");
    }
    std::this_thread::sleep_for(kMissingPause);
    watch.emplace(context.store_directory);
    store = open_for_reading(context);
  }
  if (!store) return fail_with(std::move(store.error()));
  Options options = given;
  options.from_start = given.from_start || has_waited;  // all of it has come since
  Follower follower(context, options, **store);
  CULM_TOOLS_CHECK(follower.start());
  while (true) {
    CULM_TOOLS_TRY(const bool has_changed, follower.round());
    if (follower.is_done()) return {};
    if (has_changed) continue;
    CULM_TOOLS_CHECK(follower.unless_in_vain());
    watch->wait();
  }
}

}  // namespace

void add_follow(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "follow",
      "Print entries as they come into the store, of one log or of all, until interrupted. Works\n"
      "beside the node or the author that writes.",
      "culm follow 4fd3ab12 --from-start --payloads --lines", options, run);
  verb.group(VerbGroup::kRead);
  verb.add_option("LOG", &options->log,
                  "Log, or author for all logs of the author; by its whole name neither it nor\n"
                  "the store need be there yet");
  verb.add_flag("--from-start", options->from_start, "Begin with what is held already");
  verb.add_option(
          "--until", &options->until,
          "End when entry N was printed, of an author with several logs that of any; print none\n"
          "beyond it. One that is held already is printed with --from-start, and else ends it at\n"
          "once. Where it lies below the head and is not wanted, lies beyond "
          "a fork\nor the end of the log or, with --payloads, was deleted: exit 3")
      .type_name("N");
  verb.add_flag("--payloads", options->payloads, "Print the payloads themselves, as `culm cat`");
  verb.add_flag("--lines", options->lines, "End each payload with a line end");
}

}  // namespace culm::tools
