#include "tools/sync/own_branch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

constexpr Duration kAskAgainAfter = std::chrono::seconds(1);
constexpr Duration kForever = std::chrono::hours(24 * 365);

Failure explain_silence(const host::UnaskedLog& unasked) {
  const node::PeerReport& peer = *unasked.silent;
  Failure failure = why_lost(peer.error.value_or(Error{Errc::kPeerClosed}), peer.text);
  std::string text = "the last entries here were appended while no peer could be asked whether ";
  text += "more of the log is published, and peer " + node::to_string(peer.endpoint) +
          " does not say either: " + failure.message;
  failure.message = std::move(text);
  return std::move(failure).about(short_name(unasked.log));
}

void tell_waiting(const Context& context, const host::UnaskedLog& unasked) {
  const std::string text = explain_silence(unasked).message + "; asking again now and then";
  const std::string line =
      to_line(Json{{"type", "warning"}, {"log", to_string(unasked.log)}, {"message", text}});
  const std::string words = "culm: sync: " + short_name(unasked.log) + ": " + text;
  std::fprintf(stderr, "%s\n", (context.json ? line : words).c_str());
}

/// The marks directory, where a mark says that nobody was asked.
Outcome<std::optional<std::string>> find_unasked_marks() {
  const auto marks = store::find_marks_directory();
  if (!marks) return std::nullopt;
  CULM_TOOLS_TRY(const auto logs, about(shown(*marks), store::list_unasked_marks(*marks)));
  return logs.empty() ? std::nullopt : std::optional(*marks);
}

Failure explain(const store::Store& store, const host::UnaskedLog& unasked) {
  const OwnLog own{store, unasked.log, unasked.tail, ""};
  if (unasked.fork) return explain_shown_fork(own, *unasked.fork);
  return unasked.other ? explain_branch(own, *unasked.other) : explain_silence(unasked);
}

}  // namespace

Failure explain_shown_fork(const OwnLog& own, const host::ShownFork& fork) {
  const std::string name = short_name(own.log);
  const std::string append = append_command(own.key, {own.log.author, LogId{0}}) + " --log-id N";
  std::string text = "the peer at " + node::to_string(fork.endpoint);
  text += " shows that this log is forked at seqnum " + std::to_string(fork.at);
  text += ": nothing from there on is valid, and ";
  if (own.tail < fork.at) {
    Failure failure(Exit::kFork, Errc::kLogCapped, text + "what is appended would be dropped");
    failure.fields = {{"log", to_string(own.log)}, {"seqnum", fork.at}};
    return std::move(failure).about(name).next("begin another log: `" + append + "`");
  }
  const std::string range = to_string(RangeSet{{fork.at, own.tail}});
  text += "to sync it would drop entries " + range + " here";
  Failure failure(Exit::kFork, Errc::kLogCapped, std::move(text));
  failure.fields = {{"log", to_string(own.log)}, {"seqnum", fork.at}, {"seqnums", range}};
  const auto words = carry_words(look_at_payloads(own.store, own.log, {fork.at, own.tail}),
                                 "culm cat " + name, append);
  std::string step = "keep these " + words.how + ": " + words.keep + "; let the log go: ";
  step += "`culm forget " + name + " --own`; append them to another log: " + words.append;
  return std::move(failure).about(name).next(step);
}

Failure explain_branch(const OwnLog& own, const host::OtherBranch& other) {
  const SeqNum first = other.common.seqnum + 1;
  const std::string range = to_string(RangeSet{{first, own.tail}});
  const std::string at = std::to_string(other.at);
  const std::string peer = node::to_string(other.endpoint);
  const bool are_all = other.is_exact() || other.at > own.tail;
  std::string text = are_all ? "entries " : "of entries ";
  text += range + (are_all ? "" : " some");
  text += " were appended here while no peer could be asked, and the peer at " + peer + " holds ";
  text += other.at > own.tail ? "others, up to seqnum " + at : "another entry " + at;
  text += "; to sync them would fork the log, and its entries from seqnum " +
          std::to_string(first) + " on would be dropped everywhere, here too";
  Failure failure(Exit::kFork, Errc::kAuthorMarkFork, std::move(text));
  failure.fields = {{"log", to_string(own.log)}, {"seqnum", other.at}, {"seqnums", range}};
  const std::string name = short_name(own.log);
  const auto words = carry_words(look_at_payloads(own.store, own.log, {first, own.tail}),
                                 "culm cat " + name, append_command(own.key, own.log));
  std::string step = "keep yours: `culm export " + name + " --jsonl -o branch.jsonl`, and ";
  step += words.how + " " + words.keep + "; take the others: `culm forget " + name;
  step += " --own`, `culm sync " + peer + " " + to_string(own.log);
  step += "`; append yours behind them: " + words.append;
  return std::move(failure).about(name).next(step);
}

Outcome<void> bind_confirmed(const Context& context, const store::Store& store,
                             const node::SyncReport& report) {
  const auto has_pushed = [](const node::LogReport& log) { return log.is_pushed; };
  if (std::ranges::none_of(report.logs, has_pushed)) return {};
  CULM_TOOLS_TRY(const auto marks, find_unasked_marks());
  if (!marks) return {};
  return about(*marks, host::bind_confirmed({store, context.store_directory, *marks}, report));
}

Outcome<void> check_unasked(
    const Context& context, const HostOptions& options,
    const std::function<Outcome<node::SyncRequest>(const store::Store&)>& make_request) {
  CULM_TOOLS_TRY(const auto marks, find_unasked_marks());
  if (!marks) return {};
  // What is wrong with the store or the request is said by who goes on.
  const auto store = open_for_reading(context);
  if (!store) return {};
  const auto request = make_request(**store);
  if (!request) return {};
  const host::OwnLogs own{**store,
                          context.store_directory,
                          *marks,
                          {.network = options.network,
                           .network_key_file = options.network_key_file,
                           .peer_key_file = options.peer_key_file}};
  const auto end = std::chrono::steady_clock::now() + request->whole_max.value_or(kForever);
  for (bool is_told = false;; is_told = true) {
    CULM_TOOLS_TRY(const auto unasked, host::find_unasked(own, *request));
    if (!unasked) return {};
    if (!unasked->silent || !request->live || std::chrono::steady_clock::now() >= end) {
      // A node may reach peers of a network that is not known here. Of a log that most likely began
      // here it is said why the peer is silent as of any other.
      const bool may_know = unasked->silent && (unasked->is_first_sync ||
                                                host::NodeClient::connect(context.store_directory));
      return may_know ? Outcome<void>() : fail_with(explain(**store, *unasked));
    }
    if (!is_told) tell_waiting(context, *unasked);
    std::this_thread::sleep_for(kAskAgainAfter);
  }
}

}  // namespace culm::tools
