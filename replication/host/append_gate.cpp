#include "culm/replication/host/append_gate.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "culm/core/random.hpp"
#include "culm/replication/host/detail/sync_run.hpp"
#include "culm/store/memory_kv.hpp"

namespace culm::host {
namespace {

constexpr Duration kAskMax = std::chrono::seconds(5);

/// With a store that holds nothing: the one that is appended to stays free for others.
Result<node::SyncReport> ask_directly(const std::string& directory, const ReplicaOptions& options,
                                      const node::SyncRequest& request) {
  SystemRandom random;
  CULM_TRY(const auto empty, store::Store::open(std::make_unique<store::MemoryKv>(), random));
  const Replica::Told told;
  CULM_TRY(const auto run, SyncRun::start(*empty, directory, options, request, told));
  return run->run({});
}

}  // namespace

Result<void> KnownHead::check(AppendGate gate, SeqNum tail) const {
  if (gate == AppendGate::kNever) return {};
  if (head > tail) return fail(error_for(Errc::kAuthorMarkBehind, head));
  if (!is_of_use(tail) && gate == AppendGate::kRequired) return fail(Errc::kAuthorHeadUnknown);
  return {};
}

Result<KnownHead> ask_known_peers(const WritableStore& store, const std::string& directory,
                                  const LogKey& log, const ReplicaOptions& options) {
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
  const auto report =
      store.node != nullptr ? store.node->sync(request) : ask_directly(directory, options, request);
  if (!report || report->logs.empty()) return known;
  const node::LogReport& said = report->logs.front();
  known.head = said.peer_head;
  if (said.outcome == node::LogOutcome::kDenied) return known;
  known.answered = static_cast<std::size_t>(std::ranges::count_if(
      report->peers,
      [](const node::PeerReport& peer) { return peer.peer.has_value() && !peer.error; }));
  return known;
}

}  // namespace culm::host
