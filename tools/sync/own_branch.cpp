#include "tools/sync/own_branch.hpp"

#include <algorithm>
#include <utility>

#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/gate.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

/// A log that began here was appended to without a question, and not as peers did not answer.
std::string of_the_last(const host::UnaskedLog& unasked, host::Doubt doubt) {
  if (doubt == host::Doubt::kBegun) {
    return "the log began here, whether more of it is published elsewhere is not known";
  }
  const std::string where = unasked.is_elsewhere
                                ? "entries of it were appended in another store of this user's"
                                : "the last entries here were appended";
  return where + " " + std::string(kWhileUntold);
}

Failure explain_silence(const host::UnaskedLog& unasked, const host::SilentPeer& silent) {
  const node::PeerReport& peer = silent.peer;
  Failure failure = peer.error
                        ? why_lost(*peer.error, peer.text)
                        : Failure(Exit::kNetwork, Errc::kTimeout, "it has not answered")
                              .next("check the address, and that `culm relay` runs behind it");
  std::string text = silent.is_marked() ? "the author mark tells of other entries than this store"
                                        : of_the_last(unasked, silent.doubt);
  text += ", and peer " + node::to_string(peer.endpoint) + " does not say either: ";
  text += failure.message;
  std::string_view between = silent.others.size() == 1 ? "; nor does " : "; nor do ";
  for (const node::PeerReport& other : silent.others) {
    text.append(std::exchange(between, ", ")).append(node::to_string(other.endpoint));
  }
  failure.message = std::move(text);
  return std::move(failure).about(short_name(unasked.log));
}

Failure explain_unshown(const OwnLog& own, const host::UnaskedLog& unasked,
                        const host::Unshown& unshown) {
  const std::string one = whole_name_of_one(own.log);
  if (unshown.marked == 0) {
    std::string text = of_the_last(unasked, host::Doubt::kUnasked) + ", and ";
    text += unshown.replaced ? "another peer answers now at " + node::to_string(*unshown.replaced) +
                                   ", in place of the one that this store has synced with"
                             : std::string("this store knows no peer to ask");
    return Failure(Exit::kFork, Errc::kAuthorHeadUnknown, std::move(text))
        .about(short_name(own.log))
        .next(unshown.replaced
                  ? way_on(*unshown.replaced, own.log)
                  : "sync it with a peer that may hold more, else with any: `culm sync HOST:PORT " +
                        one + " --push`");
  }
  const std::string at = std::to_string(unshown.marked);
  Failure failure(
      Exit::kFork, Errc::kAuthorMarkBehind,
      "the log is published up to seqnum " + at +
          ", which this store does not hold as the author mark has it, and no peer that "
          "was asked shows it: what is here may fork the log, and is not pushed");
  failure.fields = {{"log", to_string(own.log)}, {"seqnum", unshown.marked}};
  return std::move(failure)
      .about(short_name(own.log))
      .next("sync with a peer that holds it (`culm sync HOST:PORT " + one +
            "`): nothing moves where that would fork the log");
}

void tell_waiting(const Context& context, const host::UnaskedLog& unasked,
                  const host::SilentPeer& silent) {
  Failure failure = explain_silence(unasked, silent);
  failure.message += "; asking again now and then";
  warn(context, "sync", unasked.log, {std::move(failure.message), std::move(failure.step)});
}

bool is_among(const std::vector<node::Endpoint>& peers, const node::Endpoint& peer) {
  return std::ranges::find(peers, peer) != peers.end();
}

/// Whether no peer of the sync was reached; one that claims a head and does not show it was.
bool is_nobody_reached(const host::SilentPeer& silent, const std::vector<node::Endpoint>& peers) {
  const auto is_reached = [](const node::PeerReport& one) {
    return one.peer || one.error == Error{Errc::kPeerStalled};
  };
  return silent.is_nobody && !is_reached(silent.peer) &&
         std::ranges::none_of(silent.others, [&](const node::PeerReport& one) {
           return is_among(peers, one.endpoint) && is_reached(one);
         });
}

/// Of a store that only lacks what its mark names, or takes what another one appends to, and where
/// nobody was reached, the doubt is no news: what became of the peer is, where that is one of the
/// sync's.
bool is_of_peer(const host::UnaskedLog& unasked, const host::SilentPeer& silent,
                const std::vector<node::Endpoint>& peers) {
  return is_among(peers, silent.peer.endpoint) &&
         (silent.is_marked() || unasked.is_elsewhere || is_nobody_reached(silent, peers));
}

/// Whether this store was the last to append to the log, and holds all of it.
Result<bool> holds_all(const store::Store& store, const store::Published& published,
                       const LogKey& log) {
  const bool is_unasked = published.is_unasked() && !published.is_begun();
  if (published.is_copied || published.is_overtaken || is_unasked) return false;
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (!state || state->cap != 0 || state->held.empty()) return false;
  CULM_TRY(const auto last, transaction.find_entry(*state, published.seqnum));
  const bool is_tail = state->held.max() == published.seqnum;
  return is_tail && last && last->entry.hash() == published.hash &&
         (state->held - state->payloads - state->deleted).empty();
}

/// What cannot be read cannot say that somebody was asked: marks, or the store.
Outcome<std::optional<host::UnaskedLog>> about_own(const Context& context,
                                                   host::OwnLogGuard::Outcome found) {
  const Errc code = found ? Errc{} : found.error().code;
  const bool is_of_marks =
      code == Errc::kFileIo || code == Errc::kAuthorMarkFormat || code == Errc::kAuthorMarkLocked;
  if (!is_of_marks) return about(named(context), std::move(found));
  const std::string marks = store::find_marks_directory().value_or("");
  return about("author marks in " + shown(marks), std::move(found));
}

}  // namespace

Failure explain_unasked(const store::Store& store, const host::UnaskedLog& unasked,
                        const std::vector<node::Endpoint>& peers) {
  const OwnLog own{store, unasked.log, unasked.tail, ""};
  if (const auto* const fork = std::get_if<host::ShownFork>(&unasked.why)) {
    return explain_shown_fork(own, *fork);
  }
  if (const auto* const other = std::get_if<host::OtherBranch>(&unasked.why)) {
    host::OtherBranch branch = *other;
    if (unasked.is_elsewhere) branch.is_unasked = false;
    return explain_branch(own, branch);
  }
  if (const auto* const unshown = std::get_if<host::Unshown>(&unasked.why)) {
    return explain_unshown(own, unasked, *unshown);
  }
  const auto& silent = std::get<host::SilentPeer>(unasked.why);
  Failure failure = explain_silence(unasked, silent);
  const auto transaction = store.read();
  const auto met = transaction ? transaction->known_peers() : fail(transaction.error());
  std::vector<node::Endpoint> known = {silent.peer.endpoint};
  for (const node::PeerReport& other : silent.others) known.push_back(other.endpoint);
  std::erase_if(known, [&](const node::Endpoint& peer) {
    return !met ||
           std::ranges::find(*met, node::to_string(peer), &store::KnownPeer::address) == met->end();
  });
  // A sync that reaches none of its own peers does not go on by that.
  if (known.empty() || (silent.is_nobody && !peers.empty())) return failure;
  if (!failure.step.empty()) failure.step += "; ";
  failure.step += known.size() == 1 ? "where that peer is" : "where these peers are";
  failure.step += " gone for good, `" + forget_command(known);
  failure.step += known.size() == 1 ? "` asks it" : "` asks them";
  failure.step += " no more";
  if (!peers.empty()) failure.step += ", and the same sync goes on";
  return failure;
}

std::string forget_command(const std::vector<node::Endpoint>& peers) {
  std::string command = "culm peers";
  for (const node::Endpoint& peer : peers) command += " --forget " + node::to_string(peer);
  return command;
}

std::string way_on(const node::Endpoint& replaced, const LogKey& log) {
  const std::string name = name_of_one(log);
  const std::string address = node::to_string(replaced);
  return "sync with a peer that holds the log (`culm sync HOST:PORT " + name +
         "`); where none does, and the one that was at " + address +
         " is gone for good, `culm peers --forget " + address + "`, and `culm sync " + address +
         " " + name + " --push`";
}

Failure explain_shown_fork(const OwnLog& own, const host::ShownFork& fork) {
  const std::string name = short_name(own.log);
  const std::string one = name_of_one(own.log);
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
                                 "culm cat " + one, append);
  std::string step = "keep these " + words.how + ": " + words.keep + "; let the log go: ";
  step += "`culm forget " + one + " --own`; append them to another log: " + words.append;
  return std::move(failure).about(name).next(step);
}

Failure explain_branch(const OwnLog& own, const host::OtherBranch& other) {
  const SeqNum first = other.common.seqnum + 1;
  const std::string range = to_string(RangeSet{{first, own.tail}});
  const std::string at = std::to_string(other.at);
  const std::string peer = other.endpoint ? node::to_string(*other.endpoint) : "HOST:PORT";
  const bool are_all = !other.is_unasked || other.is_exact() || other.at > own.tail;
  const bool is_one = first == own.tail;
  std::string text = other.is_unasked ? "" : "this store holds ";
  text += (are_all ? (is_one ? "entry " : "entries ") : "of entries ") + range;
  text += are_all ? "" : " some";
  if (other.is_unasked) {
    text += is_one ? " was" : " were";
    text += " appended here ";
    text += kWhileUntold;
  }
  text += ", and ";
  text +=
      other.endpoint ? "the peer at " + peer + " holds " : "a peer that was asked before holds ";
  text += other.at > own.tail ? "others, up to seqnum " + at : "another entry " + at;
  text += "; to sync them would fork the log, and its entries from seqnum " +
          std::to_string(first) + " on would be dropped everywhere, here too";
  Failure failure(Exit::kFork, Errc::kAuthorMarkFork, std::move(text));
  failure.fields = {{"log", to_string(own.log)}, {"seqnum", other.at}, {"seqnums", range}};
  const std::string name = short_name(own.log);
  const std::string one = name_of_one(own.log);
  const auto words = carry_words(look_at_payloads(own.store, own.log, {first, own.tail}),
                                 "culm cat " + one, append_command(own.key, own.log));
  std::string step = "keep yours: `culm export " + one + " --jsonl -o branch.jsonl`, and ";
  step += words.how + " " + words.keep + "; take the others: `culm forget " + one;
  step += " --own`, `culm sync " + peer + " " + whole_name_of_one(own.log);
  step += "`; append yours behind them: " + words.append;
  return std::move(failure).about(name).next(step);
}

OwnBranches::OwnBranches(const Context& context, Host& host, const node::SyncRequest& request)
    : context_(context), host_(host) {
  for (const node::SyncPeer& peer : request.peers) peers_.push_back(peer.endpoint);
  host.when_unasked([this, &context, is_live = request.live,
                     is_told = false](const host::OwnLogGuard::Outcome& found) mutable {
    found_ = found;
    if (!found || !*found || !is_live) return;
    const auto* const silent = std::get_if<host::SilentPeer>(&(*found)->why);
    if (silent == nullptr) return;
    // A live sync waits, and what was appended is served to nobody meanwhile.
    const bool is_withheld = silent->doubt == host::Doubt::kUnasked && !(*found)->is_elsewhere;
    if (!is_withheld && is_of_peer(**found, *silent, peers_)) return;
    if (!std::exchange(is_told, true)) tell_waiting(context, **found, *silent);
  });
}

Outcome<void> OwnBranches::judge(const node::SyncReport& report) const {
  CULM_TOOLS_TRY(const auto unasked, about_own(context_, found_));
  if (!unasked) return {};
  const auto* const silent = std::get_if<host::SilentPeer>(&unasked->why);
  if (silent != nullptr && (is_of_peer(*unasked, *silent, peers_) || is_answered(report))) {
    return {};
  }
  return fail_with(explain_unasked(host_.store(), *unasked, peers_));
}

Outcome<std::optional<Failure>> check_unasked(const Context& context, const store::Store& store,
                                              const node::SyncRequest& request,
                                              const ReplicaOptions& options) {
  const auto marks = store::find_marks_directory();
  if (!marks) return std::nullopt;
  const host::OwnLogs own{store, context.store_directory, *marks, options};
  CULM_TOOLS_TRY(const auto unasked, about_own(context, host::find_unasked(own, request)));
  if (!unasked) return std::nullopt;
  const auto* const silent = std::get_if<host::SilentPeer>(&unasked->why);
  std::vector<node::Endpoint> peers;
  for (const node::SyncPeer& peer : request.peers) peers.push_back(peer.endpoint);
  if (silent == nullptr) return fail_with(explain_unasked(store, *unasked, peers));
  if (is_of_peer(*unasked, *silent, peers)) return std::nullopt;
  return explain_unasked(store, *unasked, peers);
}

std::vector<LogKey> find_unserved_own(const Context& context, const store::Store& store,
                                      const node::SyncRequest& request,
                                      const node::SyncReport& report) {
  std::vector<LogKey> logs;
  const auto marks = store::find_marks_directory();
  if (!marks || !request.joining.are_all || request.push || request.undelete) return logs;
  for (const node::LogReport& log : report.logs) {
    const bool is_denied = log.outcome == node::LogOutcome::kDenied && !log.error &&
                           log.denied == replication::DenyReason::kNotServed;
    if (!is_denied || !log.missing.empty() || !log.silent.empty()) continue;
    const auto published = store::read_author_mark(*marks, log.log, context.store_directory);
    if (!published || !*published) continue;
    if (holds_all(store, **published, log.log).value_or(false)) logs.push_back(log.log);
  }
  return logs;
}

void bind_confirmed(const Context& context, const store::Store& store,
                    const node::SyncReport& report) {
  const auto marks = store::find_marks_directory();
  if (!marks) return;
  // Where that fails, the next append asks once more.
  static_cast<void>(host::bind_confirmed({store, context.store_directory, *marks}, report));
}

}  // namespace culm::tools
