#include "tools/cli/gate.hpp"

#include <algorithm>
#include <utility>

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/command_line.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/sync/own_branch.hpp"

namespace culm::tools {
namespace {

constexpr std::string_view kOfNetwork = "--network NETWORK";
constexpr std::string_view kOfNone = " (where that peer is of none, both without --network)";

/// What asks a peer of another network, where that may be why it did not answer; else "".
std::string_view option_of_network(const node::PeerReport& peer) {
  if (!peer.error) return "";
  switch (peer.error->code) {
    case Errc::kPeerNetwork:
      return kOfNetwork;
    case Errc::kPeerHungUp:
    case Errc::kPeerRefused:
      return "--network-key FILE";
    default:
      return "";
  }
}

/// The first that only who is of its network can ask, or else the first that could not be asked.
const node::PeerReport* find_silent(const host::KnownHead& known) {
  if (known.silent.empty()) return nullptr;
  const auto closed = std::ranges::find_if(
      known.silent, [](const auto& peer) { return !option_of_network(peer).empty(); });
  return closed == known.silent.end() ? &known.silent.front() : &*closed;
}

/// Who says more than it shows; "" where nobody does.
std::string who_claims(const host::KnownHead& known) {
  std::string text;
  for (const host::KnownHead::Claim& claim : known.unproven) {
    if (!text.empty()) text += "; ";
    text += node::to_string(claim.endpoint) + " says that it holds the log up to seqnum " +
            std::to_string(claim.head) + ", and does not show that entry";
  }
  return text;
}

/// Who could not say whether there is more of the log; "" where all have.
std::string who_is_silent(const host::KnownHead& known, SeqNum tail) {
  const std::string asked = human_count(known.asked) + (known.asked == 1 ? " peer" : " peers") +
                            " that this store has synced with";
  if (known.asked == 0) return "this store has not synced with a peer that could be asked";
  std::string why;
  const node::PeerReport* const silent = find_silent(known);
  if (silent != nullptr && !option_of_network(*silent).empty()) {
    why = "; " + node::to_string(silent->endpoint) + ": ";
    why += why_lost(*silent->error, silent->text).message;
  }
  std::string_view between =
      why.empty() ? ": another one answers now at " : "; another one answers now at ";
  for (const node::Endpoint& endpoint : known.replaced) {
    why.append(std::exchange(between, ", ")).append(node::to_string(endpoint));
  }
  if (known.answered == 0) return "of " + asked + " none could be asked" + why;
  if (!known.is_of_use(tail)) {
    return "of " + asked + " none that could be asked " +
           (known.is_denied ? "says whether it holds any" : "holds any") + why;
  }
  if (known.answered == known.asked) return "";
  return "of " + asked + " only " + human_count(known.answered) + " could be asked" + why;
}

/// Then none knows the log, or they deny it, and to ask them again tells no more.
bool have_all_answered(const host::KnownHead& known) {
  return known.asked != 0 && known.answered == known.asked;
}

std::string push_it(const LogKey& log) {
  return "push it to a relay that takes it: `culm sync HOST:PORT " + name_of_one(log) + " --push`";
}

/// What to do where somebody could not be asked, does not tell, or did not show what it claims.
std::string step_of(const host::KnownHead& known, const LogKey& log, SeqNum tail,
                    const ReplicaOptions& options) {
  constexpr const char* kRefuses = "; --gate required refuses instead";
  if (have_all_answered(known)) {
    return push_it(log) + "; where nothing else appends to the log, it may stay so" + kRefuses;
  }
  std::string peer;
  if (!known.unproven.empty()) peer = node::to_string(known.unproven.front().endpoint);
  std::string_view option;
  const node::PeerReport* const silent = find_silent(known);
  if (silent != nullptr) {
    peer = node::to_string(silent->endpoint);
    option = option_of_network(*silent);
  }
  if (peer.empty() && !known.replaced.empty()) {
    return "before you append more, " + way_on(known.replaced.front(), log) + kRefuses;
  }
  std::string step = "before you append more, `culm sync ";
  step.append(peer.empty() ? "HOST:PORT" : peer).append(" ");
  step += tail == 0 ? whole_name_of_one(log) : name_of_one(log);
  if (!option.empty()) step.append(" ").append(option);
  step += "` says whether that peer holds more";
  if (!option.empty()) step += ", and append asks it with the same option";
  if (option == kOfNetwork && !options.network.empty()) step += kOfNone;
  if (!peer.empty()) step += "; `culm peers --forget " + peer + "` asks it no more";
  std::string_view between = "; the same goes for ";
  for (const node::PeerReport& other : known.silent) {
    if (&other == silent) continue;
    step.append(std::exchange(between, ", ")).append(node::to_string(other.endpoint));
  }
  return step + kRefuses;
}

/// What to do where peers could not be asked: all of them are named.
std::string step_of_silent(const host::KnownHead& known) {
  std::string peers;
  for (const node::PeerReport& peer : known.silent) {
    peers.append(peers.empty() ? "" : ", ").append(node::to_string(peer.endpoint));
  }
  const std::string first = node::to_string(find_silent(known)->endpoint);
  return "append again when " + peers + (known.silent.size() == 1 ? " answers" : " answer") +
         ", or, where " + first + " is gone for good, `culm peers --forget " + first + "`";
}

/// Nobody, or not all who could know, said where the log ends.
void explain_unknown_head(Failure& failure, const Context& context, const LogKey& log,
                          const Gate& gate) {
  if (gate.is_first) {
    failure.message =
        "nothing of the log is here, and no known peer could be asked whether it began elsewhere";
    failure.step =
        "where this key was never used for this log elsewhere, append its first entry with "
        "--gate ask, and push it (`culm sync HOST:PORT --push`); else take the log back from a "
        "peer before (`culm sync HOST:PORT LOG`)";
  }
  if (!gate.known) return;
  const host::KnownHead& known = *gate.known;
  if (known.is_of_use(gate.tail)) {
    failure.message = "not all peers that could know of more could be asked";
  }
  if (have_all_answered(known)) {
    failure.message = "no known peer could tell of more of the log";
    failure.step = push_it(log) + ", or let appending go on without one (--gate ask)";
  }
  const std::string claims = who_claims(known);
  failure.message += ": " + (claims.empty() ? who_is_silent(known, gate.tail) : claims);
  const node::PeerReport* const silent = find_silent(known);
  if (claims.empty() && silent != nullptr) {
    const std::string when_asked = step_of_silent(known);
    failure.step = gate.is_first ? when_asked + "; " + failure.step : when_asked;
  } else if (claims.empty() && !known.replaced.empty() && !gate.is_first) {
    failure.step = way_on(known.replaced.front(), log);
  }
  const std::string_view option = silent == nullptr ? "" : option_of_network(*silent);
  if (option.empty()) return;
  const bool is_of_another = option == kOfNetwork && !gate.options.network.empty();
  failure.step = (is_of_another ? "append with the --network of that peer, or with none,"
                                : again_with(context.arguments, option)) +
                 " asks " + node::to_string(silent->endpoint) + " as one of its network; else " +
                 failure.step;
}

Failure explain(const Context& context, const Error& error, const LogKey& log,
                const Gate& gate = {}) {
  Failure failure = mark_failure(error, log);
  if (error.code == Errc::kAuthorMarkBehind && gate.known && gate.known->head == error.detail) {
    failure.message = "a peer holds the log up to seqnum " + std::to_string(error.detail) +
                      ", which this store lacks";
  }
  if (error.code == Errc::kAuthorHeadUnknown) explain_unknown_head(failure, context, log, gate);
  if (error.code == Errc::kEntryNotHeld) {
    failure.exit = Exit::kFork;
    failure.message = "the store holds only part of the log, " + failure.message;
    failure.step =
        "take the log back from a peer (`culm repair --from HOST:PORT`) before appending; where no "
        "peer has it, begin another one with --log-id";
  } else if (error.code == Errc::kLogCapped) {
    failure.step = "the log was forked and cannot go on; start another one with --log-id";
  }
  return failure;
}

}  // namespace

Outcome<AppendGate> parse_gate(const std::string& text) {
  constexpr std::pair<std::string_view, AppendGate> kGates[] = {{"required", AppendGate::kRequired},
                                                                {"ask", AppendGate::kAsk},
                                                                {"never", AppendGate::kNever}};
  for (const auto& [name, gate] : kGates) {
    if (text == name) return gate;
  }
  return usage("--gate takes required, ask or never");
}

Result<bool> pass(Gate& gate, const host::WritableStore& store, const Context& context,
                  store::AuthorMark& mark, const LogKey& log, SeqNum tail) {
  const auto published = mark.read();
  if (gate.gate == AppendGate::kNever) return !store::is_unasked(mark);
  // Behind a branch that was forgotten the others were taken.
  const bool is_branch = published && *published && (*published)->is_branch();
  const bool is_again = !is_branch && store::is_unasked(mark);
  const bool is_copied = published && *published && (*published)->is_copied;
  gate.is_first = tail == 0;
  gate.tail = tail;
  CULM_TRY(gate.known, host::ask_known_peers(store, context.store_directory, mark, log, tail,
                                             gate.options, gate.wait_max));
  CULM_TRY(const bool is_asked, gate.known->check(gate.gate, tail));
  const std::string claims = who_claims(*gate.known);
  const std::string who = claims.empty() ? who_is_silent(*gate.known, tail) : claims;
  // A log that began here has mostly nobody who could know of it; its syncs ask.
  const bool is_begun = is_again && (*published)->is_begun() && !is_copied;
  const bool has_all = gate.known->silent.empty() && gate.known->replaced.empty();
  // Who holds nothing of a log that begins is enough.
  const bool is_new = tail == 0 ? is_asked || has_all : is_begun && has_all;
  if (who.empty() || (is_new && claims.empty())) return is_asked;
  std::string text =
      "author mark and store are not as they were written together, as after a restore";
  if (tail == 0 && !is_branch) {
    text = "the log begins here";
  } else if (is_again && !is_copied) {
    text = "the last entries were appended ";
    text += kWhileUntold;
  }
  text += "; whether more of the log is published is not sure: " + who;
  std::string risk = "where it is, to append now forks the log: ";
  risk += (is_again && tail != 0 ? "those entries and all behind them"
                                 : "all from seqnum " + std::to_string(tail + 1) + " on") +
          std::string(" would be dropped everywhere");
  // As the appender marks it. A node asks itself, and goes on where all have answered.
  const bool is_withheld = !is_asked && !is_begun && !have_all_answered(*gate.known) &&
                           (tail != 0 || (published && *published));
  if (is_withheld) risk += "; until that sync a node on this store serves it to nobody";
  warn(context, "append", log,
       {std::move(text), step_of(*gate.known, log, tail, gate.options), std::move(risk)});
  return is_asked;
}

/// The store lacks what was appended: whether that was published nobody here can know.
static void explain_behind(Failure& failure, const LogKey& log, bool is_shown,
                           const std::string& begin_another) {
  const std::string take = "from a peer that has it (`culm sync HOST:PORT " +
                           whole_name_of_one(log) + "`); where nobody has it, begin another log: ";
  failure.step = is_shown ? "take the rest of the log " + take
                          : "name the store that holds them with --store DIR, if it is another "
                            "one. From a backup older than the last append, or after a forget, "
                            "the log does not go on by itself: take the rest from a newer backup, "
                            "or " +
                                take;
  failure.step += begin_another;
}

Failure explain(const Context& context, const Error& error, const AppendedLog& own,
                const store::Store& store, store::AuthorMark& mark, const Gate& gate) {
  const OwnLog log{store, own.log, gate.tail, own.key_path};
  if (gate.known && gate.known->fork) return explain_shown_fork(log, *gate.known->fork);
  if (gate.shows_branch()) return explain_branch(log, *gate.known->other);
  if (error.code == Errc::kAuthorMarkFork && !gate.known) {
    const auto branch = host::find_remembered(store, own.log, mark);
    if (branch && *branch) {
      return explain_branch({store, own.log, (*branch)->tail, own.key_path},
                            std::get<host::OtherBranch>((*branch)->why));
    }
  }
  Failure failure = explain(context, error, own.log, gate);
  const std::string begin_another =
      "`" + append_command(own.key_path, {own.log.author, LogId{0}}) + " --log-id N`";
  if (error.code == Errc::kAuthorMarkBehind) {
    explain_behind(failure, own.log, gate.known.has_value(), begin_another);
  }
  if (error.code == Errc::kAuthorMarkBehind && !gate.known) {
    const std::string step = next_if_behind(context, store, own.log);
    if (!step.empty()) failure.step = step;
  }
  // Nobody can say whether what the mark speaks of is held elsewhere.
  if (error.code == Errc::kAuthorMarkFork && !gate.known && store::is_unasked(mark)) {
    failure.step = "entries that were appended ";
    failure.step += kWhileUntold;
    failure.step +=
        " are not here any more: restore the store that has them, or begin another log: ";
    failure.step += begin_another;
  }
  return failure;
}

Outcome<void> check_new_log(const Context& context, const AppendedLog& own, store::AuthorMark& mark,
                            bool adopt, AppendGate gate) {
  const auto published = mark.read();
  if (!published && !adopt) return fail_with(explain(context, published.error(), own.log));
  if (!published || !*published || (*published)->seqnum == 0) {
    if (gate != AppendGate::kRequired) return {};
    return fail_with(
        explain(context, {Errc::kAuthorHeadUnknown}, own.log, {.gate = gate, .is_first = true}));
  }
  Failure failure(error_for(Errc::kAuthorMarkBehind, (*published)->seqnum));
  failure.message = "there is no store, and the log was appended to up to seqnum " +
                    std::to_string((*published)->seqnum) + ", which may be published";
  return fail_with(std::move(failure).next(
      "name its store with --store DIR or CULM_STORE; if that is lost, take the log back from its "
      "newest backup or a peer before appending (`culm sync HOST:PORT " +
      whole_name_of_one(own.log) + "`); where nobody has all of it, begin another one: `" +
      append_command(own.key_path, {own.log.author, LogId{0}}) + " --log-id N`"));
}

}  // namespace culm::tools
