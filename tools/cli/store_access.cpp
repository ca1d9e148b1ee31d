#include "tools/cli/store_access.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/node/sync_report.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/near.hpp"

namespace culm::tools {

std::string named(const Context& context) { return "store " + shown(context.store_directory); }

void explain_lost_node(Failure& failure, const LogKey& log) {
  if (failure.code != Errc::kPeerClosed && failure.code != Errc::kNetwork) return;
  failure.message =
      "the node that runs on this store, as `culm relay` does, ended or hung up before it said "
      "whether this was stored";
  failure.step = "`culm log " + whole_name_of_one(log) +
                 " --newest 1` shows the last entry that is there; append again what is not";
}

void warn(const Context& context, std::string_view verb, const LogKey& log, Warning warning) {
  std::string& text = warning.message;
  if (context.json) {
    if (!warning.risk.empty()) text += "; " + warning.risk;
    Json line = {{"type", "warning"}, {"log", to_string(log)}, {"message", text}};
    if (!warning.next.empty()) line["next"] = warning.next;
    return tell_json(std::move(line));
  }
  text.insert(0, "culm: " + std::string(verb) + ": " + short_name(log) + ": ");
  if (!warning.risk.empty()) text += "\n  risk: " + warning.risk;
  if (!warning.next.empty()) text += "\n  next: " + warning.next;
  tell(text);
}

Outcome<Unwanted> find_unwanted(const store::Store& store, std::span<const LogKey> logs) {
  Unwanted unwanted;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const LogKey& key : logs) {
    CULM_TOOLS_TRY(const auto log, transaction.find_log(key));
    if (!log || log->interest.payloads || log->interest.is_none()) continue;
    unwanted.emplace(key, log->deleted);
  }
  return unwanted;
}

Outcome<std::string> tell_unwanted(const store::Store& store, const Unwanted& before) {
  std::string text;
  if (before.empty()) return text;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const auto& [key, deleted] : before) {
    CULM_TOOLS_TRY(const auto log, transaction.find_log(key));
    if (!log || (deleted & log->payloads).empty()) continue;
    text += short_name(key) + ": the log is wanted without payloads: those that were deleted here ";
    text += "come this once; `culm select " + name_of_one(key) + " --payloads` wants its payloads ";
    text += "from then on\n";
  }
  return text;
}

void tell_made(const Context& context) {
  const std::string& store = context.store_directory;
  if (context.json) return tell_json(Json{{"type", "store_made"}, {"store", store}});
  tell("culm: made store " + shown(store));
}

/// By a signal, such as that of Ctrl-Z.
static bool is_stopped(long pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.substr(name_end).starts_with(") T");
}

constexpr std::size_t kNearMax = 3;

/// Stores that a path where none is may have been meant for: beside it one with a name like that,
/// or in it.
static std::vector<std::string> find_near_stores(const Context& context) {
  namespace fs = std::filesystem;
  constexpr std::size_t kLookedAtMax = 1000;
  fs::path path = context.store_directory;
  if (!path.has_filename()) path = path.parent_path();
  const auto list_in = [](const fs::path& directory) {
    std::vector<std::string> names;
    std::error_code error;
    const fs::path place = directory.empty() ? "." : directory;
    fs::directory_iterator entry(place, fs::directory_options::skip_permission_denied, error);
    for (std::size_t n = 0; n < kLookedAtMax && !error && entry != fs::directory_iterator(); ++n) {
      std::error_code ignored;
      const bool is_store = fs::is_regular_file(entry->path() / "data.mdb", ignored);
      if (is_store) names.push_back(entry->path().filename().string());
      entry.increment(error);
    }
    std::ranges::sort(names);
    return names;
  };
  std::vector<std::string> near;
  for (const std::string& name : near_to(path.filename().string(), list_in(path.parent_path()))) {
    near.push_back(path.parent_path() / name);
  }
  for (const std::string& name : list_in(path)) near.push_back(path / name);
  if (near.size() > kNearMax) near.resize(kNearMax);
  for (std::string& one : near) one = shown(one);
  return near;
}

/// There is a store, and the process that runs on it says that there is none: it looks for it where
/// it was when it began.
static Failure with_moved(Failure failure, const Context& context) {
  const auto holder = store::lock_holder(context.store_directory);
  if (!holder || !host::open_to_read(context.store_directory)) {
    const auto near = find_near_stores(context);
    if (!near.empty()) failure.step = "there is one in " + either(near) + "; " + failure.step;
    return failure;
  }
  const std::string pid = std::to_string(*holder);
  if (failure.exit == Exit::kNotFound) failure.exit = Exit::kLocked;
  failure.code = Errc::kStoreLocked;
  failure.message = "the store was moved while a process runs on it (pid " + pid +
                    "), which looks for it where it was and writes nothing";
  failure.step = "end that process (`kill " + pid +
                 "`) and start it again on the store where it is now, or move the store back";
  failure.fields["pid"] = *holder;
  return failure;
}

/// Names what is in the way of a file of the store.
static Failure with_odd_file(Failure failure, const Context& context) {
  const auto odd = store::find_odd_file(context.store_directory);
  if (!odd) return failure;
  namespace fs = std::filesystem;
  const fs::path path(*odd);
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  const char* const kind = type == fs::file_type::directory ? "directory"
                           : type == fs::file_type::fifo    ? "pipe"
                           : type == fs::file_type::socket  ? "socket"
                                                            : "device";
  const std::string name = path.filename().string();
  failure.message = name + " in it is a " + kind + ", where a regular file has to be";
  failure.step = name == "data.mdb"
                     ? "put the file that held the logs back in its place, or restore a backup; "
                       "--store DIR names another store"
                     : "move " + shown(*odd) + " away and run the same again: culm makes that file";
  return std::move(failure).about(named(context));
}

Failure with_holder(Failure failure, const Context& context) {
  if (failure.code == Errc::kStoreIo) return with_odd_file(std::move(failure), context);
  if (failure.code == Errc::kStoreNotFound) return with_moved(std::move(failure), context);
  const bool is_silent = failure.code == Errc::kNodeSilent;
  const bool is_locked =
      failure.code == Errc::kStoreLocked && failure.message == message(Error{Errc::kStoreLocked});
  if (!is_silent && !is_locked) return failure;
  const auto writer = store::lock_holder(context.store_directory);
  const auto opener = store::find_opener(context.store_directory);
  const bool is_opened = opener && (!writer || is_stopped(*opener));
  const auto holder = is_opened ? opener : writer;
  if (!holder) return failure;
  const std::string pid = std::to_string(*holder);
  if (is_opened) failure.message = "another process is opening the store";
  failure.message += " (pid " + pid + ")";
  failure.fields["pid"] = *holder;
  if (!is_stopped(*holder)) return failure;
  failure.step = "it was stopped: let it go on (`kill -CONT " + pid + "`) or end it";
  if (is_silent) failure.step += "; then look whether this was done, it may still do it";
  return failure;
}

template <class T>
static Outcome<T> opened_or_lost(const Context& context, Result<T> opened) {
  if (opened || opened.error().code != Errc::kStoreDamaged) {
    return about(named(context), std::move(opened));
  }
  return fail_with(Failure(opened.error()).about(named(context)).next(step_of_damage(context)));
}

Outcome<std::unique_ptr<store::Store>> open_for_reading(const Context& context) {
  return opened_or_lost(context, host::open_to_read(context.store_directory));
}

std::uint64_t count_held(const store::ReadTransaction& transaction,
                         const std::vector<LogKey>& logs) {
  std::uint64_t count = 0;
  for (const LogKey& log : logs) {
    if (const auto state = transaction.get_log(log)) count += (*state)->held.count();
  }
  return count;
}

Outcome<InPart> find_in_part(const store::ReadTransaction& transaction, const store::LogState& log,
                             const RangeSet& seqnums) {
  CULM_TOOLS_TRY(const auto stages, transaction.arriving_stages(log, seqnums));
  std::map<SeqNum, std::uint64_t> bytes;
  for (const auto& stage : stages) {
    std::uint64_t& most = bytes[stage.stage.seqnum];
    most = std::max(most, stage.size_bytes);
  }
  InPart out;
  for (const auto& [seqnum, size] : bytes) {
    out.seqnums.insert(seqnum);
    out.bytes += size;
  }
  return out;
}

Outcome<std::uint64_t> count_payload_bytes(const store::ReadTransaction& transaction,
                                           const store::LogState& log) {
  std::uint64_t bytes = log.payload_bytes;
  const RangeSet dropped = node::find_dropped(log) & log.payloads;
  CULM_TOOLS_CHECK(transaction.visit_sound_entries(
      log, dropped, [&bytes](const store::StoredEntry& stored) -> Result<bool> {
        bytes -= std::min(bytes, stored.entry.payload_size());
        return true;
      }));
  return bytes;
}

/// Says how many were done, of several.
static Failure after(Failure failure, const std::vector<LogKey>& logs, std::size_t done) {
  if (logs.size() == 1) return failure;
  failure.message += "; before it " + human_logs(done) + " of " + human_count(logs.size()) +
                     (done == 1 ? " was" : " were") + " done";
  return failure;
}

/// Names the log, of several, and how many were done.
static Failure of_log(Failure failure, const std::vector<LogKey>& logs, std::size_t i) {
  if (failure.what.empty()) failure.what = short_name(logs[i]);
  if (logs.size() > 1) failure.fields["log"] = to_string(logs[i]);
  return after(std::move(failure), logs, i);
}

Outcome<void> for_each_log(Context& context, const std::vector<LogKey>& logs,
                           const std::function<Outcome<void>(const LogKey&)>& work) {
  for (std::size_t i = 0; i < logs.size(); ++i) {
    auto done = work(logs[i]);
    if (!done) return fail_with(of_log(std::move(done.error()), logs, i));
    CULM_TOOLS_CHECK(context.out.flush());
  }
  return {};
}

namespace {

/// Changes that are made together.
struct Portion {
  std::vector<PlannedChange> planned;
  std::vector<std::size_t> places;  ///< of their logs
  std::optional<Failure> failure;   ///< of what is behind them
};

/// `next`: the log to go on with.
Portion plan_portion(const std::vector<LogKey>& logs, const PlanChange& plan, std::size_t& next) {
  constexpr std::size_t kLogsMax = 1000;
  Portion portion;
  std::size_t rows = 0;
  while (next < logs.size() && portion.planned.size() < kLogsMax &&
         rows < limits::kRowsPerStepMax) {
    auto one = plan(logs[next]);
    if (!one) portion.failure = of_log(std::move(one.error()), logs, next);
    if (!one) break;
    const bool is_last = !*one || (*one)->is_last;
    if (*one) {
      rows += (*one)->rows;
      portion.planned.push_back(**std::move(one));
      portion.places.push_back(next);
    }
    if (!is_last) break;
    ++next;
  }
  return portion;
}

}  // namespace

Outcome<void> change_logs(Context& context, const std::vector<LogKey>& logs, const PlanChange& plan,
                          const MakeChanges& make) {
  for (std::size_t next = 0; next < logs.size();) {
    Portion portion = plan_portion(logs, plan, next);
    std::vector<host::LogChange> changes;
    changes.reserve(portion.planned.size());
    for (PlannedChange& one : portion.planned) changes.push_back(std::move(one.change));
    std::optional<Uninterrupted> whole;
    if (changes.size() != 1 || !portion.planned.front().says_how_far) whole.emplace();
    host::ChangedLogs changed;
    if (!changes.empty()) changed = make(changes);
    for (std::size_t i = 0; i < changed.count; ++i) {
      CULM_TOOLS_CHECK(portion.planned[i].say(true));
    }
    if (!changed.outcome) {
      Failure failure(changed.outcome.error());
      if (changed.count == changes.size()) {  // what failed is none of the changes
        return fail_with(after(std::move(failure).about(named(context)), logs, next));
      }
      CULM_TOOLS_CHECK(portion.planned[changed.count].say(false));
      return fail_with(of_log(std::move(failure), logs, portion.places[changed.count]));
    }
    CULM_TOOLS_CHECK(context.out.flush());
    const bool is_between = logs.size() > 1 && (changes.empty() || portion.planned.back().is_last);
    if (is_between) {
      const std::string all = human_logs(logs.size());
      say_when_interrupted(next == logs.size() ? "all " + all + " were done"
                                               : human_count(next) + " of " + all +
                                                     " were done; the same command does the rest");
    }
    if (portion.failure) return fail_with(*std::move(portion.failure));
  }
  return {};
}

Outcome<host::WritableStore> open_for_writing(const Context& context, IfMissing if_missing,
                                              SignatureVerifier& verifier,
                                              const AcceptOptions& options, Duration wait_max,
                                              const std::function<Outcome<void>()>& may_make) {
  guard_writing(context);
  const auto& directory = context.store_directory;
  auto opened = host::open_to_write(directory, false, verifier, options, wait_max);
  const bool is_missing = !opened && opened.error().code == Errc::kStoreNotFound;
  if (is_missing && if_missing == IfMissing::kCreate) {
    const auto may = may_make ? may_make() : Outcome<void>();
    // Another process may have made it meanwhile: then it is not to be made.
    opened = host::open_to_write(directory, may.has_value(), verifier, options, wait_max);
    const bool is_still_missing = !opened && opened.error().code == Errc::kStoreNotFound;
    if (is_still_missing) CULM_TOOLS_CHECK(may);
  }
  if (opened && opened->store->was_made()) tell_made(context);
  if (!opened && opened.error().code == Errc::kStoreLocked) {
    return fail_with(Failure(opened.error())
                         .about(named(context))
                         .next("wait until it has ended; verbs that only read work meanwhile"));
  }
  return opened_or_lost(context, std::move(opened));
}

}  // namespace culm::tools
