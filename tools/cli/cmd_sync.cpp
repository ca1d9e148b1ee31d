#include <algorithm>

#include "tools/cli/verbs.hpp"
#include "culm/replication/host/writer.hpp"
#include "tools/relay/host.hpp"
#include "tools/sync/plan.hpp"
#include "tools/sync/report.hpp"
#include "tools/sync/sync.hpp"
#include "tools/sync/sync_job.hpp"

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

/// By the node that runs on the store, which says what is to be printed.
Outcome<void> run_elsewhere(Context& context, const SyncOptions& options, host::NodeClient& node) {
  if (options.host_options.are_given()) {
    return usage(
        "a node runs on the store and does the sync: it has its own network, key and checks");
  }
  CULM_TOOLS_TRY(
      const control::Response response,
      node.exchange(control::encode(control::SyncRequest{to_json(options), context.json})));
  if (const std::string* const output = response.fields.find_text("output")) {
    CULM_TOOLS_CHECK(context.out.write(*output));
  }
  if (!response.error) return {};
  return fail_with(read_failure(response));
}

Outcome<void> run(Context& context, const SyncOptions& options) {
  CULM_TOOLS_CHECK(check(options));
  CULM_TOOLS_TRY(const SyncTarget target, parse_target(options));
  std::vector<LogSync> logs;
  SyncPolicy policy(logs);
  const auto opened = Host::open(context, options.host_options, policy);
  if (!opened && opened.error().code == Errc::kStoreLocked && !options.live) {
    if (const auto node = host::NodeClient::connect(context.store_directory)) {
      return run_elsewhere(context, options, *node);
    }
  }
  if (!opened) return fail_with(opened.error());
  Host& host = **opened;
  CULM_TOOLS_TRY(logs, plan(options, host.store()));
  if (options.live) {
    CULM_TOOLS_CHECK(host.serve_requests(false));
    host.verify_in_background();
  }

  Outcome<void> synced;
  Sync sync(context, options, {host.io(), host.store(), host.node(), true}, logs);
  sync.begin(target, [&](Outcome<void> outcome) {
    synced = std::move(outcome);
    host.stop();
  });
  host.run([&] { sync.interrupt(); });
  return conclude(context, options, host.store(), logs, sync.totals(), synced);
}

void add_what(Verb& verb, SyncOptions& options) {
  verb.add_option("HOST:PORT", &options.address, "Where the peer listens").required();
  verb.add_option("LOG", &options.logs,
                  "Logs; those that are new here by their whole names. Otherwise all of the store");
  verb.add_option("--also", &options.also,
                  "Fetch from this peer as well, each a part; may be given several times")
      .type_name("HOST:PORT");
  verb.add_option("--range", &options.range, "Want these seqnums, such as 5-9,20,30-")
      .type_name("RANGES");
  verb.add_option("--newest", &options.newest, "Want the newest N entries, whatever they are")
      .type_name("N");
  verb.add_flag("--entries-only", options.entries_only, "Want no payloads; this is remembered");
  verb.add_flag("--undelete", options.undelete,
                "Take payloads again that were deleted here, of what is wanted");
  verb.add_option("--payload-max", &options.payload_max,
                  "Want no payloads of more than N bytes, this time")
      .type_name("N");
  verb.add_flag("--newest-first", options.newest_first, "Take the newest entries first");
  verb.add_option("--budget", &options.budget, "Stop when about N bytes of each log have come")
      .type_name("N");
}

void add_how(Verb& verb, SyncOptions& options) {
  verb.add_flag("--once", options.once, "End when all has come; this is the default");
  verb.add_flag("--live", options.live,
                "Go on as the logs grow, until interrupted. Other verbs write to the store\n"
                "through this process meanwhile, and signatures that nothing depended on are\n"
                "checked in the background");
  verb.add_flag("--push", options.push,
                "Offer the logs as well, and wait until the peer has confirmed that it holds all");
  verb.add_flag("--quote", options.quote, "Say what would move, and move nothing");
  verb.add_option("--peer", &options.peer,
                  "At HOST:PORT talk only to the relay that printed these 64 digits")
      .type_name("PEER");
  verb.add_option("--timeout", &options.timeout_seconds,
                  "Give up when nothing has moved for so many seconds")
      .type_name("SECONDS")
      .show_default();
  add_host_options(verb, options.host_options);
}

}  // namespace

void add_sync(CommandTree& tree) {
  const auto options = std::make_shared<SyncOptions>();
  Verb& verb = tree.add_verb(
      "sync",
      "Fetch logs from the peer at HOST:PORT, verify them and keep them: whole, or the parts that\n"
      "are wanted, with the certificate entries that prove these. What is wanted is remembered as\n"
      "the store's interest: with --range or --newest it grows by these; without them all of it "
      "is\n"
      "asked for, and everything of a log that is new. Only what is missing moves. Ends with a\n"
      "table of what came, beside what the whole log would cost. With --also several peers bring\n"
      "it together, each a part; one that is slow or goes away is passed over. Where a node runs\n"
      "on the store, the node does it.",
      "culm sync 127.0.0.1:7474 4fd3...64 digits --newest 100\n"
      "  culm sync 127.0.0.1:7474 --also 127.0.0.1:7475\n"
      "  culm sync 127.0.0.1:7474 --push",
      options, run);
  add_what(verb, *options);
  add_how(verb, *options);
}

}  // namespace culm::tools
