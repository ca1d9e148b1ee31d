#include "tools/relay/relay.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <tuple>
#include <utility>

#include <unistd.h>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

constexpr auto kReceivedInterval = std::chrono::seconds(1);
constexpr auto kStrangersInterval = std::chrono::minutes(1);
constexpr auto kSentAwayInterval = std::chrono::minutes(1);
constexpr auto kLeftOutInterval = std::chrono::seconds(1);

void print(const std::string& text) {
  std::array<char, 32> clock{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::strftime(clock.data(), clock.size(), "%H:%M:%S", localtime_r(&now, &parts));
  std::fprintf(stderr, "%s %s\n", clock.data(), text.c_str());
}

std::string_view reason(replication::DenyReason reason) {
  switch (reason) {
    case replication::DenyReason::kNotServed:
      return "not served";
    case replication::DenyReason::kNotWanted:
      return "not wanted";
    case replication::DenyReason::kUnanchored:
      return "cannot be anchored";
    case replication::DenyReason::kCapped:
      return "forked";
    case replication::DenyReason::kBusy:
      return "busy";
  }
  return "?";
}

}  // namespace

NodeJournal::NodeJournal(asio::io_context& io, const transport::Node& node, std::string store)
    : node_(node), store_(std::move(store)), second_(io), minute_(io), left_out_(io) {}

transport::NodeObserver NodeJournal::observer() {
  transport::NodeObserver observer;
  observer.session = [this](const auto& session, const auto& event) { on_session(session, event); };
  observer.committed = [this](const auto& report) { on_committed(report); };
  return observer;
}

NodeJournal::~NodeJournal() {
  write_received();
  write_sent_away();
  write_left_out();
}

void NodeJournal::close() {
  closed_ = true;
  second_.cancel();
  minute_.cancel();
  left_out_.cancel();
}

void NodeJournal::write(const std::string& text, std::uint64_t session) {
  if (limit_.take(session, std::chrono::steady_clock::now())) return print(text);
  if (closed_ || std::exchange(is_left_out_under_way_, true)) return;
  left_out_.expires_after(kLeftOutInterval);
  left_out_.async_wait([this](const ErrorCode& code) {
    if (code) return;
    is_left_out_under_way_ = false;
    write_left_out();
  });
}

void NodeJournal::write_left_out() {
  const std::uint64_t lines = limit_.take_left_out();
  if (lines != 0) print(human_count(lines) + " further lines left out");
}

void NodeJournal::on_session(const node::SessionRef& session, const replication::Event& event) {
  if (const auto* established = std::get_if<replication::Established>(&event)) {
    return write("peer " + short_name(established->peer) + " connected from " +
                     node::to_string(session.remote) + " (" +
                     preview(as_bytes(established->agent), 40) + ")",
                 session.id);
  }
  if (const auto* ended = std::get_if<replication::Ended>(&event)) return on_ended(session, *ended);
  if (const auto* damaged = std::get_if<replication::Damaged>(&event)) {
    return on_damaged(damaged->log, {{damaged->seqnum, damaged->seqnum}});
  }
  if (!session.peer) return;
  const std::string peer = "peer " + short_name(*session.peer);
  if (const auto* accepted = std::get_if<replication::OfferAccepted>(&event)) {
    return write(peer + " offers log " + short_name(accepted->log) + ": taken", session.id);
  }
  if (const auto* declined = std::get_if<replication::OfferDeclined>(&event)) {
    return write(
        peer + " offers log " + to_string(declined->log) + ": not on the accept list, not taken",
        session.id);
  }
  if (const auto* denied = std::get_if<replication::Denied>(&event)) {
    write(peer + " denies log " + short_name(denied->log) + ": " +
              std::string(reason(denied->reason)),
          session.id);
  }
}

void NodeJournal::on_damaged(const LogKey& log, const RangeSet& seqnums) {
  write(damage_text(store_, log, seqnums));
}

void NodeJournal::on_ended(const node::SessionRef& session, const replication::Ended& ended) {
  const bool is_sent_away = ended.error && ended.error->code == Errc::kBusy;
  if (is_sent_away && session.dial == 0) return on_sent_away();
  std::string why = ended.error ? std::string(message(*ended.error)) : "done";
  if (!ended.text.empty()) why += " (\"" + preview(as_bytes(ended.text), 100) + "\")";
  if (session.peer) {
    return write("peer " + short_name(*session.peer) + " disconnected: " + why + "; took " +
                     human_entries(ended.stats.entries_sent) + ", brought " +
                     human_count(ended.stats.entries_received) + " (" +
                     human_size(ended.stats.bytes_sent) + " out, " +
                     human_size(ended.stats.bytes_received) + " in)",
                 session.id);
  }
  if (session.dial != 0) return;  // who asked for the dial tells of it
  ++strangers_;
  const auto now = std::chrono::steady_clock::now();
  if (now < strangers_next_) return;
  strangers_next_ = now + kStrangersInterval;
  write("connection from " + node::to_string(session.remote) + " came to nothing: " + why +
        (strangers_ > 1 ? "; " + human_count(strangers_) + " such since the last report" : ""));
  strangers_ = 0;
}

void NodeJournal::on_sent_away() {
  if (closed_ || std::exchange(is_minute_under_way_, true)) return;
  write_sent_away();
  minute_.expires_after(kSentAwayInterval);
  minute_.async_wait([this](const ErrorCode& code) {
    if (code) return;
    is_minute_under_way_ = false;
    const node::NodeStats now = node_.stats();
    if (std::tie(now.displaced, now.refused, now.evicted) !=
        std::tie(told_.displaced, told_.refused, told_.evicted)) {
      on_sent_away();
    }
  });
}

void NodeJournal::write_sent_away() {
  constexpr const char* kSessionLimits = "--sessions, --sessions-per-address";
  const node::NodeStats now = node_.stats();
  const auto tell = [&](std::uint64_t node::NodeStats::*count, const char* what,
                        const char* option) {
    const std::uint64_t more = now.*count - told_.*count;
    if (more == 0) return;
    write(std::string(what) + " since the last report: " + human_count(more) + " (" + option + ")");
  };
  tell(&node::NodeStats::displaced, "connections closed during the handshake for newer ones",
       "--handshakes, --handshakes-per-address");
  tell(&node::NodeStats::refused, "peers refused as busy", kSessionLimits);
  tell(&node::NodeStats::evicted, "idle peers that made room for newer ones", kSessionLimits);
  told_ = now;
}

void NodeJournal::on_committed(const replication::WorkReport& report) {
  const std::string log = "log " + short_name(report.log);
  if (!report.damaged.empty()) on_damaged(report.log, report.damaged);
  if (!report.outcome) {
    return write(log + ": not taken: " + message(report.outcome.error()), report.id.session);
  }
  if (report.outcome->defect) {
    write(log + ": " + std::string(name(report.outcome->defect->kind)) + " at " +
              std::to_string(report.outcome->defect->at) + ", entries from there on are not valid",
          report.id.session);
  }
  if (report.outcome->added.empty()) return;
  const bool is_waiting = !received_.empty();
  Received& received = received_[report.log];
  received.entries += report.outcome->added.count();
  received.highest = std::max(received.highest, report.outcome->added.max());
  if (is_waiting || closed_) return;
  second_.expires_after(kReceivedInterval);
  second_.async_wait([this](const ErrorCode& code) {
    if (!code) write_received();
  });
}

void NodeJournal::write_received() {
  constexpr std::size_t kLogsTold = LineLimit::kAtOnce / 2;
  std::size_t others = 0;
  std::uint64_t entries = 0;
  const auto all = std::exchange(received_, {});
  for (auto log = all.begin(); log != all.end(); ++log) {
    const auto& [key, received] = *log;
    if (std::cmp_less(std::distance(all.begin(), log), kLogsTold)) {
      write("log " + short_name(key) + ": " + human_entries(received.entries) +
            " received, up to " + std::to_string(received.highest));
    } else {
      ++others;
      entries += received.entries;
    }
  }
  if (others == 0) return;
  write(human_count(others) + " other logs: " + human_entries(entries) + " received");
}

Outcome<void> run_relay(Context& context, const RelayOptions& options) {
  CULM_TOOLS_TRY(auto policy, RelayPolicy::make(options.accept, options.accept_any));
  CULM_TOOLS_TRY(const auto endpoint, parse_endpoint_option("--listen", options.listen));
  HostOptions host_options = options.host_options;
  CULM_TOOLS_TRY(host_options.admission, parse_admission(options.admission));
  CULM_TOOLS_TRY(const auto host, Host::open(context, host_options, policy));
  const auto bound = host->node().listen(endpoint);
  if (!bound) return fail_with(Failure(bound.error()).about("--listen " + options.listen));
  CULM_TOOLS_CHECK(host->serve_requests(true));

  const std::string address = node::to_string(*bound);
  const std::string peer = to_hex(host->peer().bytes);
  if (context.json) {
    CULM_TOOLS_CHECK(context.out.write_json(
        Json{{"peer", peer}, {"address", address}, {"port", bound->port}, {"pid", ::getpid()}}));
  } else {
    CULM_TOOLS_CHECK(context.out.write("relay " + peer + " listens at " + address + "\n"));
  }
  CULM_TOOLS_CHECK(context.out.flush());

  say_when_interrupted("the relay has stopped");
  NodeJournal journal(host->io(), host->node(), named(context));
  host->node().observe(journal.observer());
  host->run([&] {
    host->stop();
    journal.close();
  });
  return {};
}

}  // namespace culm::tools
