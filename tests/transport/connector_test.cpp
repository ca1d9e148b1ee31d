#include "culm/replication/transport/detail/connector.hpp"

#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/transport/detail/listener.hpp"

#include "tests/transport/network.hpp"

namespace culm::transport::detail {
namespace {

using test::any_port;
using test::run_until;

/// An address that answers nothing, as of a host that is away: the system drops what comes, since
/// nobody takes the connections that wait.
class DeadAddress {
 public:
  explicit DeadAddress(asio::io_context& io)
      : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0), false) {
    acceptor_.listen(0);
    // One more than the queue holds never comes through.
    for (int i = 0; i < 4; ++i) {
      waiting_.push_back(std::make_unique<tcp::socket>(io));
      waiting_.back()->async_connect(endpoint(), [this](const ErrorCode& code) {
        if (!code) ++queued_;
      });
    }
    EXPECT_TRUE(run_until(io, [this] { return queued_ != 0; }));
  }

  [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

 private:
  tcp::acceptor acceptor_;
  std::vector<std::unique_ptr<tcp::socket>> waiting_;
  int queued_ = 0;
};

class ConnectorTest : public testing::Test {
 protected:
  /// The outcome of trying these.
  Result<tcp::socket> connect(std::vector<tcp::endpoint> addresses) {
    std::optional<Result<tcp::socket>> outcome;
    const auto connector = std::make_shared<Connector>(
        io_, [&](Result<tcp::socket> socket) { outcome.emplace(std::move(socket)); });
    connector->connect_to(std::move(addresses));
    EXPECT_TRUE(run_until(io_, [&] { return outcome.has_value(); }));
    connector->cancel();
    return outcome ? *std::move(outcome) : fail(Errc::kTimeout);
  }
  /// A port that nobody listens at.
  tcp::endpoint closed_port() {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    return acceptor.local_endpoint();
  }

  asio::io_context io_;
};

TEST_F(ConnectorTest, ADeadAddressOfANameHoldsUpNothing) {
  const DeadAddress dead(io_);
  const DeadAddress dead_too(io_);
  const auto listener = *Listener::open(io_, any_port(), [](const tcp::socket&) {});
  const tcp::endpoint good(asio::ip::address_v4::loopback(), listener->endpoint().port);
  const Instant begun = now();
  const auto socket = connect({dead.endpoint(), dead_too.endpoint(), good});
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->remote_endpoint(), good);
  EXPECT_GE(now() - begun, std::chrono::milliseconds(2 * limits::kNextAddressMs));
  EXPECT_LT(now() - begun, std::chrono::milliseconds(limits::kConnectTimeoutMs) / 2);
  listener->close();
}

TEST_F(ConnectorTest, AnAddressThatRefusesIsFollowedByTheNextAtOnce) {
  const auto listener = *Listener::open(io_, any_port(), [](const tcp::socket&) {});
  const tcp::endpoint good(asio::ip::address_v4::loopback(), listener->endpoint().port);
  const Instant begun = now();
  std::vector<tcp::endpoint> addresses(limits::kAddressesMax - 1, closed_port());
  addresses.push_back(good);
  ASSERT_TRUE(connect(addresses));
  EXPECT_LT(now() - begun, std::chrono::milliseconds(5 * limits::kNextAddressMs));
  listener->close();
}

TEST_F(ConnectorTest, OfSeveralFailuresItTellsThatOneRefused) {
  const tcp::endpoint nowhere(asio::ip::address_v4::broadcast(), 7474);
  for (const bool is_first : {false, true}) {
    auto addresses = std::vector{nowhere, closed_port()};
    if (is_first) std::swap(addresses[0], addresses[1]);
    const auto refused = connect(addresses);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), error_system(Errc::kNetwork, ECONNREFUSED)) << is_first;
  }
  EXPECT_NE(connect({nowhere}).error(), error_system(Errc::kNetwork, ECONNREFUSED));
}

}  // namespace
}  // namespace culm::transport::detail
