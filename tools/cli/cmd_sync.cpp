#include <algorithm>

#include "tools/cli/arguments.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/sync/report.hpp"
#include "tools/sync/sync.hpp"

namespace culm::tools {
namespace {

/// Serves those logs, and only those, that are being synced: the peer has heard of them anyway.
class SyncPolicy final : public replication::Policy {
 public:
  explicit SyncPolicy(const std::vector<LogSync>& logs) : logs_(logs) {}

  [[nodiscard]] bool may_read(const sealing::PeerKey& /*peer*/, const LogKey& log) override {
    return std::ranges::find(logs_, log, &LogSync::log) != logs_.end();
  }
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& /*peer*/,
                                                               const LogKey& /*log*/) override {
    return std::nullopt;
  }

 private:
  const std::vector<LogSync>& logs_;
};

constexpr double kTimeoutSecondsMax = 24 * 60 * 60;

Outcome<void> check(const SyncOptions& options) {
  if (options.live && (options.once || options.quote || !options.budget.empty())) {
    return usage("--live does not go with --once, --quote or --budget");
  }
  if (options.quote && options.push) return usage("--quote does not go with --push");
  if (options.undelete && (options.quote || options.entries_only)) {
    return usage("--undelete does not go with --quote or --entries-only");
  }
  if (!(options.timeout_seconds > 0 && options.timeout_seconds <= kTimeoutSecondsMax)) {
    return usage("--timeout must be more than 0 seconds and at most a day");
  }
  return {};
}

/// Reads the options that say how much is wanted, of no log yet.
Outcome<replication::WantRequest> parse_want(const SyncOptions& options) {
  replication::WantRequest want;
  if (!options.range.empty()) {
    CULM_TOOLS_TRY(want.interest.ranges, parse_range_option(options.range));
  }
  if (!options.newest.empty()) {
    CULM_TOOLS_TRY(want.interest.newest, parse_number("--newest", options.newest));
    if (want.interest.newest == 0) return usage("--newest 0 asks for nothing");
  }
  if (!options.budget.empty()) {
    CULM_TOOLS_TRY(want.budget_bytes, parse_number("--budget", options.budget));
    if (want.budget_bytes == 0) return usage("--budget 0 lets nothing come");
  }
  if (!options.payload_max.empty()) {
    CULM_TOOLS_TRY(want.payload_size_max, parse_number("--payload-max", options.payload_max));
  }
  want.payloads = !options.entries_only;
  want.live = options.live;
  want.quote_only = options.quote;
  want.order =
      options.newest_first ? replication::Order::kNewestFirst : replication::Order::kAscending;
  return want;
}

/// What to want of a log: what was asked for now, else what is kept of it, else everything.
LogSync plan_log(const replication::WantRequest& want, const LogKey& key,
                 const std::optional<store::LogState>& state) {
  LogSync log;
  log.log = key;
  log.want = want;
  log.want.log = key;
  if (want.interest.empty()) {
    const bool is_kept = state && !state->interest.entries.empty();
    log.want.interest = is_kept ? state->interest.entries : everything();
    if (is_kept) log.want.payloads = log.want.payloads && state->interest.payloads;
  }
  log.payload_bytes_before = state ? state->payload_bytes : 0;
  // Of nothing there is nothing to be confirmed.
  log.pushed = !state || state->served().empty();
  return log;
}

Outcome<std::vector<LogSync>> plan(const SyncOptions& options, const store::Store& store) {
  CULM_TOOLS_TRY(const auto want, parse_want(options));
  CULM_TOOLS_TRY(const auto transaction, store.read());
  std::vector<LogKey> keys;
  for (const std::string& text : options.logs) {
    CULM_TOOLS_TRY(const LogKey key, find_log_named(transaction, text));
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  if (options.logs.empty()) {
    CULM_TOOLS_TRY(keys, transaction.list_logs());
  }
  if (keys.empty()) return usage("the store knows no log yet: name one by its author's 64 digits");
  std::vector<LogSync> logs;
  for (const LogKey& key : keys) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(key));
    logs.push_back(plan_log(want, key, state));
  }
  return logs;
}

Outcome<void> run(Context& context, const SyncOptions& options) {
  CULM_TOOLS_CHECK(check(options));
  CULM_TOOLS_TRY(const auto endpoint, parse_endpoint_option("HOST:PORT", options.address));
  std::optional<sealing::PeerKey> expected_peer;
  if (!options.peer.empty()) {
    CULM_TOOLS_TRY(expected_peer, parse_peer_option(options.peer));
  }

  std::vector<LogSync> logs;
  SyncPolicy policy(logs);
  CULM_TOOLS_TRY(const auto host, Host::open(context, options.network, policy));
  CULM_TOOLS_TRY(logs, plan(options, host->store()));
  if (options.live) CULM_TOOLS_CHECK(host->serve_requests());

  Sync sync(context, options, *host, logs);
  const Outcome<void> synced = sync.run(endpoint, expected_peer);
  if (!synced && !sync.totals().peer) return synced;  // nothing to tell of
  if (options.quote) {
    CULM_TOOLS_CHECK(print_quotes(context, logs));
  } else {
    CULM_TOOLS_CHECK(print_sync(context, options, host->store(), logs, sync.totals()));
  }
  CULM_TOOLS_CHECK(synced);
  return judge_sync(options, host->store(), logs);
}

void add_what(CLI::App& verb, SyncOptions& options) {
  verb.add_option("HOST:PORT", options.address, "Where the peer listens")->required();
  verb.add_option("LOG", options.logs,
                  "Logs; those that are new here by their whole names. Otherwise all of the store");
  verb.add_option("--range", options.range, "Want these seqnums, such as 5-9,20,30-")
      ->type_name("RANGES");
  verb.add_option("--newest", options.newest, "Want the newest N entries, whatever they are")
      ->type_name("N");
  verb.add_flag("--entries-only", options.entries_only, "Want no payloads; this is remembered");
  verb.add_flag("--undelete", options.undelete,
                "Take payloads again that were deleted here, of what is wanted");
  verb.add_option("--payload-max", options.payload_max,
                  "Want no payloads of more than N bytes, this time")
      ->type_name("N");
  verb.add_flag("--newest-first", options.newest_first, "Take the newest entries first");
  verb.add_option("--budget", options.budget, "Stop when about N bytes of each log have come")
      ->type_name("N");
}

void add_how(CLI::App& verb, SyncOptions& options) {
  verb.add_flag("--once", options.once, "End when all has come; this is the default");
  verb.add_flag("--live", options.live,
                "Go on as the logs grow, until interrupted. Other verbs write to the store\n"
                "through this process meanwhile");
  verb.add_flag("--push", options.push,
                "Offer the logs as well, and wait until the peer has confirmed that it holds all");
  verb.add_flag("--quote", options.quote, "Say what would move, and move nothing");
  verb.add_option("--peer", options.peer, "Talk only to the relay that printed these 64 digits")
      ->type_name("PEER");
  verb.add_option("--timeout", options.timeout_seconds,
                  "Give up when nothing has moved for so many seconds")
      ->type_name("SECONDS")
      ->capture_default_str();
  add_network_options(verb, options.network);
}

}  // namespace

void add_sync(CLI::App& app, Context& context) {
  const auto options = std::make_shared<SyncOptions>();
  CLI::App& verb = add_verb(
      app, context, "sync",
      "Fetch logs from the peer at HOST:PORT, verify them and keep them: whole, or the parts that\n"
      "are wanted, with the certificate entries that prove these. What is wanted is remembered as\n"
      "the store's interest: with --range or --newest it grows by these; without them all of it "
      "is\n"
      "asked for, and everything of a log that is new. Only what is missing moves. Ends with a\n"
      "table of what came, beside what the whole log would cost.",
      "culm sync 127.0.0.1:7474 4fd3...64 digits --newest 100\n"
      "  culm sync 127.0.0.1:7474 --push",
      options, run);
  add_what(verb, *options);
  add_how(verb, *options);
}

}  // namespace culm::tools
