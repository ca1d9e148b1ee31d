#include <algorithm>
#include <iterator>

#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/replication/node/silence.hpp"

namespace culm::host {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kAllMax = std::chrono::seconds(20);
constexpr Duration kAllMin = std::chrono::seconds(1);
constexpr Duration kOneMax = std::chrono::seconds(5);

}  // namespace

// A quarter of its own time is left for the sync, which ends without an answer anyhow.
Inquiry::Inquiry(const node::SyncRequest& request, bool is_again) : is_again_(is_again) {
  const int quarters = is_again ? 4 : 3;
  Duration all = kAllMax;
  if (!request.live) all = std::min(all, request.idle_max / 4 * quarters);
  if (request.whole_max) all = std::min(all, *request.whole_max / 4 * quarters);
  end_ = Clock::now() + std::max(all, kAllMin);
}

std::optional<Duration> Inquiry::next_wait() {
  const auto left = std::chrono::duration_cast<Duration>(end_ - Clock::now());
  is_over_ = is_over_ || left <= Duration(0);
  if (is_over_) return std::nullopt;
  return is_again_ ? left : std::min(left / 2, kOneMax);
}

std::vector<node::PeerReport> Inquiry::take_mute(std::vector<node::SyncPeer>& peers) const {
  std::vector<node::PeerReport> mute;
  std::ranges::copy_if(mute_, std::back_inserter(mute), [&](const node::PeerReport& one) {
    return std::erase_if(peers, [&](const node::SyncPeer& peer) {
             return peer.endpoint == one.endpoint;
           }) != 0;
  });
  return mute;
}

std::vector<node::Endpoint> Inquiry::list_silent(const std::vector<node::SyncPeer>& peers) const {
  std::vector<node::Endpoint> silent;
  std::size_t mute = 0;
  for (const node::PeerReport& one : mute_) {
    if (std::ranges::find(peers, one.endpoint, &node::SyncPeer::endpoint) == peers.end()) continue;
    ++mute;
    // What else kept it from answering shows at once when it is called again, or is gone.
    if (!one.error || node::is_silence(one.error->code)) silent.push_back(one.endpoint);
  }
  return mute < peers.size() ? silent : std::vector<node::Endpoint>();
}

bool Inquiry::note(const std::vector<node::PeerReport>& peers) {
  const std::size_t before = mute_.size();
  std::ranges::copy_if(peers, std::back_inserter(mute_),
                       [](const node::PeerReport& peer) { return !peer.peer; });
  return mute_.size() != before;
}

}  // namespace culm::host
