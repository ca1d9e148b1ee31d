#include "culm/replication/transport/detail/admissions.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace culm::transport::detail {
namespace {

asio::ip::address address(const char* text) { return asio::ip::make_address(text); }

TEST(Admissions, CountInAll) {
  Admissions admissions(2, 2);
  auto first = admissions.admit(address("10.0.0.1"));
  const auto second = admissions.admit(address("10.0.0.2"));
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(admissions.admit(address("10.0.0.3")));
  first.reset();
  EXPECT_TRUE(admissions.admit(address("10.0.0.3")));
}

TEST(Admissions, CountByAddress) {
  Admissions admissions(10, 1);
  auto first = admissions.admit(address("10.0.0.1"));
  ASSERT_TRUE(first);
  EXPECT_FALSE(admissions.admit(address("10.0.0.1")));
  EXPECT_FALSE(admissions.admit(address("::ffff:10.0.0.1")));
  EXPECT_TRUE(admissions.admit(address("10.0.0.2")));
  first.reset();
  EXPECT_TRUE(admissions.admit(address("10.0.0.1")));
}

TEST(Admissions, CountOneIpv6NetworkAsOneAddress) {
  Admissions admissions(10, 1);
  const auto first = admissions.admit(address("2001:db8:0:1::1"));
  ASSERT_TRUE(first);
  EXPECT_FALSE(admissions.admit(address("2001:db8:0:1:ffff::2")));
  EXPECT_TRUE(admissions.admit(address("2001:db8:0:2::1")));
}

TEST(Admissions, MovedTicketsLeaveOnce) {
  Admissions admissions(1, 1);
  {
    auto first = admissions.admit(address("10.0.0.1"));
    ASSERT_TRUE(first);
    const Admissions::Ticket moved = *std::move(first);
    first.reset();
    EXPECT_FALSE(admissions.admit(address("10.0.0.1")));
  }
  EXPECT_TRUE(admissions.admit(address("10.0.0.1")));
}

TEST(Admissions, MayBeOutlivedByTickets) {
  std::optional<Admissions::Ticket> ticket;
  {
    Admissions admissions(1, 1);
    ticket.emplace(*admissions.admit(address("10.0.0.1")));
  }
  ticket.reset();
}

}  // namespace
}  // namespace culm::transport::detail
