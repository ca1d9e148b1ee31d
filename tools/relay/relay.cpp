#include "tools/relay/relay.hpp"

#include <chrono>
#include <cstring>
#include <map>
#include <utility>

#include <unistd.h>

#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/version.hpp"
#include "tools/relay/host.hpp"
#include "tools/relay/journal.hpp"
#include "tools/sync/own_branch.hpp"

namespace culm::tools {
namespace {

std::string_view signal_name(int number) { return number == SIGINT ? "SIGINT" : "SIGTERM"; }

/// Says where it listens to who has started it, and waits for that on stdout.
Outcome<void> tell_ready(Context& context, const std::string& peer, const node::Endpoint& bound) {
  const std::string address = node::to_string(bound);
  if (context.json) {
    CULM_TOOLS_CHECK(context.out.write_json(Json{{"type", "relay"},
                                                 {"peer", peer},
                                                 {"address", address},
                                                 {"port", bound.port},
                                                 {"pid", ::getpid()}}));
  } else {
    CULM_TOOLS_CHECK(context.out.say("relay " + peer + " listens at " + address + "\n"));
  }
  return context.out.flush();
}

void tell_started(const Log& log, const Context& context, const std::string& peer,
                  const std::string& address) {
  const long pid = ::getpid();
  log.write(Level::kInfo, "started",
            "culm " + std::string(kVersion) + " serves " + named(context) + " at " + address +
                " (pid " + std::to_string(pid) +
                "); what moves is counted each minute, and told at once with --log-level debug",
            {{"peer", peer},
             {"address", address},
             {"store", context.store_directory},
             {"version", kVersion},
             {"pid", pid}});
}

/// Where the store was there before, others may have known this relay as another peer.
void tell_new_key(const Log& log, const Host& host) {
  const auto file = host.new_key();
  if (!file || host.store_is() == Host::StoreIs::kMade) return;
  log.write(Level::kInfo, "peer_key_made",
            "made the peer key " + shown(*file) +
                ": peers know this relay by it; one that was a peer before has its own key back "
                "when the file is restored",
            {{"file", *file}});
}

/// Of each log once, until it is exchanged or the reason is another.
host::OwnLogGuard::Found tell_withheld(Host& host, const Log& log) {
  return [&host, &log,
          told = std::map<LogKey, std::string>()](const host::OwnLogGuard::Outcome& found) mutable {
    if (!found || !*found) return;
    const Failure why = explain_unasked(host.store(), **found);
    const LogKey& key = (*found)->log;
    if (std::exchange(told[key], why.message) == why.message) return;
    log.write(Level::kWarning, "withheld",
              "log " + to_string(key) + ": not served before a peer was asked: " + why.message +
                  (why.step.empty() ? "" : "; next: " + why.step),
              {{"log", to_string(key)}});
  };
}

/// Of a store whose files were taken away; what it still served goes with the process.
Outcome<void> unless_gone(Host& host, const Context& context) {
  const auto written = host.store().update([](store::WriteTransaction&) { return Result<void>(); });
  if (written || written.error().code != Errc::kStoreNotFound) return {};
  return fail_with(Failure(Exit::kStore, Errc::kStoreNotFound,
                           "its files were taken away while the relay ran on it")
                       .about(named(context))
                       .next("put them back, from a backup where there is one, before a relay "
                             "makes a new store there"));
}

/// Works until a signal ends it.
void serve(Host& host, NodeJournal& journal, const Log& log) {
  host.run(
      [&](int number) {
        log.write(Level::kInfo, "stopping", std::string(signal_name(number)) + ": stops",
                  {{"signal", signal_name(number)}});
        host.stop();
        journal.close();
      },
      [&] {
        log.write(Level::kInfo, "hangup",
                  "SIGHUP: goes on; there is no file to read again, settings are those of the "
                  "command line");
        journal.summarize();
      });
}

}  // namespace

Outcome<void> run_relay(Context& context, const RelayOptions& options) {
  CULM_TOOLS_TRY(auto policy, RelayPolicy::make(options.accept, options.accept_any));
  CULM_TOOLS_TRY(const auto endpoint, parse_endpoint_option("--listen", options.listen));
  HostOptions host_options = options.host_options;
  CULM_TOOLS_TRY(host_options.admission, parse_admission(options.admission));
  const auto not_listening = [&](const Error& error) {
    Failure failure(error);
    // Nothing of the network has failed.
    if (error.code == Errc::kNetwork && error.detail_kind == ErrorDetail::kSystem) {
      failure.message =
          "cannot listen there: " + std::string(std::strerror(static_cast<int>(error.detail)));
    }
    return fail_with(std::move(failure).about("--listen " + options.listen));
  };
  // Looked at before the store is made; that a node runs on the store says more.
  const auto can_listen = transport::can_listen(endpoint);
  const bool is_busy = store::lock_holder(context.store_directory).has_value();
  if (!can_listen && !is_busy) return not_listening(can_listen.error());
  CULM_TOOLS_TRY(const auto host, Host::open(context, host_options, policy, MakeStore::kNow));
  const auto bound = host->node().listen(endpoint);
  if (!bound) return not_listening(bound.error());
  CULM_TOOLS_CHECK(host->serve_requests(true));
  const auto began = std::chrono::steady_clock::now();
  const std::string peer = to_hex(host->peer().bytes);
  const Log log(options.log);
  end_with_log_line(context, options.log.json || context.json);
  if (host->store_is() == Host::StoreIs::kMade) {
    log.write(Level::kInfo, "store_made", "made " + named(context),
              {{"store", context.store_directory}});
  }
  {
    NodeJournal journal(host->io(), host->node(), log, context);
    host->node().observe(journal.observer());
    CULM_TOOLS_CHECK(tell_ready(context, peer, *bound));
    tell_started(log, context, peer, node::to_string(*bound));
    tell_new_key(log, *host);
    host->when_unasked(tell_withheld(*host, log));
    host->search_for_damage();
    say_when_interrupted("the relay has stopped");
    serve(*host, journal, log);
  }
  const std::chrono::duration<double> ran = std::chrono::steady_clock::now() - began;
  log.write(Level::kInfo, "stopped", "stopped after " + human_duration(ran.count()),
            {{"seconds", ran.count()}});
  return unless_gone(*host, context);
}

}  // namespace culm::tools
