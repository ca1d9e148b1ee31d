#include "culm/replication/host/append_gate.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/replication/host/detail/sync_run.hpp"
#include "culm/store/memory_kv.hpp"

namespace culm::host {
namespace {

constexpr Duration kAskMax = std::chrono::seconds(5);
constexpr Duration kProveMax = std::chrono::seconds(20);

/// With a store that holds nothing: the one that is appended to stays free for others.
Result<node::SyncReport> ask_directly(const std::string& directory, const ReplicaOptions& options,
                                      const node::SyncRequest& request) {
  SystemRandom random;
  CULM_TRY(const auto empty, store::Store::open(std::make_unique<store::MemoryKv>(), random));
  const Replica::Told told;
  CULM_TRY(const auto run, SyncRun::start(*empty, directory, options, request, told));
  return run->run({});
}

Result<node::SyncReport> ask(const WritableStore& store, const std::string& directory,
                             const ReplicaOptions& options, const node::SyncRequest& request) {
  return store.node != nullptr ? store.node->sync(request)
                               : ask_directly(directory, options, request);
}

/// Asks for the last entry that the peer says it holds: one that comes is signed by the author.
/// What a node finds to be forked is no question of the tail any more.
bool is_shown(const KnownHead::Claim& claim, const LogKey& log, SeqNum tail, const auto& ask) {
  node::SyncRequest request;
  request.peers = {{claim.endpoint}};
  request.logs = {
      {.log = log, .interest = {.ranges = {{claim.head, claim.head}}}, .payloads = false}};
  request.idle_max = kAskMax;
  request.whole_max = kAskMax;
  const auto report = ask(request);
  if (!report || report->logs.empty()) return false;
  return report->logs.front().head > tail || report->logs.front().cap != 0;
}

/// Who says least is asked first: what is true is rarely the most.
void prove(KnownHead& known, std::vector<KnownHead::Claim> claims, const auto& is_shown) {
  std::ranges::sort(claims, {}, &KnownHead::Claim::head);
  const auto end = std::chrono::steady_clock::now() + kProveMax;
  for (KnownHead::Claim& claim : claims) {
    if (std::chrono::steady_clock::now() < end && is_shown(claim)) {
      known.head = claim.head;
      return;
    }
    known.unproven.push_back(std::move(claim));
  }
}

}  // namespace

Result<void> KnownHead::check(AppendGate gate, SeqNum tail) const {
  if (gate == AppendGate::kNever) return {};
  if (head > tail) return fail(error_for(Errc::kAuthorMarkBehind, head));
  if (!is_of_use(tail) && gate == AppendGate::kRequired) return fail(Errc::kAuthorHeadUnknown);
  return {};
}

Result<KnownHead> ask_known_peers(const WritableStore& store, const std::string& directory,
                                  const LogKey& log, SeqNum tail, const ReplicaOptions& options) {
  node::SyncRequest request;
  request.quote_only = true;
  request.idle_max = kAskMax;
  request.whole_max = kAskMax;
  {
    CULM_TRY(const auto transaction, store.store->read());
    CULM_TRY(const auto addresses, transaction.known_peers());
    request.peers.reserve(addresses.size());
    for (const std::string& address : addresses) {
      if (auto endpoint = node::parse_endpoint(address)) request.peers.push_back({*endpoint});
    }
  }
  KnownHead known{.asked = request.peers.size()};
  if (known.asked == 0) return known;
  node::add_logs(request, {}, {&log, 1});
  const auto ask_with = [&](const node::SyncRequest& one) {
    return ask(store, directory, options, one);
  };
  const auto report = ask_with(request);
  if (!report || report->logs.empty()) return known;
  const node::LogReport& said = report->logs.front();
  std::vector<KnownHead::Claim> claims;
  const std::size_t peers = std::min(said.peer_heads.size(), report->peers.size());
  for (std::size_t peer = 0; peer < peers; ++peer) {
    const SeqNum head = said.peer_heads[peer];
    if (head > tail) claims.push_back({report->peers[peer].endpoint, head});
    if (head <= tail) known.head = std::max(known.head, head);
  }
  prove(known, std::move(claims),
        [&](const KnownHead::Claim& claim) { return is_shown(claim, log, tail, ask_with); });
  if (said.outcome == node::LogOutcome::kDenied) return known;
  known.answered = static_cast<std::size_t>(
      std::ranges::count_if(report->peers, [&](const node::PeerReport& peer) {
        const bool is_unproven =
            std::ranges::find(known.unproven, peer.endpoint, &KnownHead::Claim::endpoint) !=
            known.unproven.end();
        return peer.peer.has_value() && !peer.error && !is_unproven;
      }));
  return known;
}

}  // namespace culm::host
