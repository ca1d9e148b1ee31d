#include "culm/replication/node/admission.hpp"

#include <algorithm>
#include <chrono>
#include <span>

#include "culm/core/assert.hpp"

namespace culm::node {
namespace {

constexpr std::size_t kNetworkBytes = 8;
constexpr auto kUnwanted = std::chrono::milliseconds(limits::kSessionUnwantedMs);
constexpr auto kQuiet = std::chrono::milliseconds(limits::kSessionQuietMs);
constexpr auto kUseful = std::chrono::milliseconds(limits::kSessionUsefulMs);

/// What is counted together.
Address counted(const Address& address) {
  static constexpr std::array<std::uint8_t, 12> kMappedV4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::ranges::equal(kMappedV4, std::span(address).first(kMappedV4.size()))) return address;
  Address network{};
  std::copy_n(address.begin(), kNetworkBytes, network.begin());
  return network;
}

std::size_t count_of(const std::map<Address, std::set<SessionId>>& all, const Address& network) {
  const auto found = all.find(network);
  return found == all.end() ? 0 : found->second.size();
}

void erase(std::map<Address, std::set<SessionId>>& all, const Address& network, SessionId id) {
  const auto found = all.find(network);
  found->second.erase(id);
  if (found->second.empty()) all.erase(found);
}

}  // namespace

std::optional<SessionId> Admission::arrived(SessionId id, const Address& address) {
  const Address network = counted(address);
  std::optional<SessionId> displaced;
  if (count_of(handshakes_, network) >= std::max(1U, limits_.handshakes_per_address_max)) {
    displaced = *handshakes_.at(network).begin();
  } else if (handshake_count_ >= std::max(1U, limits_.handshakes_max)) {
    displaced = oldest_of_the_most();
  }
  if (displaced) leave(*displaced);
  places_.emplace(id, Place{Room::kHandshake, network});
  handshakes_[network].insert(id);
  ++handshake_count_;
  return displaced;
}

SessionId Admission::oldest_of_the_most() const {
  const auto most = std::ranges::min_element(handshakes_, [](const auto& one, const auto& other) {
    if (one.second.size() != other.second.size()) return one.second.size() > other.second.size();
    return *one.second.begin() < *other.second.begin();
  });
  return *most->second.begin();
}

Admission::Verdict Admission::established(SessionId id, Instant now) {
  const auto found = places_.find(id);
  CULM_ASSERT(found != places_.end() && found->second.room == Room::kHandshake);
  Place& place = found->second;
  vacate(id, place);
  Verdict verdict;
  if (!has_room(place.network)) {
    verdict.evicted = useless(place.network, now);
    verdict.is_admitted = verdict.evicted.has_value();
    const SessionId dismissed = verdict.evicted.value_or(id);
    Place& of_dismissed = places_.at(dismissed);
    if (verdict.evicted) vacate(dismissed, of_dismissed);
    verdict.dropped = dismiss(dismissed, of_dismissed);
  }
  if (verdict.is_admitted) {
    place.room = Room::kSession;
    place.worth = {.used_at = now, .id = id};
    sessions_[place.network].insert(id);
    by_worth_.insert(place.worth);
  }
  return verdict;
}

bool Admission::has_room(const Address& network) const {
  return by_worth_.size() < limits_.sessions_max &&
         count_of(sessions_, network) < limits_.sessions_per_address_max;
}

std::optional<SessionId> Admission::useless(const Address& network, Instant now) const {
  std::optional<Worth> least;
  const auto look_at = [&](const Worth& worth) {
    const auto spared = worth.has_brought ? kUseful : worth.has_wants ? kQuiet : kUnwanted;
    if (now - worth.used_at < spared) return;
    if (!least || worth < *least) least = worth;
  };
  const auto own = sessions_.find(network);
  if (own != sessions_.end() && own->second.size() >= limits_.sessions_per_address_max) {
    for (const SessionId id : own->second) look_at(places_.at(id).worth);
  } else {
    // Of each kind the first is the least: a fresh one without a want must not cover for others.
    for (const bool has_brought : {false, true}) {
      for (const bool has_wants : {false, true}) {
        const Worth least_of_kind{.has_brought = has_brought, .has_wants = has_wants};
        const auto first = by_worth_.lower_bound(least_of_kind);
        if (first != by_worth_.end()) look_at(*first);
      }
    }
  }
  return least ? std::optional(least->id) : std::nullopt;
}

std::optional<SessionId> Admission::dismiss(SessionId id, Place& place) {
  place.room = Room::kFarewell;
  farewells_.push_back(id);
  if (farewells_.size() <= limits::kFarewells) return std::nullopt;
  const SessionId dropped = farewells_.front();
  leave(dropped);
  return dropped;
}

void Admission::used(SessionId id, Instant now) {
  const auto found = places_.find(id);
  if (found == places_.end() || found->second.room != Room::kSession) return;
  Worth worth = found->second.worth;
  worth.used_at = now;
  set_worth(found->second, worth);
}

void Admission::wants(SessionId id, bool has_wants) {
  const auto found = places_.find(id);
  if (found == places_.end() || found->second.room != Room::kSession) return;
  Worth worth = found->second.worth;
  worth.has_wants = has_wants;
  set_worth(found->second, worth);
}

void Admission::brought(SessionId id) {
  const auto found = places_.find(id);
  if (found == places_.end() || found->second.room != Room::kSession) return;
  Worth worth = found->second.worth;
  worth.has_brought = true;
  set_worth(found->second, worth);
}

void Admission::set_worth(Place& place, const Worth& worth) {
  by_worth_.erase(place.worth);
  place.worth = worth;
  by_worth_.insert(worth);
}

void Admission::leave(SessionId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  vacate(id, found->second);
  places_.erase(found);
}

void Admission::vacate(SessionId id, const Place& place) {
  switch (place.room) {
    case Room::kHandshake:
      --handshake_count_;
      return erase(handshakes_, place.network, id);
    case Room::kSession:
      by_worth_.erase(place.worth);
      return erase(sessions_, place.network, id);
    case Room::kFarewell:
      std::erase(farewells_, id);
  }
}

}  // namespace culm::node
