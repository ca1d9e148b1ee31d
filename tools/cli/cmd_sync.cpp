#include <cmath>
#include <cstdio>
#include <limits>

#include "culm/replication/host/synced_logs.hpp"
#include "culm/replication/host/writer.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/host.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr double kTimeoutSecondsMax = 24 * 60 * 60;

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

struct Options {
  std::string address;
  std::vector<std::string> also;
  std::vector<std::string> logs;
  std::string range;
  std::string newest;
  bool entries_only = false;
  bool once = false;
  bool newest_first = false;
  std::string budget;
  std::string payload_max;
  std::string peer;
  double timeout_seconds = 30;
  double deadline_seconds = std::numeric_limits<double>::infinity();
  node::SyncRequest request;  ///< its flags
  HostOptions host_options;
};

/// Reads the options that say how much is wanted, of no log yet.
Outcome<replication::WantRequest> parse_want(const Options& options) {
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
  if (options.newest_first) want.order = replication::Order::kNewestFirst;
  return want;
}

Outcome<void> check_flags(const Options& options) {
  const node::SyncRequest& request = options.request;
  if (request.live && (options.once || request.quote_only || !options.budget.empty())) {
    return usage("--live does not go with --once, --quote or --budget");
  }
  if (request.quote_only && request.push) return usage("--quote does not go with --push");
  if (request.undelete && (request.quote_only || options.entries_only)) {
    return usage("--undelete does not go with --quote or --entries-only");
  }
  if (!(options.timeout_seconds > 0 && options.timeout_seconds <= kTimeoutSecondsMax)) {
    return usage("--timeout must be more than 0 seconds and at most a day");
  }
  const double deadline = options.deadline_seconds;
  if (!(deadline > 0) || (deadline > kTimeoutSecondsMax && !std::isinf(deadline))) {
    return usage("--deadline must be more than 0 seconds and at most a day");
  }
  return {};
}

/// What is asked for, of no log yet.
Outcome<node::SyncRequest> parse_request(const Options& options) {
  CULM_TOOLS_CHECK(check_flags(options));
  node::SyncRequest request = options.request;
  request.idle_max = to_duration(options.timeout_seconds);
  if (!std::isinf(options.deadline_seconds)) {
    request.whole_max = to_duration(options.deadline_seconds);
  }
  node::SyncPeer& first = request.peers.emplace_back();
  CULM_TOOLS_TRY(first.endpoint, parse_endpoint_option("HOST:PORT", options.address));
  if (!options.peer.empty()) {
    CULM_TOOLS_TRY(first.expected, parse_peer_option(options.peer));
  }
  for (const std::string& address : options.also) {
    CULM_TOOLS_TRY(const node::Endpoint endpoint, parse_endpoint_option("--also", address));
    request.peers.push_back({endpoint});
    if (!node::is_sound(request)) return usage("--also " + address + ": a peer is named once");
  }
  return request;
}

Outcome<void> add_logs(const Options& options, const store::Store& store,
                       node::SyncRequest& request) {
  CULM_TOOLS_TRY(const auto want, parse_want(options));
  CULM_TOOLS_TRY(const auto transaction, store.read());
  CULM_TOOLS_TRY(const auto logs, find_logs_named(transaction, options.logs));
  if (logs.empty()) return usage("the store knows no log yet: name one by its author's 64 digits");
  node::add_logs(request, want, logs);
  return {};
}

/// By the node that runs on the store.
Outcome<void> run_elsewhere(Context& context, const Options& options, node::SyncRequest& request,
                            host::NodeClient& node) {
  if (options.host_options.are_given()) {
    return usage(
        "a node runs on the store and does the sync: it has its own network, key and checks");
  }
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_CHECK(add_logs(options, *store, request));
  const auto report = node.sync(request);
  if (report) return conclude(context, request, *report);
  if (report.error().code != Errc::kStoreLocked) return fail_with(report.error());
  return fail_with(Failure(Exit::kLocked, Errc::kStoreLocked,
                           "`culm sync --live` runs on the store and serves its own logs alone")
                       .next("end it first, to push others"));
}

/// On a line of the terminal.
void show(std::optional<Progress>& line, bool pushes, const node::SyncProgress& now) {
  // What will be sent nobody knows before.
  const std::uint64_t total = pushes ? 0 : now.bytes_expected.value_or(0);
  if (!line) line.emplace(pushes ? "moving" : "receiving", total, Progress::Unit::kBytes);
  line->set_total(total);
  line->show(now.stats.bytes_received + (pushes ? now.stats.bytes_sent : 0));
}

/// Until all is done, or for ever with --live; a signal ends it before.
/// Tells of damaged rows that the sync meets in the store here.
void tell_damage(Host& host, const std::string& store) {
  const auto tell = [store](const LogKey& log, const RangeSet& seqnums) {
    std::fprintf(stderr, "culm: sync: %s\n", damage_text(store, log, seqnums).c_str());
  };
  transport::NodeObserver observer;
  observer.session = [tell](const node::SessionRef& /*session*/, const replication::Event& event) {
    const auto* const damaged = std::get_if<replication::Damaged>(&event);
    if (damaged != nullptr) tell(damaged->log, {{damaged->seqnum, damaged->seqnum}});
  };
  observer.committed = [tell](const replication::WorkReport& report) {
    if (!report.damaged.empty()) tell(report.log, report.damaged);
  };
  host.node().observe(std::move(observer));
}

Outcome<node::SyncReport> run_here(Host& host, Context& context, const node::SyncRequest& request) {
  Outcome<void> said;
  node::SyncReport report;
  std::optional<Progress> line;
  node::SyncId sync = 0;
  sync = host.node().sync(request, [&](const node::SyncEvent& event) {
    const auto* const now = std::get_if<node::SyncProgress>(&event);
    if (now != nullptr && !request.quote_only && !context.json) show(line, request.push, *now);
    if (said) said = say(context, request, event);
    if (!said) host.node().end_sync(sync);
    const auto* const ended = std::get_if<node::SyncEnded>(&event);
    if (ended == nullptr) return;
    report = ended->report;
    host.stop();
  });
  host.run([&] { host.node().end_sync(sync); });
  if (!said) return fail_with(said.error());
  return report;
}

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(node::SyncRequest request, parse_request(options));
  host::SyncedLogs policy(request);
  const auto opened = Host::open(context, options.host_options, policy);
  if (!opened && opened.error().code == Errc::kStoreLocked && !request.live) {
    if (const auto node = host::NodeClient::connect(context.store_directory)) {
      return run_elsewhere(context, options, request, *node);
    }
  }
  if (!opened) return fail_with(opened.error());
  Host& host = **opened;
  CULM_TOOLS_CHECK(add_logs(options, host.store(), request));
  if (request.live) CULM_TOOLS_CHECK(host.serve_requests(false));
  tell_damage(host, named(context));
  CULM_TOOLS_TRY(const auto report, run_here(host, context, request));
  return conclude(context, request, report);
}

void add_what(Verb& verb, Options& options) {
  verb.add_option("HOST:PORT", &options.address, "Where the peer listens").required();
  verb.add_option("LOG", &options.logs,
                  "Logs; those that are new here by their whole names. Otherwise all of the store");
  verb.add_option("--also", &options.also,
                  "With this peer as well; may be given several times. Each brings a part; with\n"
                  "--live, --newest or --budget a log comes from one, and another may take over")
      .type_name("HOST:PORT");
  verb.add_option("--range", &options.range, "Want these seqnums, such as 5-9,20,30-")
      .type_name("RANGES");
  verb.add_option("--newest", &options.newest, "Want the newest N entries, whatever they are")
      .type_name("N");
  verb.add_flag("--entries-only", options.entries_only, "Want no payloads; this is remembered");
  verb.add_flag("--undelete", options.request.undelete,
                "Take payloads again that were deleted here, of what is wanted");
  verb.add_option("--payload-max", &options.payload_max,
                  "Want no payloads of more than N bytes, this time")
      .type_name("N");
  verb.add_flag("--newest-first", options.newest_first, "Take the newest entries first");
  verb.add_option("--budget", &options.budget, "Stop when about N bytes of each log have come")
      .type_name("N");
}

void add_how(Verb& verb, Options& options) {
  verb.add_flag("--once", options.once, "End when all has come; this is the default");
  verb.add_flag("--live", options.request.live,
                "Go on as the logs grow, until interrupted. Other verbs write to the store\n"
                "through this process meanwhile, and signatures that nothing depended on are\n"
                "checked in the background");
  verb.add_flag("--push", options.request.push,
                "Offer the logs as well, and wait until each peer has confirmed that it holds all");
  verb.add_flag("--quote", options.request.quote_only, "Say what would move, and move nothing");
  verb.add_option("--peer", &options.peer,
                  "At HOST:PORT talk only to the relay that printed these 64 digits")
      .type_name("PEER");
  verb.add_option("--timeout", &options.timeout_seconds,
                  "Give up when nothing has moved for so many seconds; not with --live")
      .type_name("SECONDS")
      .show_default();
  verb.add_option("--deadline", &options.deadline_seconds,
                  "End after so many seconds, with what has come")
      .type_name("SECONDS");
  add_host_options(verb, options.host_options);
}

}  // namespace

void add_sync(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "sync",
      "Fetch logs from the peer at HOST:PORT, verify them and keep them: whole, or the parts that\n"
      "are wanted, with the certificate entries that prove these. What is wanted is remembered as\n"
      "the store's interest: with --range or --newest it grows by these; without them all of it\n"
      "is asked for, and everything of a log that is new. Only what is missing moves. Ends with a\n"
      "table of what came, beside what the whole log would cost. With --also several peers bring\n"
      "it together, each a part; one that is slow or goes away is passed over. Where a node runs\n"
      "on the store, the node does it, except with --live.",
      "culm sync 127.0.0.1:7474 4fd3...64 digits --newest 100\n"
      "  culm sync 127.0.0.1:7474 --also 127.0.0.1:7475\n"
      "  culm sync 127.0.0.1:7474 --push",
      options, run);
  add_what(verb, *options);
  add_how(verb, *options);
}

}  // namespace culm::tools
