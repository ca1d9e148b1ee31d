#include "culm/replication/host/append_gate.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/replication/host/detail/sync_run.hpp"
#include "culm/store/memory_kv.hpp"

namespace culm::host {
namespace {

constexpr Duration kAskMax = std::chrono::seconds(5);
/// Also by who waits for nobody.
constexpr Duration kAskMin = std::chrono::seconds(1);
constexpr Duration kProveMax = std::chrono::seconds(20);
/// More for each log, where many are asked of at once.
constexpr Duration kAskEach = std::chrono::milliseconds(2);
/// So many entries below the last one that both could have are compared one by one.
constexpr SeqNum kLookedAt = 256;

using Claim = KnownHead::Claim;

Result<std::unique_ptr<store::Store>> make_empty() {
  SystemRandom random;
  return store::Store::open(std::make_unique<store::MemoryKv>(), random);
}

/// With a store that holds nothing: that of the log stays free for others, and none of it is told.
Result<node::SyncReport> ask_directly(const Question& about, store::Store& empty,
                                      const node::SyncRequest& request) {
  const Replica::Told told;
  CULM_TRY(const auto run, SyncRun::start(empty, about.directory, about.options, request, told));
  return run->run(about.stop);
}

Result<node::SyncReport> ask(const Question& about, const node::SyncRequest& request) {
  if (about.node != nullptr) return about.node->sync(request);
  CULM_TRY(const auto empty, make_empty());
  return ask_directly(about, *empty, request);
}

node::SyncRequest request_of(std::vector<node::SyncPeer> peers, Duration wait_max) {
  node::SyncRequest request;
  request.peers = std::move(peers);
  request.idle_max = wait_max;
  request.whole_max = wait_max;
  return request;
}

/// What a peer has shown, beside what is here.
struct Shown {
  bool is_head = false;
  SeqNum cap = 0;
  RangeSet same;
  RangeSet other;
};

Result<Shown> compare(const Question& about, const store::Store& theirs, SeqNum head) {
  CULM_TRY(const auto their_side, theirs.read());
  CULM_TRY(const auto their_log, their_side.find_log(about.log));
  CULM_TRY(const auto own_side, about.own.read());
  CULM_TRY(const auto own_log, own_side.find_log(about.log));
  Shown shown;
  if (!their_log) return shown;
  shown.cap = their_log->cap;
  shown.is_head = their_log->served().contains(head);
  if (!own_log) return shown;
  // Also what is withheld from peers.
  const RangeSet both = their_log->served() & own_log->held;
  for (const SeqRange& range : both.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) {
      CULM_TRY(const auto one, their_side.get_entry(*their_log, n));
      CULM_TRY(const auto here, own_side.get_entry(*own_log, n));
      const bool is_same = one.entry.hash() == here.entry.hash();
      (is_same ? shown.same : shown.other).insert({n, n});
    }
  }
  return shown;
}

/// Wants the last entry that the peer says it holds, and those about the last that both could hold,
/// without payloads: what comes is signed by the author.
Result<Shown> show(const Question& about, const node::SyncPeer& peer, SeqNum head) {
  auto request = request_of({peer}, about.wait_max);
  // Of a log that is forked at 1 a peer holds nothing, and can show that.
  RangeSet wanted{{std::max<SeqNum>(head, 1), std::max<SeqNum>(head, 1)}};
  if (const SeqNum last = std::min(head, about.tail); last != 0) {
    wanted.insert({last - std::min(last, kLookedAt) + 1, last});
  }
  request.logs = {{.log = about.log, .interest = {.ranges = wanted}, .payloads = false}};
  CULM_TRY(const auto empty, make_empty());
  CULM_TRY(const auto ignored, ask_directly(about, *empty, request));
  return compare(about, *empty, head);
}

/// The same of a head above the tail through the node, which is of a network that only it knows. It
/// keeps what comes, and what it finds to be forked is no question of the tail any more.
bool is_shown_to_node(const Question& about, const node::SyncPeer& peer, SeqNum head,
                      KnownHead& known) {
  auto request = request_of({peer}, about.wait_max);
  request.logs = {{.log = about.log, .interest = {.ranges = {{head, head}}}, .payloads = false}};
  const auto report = about.node->sync(request);
  if (!report || report->logs.empty()) return false;
  const node::LogReport& log = report->logs.front();
  if (log.cap != 0) known.fork = {peer.endpoint, log.cap};
  return log.head > about.tail || log.cap != 0;
}

Result<OtherBranch> make_branch(const Question& about, const node::Endpoint& endpoint,
                                const Shown& shown, SeqNum head) {
  OtherBranch other{endpoint, shown.other.empty() ? head : shown.other.min()};
  RangeSet below = shown.same;
  below.erase({other.at, kSeqnumMax});
  CULM_TRY(const auto transaction, about.own.read());
  CULM_TRY(const auto log, transaction.get_log(about.log));
  if (!below.empty()) {
    CULM_TRY(const auto last, transaction.get_entry(*log, below.max()));
    other.common = {below.max(), last.entry.hash(), store::kUnaskedStore};
  }
  if (!shown.other.empty()) {
    CULM_TRY(const auto here, transaction.get_entry(*log, other.at));
    const SeqNum between = other.at - other.common.seqnum - 1;
    other.common.store = store::branch_store(here.entry.hash(), between);
  }
  return other;
}

/// What a peer says that it holds.
struct Head {
  SeqNum head;
  node::SyncPeer peer;
  bool is_met;  ///< this store has synced with it
};

/// Takes what one peer shows of its head; whether nobody else needs to be asked.
Result<bool> prove(const Question& about, const Head& said, KnownHead& known) {
  const auto& [head, peer, is_met] = said;
  CULM_TRY(const Shown shown, show(about, peer, head));
  if (shown.cap != 0) {
    known.fork = {peer.endpoint, shown.cap};
    return true;
  }
  const bool is_more = head > about.tail;
  // Where the tail is the same, the peer has only gone on behind it.
  const bool may_differ =
      shown.is_head && is_more && about.tail != 0 && !shown.same.contains(about.tail);
  if (!shown.other.empty() || may_differ) {
    CULM_TRY(known.other, make_branch(about, peer.endpoint, shown, head));
  }
  bool is_shown = shown.is_head || !shown.other.empty();
  if (!is_shown && about.node != nullptr) {
    is_shown = !is_more || is_shown_to_node(about, peer, head, known);
  }
  if (is_shown) known.head = std::max(known.head, head);
  if (is_shown && is_met) known.met_head = std::max(known.met_head, head);
  if (!is_shown) known.unproven.push_back({peer.endpoint, head});
  return known.other.has_value() || (is_shown && is_more);
}

/// Who says least is asked first: what is true is rarely the most.
Result<void> prove_all(const Question& about, std::vector<Head> heads, KnownHead& known) {
  std::ranges::stable_sort(heads, {}, &Head::head);
  const auto end = std::min(std::chrono::steady_clock::now() + kProveMax, about.end);
  for (const Head& said : heads) {
    if (std::chrono::steady_clock::now() >= end) {
      known.unproven.push_back({said.peer.endpoint, said.head});
      continue;
    }
    CULM_TRY(const bool is_enough, prove(about, said, known));
    if (is_enough) return {};
  }
  return {};
}

/// Whether this store has synced with who answers at an address, and with how many others there.
struct Acquaintance {
  bool is_met = false;
  std::size_t gone = 0;
};

Acquaintance look_up(const std::vector<store::KnownPeer>& known, const node::PeerReport& peer) {
  const auto there =
      std::ranges::find(known, node::to_string(peer.endpoint), &store::KnownPeer::address);
  if (there == known.end()) return {};
  if (there->keys.empty()) return {true};
  const bool is_met = there->is_of(*peer.peer);
  return {is_met, there->keys.size() - (is_met ? 1 : 0)};
}

bool is_unsaid(const node::LogReport& said, const node::Endpoint& endpoint) {
  return std::ranges::find(said.silent, endpoint) != said.silent.end();
}

}  // namespace

Result<std::vector<node::SyncPeer>> list_known_peers(const store::Store& store) {
  std::vector<node::SyncPeer> peers;
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto known, transaction.known_peers());
  peers.reserve(known.size());
  for (const store::KnownPeer& peer : known) {
    if (auto endpoint = node::parse_endpoint(peer.address)) peers.push_back({*endpoint});
  }
  return peers;
}

Result<KnownHead> ask_peers(const Question& about) {
  KnownHead known{.asked = about.peers.size()};
  if (known.asked == 0) return known;
  auto request = request_of(about.peers, about.wait_max);
  request.quote_only = true;
  node::add_logs(request, {}, {&about.log, 1});
  const auto report = ask(about, request);
  if (!report || report->logs.empty()) {
    // Nobody was asked.
    const Error why = report ? Error{Errc::kPeerStalled} : report.error();
    for (const node::SyncPeer& peer : about.peers) {
      known.silent.push_back({.endpoint = peer.endpoint, .error = why});
    }
    return known;
  }
  const node::LogReport& said = report->logs.front();
  // Who was too slow, or has too much to do, has not said that it holds nothing.
  const auto is_silent = [&](const node::PeerReport& peer) {
    return !peer.peer || peer.error || is_unsaid(said, peer.endpoint);
  };
  CULM_TRY(const auto transaction, about.own.read());
  CULM_TRY(const auto met, transaction.known_peers());
  std::vector<Head> heads;
  std::vector<node::Endpoint> answered;
  for (std::size_t i = 0; i < report->peers.size(); ++i) {
    const node::PeerReport& peer = report->peers[i];
    const auto who = peer.peer ? look_up(met, peer) : Acquaintance{};
    const SeqNum head = i < said.peer_heads.size() ? said.peer_heads[i] : 0;
    if (head != 0 || said.cap != 0) heads.push_back({head, about.peers[i], who.is_met});
    if (is_silent(peer)) {
      known.silent.push_back(peer);
      continue;
    }
    // Who is there in place of another one is none that was to be asked.
    const bool is_other = who.gone != 0 && !who.is_met;
    if (!is_other) answered.push_back(peer.endpoint);
    if (who.gone == 0) continue;
    known.replaced.push_back(peer.endpoint);
    known.asked += who.gone - (is_other ? 1 : 0);
  }
  CULM_CHECK(prove_all(about, std::move(heads), known));
  known.is_denied = said.outcome == node::LogOutcome::kDenied;
  known.answered =
      static_cast<std::size_t>(std::ranges::count_if(answered, [&](const node::Endpoint& endpoint) {
        return std::ranges::find(known.unproven, endpoint, &Claim::endpoint) ==
               known.unproven.end();
      }));
  return known;
}

Result<std::vector<LogKey>> find_unheld(const OwnLogs& own, std::vector<LogKey> logs,
                                        std::vector<node::SyncPeer> peers, Inquiry& inquiry,
                                        const std::stop_token& stop) {
  std::vector<LogKey> unheld;
  CULM_TRY(const auto empty, make_empty());
  for (bool is_again = true; is_again;) {
    static_cast<void>(inquiry.take_mute(peers));
    const auto wait_max = inquiry.next_wait();
    if (logs.empty() || peers.empty() || !wait_max) break;
    auto request = request_of(peers, *wait_max);
    request.quote_only = true;
    request.whole_max = *wait_max + logs.size() * kAskEach;
    node::add_logs(request, {}, logs);
    const auto report =
        ask_directly({own.store, nullptr, own.directory, own.options, logs.front(), 0, {}, stop},
                     *empty, request);
    if (!report) break;
    // Who is mute holds up most of the logs.
    is_again = inquiry.note(report->peers);
    logs.clear();
    for (const node::LogReport& said : report->logs) {
      if (said.cap != 0 || std::ranges::any_of(said.peer_heads, std::identity())) continue;
      const bool is_said = said.silent.size() < report->peers.size() &&
                           std::ranges::none_of(report->peers, [&](const node::PeerReport& peer) {
                             return peer.peer && is_unsaid(said, peer.endpoint);
                           });
      (is_said ? unheld : logs).push_back(said.log);
    }
  }
  std::ranges::sort(unheld);
  return unheld;
}

Result<void> move_back(store::AuthorMark& mark, OtherBranch& other) {
  CULM_TRY(const auto published, mark.read());
  other.is_unasked = store::is_unasked(mark);
  // Of two logs that differ from their beginning nothing is common.
  const bool is_seen = other.common.seqnum != 0 || other.at == 1;
  // A peer that holds more and shows no other entry may only keep back what is between.
  const bool is_other =
      other.is_exact() || other.common.is_branch() || (published && other.at <= published->seqnum);
  if (!other.is_unasked || !is_seen || !is_other) return {};
  const bool is_news = other.common.is_branch() && published->seqnum == other.common.seqnum &&
                       published->store != other.common.store;
  const bool is_above = published->seqnum > other.common.seqnum;
  return is_above || is_news ? mark.write(other.common) : Result<void>();
}

Result<bool> KnownHead::check(AppendGate gate, SeqNum tail) const {
  if (gate == AppendGate::kNever) return true;
  if (fork) return fail(error_for(Errc::kLogCapped, fork->at));
  if (other && other->at <= tail) return fail(error_for(Errc::kAuthorMarkFork, other->at));
  if (head > tail) return fail(error_for(Errc::kAuthorMarkBehind, head));
  // One that was met later may know less than one that is silent.
  const bool is_certain = tail == 0 || (silent.empty() && replaced.empty());
  if (is_of_use(tail) && is_certain) return !is_denied;
  if (gate == AppendGate::kRequired) return fail(Errc::kAuthorHeadUnknown);
  return false;
}

Result<KnownHead> ask_known_peers(const WritableStore& store, const std::string& directory,
                                  store::AuthorMark& mark, const LogKey& log, SeqNum tail,
                                  const ReplicaOptions& options, Duration wait_max) {
  CULM_TRY(auto peers, list_known_peers(*store.store));
  // A node would find and keep the fork, by a quote too, if what is here is another branch.
  NodeClient* const node = store::is_unasked(mark) ? nullptr : store.node;
  CULM_TRY(auto known, ask_peers({*store.store,
                                  node,
                                  directory,
                                  options,
                                  log,
                                  tail,
                                  std::move(peers),
                                  {},
                                  std::clamp(wait_max, kAskMin, kAskMax)}));
  if (known.other) CULM_CHECK(move_back(mark, *known.other));
  return known;
}

}  // namespace culm::host
