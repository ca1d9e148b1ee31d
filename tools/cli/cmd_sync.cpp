#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "culm/replication/host/synced_logs.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/node/interests.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/gone.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/host.hpp"
#include "tools/sync/own_branch.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

constexpr double kTimeoutSecondsMax = 24 * 60 * 60;
constexpr auto kLockedPause = std::chrono::milliseconds(50);
constexpr double kNoDeadline = std::numeric_limits<double>::infinity();

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

struct Options {
  node::SyncRequest request;  ///< its flags
  node::SyncPeer first;
  std::vector<std::string> also;
  std::vector<std::string> logs;
  replication::WantRequest want;  ///< of each log
  std::optional<std::uint64_t> newest;
  std::optional<std::uint64_t> budget;
  bool entries_only = false;
  bool once = false;
  bool newest_first = false;
  double timeout_seconds = 30;
  double deadline_seconds = kNoDeadline;
  double wait_seconds = 10;
  HostOptions host_options;
};

/// What does not go together or is out of bounds.
Outcome<void> check(const Options& options) {
  const node::SyncRequest& request = options.request;
  const auto is_fine = [](double seconds) { return seconds > 0 && seconds <= kTimeoutSecondsMax; };
  const std::pair<bool, const char*> refusals[] = {
      {request.live && (options.once || request.quote_only || options.budget),
       "--live does not go with --once, --quote or --budget"},
      {request.quote_only && request.push,
       "--quote says what would come, not what --push would send: leave one of them out"},
      {request.undelete && options.entries_only, "--undelete does not go with --entries-only"},
      {!is_fine(options.timeout_seconds),
       "--timeout must be more than 0 seconds and at most a day"},
      {!is_fine(options.deadline_seconds) && options.deadline_seconds != kNoDeadline,
       "--deadline must be more than 0 seconds and at most a day"},
      {!is_fine(options.wait_seconds) && options.wait_seconds != 0,
       "--wait must be 0 seconds or more, and at most a day"},
      {options.newest == 0U, "--newest 0 asks for nothing"},
      {options.budget == 0U, "--budget 0 lets nothing come"}};
  for (const auto& [is_so, text] : refusals) {
    if (is_so) return usage(text);
  }
  return {};
}

/// What is asked for, of no log yet.
Outcome<node::SyncRequest> make_request(const Options& options) {
  CULM_TOOLS_CHECK(check(options));
  node::SyncRequest request = options.request;
  request.idle_max = to_duration(options.timeout_seconds);
  if (options.deadline_seconds != kNoDeadline) {
    request.whole_max = to_duration(options.deadline_seconds);
  }
  request.peers.push_back(options.first);
  for (const std::string& address : options.also) {
    CULM_TOOLS_TRY(const node::Endpoint endpoint, parse_endpoint_option("--also", address));
    request.peers.push_back({endpoint});
    if (!node::is_sound(request)) return usage("--also " + address + ": a peer is named once");
  }
  return request;
}

/// Logs of which nothing is selected are fetched when it is said what of them.
Outcome<void> leave_out_unwanted(const Options& options, const store::ReadTransaction& transaction,
                                 std::vector<LogKey>& logs) {
  std::set<LogKey> unwanted;
  for (const LogKey& log : logs) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log));
    if (state && state->interest.is_none()) unwanted.insert(log);
  }
  const auto is_unwanted = [&](const LogKey& log) { return unwanted.contains(log); };
  for (const std::string& name : options.logs) {
    CULM_TOOLS_TRY(const auto named, find_logs_named(transaction, {name}, OfAuthor::kKnownAndLog0));
    if (std::ranges::all_of(named, is_unwanted)) {
      return fail_with(
          Failure(Exit::kUsage, Errc::kUsage,
                  "nothing is selected of log " + short_name(named.front()))
              .next("say what to fetch, --range 1- for all; or `culm select LOG --all` before"));
    }
  }
  if (unwanted.size() == logs.size() && !logs.empty()) {
    return fail_with(Failure(Exit::kUsage, Errc::kUsage, "nothing is selected of any log")
                         .next("`culm select LOG --all` wants all of a log again"));
  }
  std::erase_if(logs, is_unwanted);
  return {};
}

Outcome<void> leave_out_payloads(const store::ReadTransaction& transaction,
                                 node::SyncRequest& request) {
  for (replication::WantRequest& want : request.logs) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(want.log));
    if (state) node::leave_out_payloads(want, state->interest);
  }
  return {};
}

tl::unexpected<Failure> fail_without_store(const Context& context) {
  return fail_with(
      Failure(Error{Errc::kStoreNotFound})
          .about(named(context))
          .next("name one with --store DIR or CULM_STORE; where one is to be made there, name the "
                "log, `culm sync HOST:PORT AUTHOR` with the 64 digits that `culm keygen` printed "
                "to its author"));
}

/// Of a store without a log, or none yet.
Outcome<void> fail_without_logs(const Context& context, const Options& options,
                                const store::Store& store, bool is_missing) {
  if (is_missing) return fail_without_store(context);
  CULM_TOOLS_TRY(const auto gone, find_gone(context, store));
  std::string step =
      "name one, `culm sync HOST:PORT AUTHOR` with the 64 digits that `culm keygen` "
      "printed to its author";
  if (!gone.empty()) {
    step = "your own are named by their marks: `culm sync " +
           node::to_string(options.first.endpoint) + " " + findable_name_of_one(gone.front().log) +
           "`" + (gone.size() == 1 ? "" : "; `culm ls` names the others");
  }
  return fail_with(
      Failure(Exit::kUsage, Errc::kUsage, "the store knows no log yet, and no log is named")
          .next(step));
}

Outcome<void> add_logs(const Context& context, const Options& options, const store::Store& store,
                       bool is_missing, node::SyncRequest& request) {
  replication::WantRequest want = options.want;
  want.interest.newest = options.newest.value_or(0);
  want.budget_bytes = options.budget.value_or(0);
  want.payloads = !options.entries_only;
  if (options.newest_first) want.order = replication::Order::kNewestFirst;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  auto found = find_logs_named(transaction, options.logs, OfAuthor::kKnownAndLog0);
  if (!found && found.error().code == Errc::kLogUnknown &&
      found.error().step == Failure(Error{Errc::kLogUnknown}).step) {
    if (is_missing) return fail_without_store(context);
    found.error().step = "a log that is new here is named by its author's whole 64 digits";
  }
  CULM_TOOLS_TRY(auto logs, std::move(found));
  if (want.interest.empty() && !request.push) {
    CULM_TOOLS_CHECK(leave_out_unwanted(options, transaction, logs));
  }
  if (logs.empty()) return fail_without_logs(context, options, store, is_missing);
  if (request.live && logs.size() > node::kLiveLogsMax) {
    return fail_with(Failure(Exit::kUsage, Errc::kUsage,
                             "--live keeps at most " + human_logs(node::kLiveLogsMax) +
                                 " up to date, and these are " + human_count(logs.size()))
                         .next("name those that matter most; without --live there may be more"));
  }
  node::add_logs(request, want, logs);
  CULM_TOOLS_CHECK(leave_out_payloads(transaction, request));
  if (options.logs.empty()) request.while_known = {logs.begin(), logs.end()};
  request.joining = {options.logs.empty(), {}, want};
  for (const std::string& word : options.logs) {
    CULM_TOOLS_TRY(const LogName name, find_name(transaction, word));
    if (!name.log_id) request.joining.authors.insert(name.author);
  }
  return {};
}

/// Authors that are named, and whether no log of theirs is known here.
using NamedAuthors = std::map<Author, bool>;

Outcome<NamedAuthors> find_authors(const Options& options, const store::Store& store) {
  NamedAuthors authors;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const std::string& word : options.logs) {
    CULM_TOOLS_TRY(const LogName name, find_name(transaction, word));
    if (name.log_id) continue;
    CULM_TOOLS_TRY(const auto known, transaction.list_logs(to_hex(name.author.bytes)));
    authors[name.author] = known.empty();
  }
  return authors;
}

/// Of authors who are new here log 0 alone is asked for, as no peer says which others there are;
/// of one's own, the marks do. Others may have come meanwhile by another command.
Outcome<std::string> tell_other_logs(const Context& context, const NamedAuthors& authors,
                                     const store::Store& store, const std::string& peer) {
  CULM_TOOLS_TRY(const auto gone, find_gone(context, store, store::GoneFrom::kAny));
  std::string text;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  for (const auto& [author, is_new] : authors) {
    const LogKey first{author, LogId{}};
    CULM_TOOLS_TRY(const auto known, transaction.list_logs(to_hex(author.bytes)));
    bool is_told = false;
    for (const auto& [log, published] : gone) {
      if (log.author != author || log == first) continue;
      text += short_name(log) + ": is your own, was not asked for, and is not here: `culm sync ";
      text += peer + " " + findable_name_of_one(log) + "`\n";
      is_told = true;
    }
    if (is_told || !is_new || known.size() > 1) continue;
    text += short_name(first) + ": of this author log 0 alone was asked for; others are to be ";
    text += "named, like " + short_name({author, LogId{1}}) + "\n";
  }
  return text;
}

/// What there may be besides, as far as a sync changes it.
struct Besides {
  Unwanted unwanted;
  NamedAuthors authors;
  std::vector<LogKey>
      with_payloads;  ///< these are wanted with payloads, and --entries-only is said
  std::vector<LogKey> without_payloads;  ///< these are not, and it is not
};

/// What becomes of payloads, or does not come, as --entries-only says so or once did.
Outcome<void> tell_payloads(Context& context, const Besides& besides, const store::Store& store) {
  constexpr std::size_t kNamedMax = 5;
  std::size_t count = 0;
  CULM_TOOLS_TRY(const auto transaction, store.read());
  const auto say = [&](const LogKey& log, const std::string& message) -> Outcome<void> {
    if (++count > kNamedMax && !context.json) return {};
    const std::string next = "`culm select " + name_of_one(log) +
                             " --payloads` wants them, and the next sync asks for them";
    if (!context.json)
      return context.out.say(short_name(log) + ": " + message + "; " + next + "\n");
    warn(context, "sync", log, {.message = message, .next = next});
    return {};
  };
  for (const LogKey& log : besides.with_payloads) {
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log));
    if (!state || state->interest.payloads) continue;
    CULM_TOOLS_CHECK(say(log,
                         "from now on no payloads of this log are wanted, nor of what was selected "
                         "before, as --entries-only says"));
  }
  for (const LogKey& log : besides.without_payloads) {
    CULM_TOOLS_CHECK(
        say(log, "of this log payloads are not wanted, as an earlier --entries-only said"));
  }
  if (count <= kNamedMax || context.json) return {};
  return context.out.say("likewise of " + human_logs(count - kNamedMax) +
                         " more: `culm select` shows which\n");
}

Outcome<Besides> find_besides(const Options& options, const node::SyncRequest& request,
                              const store::Store& store) {
  Besides besides;
  std::vector<LogKey> logs;
  const bool is_named = options.newest || !options.want.interest.ranges.empty();
  {
    CULM_TOOLS_TRY(const auto transaction, store.read());
    for (const replication::WantRequest& want : request.logs) {
      logs.push_back(want.log);
      CULM_TOOLS_TRY(const auto state, transaction.find_log(want.log));
      if (!state || state->interest.is_none()) continue;
      const bool is_with = state->interest.payloads;
      if (is_with && options.entries_only) besides.with_payloads.push_back(want.log);
      const bool is_left_out = !is_with && is_named && !options.entries_only && !request.undelete;
      if (is_left_out) besides.without_payloads.push_back(want.log);
    }
  }
  CULM_TOOLS_TRY(besides.unwanted, find_unwanted(store, logs));
  CULM_TOOLS_TRY(besides.authors, find_authors(options, store));
  return besides;
}

/// Of a log that nobody spoke of there is nothing to be said besides.
bool is_spoken_of(const node::SyncReport& report) {
  return std::ranges::any_of(report.logs, [](const auto& log) { return log.peer_head != 0; });
}

/// As `conclude`, and what there may be besides.
Outcome<void> conclude(Context& context, const node::SyncRequest& request,
                       const node::SyncReport& report, const store::Store& store,
                       const Besides& besides) {
  const std::string peer = node::to_string(request.peers.front().endpoint);
  // Some may have come meanwhile by another command.
  const auto tell_all_gone = [&]() -> Outcome<void> {
    if (!request.joining.are_all || !is_answered(report)) return {};
    CULM_TOOLS_TRY(const auto gone, find_gone(context, store));
    return tell_gone(context, gone, peer);
  };
  if (context.json) CULM_TOOLS_CHECK(tell_all_gone());
  const auto unserved = find_unserved_own(context, store, request, report);
  const auto judged = conclude(context, request, report, unserved);
  if (!unserved.empty()) {
    context.next = "push what was appended here to a relay that takes it: `culm sync HOST:PORT " +
                   name_of_one(unserved.front()) + " --push`";
    if (unserved.size() > 1) context.next += "; then the others that no peer serves";
  }
  if (is_spoken_of(report)) CULM_TOOLS_CHECK(tell_payloads(context, besides, store));
  if (context.json || (!judged && !is_spoken_of(report))) return judged;
  CULM_TOOLS_TRY(const std::string again, tell_unwanted(store, besides.unwanted));
  CULM_TOOLS_TRY(const std::string others, tell_other_logs(context, besides.authors, store, peer));
  CULM_TOOLS_CHECK(context.out.say((judged ? again : "") + others));
  CULM_TOOLS_CHECK(tell_all_gone());
  return judged;
}

/// By the node that runs on the store.
Outcome<void> run_elsewhere(Context& context, const Options& options, node::SyncRequest& request,
                            host::NodeClient& node) {
  if (options.host_options.are_given()) {
    return fail_with(Failure(Exit::kUsage, Errc::kUsage,
                             "a node runs on the store and does the sync: it has its own network, "
                             "key and checks")
                         .next("run it again without --peer-key, --network, --network-key, "
                               "--verification and --verify-threads"));
  }
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_CHECK(add_logs(context, options, *store, false, request));
  CULM_TOOLS_TRY(const Besides besides, find_besides(options, request, *store));
  say_when_interrupted("the peer has not answered");
  CULM_TOOLS_TRY(const auto silence, check_unasked(context, *store, request));
  take_signals();
  say_when_interrupted("the node goes on with the sync");
  const auto report = node.sync(request);
  if (report && silence && !is_answered(*report)) return fail_with(*silence);
  if (report) {
    bind_confirmed(context, *store, *report);
    return conclude(context, request, *report, *store, besides);
  }
  if (report.error().code != Errc::kStoreLocked) return fail_with(report.error());
  return fail_with(Failure(Exit::kLocked, Errc::kStoreLocked,
                           "a sync with --live runs on the store and serves its own logs alone")
                       .next("end it first, to push others"));
}

/// Tells of damage that the sync meets in the store here: of rows as they are met, and once that a
/// log cannot be read, where that is not why the sync fails.
class DamageTeller {
 public:
  /// All must outlive it.
  DamageTeller(const Context& context, Host& host, bool is_live)
      : context_(context), host_(host), is_live_(is_live) {
    transport::NodeObserver observer;
    observer.session = [this](const node::SessionRef& /*session*/,
                              const replication::Event& event) {
      const auto* const damaged = std::get_if<replication::Damaged>(&event);
      if (damaged == nullptr) return;
      const SeqNum n = damaged->seqnum;
      n == 0 ? meet_whole(damaged->log) : tell_of(damaged->log, RangeSet{{n, n}});
    };
    observer.committed = [this](const replication::WorkReport& report) {
      if (!report.damaged.empty()) tell_of(report.log, report.damaged);
    };
    observer_ = host.node().observe(std::move(observer));
  }
  DamageTeller(const DamageTeller&) = delete;
  DamageTeller& operator=(const DamageTeller&) = delete;
  ~DamageTeller() { host_.node().end_observe(observer_); }

  /// `judged`: what the sync came to.
  void end(const Outcome<void>& judged) const {
    for (const LogKey& log : whole_) {
      const bool is_said = !judged && judged.error().code == Errc::kStoreDamaged &&
                           judged.error().what == short_name(log);
      if (!is_live_ && !is_said) tell_of(log, {});
    }
  }

 private:
  void meet_whole(const LogKey& log) {
    if (whole_.insert(log).second && is_live_) tell_of(log, {});
  }
  void tell_of(const LogKey& log, const RangeSet& seqnums) const {
    const std::string text = damage_text(context_, log, seqnums);
    if (!context_.json) return tell("culm: sync: " + text);
    tell_json(Json{{"type", "warning"},
                   {"log", to_string(log)},
                   {"damaged", to_string(seqnums)},
                   {"message", text}});
  }

  const Context& context_;
  Host& host_;
  bool is_live_;
  transport::ObserverId observer_{};
  std::set<LogKey> whole_{};
};

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(node::SyncRequest request, make_request(options));
  host::SyncedLogs policy(request);
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + to_duration(options.wait_seconds);
  auto opened = Host::open(context, options.host_options, policy, MakeStore::kWhenWritten);
  while (!opened && opened.error().code == Errc::kStoreLocked) {
    const auto node = host::NodeClient::connect(context.store_directory);
    if (node && !request.live) return run_elsewhere(context, options, request, *node);
    if (node) break;  // it goes on
    if (Clock::now() >= end) {
      opened.error().step =
          "run it again when that process has ended, another sync for one; --wait TIME waits "
          "longer";
      break;
    }
    std::this_thread::sleep_for(kLockedPause);
    opened = Host::open(context, options.host_options, policy, MakeStore::kWhenWritten);
  }
  if (!opened) return fail_with(opened.error());
  Host& host = **opened;
  const bool is_missing = host.store_is() == Host::StoreIs::kMissing;
  CULM_TOOLS_CHECK(add_logs(context, options, host.store(), is_missing, request));
  CULM_TOOLS_TRY(const Besides besides, find_besides(options, request, host.store()));
  Outcome<void> served;
  const auto serve = [&] {
    if (request.live) served = host.serve_requests(false);
  };
  // While nothing is here to be written to, others can make the store themselves.
  if (!is_missing) serve();
  CULM_TOOLS_CHECK(served);
  host.when_there([&] {
    if (host.store_is() == Host::StoreIs::kMade) tell_made(context);
    serve();
  });
  DamageTeller damage(context, host, request.live);
  const OwnBranches branches(context, host, request);
  SyncTeller teller(context, request);
  const auto report = host.sync(request, [&](const auto& event) {
    policy.hear(event);
    return served.has_value() && teller.tell(event);
  });
  say_when_interrupted(what_came(request, report));
  CULM_TOOLS_CHECK(served);
  CULM_TOOLS_CHECK(teller.told());
  auto concluded = branches.judge(report);
  if (concluded) concluded = conclude(context, request, report, host.store(), besides);
  damage.end(concluded);
  return concluded;
}

void add_what(Verb& verb, Options& options) {
  verb.add_option("HOST:PORT", value_of("HOST:PORT", options.first.endpoint, parse_endpoint_option),
                  "Where the peer listens")
      .required();
  verb.add_option(
      "LOG", &options.logs,
      "Logs; those that are new here by their whole names. An author is log 0 and those\n"
      "other logs of the author that are known here; one that is new here is to be named,\n"
      "like AUTHOR.3. Otherwise all of the store. With --live those of the author, or of the\n"
      "store, that become known here meanwhile as well");
  verb.add_option("--also", &options.also,
                  "With this peer as well; may be given several times. Each brings a part; with\n"
                  "--live, --newest or --budget a log comes from one, and another may take over")
      .type_name("HOST:PORT");
  verb.add_option("--range", ranges_of(options.want.interest.ranges),
                  "Want these seqnums, such as 5-9,20,30-");
  verb.add_option("--newest", number_of(options.newest),
                  "Want the newest N entries, whatever they are; N is 1 or more");
  verb.add_flag("--entries-only", options.entries_only,
                "Want no payloads of these logs, nor of what was selected of them before; this is\n"
                "remembered");
  verb.add_flag(
      "--undelete", options.request.undelete,
      "Take payloads again that were deleted here, of what is wanted, also where no payloads\n"
      "are; what does not come stays deleted. What is wanted already is remembered as it was. Not\n"
      "with --entries-only");
  verb.add_option("--payload-max", size_of(options.want.payload_size_max),
                  "Want no payloads above this size, such as 64k or 64KiB, this time");
  verb.add_flag("--newest-first", options.newest_first, "Take the newest entries first");
  verb.add_option(
      "--budget", size_of(options.budget),
      "Stop before more than so much of each log has come, from all peers together,\n"
      "such as 10M; what is said of the log comes besides. With 64KiB or more something\n"
      "comes each time");
}

void add_how(Verb& verb, Options& options) {
  verb.add_flag("--once", options.once, "End when all has come; this is the default");
  Option& live =
      verb.add_flag("--live", options.request.live,
                    "Go on as the logs grow, until interrupted. Other verbs write to the store\n"
                    "through this process meanwhile, and signatures that nothing depended on are\n"
                    "checked in the background. At most 4,096 logs. Not with --once, --quote or\n"
                    "--budget");
  verb.add_flag("--push", options.request.push,
                "Offer the logs as well, and wait until each peer has confirmed that it holds all");
  verb.add_flag("--quote", options.request.quote_only,
                "Say what would come, and move nothing but evidence of forks. Not with --live or\n"
                "--push");
  verb.add_option("--peer", value_of("PEER", options.first.expected, parse_peer_option),
                  "At HOST:PORT talk only to the relay that printed these 64 digits");
  verb.add_option("--timeout", time_of(options.timeout_seconds),
                  "Give up when nothing new has moved for so long, such as 90, 90s or 5m")
      .excludes(live)
      .show_default();
  verb.add_option("--deadline", time_of(options.deadline_seconds),
                  "End after so long, with what has come");
  verb.add_option("--wait", time_of(options.wait_seconds),
                  "Wait so long for another process that writes to the store and is no node")
      .show_default();
  add_host_options(verb, options.host_options);
}

}  // namespace

void add_sync(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "sync",
      "Fetch logs from the peer at HOST:PORT, verify them and keep them. They come whole, or the\n"
      "parts that are wanted, with the certificate entries that prove these. Only what is missing\n"
      "moves. Ends with a table of what came, beside what all the peer holds would cost. A store\n"
      "that is missing is made when something has come for it.\n"
      "\n"
      "Before, without --push and --quote, up to 1,024 entries of each log here are read, and of\n"
      "all logs 16,384, until that is 16 MiB of payloads: first those that are named, then\n"
      "others in even distances, beginning anywhere. What is damaged of them counts as missing\n"
      "and comes again; `culm verify` reads all.\n"
      "\n"
      "What is wanted of a log is remembered, and `culm select` shows and changes it. A sync\n"
      "asks for what is remembered, and for everything of a log that is new; with --range or\n"
      "--newest for these too, and they are remembered as well, of a log that is new for these\n"
      "alone. After --entries-only payloads are wanted again once `culm select LOG --payloads`\n"
      "says so. With --also several peers bring it together, each a part; one that is slow or\n"
      "goes away is passed over, and so is one that never answers, which is named. --push goes to\n"
      "each, and is whole when each has confirmed it.\n"
      "\n"
      "Where a node runs on the store, the node does it, with its own key, network and checks,\n"
      "except with --live: leave the options out that say others.\n"
      "\n"
      "Exit status, where what is missing is named; with --live too, when --deadline, SIGTERM\n"
      "or SIGHUP ends it:\n"
      "  0  all that is wanted of what the peers know is here, as far as it was read, or all that "
      "fits into the budget, "
      "and with --push each peer confirms that it holds all that is here\n"
      "  2  nothing of what is missing fits into the budget\n"
      "  3  no peer named holds it, --range names what lies beyond the head (of what was "
      "remembered this is said, and is no failure), --payload-max left it out, or a peer does not "
      "confirm it\n"
      "  6  it should have come, no peer serves the log (where none is named, of one's own that is "
      "all here this is said, and is no failure), a peer declines it, or with --push one does not "
      "answer\n"
      "  7  an author forked the log. Where entries of one's own log were appended while no "
      "peer, or not all, could tell of more, and one holds others in their place, nothing moves\n"
      "  8  another process wrote to the store all the time that --wait says",
      "culm sync 127.0.0.1:7474 AUTHOR --newest 100\n"
      "  culm sync 127.0.0.1:7474 --also 127.0.0.1:7475\n"
      "  culm sync 127.0.0.1:7474 --push",
      options, run);
  verb.group(VerbGroup::kExchange);
  add_what(verb, *options);
  add_how(verb, *options);
}

}  // namespace culm::tools
