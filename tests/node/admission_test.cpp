#include "culm/replication/node/admission.hpp"

#include <optional>

#include <gtest/gtest.h>

namespace culm::node {
namespace {

Address v4(std::uint8_t last) { return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last}; }

/// 2001:db8:0:`network`::`host`.
Address v6(std::uint8_t network, std::uint8_t host) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, host};
}

TEST(Admission, CountsInAll) {
  Admission admission(2, 2);
  auto first = admission.admit(v4(1));
  const auto second = admission.admit(v4(2));
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(admission.admit(v4(3)));
  first.reset();
  EXPECT_TRUE(admission.admit(v4(3)));
}

TEST(Admission, CountsByAddress) {
  Admission admission(10, 1);
  auto first = admission.admit(v4(1));
  ASSERT_TRUE(first);
  EXPECT_FALSE(admission.admit(v4(1)));
  EXPECT_TRUE(admission.admit(v4(2)));
  first.reset();
  EXPECT_TRUE(admission.admit(v4(1)));
}

TEST(Admission, CountsOneIpv6NetworkAsOneAddress) {
  Admission admission(10, 1);
  const auto first = admission.admit(v6(1, 1));
  ASSERT_TRUE(first);
  EXPECT_FALSE(admission.admit(v6(1, 2)));
  EXPECT_TRUE(admission.admit(v6(2, 1)));
}

TEST(Admission, AMovedTicketLeavesOnce) {
  Admission admission(1, 1);
  {
    auto first = admission.admit(v4(1));
    ASSERT_TRUE(first);
    const Admission::Ticket moved = *std::move(first);
    first.reset();
    EXPECT_FALSE(admission.admit(v4(1)));
  }
  EXPECT_TRUE(admission.admit(v4(1)));
}

TEST(Admission, MayBeOutlivedByItsTickets) {
  std::optional<Admission::Ticket> ticket;
  {
    Admission admission(1, 1);
    ticket.emplace(*admission.admit(v4(1)));
  }
  ticket.reset();
}

}  // namespace
}  // namespace culm::node
