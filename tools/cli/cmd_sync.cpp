#include <algorithm>

#include "culm/replication/host/writer.hpp"

#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/host.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

/// Serves those logs, and only those, that are being synced: the peer has heard of them anyway.
class SyncPolicy final : public replication::Policy {
 public:
  explicit SyncPolicy(const node::SyncRequest& request) : request_(request) {}

  [[nodiscard]] bool may_read(const sealing::PeerKey& /*peer*/, const LogKey& log) override {
    const auto& logs = request_.logs;
    return std::ranges::find(logs, log, &replication::WantRequest::log) != logs.end();
  }
  [[nodiscard]] std::optional<store::LogInterest> accept_offer(const sealing::PeerKey& /*peer*/,
                                                               const LogKey& /*log*/) override {
    return std::nullopt;
  }

 private:
  const node::SyncRequest& request_;
};

/// A line on the terminal that says how much has moved.
class ProgressLine {
 public:
  ProgressLine(Host& host, node::SyncId sync, bool pushes)
      : node_(host.node()), sync_(sync), pushes_(pushes), timer_(host.io()) {
    wait();
  }
  void end() {
    timer_.cancel();
    progress_.reset();
  }

 private:
  void wait() {
    timer_.expires_after(std::chrono::milliseconds(100));
    timer_.async_wait([this](const ErrorCode& code) {
      const auto now = node_.progress(sync_);
      if (code || !now) return;
      show(*now);
      wait();
    });
  }
  void show(const node::SyncProgress& now) {
    // What will be sent nobody knows before.
    const std::uint64_t total = pushes_ ? 0 : now.bytes_expected.value_or(0);
    if (!progress_) {
      progress_.emplace(pushes_ ? "moving" : "receiving", total, Progress::Unit::kBytes);
    }
    progress_->set_total(total);
    progress_->show(now.stats.bytes_received + (pushes_ ? now.stats.bytes_sent : 0));
  }

  transport::Node& node_;
  node::SyncId sync_;
  bool pushes_;
  asio::steady_timer timer_;
  std::optional<Progress> progress_;
};

/// By the node that runs on the store.
Outcome<void> run_elsewhere(Context& context, const SyncOptions& options,
                            node::SyncRequest& request, host::NodeClient& node) {
  if (options.host_options.are_given()) {
    return usage(
        "a node runs on the store and does the sync: it has its own network, key and checks");
  }
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_CHECK(add_logs(options, *store, request));
  const auto report = node.sync(request);
  if (report) return conclude(context, options, *report);
  if (report.error().code != Errc::kStoreLocked) return fail_with(report.error());
  return fail_with(Failure(Exit::kLocked, Errc::kStoreLocked,
                           "`culm sync --live` runs on the store and serves its own logs alone")
                       .next("end it first, to push others"));
}

/// Until all is done, or for ever with --live; a signal ends it before.
node::SyncReport run_here(Host& host, Context& context, const SyncOptions& options,
                          node::SyncRequest request, Outcome<void>& said) {
  node::SyncReport report;
  std::optional<ProgressLine> line;
  node::SyncId sync = 0;
  sync = host.node().sync(std::move(request), [&](const node::SyncEvent& event) {
    const bool has_failed = !said;
    if (said) said = say(context, options, event);
    if (!said && !has_failed) host.node().end_sync(sync);
    const auto* const ended = std::get_if<node::SyncEnded>(&event);
    if (ended == nullptr) return;
    report = ended->report;
    if (line) line->end();
    host.stop();
  });
  if (!options.live && !options.quote && !context.json) line.emplace(host, sync, options.push);
  host.run([&] { host.node().end_sync(sync); });
  return report;
}

Outcome<void> run(Context& context, const SyncOptions& options) {
  CULM_TOOLS_TRY(node::SyncRequest request, parse_request(options));
  SyncPolicy policy(request);
  const auto opened = Host::open(context, options.host_options, policy);
  if (!opened && opened.error().code == Errc::kStoreLocked && !options.live) {
    if (const auto node = host::NodeClient::connect(context.store_directory)) {
      return run_elsewhere(context, options, request, *node);
    }
  }
  if (!opened) return fail_with(opened.error());
  Host& host = **opened;
  CULM_TOOLS_CHECK(add_logs(options, host.store(), request));
  if (options.live) {
    CULM_TOOLS_CHECK(host.serve_requests(false));
    host.verify_in_background();
  }
  Outcome<void> said;
  const node::SyncReport report = run_here(host, context, options, request, said);
  CULM_TOOLS_CHECK(said);
  return conclude(context, options, report);
}

void add_what(Verb& verb, SyncOptions& options) {
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
                "Offer the logs as well, and wait until each peer has confirmed that it holds all");
  verb.add_flag("--quote", options.quote, "Say what would move, and move nothing");
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
  const auto options = std::make_shared<SyncOptions>();
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
