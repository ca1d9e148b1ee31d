#include "tools/sync/plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

constexpr double kTimeoutSecondsMax = 24 * 60 * 60;

constexpr std::array<std::pair<const char*, std::string SyncOptions::*>, 6> kTexts{
    {{"address", &SyncOptions::address},
     {"range", &SyncOptions::range},
     {"newest", &SyncOptions::newest},
     {"budget", &SyncOptions::budget},
     {"payload_max", &SyncOptions::payload_max},
     {"peer", &SyncOptions::peer}}};
constexpr std::array<std::pair<const char*, bool SyncOptions::*>, 5> kFlags{
    {{"entries_only", &SyncOptions::entries_only},
     {"undelete", &SyncOptions::undelete},
     {"push", &SyncOptions::push},
     {"quote", &SyncOptions::quote},
     {"newest_first", &SyncOptions::newest_first}}};

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

}  // namespace

Outcome<void> check(const SyncOptions& options) {
  if (options.live && (options.once || options.quote || !options.budget.empty())) {
    return usage("--live does not go with --once, --quote or --budget");
  }
  if (!options.also.empty() && (options.live || options.push || options.quote)) {
    return usage("--also does not go with --live, --push or --quote");
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

Outcome<SyncTarget> parse_target(const SyncOptions& options) {
  SyncTarget target;
  CULM_TOOLS_TRY(target.endpoints.emplace_back(),
                 parse_endpoint_option("HOST:PORT", options.address));
  for (const std::string& address : options.also) {
    CULM_TOOLS_TRY(const node::Endpoint endpoint, parse_endpoint_option("--also", address));
    if (std::ranges::find(target.endpoints, endpoint) != target.endpoints.end()) {
      return usage("--also " + address + ": a peer is named once");
    }
    target.endpoints.push_back(endpoint);
  }
  if (!options.peer.empty()) {
    CULM_TOOLS_TRY(target.peer, parse_peer_option(options.peer));
  }
  return target;
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

Json to_json(const SyncOptions& options) {
  Json json = {
      {"logs", options.logs}, {"also", options.also}, {"timeout", options.timeout_seconds}};
  for (const auto& [name, member] : kTexts) json[name] = options.*member;
  for (const auto& [name, member] : kFlags) json[name] = options.*member;
  return json;
}

Outcome<SyncOptions> parse_sync_options(const Json& json) {
  const auto malformed = [] { return fail_with(Failure(Error{Errc::kFileFormat})); };
  SyncOptions options;
  for (const auto& [name, member] : kTexts) {
    const std::string* const text = json.find_text(name);
    if (text == nullptr) return malformed();
    options.*member = *text;
  }
  for (const auto& [name, member] : kFlags) {
    const auto value = json.find_bool(name);
    if (!value) return malformed();
    options.*member = *value;
  }
  auto logs = json.find_texts("logs");
  auto also = json.find_texts("also");
  const auto timeout = json.find_real("timeout");
  if (!logs || !also || !timeout) return malformed();
  options.also = *std::move(also);
  options.logs = *std::move(logs);
  options.timeout_seconds = *timeout;
  return options;
}

}  // namespace culm::tools
