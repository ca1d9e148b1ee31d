#include <list>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "culm/replication/transport/node.hpp"

#include "tests/transport/node_fixture.hpp"

namespace culm::transport {
namespace {

using replication::CaughtUp;
using replication::Ended;
using replication::Established;
using replication::WantEnded;
using test::any_port;
using test::live_want_of;
using test::LogBuilder;
using test::Proxy;
using test::RawClient;
using test::run_until;
using test::TestNode;
using test::want_of;

class NodePeers : public testing::Test {
 protected:
  NodePeers() : here_(io_, 1), there_(io_, 2) {}

  bool run(const std::function<bool()>& done) { return run_until(io_, done); }

  test::asio::io_context io_;
  TestNode here_;
  TestNode there_;
};

TEST_F(NodePeers, OfAnotherNetworkAreRefused) {
  there_.options.network_id[0] = 1;
  here_.start().dial(there_.start_listening(), {}, {});
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1 && there_.count<Ended>() == 1; }));
  EXPECT_EQ(here_.why_ended(), Errc::kPeerNetwork);
  EXPECT_EQ(there_.why_ended(), Errc::kHandshake);
  EXPECT_TRUE(run([&] { return there_.node().sessions().empty(); }));
}

TEST_F(NodePeers, WithoutTheSecretOfAClosedNetworkAreRefused) {
  there_.options.psk = sealing::Key{1};
  here_.options.psk = sealing::Key{2};
  here_.start().dial(there_.start_listening(), {}, {});
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1 && there_.count<Ended>() == 1; }));
  EXPECT_EQ(here_.count<Established>() + there_.count<Established>(), 0U);
}

TEST_F(NodePeers, WithAnotherKeyThanExpectedLearnNothing) {
  here_.start().dial(there_.start_listening(), {.expected_peer = here_.identity.public_key()}, {});
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1 && there_.count<Ended>() == 1; }));
  EXPECT_EQ(here_.why_ended(), Errc::kPeerUnexpected);
  EXPECT_EQ(there_.count<Established>(), 0U);
}

TEST_F(NodePeers, AreNeverTheNodeItself) {
  const Endpoint own = here_.start_listening();
  here_.node().dial(own, {}, {});
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 2; }));
  EXPECT_EQ(here_.why_ended(), Errc::kPeerSelf);
  EXPECT_EQ(here_.count<Established>(), 0U);
}

TEST_F(NodePeers, ThatSpeakSomethingElseAreClosed) {
  const Endpoint there = there_.start_listening();
  for (const std::string_view text :
       {std::string_view("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string_view("SSH-2.0-OpenSSH_9.2\r\n")}) {
    RawClient client(io_);
    client.connect(there);
    client.send(text);
    EXPECT_TRUE(run([&] { return client.closed; })) << text;
    EXPECT_EQ(client.received, 0U);
  }
  EXPECT_EQ(there_.count<Ended>(), 3U);
  EXPECT_EQ(there_.why_ended(), Errc::kHandshake);
}

TEST_F(NodePeers, ThatOnlyConnectMakeRoomForNewerOnes) {
  there_.options.admission.handshakes_max = 2;
  const Endpoint there = there_.start_listening();
  RawClient first(io_);
  RawClient second(io_);
  RawClient third(io_);
  first.connect(there);
  second.connect(there);
  ASSERT_TRUE(run([&] { return there_.node().stats().accepted == 2; }));
  third.connect(there);
  ASSERT_TRUE(run([&] { return first.closed; }));
  EXPECT_FALSE(second.closed || third.closed);
  EXPECT_EQ(there_.node().stats().displaced, 1U);

  second.close();
  ASSERT_TRUE(run([&] { return there_.count<Ended>() == 2; }));
  RawClient fourth(io_);
  fourth.connect(there);
  EXPECT_TRUE(run([&] { return there_.node().stats().accepted == 4; }));
  EXPECT_FALSE(third.closed || fourth.closed);
}

TEST_F(NodePeers, FromOneAddressAreLimited) {
  there_.options.admission.handshakes_per_address_max = 1;
  const Endpoint there = there_.start_listening();
  RawClient first(io_);
  RawClient second(io_);
  RawClient other(io_);
  first.connect(there, "127.0.0.2");
  second.connect(there, "127.0.0.2");
  other.connect(there, "127.0.0.3");
  EXPECT_TRUE(run([&] { return first.closed && there_.node().stats().accepted == 3; }));
  EXPECT_FALSE(second.closed || other.closed);
}

TEST_F(NodePeers, ThatCannotBeFoundAreReported) {
  SessionRef about;
  std::optional<Error> why;
  const auto handler = [&](const SessionRef& ref, const replication::Event& event) {
    about = ref;
    why = std::get<Ended>(event).error;
  };
  Endpoint nobody;
  {
    TestNode gone(io_, 3);
    nobody = gone.start_listening();
  }
  const DialId dial = here_.start().dial(nobody, {}, handler);
  ASSERT_TRUE(run([&] { return why.has_value(); }));
  EXPECT_EQ(*why, error_system(Errc::kNetwork, ECONNREFUSED));
  EXPECT_EQ(about.id, 0U);
  EXPECT_EQ(about.dial, dial);
  EXPECT_EQ(about.remote, nobody);

  why.reset();
  here_.node().dial({"no.such.host.invalid", 1}, {}, handler);
  ASSERT_TRUE(run([&] { return why.has_value(); }));
  EXPECT_EQ(why->code, Errc::kAddress);
}

TEST_F(NodePeers, AreCalledUntilTheyAnswer) {
  Endpoint there;
  {
    TestNode early(io_, 3);
    there = early.start_listening();
  }
  here_.start().dial(there, {.reconnect = true}, {});
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 2; }));
  ASSERT_TRUE(there_.start().listen(there));
  ASSERT_TRUE(run([&] { return here_.count<Established>() == 1; }));
  // And again when they were gone.
  there_.destroy();
  ASSERT_TRUE(run([&] { return here_.count<Ended>() >= 3; }));
  ASSERT_TRUE(there_.start().listen(there));
  EXPECT_TRUE(run([&] { return here_.count<Established>() == 2; }));
}

TEST_F(NodePeers, AreNotCalledAgainOnceTheDialHasEnded) {
  const Endpoint there = there_.start_listening();
  const DialId dial = here_.start().dial(there, {.reconnect = true}, {});
  ASSERT_TRUE(run([&] { return here_.count<Established>() == 1; }));
  here_.node().end_dial(dial);
  here_.node().end_dial(dial);
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1; }));
  there_.destroy();
  // Nothing is left to do.
  io_.restart();
  io_.run();
  EXPECT_EQ(here_.count<Established>(), 1U);
}

TEST_F(NodePeers, ThatAreDialedAgainByTheirHandlerDoNotKeepTheNodeFromStopping) {
  std::size_t dials = 0;
  std::function<void()> dial = [&] {
    ++dials;
    here_.node().dial({"127.0.0.1", 1}, {},
                      [&](const SessionRef&, const replication::Event& event) {
                        if (std::holds_alternative<Ended>(event)) dial();
                      });
  };
  here_.start();
  dial();
  ASSERT_TRUE(run([&] { return dials > 2; }));
  EXPECT_TRUE(here_.stop());
  here_.destroy();
}

TEST_F(NodePeers, ThatDoNotReadAreBoundedAndSlowNobodyElse) {
  LogBuilder log("alice");
  for (int i = 0; i < 600; ++i) log.append(std::to_string(i) + std::string(20'000, 'x'));
  there_.hold(log);
  const Endpoint there = there_.start_listening();
  Proxy proxy(io_, there);
  here_.start().dial(proxy.endpoint(), {.wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return here_.node().stats().sessions.entries_received > 0; }));
  proxy.is_frozen = true;

  TestNode quick(io_, 3);
  quick.start().dial(there, {.wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return quick.count<WantEnded>() == 1; }));
  EXPECT_TRUE(quick.holds(log.log(), {{1, 600}}));
  std::uint64_t ahead = 0;
  for (const SessionStatus& status : there_.node().sessions()) {
    if (status.session.peer == here_.identity.public_key()) {
      ahead =
          status.stats.payload_bytes_sent - here_.node().stats().sessions.payload_bytes_received;
    }
  }
  EXPECT_LE(ahead, limits::kSessionCreditBytes);

  proxy.thaw();
  ASSERT_TRUE(run([&] { return here_.count<WantEnded>() == 1; }));
  EXPECT_TRUE(here_.holds(log.log(), {{1, 600}}));
}

TEST_F(NodePeers, MayBeFiftyAtATime) {
  const LogBuilder log = LogBuilder("alice").append_many(40);
  there_.hold(log, {{1, 30}});
  const Endpoint there = there_.start_listening();
  std::list<TestNode> readers;
  for (std::uint64_t i = 0; i < 50; ++i) {
    readers.emplace_back(io_, 100 + i)
        .start()
        .dial(there, {.wants = {live_want_of(log.log())}}, {});
  }
  const auto all = [&](const auto& holds) {
    return run([&] { return std::ranges::all_of(readers, holds); });
  };
  ASSERT_TRUE(all([&](const TestNode& reader) { return reader.count<CaughtUp>() == 1; }));
  EXPECT_EQ(there_.node().sessions().size(), 50U);
  there_.hold(log, {{31, 40}});
  EXPECT_TRUE(all([&](const TestNode& reader) { return reader.holds(log.log(), {{1, 40}}); }));
}

TEST_F(NodePeers, HearByeWhenANodeStops) {
  LogBuilder log("alice");
  for (int i = 0; i < 300; ++i) log.append(std::string(20'000, 'x'));
  there_.hold(log);
  const Endpoint there = there_.start_listening();
  here_.start().dial(there, {.reconnect = true, .wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return here_.node().stats().sessions.entries_received > 0; }));
  bool updated = false;
  here_.node().update([](store::WriteTransaction&) -> Result<void> { return {}; },
                      [&](const Result<void>& result) { updated = result.has_value(); });
  ASSERT_TRUE(here_.stop());
  EXPECT_TRUE(updated);
  EXPECT_EQ(here_.why_ended(), std::nullopt);
  ASSERT_TRUE(run([&] { return there_.count<Ended>() == 1; }));
  EXPECT_EQ(there_.why_ended(), std::nullopt);
  EXPECT_TRUE(here_.node().sessions().empty());
  // Everything that was received is in the store.
  EXPECT_EQ(here_.state(log.log()).held.count(), here_.node().stats().sessions.entries_received);

  std::optional<Result<void>> late;
  here_.node().update([](store::WriteTransaction&) -> Result<void> { return {}; },
                      [&](Result<void> result) { late = result; });
  EXPECT_FALSE(late);
  ASSERT_TRUE(run([&] { return late.has_value(); }));
  EXPECT_EQ(late->error().code, Errc::kStoreReadOnly);

  ASSERT_TRUE(there_.stop());
  io_.restart();
  io_.run();  // returns: nobody has work left
}

TEST_F(NodePeers, SeeATruncatedEndWhenANodeDies) {
  const LogBuilder log = LogBuilder("alice").append_many(2000);
  there_.hold(log);
  here_.start().dial(there_.start_listening(), {.wants = {live_want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return here_.count<Established>() == 1; }));
  there_.destroy();
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1; }));
  EXPECT_EQ(here_.why_ended(), Errc::kFrameTruncated);
}

TEST_F(NodePeers, MayBeClosedFromTheirOwnHandlers) {
  const LogBuilder log = LogBuilder("alice").append_many(100);
  there_.hold(log);
  const Endpoint there = there_.start_listening();
  here_.start().dial(there, {.wants = {want_of(log.log())}},
                     [&](const SessionRef& ref, const replication::Event& event) {
                       if (std::holds_alternative<WantEnded>(event)) {
                         here_.node().close_session(ref.id);
                       }
                     });
  ASSERT_TRUE(run([&] { return here_.count<Ended>() == 1 && there_.count<Ended>() == 1; }));
  EXPECT_EQ(there_.why_ended(), std::nullopt);
  EXPECT_TRUE(here_.holds(log.log(), {{1, 100}}));
}

}  // namespace
}  // namespace culm::transport
