#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

namespace culm::node {

/// An IPv6 address in network order; an IPv4 address as ::ffff:a.b.c.d.
using Address = std::array<std::uint8_t, 16>;

/// Counts inbound connections, in total and by address. Asked before a session is made: who is one
/// too many costs this node a refusal.
///
///   const auto ticket = admission.admit(address);
///   if (!ticket) return refuse();
///
/// Of an IPv6 address the first 64 bits count: one customer has the rest.
class Admission {
 public:
  /// One admitted connection; leaves the count when destroyed. May outlive the `Admission`.
  class Ticket {
   public:
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

   private:
    friend Admission;
    struct Counts {
      std::uint32_t total = 0;
      std::map<Address, std::uint32_t> by_address;
    };
    Ticket(std::shared_ptr<Counts> counts, const Address& address);

    std::shared_ptr<Counts> counts_;
    Address address_;
  };

  Admission(std::uint32_t total_max, std::uint32_t per_address_max);

  /// Nothing when there are enough connections already.
  [[nodiscard]] std::optional<Ticket> admit(const Address& address);

 private:
  std::uint32_t total_max_;
  std::uint32_t per_address_max_;
  std::shared_ptr<Ticket::Counts> counts_;
};

}  // namespace culm::node
