#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Counts the connections that strangers hold, in total and by address (IPv6: by its first 64
/// bits, which one customer can fill as he likes). Asked before anything is spent on a connection.
class Admissions {
 public:
  /// What is counted together.
  using Address = std::array<std::uint8_t, 16>;

  /// One admitted connection; leaves the count when destroyed. May outlive the `Admissions`.
  class Ticket {
   public:
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

   private:
    friend Admissions;
    struct Counts {
      std::uint32_t total = 0;
      std::map<Address, std::uint32_t> by_address;
    };
    Ticket(std::shared_ptr<Counts> counts, const Address& address);

    std::shared_ptr<Counts> counts_;
    Address address_;
  };

  Admissions(std::uint32_t total_max, std::uint32_t per_address_max);

  /// Nothing when there are enough connections already.
  [[nodiscard]] std::optional<Ticket> admit(const asio::ip::address& address);

 private:
  std::uint32_t total_max_;
  std::uint32_t per_address_max_;
  std::shared_ptr<Ticket::Counts> counts_;
};

}  // namespace culm::transport::detail
