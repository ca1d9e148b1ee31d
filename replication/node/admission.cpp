#include "culm/replication/node/admission.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace culm::node {
namespace {

constexpr std::size_t kNetworkBytes = 8;

/// What is counted together.
Address counted(const Address& address) {
  static constexpr std::array<std::uint8_t, 12> kMappedV4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::ranges::equal(kMappedV4, std::span(address).first(kMappedV4.size()))) return address;
  Address network{};
  std::copy_n(address.begin(), kNetworkBytes, network.begin());
  return network;
}

}  // namespace

Admission::Ticket::Ticket(std::shared_ptr<Counts> counts, const Address& address)
    : counts_(std::move(counts)), address_(address) {
  ++counts_->total;
  ++counts_->by_address[address_];
}

Admission::Ticket::~Ticket() {
  if (!counts_) return;
  --counts_->total;
  const auto found = counts_->by_address.find(address_);
  if (--found->second == 0) counts_->by_address.erase(found);
}

Admission::Admission(std::uint32_t total_max, std::uint32_t per_address_max)
    : total_max_(total_max),
      per_address_max_(per_address_max),
      counts_(std::make_shared<Ticket::Counts>()) {}

std::optional<Admission::Ticket> Admission::admit(const Address& address) {
  if (counts_->total >= total_max_) return std::nullopt;
  const Address network = counted(address);
  const auto found = counts_->by_address.find(network);
  if (found != counts_->by_address.end() && found->second >= per_address_max_) return std::nullopt;
  return Ticket(counts_, network);
}

}  // namespace culm::node
