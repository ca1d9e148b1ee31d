#include "tools/relay/journal.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/relay/host.hpp"

namespace culm::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kReceivedInterval = std::chrono::seconds(1);
constexpr auto kSummaryInterval = std::chrono::minutes(1);
constexpr auto kLeftOutInterval = std::chrono::seconds(1);
/// So that a summary stays a line that can be read.
constexpr std::size_t kDeclinedToldMax = 8;

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
    case replication::DenyReason::kDamaged:
      return "damaged";
  }
  return "?";
}

std::string failing_text(const Context& context, const Error& error) {
  const bool is_full = error.code == Errc::kStoreFull;
  const bool is_elsewhere = error.code == Errc::kStoreNotFound;
  if (is_elsewhere && store::file_size_bytes(context.store_directory)) {
    return named(context) +
           ": another store is in the place of the one that this process runs on, which writes to "
           "neither; next: end this process, and start it again on the one that is meant";
  }
  const char* const gone =
      is_elsewhere ? "its files are gone, so nothing more is taken, and what is still open serves "
                     "readers until this process ends: "
                   : "";
  return named(context) + ": " + gone + message(error) + "; next: " +
         (is_full ? Failure(error).step
                  : "look whether it and its disk are there, then end this process, and start it "
                    "again");
}

/// A number of a summary: "connections", 12, "12 connections".
class Summary {
 public:
  /// Counted for programs; for people only where there was one.
  void add(const char* key, std::uint64_t count, const char* one, const char* many) {
    fields_[key] = count;
    if (count == 0) return;
    is_any_ = true;
    text_ += (text_.empty() ? "" : ", ") + human_count(count) + " " + (count == 1 ? one : many);
  }
  void add_bytes(const char* key, std::uint64_t bytes, const char* which) {
    fields_[key] = bytes;
    if (bytes != 0) text_ += ", " + human_size(bytes) + " " + which;
  }
  /// Which of those that were counted last these are.
  void add_logs(const char* key, const std::set<LogKey>& logs, std::uint64_t count) {
    fields_[key] = Json::array();
    std::string names;
    for (const LogKey& log : logs) {
      fields_[key].push_back(to_string(log));
      names += (names.empty() ? " (" : ", ") + to_string(log);
    }
    if (names.empty()) return;
    text_ += names + (count > logs.size() && logs.size() == kDeclinedToldMax ? ", ..)" : ")");
  }
  void add_field(const char* key, Json value) { fields_[key] = std::move(value); }

  [[nodiscard]] bool is_any() const { return is_any_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const Json& fields() const { return fields_; }

 private:
  std::string text_;
  Json fields_ = Json::object();
  bool is_any_ = false;
};

}  // namespace

NodeJournal::NodeJournal(asio::io_context& io, const transport::Node& node, const Log& log,
                         const Context& context)
    : node_(node),
      log_(log),
      context_(context),
      second_(io),
      minute_(io),
      left_out_(io),
      told_at_(Clock::now()) {
  wait_minute();
}

transport::NodeObserver NodeJournal::observer() {
  transport::NodeObserver observer;
  observer.session = [this](const auto& session, const auto& event) { on_session(session, event); };
  observer.committed = [this](const auto& report) { on_committed(report); };
  return observer;
}

NodeJournal::~NodeJournal() {
  write_received();
  write_left_out();
  summarize();
}

void NodeJournal::close() {
  closed_ = true;
  second_.cancel();
  minute_.cancel();
  left_out_.cancel();
}

void NodeJournal::wait_minute() {
  minute_.expires_after(kSummaryInterval);
  minute_.async_wait([this](const ErrorCode& code) {
    if (code || closed_) return;
    summarize();
    wait_minute();
  });
}

void NodeJournal::summarize() {
  const node::NodeStats now = node_.stats();
  const std::chrono::duration<double> took = Clock::now() - told_at_;
  const std::uint64_t open = node_.sessions().size();
  Summary summary;
  const auto add = [&](const char* key, std::uint64_t node::NodeStats::*count, const char* one,
                       const char* many) {
    summary.add(key, now.*count - told_.*count, one, many);
  };
  add("connections", &node::NodeStats::accepted, "connection", "connections");
  add("refused", &node::NodeStats::refused, "refused as busy", "refused as busy");
  add("evicted", &node::NodeStats::evicted, "idle one made room", "idle ones made room");
  add("displaced", &node::NodeStats::displaced, "displaced in the handshake",
      "displaced in the handshake");
  summary.add("came_to_nothing", counts_.came_to_nothing, "came to nothing", "came to nothing");
  summary.add("offers_taken", counts_.offers_taken, "offer taken", "offers taken");
  summary.add("offers_declined", counts_.offers_declined, "offer declined", "offers declined");
  summary.add_logs("declined", counts_.declined, counts_.offers_declined);
  summary.add("not_taken", counts_.not_taken, "more unit not taken", "more units not taken");
  const replication::SessionStats& all = now.sessions;
  const replication::SessionStats& before = told_.sessions;
  summary.add("entries_received", all.entries_received - before.entries_received, "entry in",
              "entries in");
  summary.add("entries_sent", all.entries_sent - before.entries_sent, "entry out", "entries out");
  if (!summary.is_any()) return;  // what is left is pings
  summary.add_bytes("bytes_received", all.bytes_received - before.bytes_received, "in");
  summary.add_bytes("bytes_sent", all.bytes_sent - before.bytes_sent, "out");
  summary.add_field("seconds", took.count());
  summary.add_field("sessions", open);
  counts_ = {};
  told_ = now;
  told_at_ = Clock::now();
  log_.write(Level::kInfo, "summary",
             "in " + human_duration(took.count()) + ": " + summary.text() + "; " +
                 human_count(open) + (open == 1 ? " session now" : " sessions now"),
             summary.fields());
}

void NodeJournal::write(Level level, std::string_view type, const std::string& text, Json fields,
                        std::uint64_t session) {
  if (!log_.takes(level)) return;
  if (limit_.take(session, Clock::now())) return log_.write(level, type, text, fields);
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
  if (lines == 0) return;
  log_.write(Level::kWarning, "left_out", human_count(lines) + " further lines left out",
             Json{{"lines", lines}});
}

void NodeJournal::on_session(const node::SessionRef& session, const replication::Event& event) {
  if (const auto* ended = std::get_if<replication::Ended>(&event)) return on_ended(session, *ended);
  if (const auto* damaged = std::get_if<replication::Damaged>(&event)) {
    if (damaged->seqnum == 0) return on_damaged(damaged->log, {});
    return on_damaged(damaged->log, {{damaged->seqnum, damaged->seqnum}});
  }
  const auto* const accepted = std::get_if<replication::OfferAccepted>(&event);
  const auto* const declined = std::get_if<replication::OfferDeclined>(&event);
  if (accepted != nullptr) ++counts_.offers_taken;
  if (declined != nullptr) {
    ++counts_.offers_declined;
    if (counts_.declined.size() < kDeclinedToldMax) counts_.declined.insert(declined->log);
  }
  if (!log_.takes(Level::kDebug) || !session.peer) return;
  const std::string peer = "peer " + short_name(*session.peer);
  const auto tell = [&](const char* type, const std::string& text, Json fields) {
    fields["peer"] = to_hex(session.peer->bytes);
    write(Level::kDebug, type, peer + " " + text, std::move(fields), session.id);
  };
  if (const auto* established = std::get_if<replication::Established>(&event)) {
    const std::string from = node::to_string(session.remote);
    const std::string agent = said_by_peer(established->agent, 40);
    tell("connected", "connected from " + from + " (" + agent + ")",
         {{"address", from}, {"agent", agent}});
  } else if (accepted != nullptr) {
    tell("offer_taken", "offers log " + short_name(accepted->log) + ": taken",
         {{"log", to_string(accepted->log)}});
  } else if (declined != nullptr) {
    const std::string log = to_string(declined->log);
    tell("offer_declined", "offers log " + log + ": not on the accept list, not taken",
         {{"log", log}});
  } else if (const auto* denied = std::get_if<replication::Denied>(&event)) {
    const std::string why(reason(denied->reason));
    tell("denied", "denies log " + short_name(denied->log) + ": " + why,
         {{"log", to_string(denied->log)}, {"reason", why}});
  }
}

void NodeJournal::on_damaged(const LogKey& log, const RangeSet& seqnums) {
  write(Level::kError, "damaged", damage_text(context_, log, seqnums),
        {{"log", to_string(log)}, {"damaged", to_string(seqnums)}});
}

bool NodeJournal::is_news(const Error& error) {
  return ends(error.code) != Scope::kStore || std::exchange(failing_, error.code) != error.code;
}

void NodeJournal::on_ended(const node::SessionRef& session, const replication::Ended& ended) {
  const bool is_stranger = !session.peer && session.dial == 0;
  const bool is_sent_away = ended.error && ended.error->code == Errc::kBusy;
  if (is_stranger && !is_sent_away) ++counts_.came_to_nothing;
  if (ended.error && ends(ended.error->code) == Scope::kStore && is_news(*ended.error)) {
    write(Level::kError, "store_fails", failing_text(context_, *ended.error),
          {{"error", name(ended.error->code)}}, session.id);
  }
  if (!log_.takes(Level::kDebug) || (!session.peer && !is_stranger)) return;
  std::string why = ended.error ? std::string(message(*ended.error)) : "done";
  if (!ended.text.empty()) why += " (\"" + said_by_peer(ended.text, 100) + "\")";
  const std::string from = node::to_string(session.remote);
  Json fields = {{"address", from},
                 {"entries_sent", ended.stats.entries_sent},
                 {"entries_received", ended.stats.entries_received},
                 {"bytes_sent", ended.stats.bytes_sent},
                 {"bytes_received", ended.stats.bytes_received}};
  if (ended.error) fields["error"] = name(ended.error->code);
  if (is_stranger) {
    return write(Level::kDebug, "came_to_nothing",
                 "connection from " + from + " came to nothing: " + why, std::move(fields));
  }
  fields["peer"] = to_hex(session.peer->bytes);
  write(Level::kDebug, "disconnected",
        "peer " + short_name(*session.peer) + " disconnected: " + why + "; took " +
            human_entries(ended.stats.entries_sent) + ", brought " +
            human_count(ended.stats.entries_received) + " (" + human_size(ended.stats.bytes_sent) +
            " out, " + human_size(ended.stats.bytes_received) + " in)",
        std::move(fields), session.id);
}

void NodeJournal::on_committed(const replication::WorkReport& report) {
  const std::string log = "log " + short_name(report.log);
  const auto of_log = [&] { return Json{{"log", to_string(report.log)}}; };
  if (!report.damaged.empty()) on_damaged(report.log, report.damaged);
  if (!report.outcome) {
    const Error& error = report.outcome.error();
    const bool is_own = fault(error.code) == Fault::kOwnStore;
    // Of damage the session tells, with what to do.
    if (!is_news(error) || error.code == Errc::kStoreDamaged) {
      ++counts_.not_taken;
      return;
    }
    Json fields = of_log();
    fields["error"] = name(error.code);
    const bool is_of_store = ends(error.code) == Scope::kStore;
    return write(
        is_own ? Level::kError : Level::kWarning, "not_taken",
        log + ": not taken: " + (is_of_store ? failing_text(context_, error) : message(error)),
        std::move(fields), report.id.session);
  }
  if (!report.outcome->added.empty()) failing_.reset();
  if (report.outcome->defect) {
    const auto& defect = *report.outcome->defect;
    Json fields = of_log();
    fields["at"] = defect.at;
    write(Level::kWarning, "defect",
          log + ": " + std::string(name(defect.kind)) + " at " + std::to_string(defect.at) +
              ", entries from there on are not valid",
          std::move(fields), report.id.session);
  }
  if (report.outcome->added.empty() || !log_.takes(Level::kDebug)) return;
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
      write(Level::kDebug, "received",
            "log " + short_name(key) + ": " + human_entries(received.entries) +
                " received, up to " + std::to_string(received.highest),
            {{"log", to_string(key)}, {"entries", received.entries}, {"up_to", received.highest}});
    } else {
      ++others;
      entries += received.entries;
    }
  }
  if (others == 0) return;
  write(Level::kDebug, "received",
        human_count(others) + " other logs: " + human_entries(entries) + " received",
        {{"logs", others}, {"entries", entries}});
}

}  // namespace culm::tools
