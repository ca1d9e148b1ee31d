#include <gtest/gtest.h>

#include "culm/replication/session.hpp"
#include "culm/store/audit.hpp"

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::TestRandom;
using test::want_of;

constexpr SeqNum kHead = 400;

const LogBuilder& the_log() {
  static const LogBuilder log = LogBuilder("alice").append_many(kHead);
  return log;
}

Interest random_interest(TestRandom& random, SeqNum head) {
  Interest interest;
  for (std::uint64_t count = random.between(0, 3); count > 0; --count) {
    const SeqNum first = random.between(1, head);
    const std::uint64_t length = random.below(4) == 0 ? random.below(150) : random.below(8);
    interest.ranges.insert(SeqRange{first, first + length});
  }
  if (interest.ranges.empty() || random.below(4) == 0) interest.newest = random.between(1, 40);
  return interest;
}

/// What is held verifies from nothing, and all of `closed` is held and part of a verified subset.
void expect_sound(TestPeer& peer, const LogBuilder& log, const RangeSet& closed) {
  const auto transaction = peer.store().read();
  const auto state = transaction->find_log(log.log());
  ASSERT_TRUE(state);
  if (!*state) return;
  const auto report = store::audit_log(*transaction, **state, peer.verifier);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->is_sound()) << message(*report->first_fault);
  EXPECT_TRUE((*state)->held.contains(closed));
  EXPECT_TRUE((report->loose & closed).empty());
  EXPECT_TRUE(peer.agrees_with(log));
}

void expect_nobody_blamed(const TestConnection& connection) {
  for (const test::TestEnd* end : {&connection.a, &connection.b}) {
    EXPECT_EQ(end->count<Ended>(), 0U) << connection.why();
    EXPECT_EQ(end->count<Denied>(), 0U);
  }
}

void expect_same(TestPeer& a, TestPeer& b, const LogKey& log, const RangeSet& seqnums) {
  const auto at_a = a.store().read();
  const auto at_b = b.store().read();
  const auto visited = at_a->visit_entries(
      **at_a->get_log(log), seqnums, [&](const store::StoredEntry& own) -> Result<bool> {
        CULM_TRY(const auto other, at_b->get_entry(**at_b->get_log(log), own.entry.seqnum()));
        EXPECT_TRUE(equal(own.entry.bytes(), other.entry.bytes())) << own.entry.seqnum();
        return true;
      });
  EXPECT_TRUE(visited);
}

/// Syncs `reader` from `source`, cut at random places and begun again, until it is done. Returns
/// the entries that moved.
std::uint64_t sync_with_cuts(TestPeer& reader, TestPeer& source, const WantRequest& request,
                             TestRandom& random) {
  std::uint64_t moved = 0;
  for (int attempt = 0; attempt < 50; ++attempt) {
    TestConnection connection(reader, source, random.next());
    EXPECT_TRUE(connection.a.session->want(request));
    const bool is_cut = attempt < 3 && random.below(2) == 0;
    const RangeSet before = reader.state(request.log).held;
    connection.run(is_cut ? random.between(200, 20'000) : UINT64_MAX);
    moved += (reader.state(request.log).held - before).count();
    if (connection.a.count<WantEnded>() != 0) {
      expect_nobody_blamed(connection);
      return moved;
    }
  }
  ADD_FAILURE() << "never done";
  return moved;
}

TEST(ReplicationProperty, PartsTravelOverTwoHopsWithNothingElse) {
  const LogBuilder& log = the_log();
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    TestPeer a(seed * 10 + 1);
    TestPeer b(seed * 10 + 2);
    TestPeer c(seed * 10 + 3);
    a.hold(log);

    auto first = want_of(log.log(), random_interest(random, kHead));
    first.order = random.below(2) == 0 ? Order::kAscending : Order::kNewestFirst;
    const RangeSet at_b = closure(resolve(first.interest, kHead), kHead);
    EXPECT_EQ(sync_with_cuts(b, a, first, random), at_b.count());
    EXPECT_EQ(b.state(log.log()).held, at_b);
    EXPECT_EQ(b.state(log.log()).payloads, resolve(first.interest, kHead));
    expect_sound(b, log, at_b);

    // C asks for something else: it gets what B has of it, proven, from B alone.
    auto second = want_of(log.log(), random_interest(random, kHead));
    second.order = first.order;
    const RangeSet common = resolve(second.interest, at_b.max()) & at_b;
    const RangeSet at_c = closure(common, at_b.max());
    EXPECT_EQ(sync_with_cuts(c, b, second, random), at_c.count());
    EXPECT_EQ(c.state(log.log()).held, at_c);
    EXPECT_EQ(c.state(log.log()).payloads, common & b.state(log.log()).payloads);
    expect_sound(c, log, at_c);

    TestConnection again(c, b, seed);
    ASSERT_TRUE(again.a.session->want(second));
    again.run();
    EXPECT_EQ(again.a.session->stats().entries_received, 0U);
    EXPECT_EQ(again.a.session->stats().payload_bytes_received, 0U);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ReplicationProperty, WindowsThatGrowBothWaysStayClosedAndMoveNothingTwice) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    LogBuilder log = LogBuilder("alice").append_many(random.between(1, 120));
    TestPeer a(seed * 10 + 1);
    TestPeer b(seed * 10 + 2);
    a.hold(log);
    RangeSet interest;
    std::uint64_t moved = 0;
    for (int round = 0; round < 8; ++round) {
      interest |= random_interest(random, log.head()).ranges;
      moved += sync_with_cuts(b, a, want_of(log.log(), {interest, 1}), random);
      expect_sound(b, log, closure(resolve({interest, 1}, log.head()), log.head()));
      EXPECT_EQ(b.state(log.log()).held.count(), moved);
      const SeqNum head = log.head();
      log.append_many(random.below(60));
      if (log.head() > head) a.hold(log, {{head + 1, log.head()}});
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ReplicationProperty, LiveReaderFollowsAGrowingLogThroughAnyFragmentation) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    LogBuilder log = LogBuilder("alice").append_many(random.between(1, 60));
    TestPeer a(seed * 10 + 1);
    TestPeer b(seed * 10 + 2);
    a.hold(log);
    TestConnection connection(b, a, seed);
    auto request = want_of(log.log(), random_interest(random, log.head()));
    request.live = true;
    ASSERT_TRUE(connection.a.session->want(request));
    for (int round = 0; round < 15; ++round) {
      // Sometimes the log grows while entries are under way.
      connection.run(random.below(2) == 0 ? UINT64_MAX
                                          : connection.bytes_moved + random.between(1, 2'000));
      const SeqNum head = log.head();
      log.append_many(random.between(1, 12));
      a.hold(log, {{head + 1, log.head()}});
      connection.log_changed(a, log.log());
    }
    connection.run();
    expect_nobody_blamed(connection);
    expect_sound(b, log, closure(resolve(request.interest, log.head()), log.head()));
    EXPECT_EQ(connection.a.session->stats().entries_received, b.state(log.log()).held.count());
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ReplicationProperty, ForksAreFoundAndNobodyIsBlamed) {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const LogBuilder left = LogBuilder("alice").append_many(random.between(10, 120));
    const SeqNum at = random.between(1, left.head());
    const LogBuilder right = left.fork(at).append_many(random.below(60));
    TestPeer a(seed * 10 + 1);
    TestPeer b(seed * 10 + 2);
    a.hold(left, closure(resolve(random_interest(random, left.head()), left.head()), left.head()));
    b.hold(right,
           closure(resolve(random_interest(random, right.head()), right.head()), right.head()));
    TestConnection connection(a, b, seed);
    ASSERT_TRUE(connection.a.session->want(want_of(left.log())));
    connection.run();
    EXPECT_FALSE(connection.a.session->ended()) << connection.why();
    EXPECT_FALSE(connection.b.session->ended()) << connection.why();

    // Who learned of the fork has told the other, and what both serve is the same.
    const auto state_a = a.state(left.log());
    const auto state_b = b.state(left.log());
    EXPECT_EQ(state_a.cap, state_b.cap);
    EXPECT_TRUE(state_a.cap == 0 || state_a.cap >= at);
    expect_same(a, b, left.log(), state_a.served() & state_b.served());
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace culm::replication
