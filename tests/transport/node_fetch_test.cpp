#include <string>

#include <gtest/gtest.h>

#include "culm/replication/transport/node.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/support/temp_dir.hpp"
#include "tests/transport/node_fixture.hpp"

namespace culm::transport {
namespace {

using replication::CaughtUp;
using replication::Ended;
using replication::Established;
using replication::PeerHas;
using replication::WantEnded;
using test::live_want_of;
using test::LogBuilder;
using test::Proxy;
using test::run_until;
using test::TestNode;
using test::want_of;

class NodeFetch : public testing::Test {
 protected:
  bool run(const std::function<bool()>& done) { return run_until(io_, done); }

  test::asio::io_context io_;
};

LogBuilder large_log(std::size_t entries, std::size_t payload_bytes) {
  LogBuilder log("alice");
  for (std::size_t i = 0; i < entries; ++i) {
    log.append(std::to_string(i) + std::string(payload_bytes, 'x'));
  }
  return log;
}

TEST_F(NodeFetch, BringsAWholeLogByWant) {
  const LogBuilder log = LogBuilder("alice").append_many(500);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log);
  const Endpoint there = author.start_listening();
  std::size_t events = 0;
  const DialId dial = reader.start().dial(there, {.wants = {want_of(log.log())}},
                                          [&](const SessionRef& ref, const replication::Event&) {
                                            EXPECT_NE(ref.id, 0U);
                                            ++events;
                                          });
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));

  EXPECT_TRUE(reader.holds(log.log(), {{1, 500}}));
  EXPECT_EQ(reader.state(log.log()).interest.entries, everything());
  ASSERT_EQ(reader.node().sessions().size(), 1U);
  const SessionStatus status = reader.node().sessions().front();
  EXPECT_EQ(status.session.dial, dial);
  EXPECT_EQ(status.session.remote, there);
  EXPECT_EQ(status.session.peer, author.identity.public_key());
  EXPECT_EQ(status.agent, "culm");
  EXPECT_EQ(status.stats.entries_received, 500U);
  EXPECT_EQ(author.node().sessions().front().session.peer, reader.identity.public_key());

  EXPECT_TRUE(reader.stop());
  EXPECT_EQ(events, reader.seen.size());
  EXPECT_TRUE(std::holds_alternative<Ended>(reader.seen.back().second));
  EXPECT_EQ(reader.why_ended(), std::nullopt);
  EXPECT_EQ(reader.node().stats().sessions.entries_received, 500U);
}

TEST_F(NodeFetch, WorksWithStoresOnDisk) {
  const test::TempDir dir;
  store::LmdbOptions small;
  small.map_size_bytes = std::size_t{1} << 24U;
  auto author_kv = store::LmdbKv::open(dir.path("author"), small);
  auto reader_kv = store::LmdbKv::open(dir.path("reader"), small);
  ASSERT_TRUE(author_kv && reader_kv);
  const LogBuilder log = large_log(300, 3000);
  TestNode author(io_, 1, *std::move(author_kv));
  TestNode reader(io_, 2, *std::move(reader_kv));
  author.hold(log);
  reader.start().dial(author.start_listening(), {.wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(log.log(), {{1, 300}}));
}

TEST_F(NodeFetch, BringsLargePayloads) {
  const LogBuilder log = large_log(3, 3 << 20U);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log, {{1, 3}});
  {
    const auto state = author.state(log.log());
    ASSERT_EQ(state.payloads, (RangeSet{{1, 3}}));
  }
  reader.start().dial(author.start_listening(), {.wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_TRUE(reader.holds(log.log(), {{1, 3}}));
  EXPECT_GT(reader.node().stats().sessions.payload_bytes_received, std::uint64_t{9} << 20U);
}

TEST_F(NodeFetch, PushesAnOfferedLog) {
  const LogBuilder log = LogBuilder("alice").append_many(200);
  TestNode author(io_, 1);
  TestNode relay(io_, 2);
  author.hold(log);
  relay.accepts = store::LogInterest{everything(), true};
  author.start().dial(relay.start_listening(), {.offers = {log.log()}}, {});
  ASSERT_TRUE(run([&] { return relay.holds(log.log(), {{1, 200}}); }));
  EXPECT_EQ(relay.state(log.log()).interest.entries, everything());
  // The receipt tells the author that the relay has it.
  EXPECT_TRUE(run([&] {
    const auto has = author.all<PeerHas>();
    return !has.empty() && has.back().held == RangeSet{{1, 200}};
  }));
}

TEST_F(NodeFetch, TellsThatAnOfferIsDeclined) {
  const LogBuilder log = LogBuilder("alice").append_many(10);
  TestNode author(io_, 1);
  TestNode relay(io_, 2);
  author.hold(log);
  author.start().dial(relay.start_listening(), {.offers = {log.log()}}, {});
  EXPECT_TRUE(run([&] { return author.count<replication::Denied>() == 1; }));
}

TEST_F(NodeFetch, BringsWhatIsAppendedLater) {
  LogBuilder log = LogBuilder("alice").append_many(10);
  TestNode author(io_, 1);
  TestNode relay(io_, 2);
  TestNode reader(io_, 3);
  author.hold(log);
  const Endpoint at_author = author.start_listening();
  const Endpoint at_relay = relay.start_listening();
  relay.node().dial(at_author, {.wants = {live_want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return relay.count<CaughtUp>() == 1; }));
  reader.start().dial(at_relay, {.wants = {live_want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return reader.count<CaughtUp>() == 1; }));
  for (SeqNum n = 11; n <= 30; ++n) {
    log.append("later");
    author.hold(log, {{n, n}});
  }
  EXPECT_TRUE(run([&] { return reader.holds(log.log(), {{1, 30}}); }));
  EXPECT_EQ(reader.node().stats().sessions.entries_received, 30U);
}

TEST_F(NodeFetch, ResumesAfterACutWithTheRestAlone) {
  const LogBuilder log = large_log(2000, 1000);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log);
  Proxy proxy(io_, author.start_listening());
  proxy.cut_after_bytes = 700'000;
  reader.start().dial(proxy.endpoint(), {.reconnect = true, .wants = {want_of(log.log())}}, {});
  ASSERT_TRUE(run([&] { return reader.count<Ended>() == 1; }));
  EXPECT_EQ(reader.why_ended(), Errc::kFrameTruncated);
  proxy.cut_after_bytes = UINT64_MAX;
  ASSERT_TRUE(run([&] { return reader.count<Established>() == 2; }));
  // All that had come was committed long before the node called again.
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));

  EXPECT_TRUE(reader.holds(log.log(), {{1, 2000}}));
  EXPECT_EQ(proxy.connections, 2U);
  EXPECT_EQ(reader.node().stats().sessions.entries_received, 2000U);
  EXPECT_GT(reader.node().sessions().front().stats.entries_received, 0U);
  EXPECT_LT(reader.node().sessions().front().stats.entries_received, 2000U);
}

TEST_F(NodeFetch, SurvivesCutsEverywhere) {
  const LogBuilder log = large_log(300, 300);
  TestNode author(io_, 1);
  author.hold(log);
  const Endpoint there = author.start_listening();
  TestNode reader(io_, 2);
  reader.start();
  for (std::uint64_t after = 0; after < 160'000; after = after * 5 / 4 + 17) {
    Proxy proxy(io_, there);
    proxy.cut_after_bytes = after;
    const std::size_t before = reader.count<Ended>();
    reader.node().dial(proxy.endpoint(), {.wants = {want_of(log.log())}}, {});
    ASSERT_TRUE(run([&] {
      return reader.count<Ended>() > before || reader.count<WantEnded>() != 0;
    })) << "cut after "
        << after;
    if (reader.count<WantEnded>() != 0) break;
  }
  EXPECT_TRUE(run([&] { return reader.holds(log.log(), {{1, 300}}); }));
}

TEST_F(NodeFetch, WidensAWantByTheInterestOfTheStore) {
  const LogBuilder log = LogBuilder("alice").append_many(300);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log);
  const Endpoint there = author.start_listening();
  reader.start().dial(there, {.wants = {want_of(log.log(), {{{5, 9}}, 0})}}, {});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 1; }));
  EXPECT_FALSE(reader.holds(log.log(), {{100, 110}}));
  reader.node().update(
      [&](store::WriteTransaction& transaction) {
        return transaction.set_interest(log.log(), {{{{5, 9}, {100, 110}}, 0}, true});
      },
      {});
  reader.node().dial(there, {.wants = {want_of(log.log(), {{}, 3})}}, {});
  ASSERT_TRUE(run([&] { return reader.count<WantEnded>() == 2; }));
  const RangeSet all{{5, 9}, {100, 110}, {298, 300}};
  EXPECT_TRUE(reader.holds(log.log(), all));
  EXPECT_EQ(reader.state(log.log()).held, closure(all, 300));
  EXPECT_EQ(reader.state(log.log()).interest.entries, (Interest{{{5, 9}, {100, 110}}, 3}));
}

TEST_F(NodeFetch, KeepsNothingForAQuote) {
  const LogBuilder log = LogBuilder("alice").append_many(50);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log);
  auto quote = want_of(log.log());
  quote.quote_only = true;
  reader.start().dial(author.start_listening(), {.wants = {quote}}, {});
  ASSERT_TRUE(run([&] { return reader.count<replication::Quoted>() == 1; }));
  EXPECT_EQ(reader.all<replication::Quoted>().front().quote.entries, 50U);
  EXPECT_TRUE(reader.state(log.log()).interest.entries.empty());
}

TEST_F(NodeFetch, SpreadsAFork) {
  const LogBuilder log = LogBuilder("alice").append_many(20);
  const LogBuilder other = log.fork(15);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(log);
  reader.hold(other);
  reader.start().dial(author.start_listening(), {.wants = {live_want_of(log.log())}}, {});
  EXPECT_TRUE(
      run([&] { return author.state(log.log()).cap == 15 && reader.state(log.log()).cap == 15; }));
  EXPECT_TRUE(run([&] { return reader.defects == 1; }));
}

TEST_F(NodeFetch, TakesWantsAndOffersOfARunningSession) {
  const LogBuilder alice = LogBuilder("alice").append_many(30);
  const LogBuilder bob = LogBuilder("bob").append_many(30);
  TestNode author(io_, 1);
  TestNode reader(io_, 2);
  author.hold(alice);
  reader.hold(bob);
  author.accepts = store::LogInterest{everything(), true};
  reader.start().dial(author.start_listening(), {}, {});
  ASSERT_TRUE(run([&] { return reader.count<Established>() == 1; }));
  const SessionId session = reader.node().sessions().front().session.id;
  EXPECT_TRUE(reader.node().want(session, want_of(alice.log())));
  EXPECT_TRUE(reader.node().offer(session, bob.log()));
  const auto has_arrived = [&] {
    return reader.holds(alice.log(), {{1, 30}}) && author.holds(bob.log(), {{1, 30}});
  };
  EXPECT_TRUE(run(has_arrived));
  reader.node().close_session(session);
  EXPECT_EQ(reader.node().want(session, want_of(alice.log())).error().code, Errc::kPeerClosed);
  EXPECT_TRUE(run([&] { return author.count<Ended>() == 1; }));
  EXPECT_EQ(author.why_ended(), std::nullopt);
}

}  // namespace
}  // namespace culm::transport
