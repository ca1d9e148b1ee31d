#include "culm/replication/transport/detail/listener.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/transport/network.hpp"

namespace culm::transport::detail {
namespace {

using test::any_port;
using test::RawClient;
using test::run_until;

TEST(Listener, SaysWhatItCannotBind) {
  asio::io_context io;
  const auto ignore = [](const tcp::socket&) {};
  const auto first = Listener::open(io, any_port(), ignore);
  ASSERT_TRUE(first);
  EXPECT_NE((*first)->endpoint().port, 0);
  const auto second = Listener::open(io, (*first)->endpoint(), ignore);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), error_system(Errc::kNetwork, EADDRINUSE));
  const auto nowhere = Listener::open(io, {"no.such.host.invalid", 1}, ignore);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Errc::kAddress);
  (*first)->close();
}

/// Takes every descriptor that the process may still have.
class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 256;
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (int taken = ::dup(0); taken >= 0; taken = ::dup(0)) taken_.push_back(taken);
  }
  ~NoDescriptorsLeft() {
    for (const int taken : taken_) ::close(taken);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

TEST(Listener, GoesOnAfterTheProcessRanOutOfDescriptors) {
  asio::io_context io;
  std::size_t accepted = 0;
  const auto listener = *Listener::open(io, any_port(), [&](const tcp::socket&) { ++accepted; });
  RawClient client(io);
  client.connect(listener->endpoint());
  {
    const NoDescriptorsLeft nothing;
    // More than one pause long.
    bool waited = false;
    asio::steady_timer timer(io, std::chrono::milliseconds(250));
    timer.async_wait([&](const ErrorCode&) { waited = true; });
    ASSERT_TRUE(run_until(io, [&] { return waited; }));
    EXPECT_EQ(accepted, 0U);
  }
  EXPECT_TRUE(run_until(io, [&] { return accepted == 1; }));
  listener->close();
}

}  // namespace
}  // namespace culm::transport::detail
