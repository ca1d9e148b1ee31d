#include "culm/replication/transport/detail/admissions.hpp"

#include <algorithm>

namespace culm::transport::detail {
namespace {

constexpr std::size_t kNetworkBytes = 8;

Admissions::Address counted_address(const asio::ip::address& address) {
  Admissions::Address out{};
  if (address.is_v4() || address.to_v6().is_v4_mapped()) {
    const auto v6 = address.is_v6()
                        ? address.to_v6()
                        : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4());
    std::ranges::copy(v6.to_bytes(), out.begin());
    return out;
  }
  const auto bytes = address.to_v6().to_bytes();
  std::copy_n(bytes.begin(), kNetworkBytes, out.begin());
  return out;
}

}  // namespace

Admissions::Ticket::Ticket(std::shared_ptr<Counts> counts, const Address& address)
    : counts_(std::move(counts)), address_(address) {
  ++counts_->total;
  ++counts_->by_address[address_];
}

Admissions::Ticket::~Ticket() {
  if (!counts_) return;
  --counts_->total;
  const auto found = counts_->by_address.find(address_);
  if (--found->second == 0) counts_->by_address.erase(found);
}

Admissions::Admissions(std::uint32_t total_max, std::uint32_t per_address_max)
    : total_max_(total_max),
      per_address_max_(per_address_max),
      counts_(std::make_shared<Ticket::Counts>()) {}

std::optional<Admissions::Ticket> Admissions::admit(const asio::ip::address& address) {
  if (counts_->total >= total_max_) return std::nullopt;
  const Address counted = counted_address(address);
  const auto found = counts_->by_address.find(counted);
  if (found != counts_->by_address.end() && found->second >= per_address_max_) return std::nullopt;
  return Ticket(counts_, counted);
}

}  // namespace culm::transport::detail
