#include "culm/replication/session.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/store/audit.hpp"

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::TestPush;
using test::want_of;

/// A reader that is connected to an author.
class SessionFetch : public testing::Test {
 protected:
  void fetch(const WantRequest& request) {
    ASSERT_TRUE(connection.a.session->want(request));
    connection.run();
  }

  TestPeer author{1};
  TestPeer reader{2};
  TestConnection connection{reader, author, 3};
};

TEST_F(SessionFetch, BringsAWholeLogWithItsPayloads) {
  const LogBuilder log = LogBuilder("alice").append_many(300);
  author.hold(log);
  fetch(want_of(log.log()));

  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 300}})) << connection.why();
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 300}}));
  EXPECT_TRUE(reader.agrees_with(log));
  ASSERT_NE(connection.a.last<WantEnded>(), nullptr);
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kComplete);
}

TEST_F(SessionFetch, BringsExactlyTheClosureOfARange) {
  const LogBuilder log = LogBuilder("alice").append_many(300);
  author.hold(log);
  const RangeSet wanted{{100, 120}};
  fetch(want_of(log.log(), {wanted, 10}));

  const RangeSet all = wanted | RangeSet{{291, 300}};
  EXPECT_EQ(reader.state(log.log()).held, closure(all, 300));
  EXPECT_EQ(reader.state(log.log()).payloads, all);
  const auto* quoted = connection.a.last<Quoted>();
  ASSERT_NE(quoted, nullptr);
  EXPECT_EQ(quoted->quote.entries, all.count());
  EXPECT_EQ(quoted->quote.entries + quoted->quote.certificate_entries,
            connection.a.session->stats().entries_received);
}

TEST_F(SessionFetch, BringsNewestFirstInAnchoredUnits) {
  const LogBuilder log = LogBuilder("alice").append_many(1000);
  author.hold(log);
  auto request = want_of(log.log());
  request.order = Order::kNewestFirst;
  fetch(request);

  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 1000}}));
  EXPECT_EQ(connection.a.count<Denied>(), 0U);
}

TEST_F(SessionFetch, LeavesPayloadsOutWhenEntriesOnlyAreWanted) {
  const LogBuilder log = LogBuilder("alice").append_many(50);
  author.hold(log);
  auto request = want_of(log.log());
  request.payloads = false;
  fetch(request);

  EXPECT_EQ(reader.state(log.log()).held.count(), 50U);
  EXPECT_TRUE(reader.state(log.log()).payloads.empty());

  TestConnection later(reader, author, 4);
  ASSERT_TRUE(later.a.session->want(want_of(log.log())));
  later.run();
  EXPECT_EQ(reader.state(log.log()).payloads.count(), 50U);
  EXPECT_EQ(later.a.session->stats().entries_received, 0U);
}

TEST_F(SessionFetch, QuoteOnlyMovesNoEntry) {
  const LogBuilder log = LogBuilder("alice").append_many(300);
  author.hold(log);
  auto request = want_of(log.log(), {RangeSet{{100, 120}}, 0});
  request.quote_only = true;
  fetch(request);

  ASSERT_NE(connection.a.last<Quoted>(), nullptr);
  EXPECT_EQ(connection.a.last<Quoted>()->quote.entries, 21U);
  EXPECT_NE(connection.a.last<WantEnded>(), nullptr);
  EXPECT_TRUE(reader.state(log.log()).held.empty());
}

TEST(Session, PushesByOfferAndReturnsReceipts) {
  const LogBuilder log = LogBuilder("alice").append_many(200);
  TestPush push(log);
  auto& connection = push.connection;
  connection.run();

  EXPECT_EQ(push.relay.state(log.log()).held.count(), 200U);
  EXPECT_EQ(connection.b.count<OfferAccepted>(), 1U);
  ASSERT_NE(connection.a.last<PeerHas>(), nullptr);
  EXPECT_EQ(connection.a.last<PeerHas>()->held, (RangeSet{{1, 200}}));
  EXPECT_EQ(connection.a.last<PeerHas>()->payloads, (RangeSet{{1, 200}}));
}

TEST(Session, DeclinesOffersByPolicy) {
  const LogBuilder log = LogBuilder("alice").append_many(2);
  TestPeer author(1);
  TestPeer relay(2);
  author.hold(log);
  TestConnection connection(author, relay, 3);
  ASSERT_TRUE(connection.a.session->offer(log.log()));
  connection.run();
  ASSERT_NE(connection.a.last<Denied>(), nullptr);
  EXPECT_EQ(connection.a.last<Denied>()->reason, DenyReason::kNotWanted);
}

TEST_F(SessionFetch, AnswersUnknownAndForbiddenLogsAlike) {
  const LogBuilder known = LogBuilder("alice").append_many(2);
  const LogBuilder unknown = LogBuilder("bob").append_many(2);
  author.hold(known);
  author.hidden = known.log();
  ASSERT_TRUE(connection.a.session->want(want_of(known.log())));
  fetch(want_of(unknown.log()));
  EXPECT_EQ(connection.a.count<Denied>(), 2U);
  EXPECT_EQ(connection.a.count<PeerHas>(), 0U);
  for (const Event& event : connection.a.seen) {
    const auto* denied = std::get_if<Denied>(&event);
    EXPECT_TRUE(denied == nullptr || denied->reason == DenyReason::kNotServed);
  }
}

TEST_F(SessionFetch, TakesAnyNumberOfDeniesOfWhatItAsked) {
  const std::uint32_t rounds = 2 * limits::kSpareDeniesPerSessionMax;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    ASSERT_TRUE(connection.a.session->want(want_of(LogBuilder("alice", LogId{i}).log())));
    connection.run();
  }
  EXPECT_EQ(connection.a.count<Denied>(), rounds);
  EXPECT_FALSE(connection.a.session->ended());
}

TEST_F(SessionFetch, B9ARangeBeyondTheHeadBringsWhatThereIs) {
  const LogBuilder log = LogBuilder("alice").append_many(20);
  author.hold(log);
  fetch(want_of(log.log(), {{{18, 25}, {40, kSeqnumMax}}, 0}));
  EXPECT_EQ(reader.state(log.log()).held, closure({{18, 20}}, 20));
  ASSERT_NE(connection.a.last<WantEnded>(), nullptr);
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kComplete);
  EXPECT_EQ(connection.a.last<PeerHas>()->head, 20U);
}

TEST_F(SessionFetch, AQuoteHeedsTheSizesOfPayloads) {
  LogBuilder log("alice");
  for (std::size_t i = 0; i < 40; ++i) log.append(std::string(i, 'x'));
  author.hold(log);
  auto request = want_of(log.log());
  request.payload_size_min = 5;
  request.payload_size_max = 10;
  fetch(request);
  EXPECT_EQ(connection.a.last<Quoted>()->quote.payload_bytes, 45U);
  EXPECT_TRUE(connection.a.last<Quoted>()->quote.exact);
  EXPECT_EQ(connection.a.session->stats().payload_bytes_received, 45U);
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 1}, {6, 11}}));  // 1 is empty
}

// With `WatchedKv` a second look at what lies in the log's row fails.
TEST_F(SessionFetch, TakesALogOfManyRangesApartOnceForAllSteps) {
  const LogBuilder log = LogBuilder("alice").append_many(1000);
  author.hold(log);
  RangeSet odd;
  for (SeqNum n = 1; n <= 1000; n += 2) odd.insert(n);
  ASSERT_TRUE(author.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const RangeSet rest, transaction.delete_payloads(log.log(), odd, 10'000));
    return rest.empty() ? Result<void>() : fail(Errc::kLimit);
  }));
  auto request = want_of(log.log());
  request.order = Order::kNewestFirst;
  fetch(request);
  EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 1000}})) << connection.why();
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 1000}}) - odd);
  EXPECT_GT(connection.a.count<WorkReceived>(), 10U);
}

TEST_F(SessionFetch, MovesLargePayloadsInParts) {
  LogBuilder log("alice");
  const std::string large(5 * limits::kPayloadChunkBytes + 17, 'x');
  const std::string medium(limits::kPayloadInlineBytesMax + 1, 'y');
  log.append(large).append("small").append(medium).append("").append(large);
  author.hold(log);
  fetch(want_of(log.log()));
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 5}}));
  const auto transaction = reader.store().read();
  Bytes read;
  while (read.size() < large.size()) {
    const auto part =
        transaction->read_payload(**transaction->get_log(log.log()), 5, read.size(), 1 << 20);
    ASSERT_TRUE(part);
    append_bytes(read, *part);
  }
  EXPECT_EQ(as_text(read), large);
}

TEST(Session, ALargePayloadHoldsUpNothingThatIsSmaller) {
  for (const Order order : {Order::kAscending, Order::kNewestFirst}) {
    LogBuilder log("alice");
    log.append(std::string(17 * 1024 * 1024, 'x'));
    log.append_many(2000);
    log.append(std::string(2 * 1024 * 1024, 'y'));
    for (int i = 0; i < 3; ++i) log.append(std::string(100'000, 'z'));
    TestPeer author(1);
    TestPeer reader(2);
    author.hold(log);
    TestConnection connection(reader, author, 3);
    WantRequest request = want_of(log.log());
    request.order = order;
    ASSERT_TRUE(connection.a.session->want(request));
    connection.run(4'000'000);
    EXPECT_EQ(reader.state(log.log()).held, (RangeSet{{1, 2005}}));
    EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{2, 2005}}));
  }
}

TEST_F(SessionFetch, WhatIsNewIsNotHeldUpByALargePayload) {
  LogBuilder log("alice");
  log.append(std::string(4 * 1024 * 1024, 'x'));
  author.hold(log);
  WantRequest request = want_of(log.log());
  request.live = true;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run(1'000'000);
  EXPECT_TRUE(reader.state(log.log()).payloads.empty());
  log.append(std::string(100'000, 'z')).append("small");
  author.hold(log);
  connection.log_changed(author, log.log());
  connection.run(3'000'000);
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{2, 3}}));
  connection.run();
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 3}})) << connection.why();
}

TEST_F(SessionFetch, NeverFetchesDeletedPayloadsAgain) {
  const LogBuilder log = LogBuilder("alice").append_many(20);
  author.hold(log);
  reader.hold(log);
  const auto deleted = reader.store().update([&](store::WriteTransaction& transaction) {
    const auto rest = transaction.delete_payloads(log.log(), {{5, 10}}, 1000);
    return rest ? Result<void>() : fail(rest.error());
  });
  ASSERT_TRUE(deleted);
  fetch(want_of(log.log()));
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1, 4}, {11, 20}}));
  EXPECT_EQ(connection.a.session->stats().payload_bytes_received, 0U);
}

TEST_F(SessionFetch, StopsAtTheBudget) {
  LogBuilder log("alice");
  for (int i = 0; i < 100; ++i) log.append(std::string(10'000, 'a'));
  author.hold(log);
  auto request = want_of(log.log());
  request.budget_bytes = 200'000;
  fetch(request);
  ASSERT_NE(connection.a.last<WantEnded>(), nullptr);
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kBudget);
  EXPECT_EQ(reader.state(log.log()).payloads.count(), 19U);
  EXPECT_LT(connection.a.session->stats().bytes_received, 201'000U);
}

/// Whether a fetch keeps to the budget, and brings what its quote said; how much came.
std::uint64_t expect_kept_and_quoted(const LogBuilder& log, std::uint64_t budget, Order order) {
  TestPeer provider(1);
  TestPeer collector(2);
  provider.hold(log);
  TestConnection between(collector, provider, 3);
  between.run();
  auto request = want_of(log.log());
  request.budget_bytes = budget;
  request.order = order;
  request.quote_only = true;
  EXPECT_TRUE(between.a.session->want(request));
  between.run();
  const auto* const quoted = between.a.last<Quoted>();
  const Quote quote = quoted != nullptr ? quoted->quote : Quote{};
  const std::uint64_t before = between.a.session->stats().bytes_received;
  request.quote_only = false;
  EXPECT_TRUE(between.a.session->want(request));
  between.run();
  const std::uint64_t came = between.a.session->stats().bytes_received - before;
  EXPECT_LT(came, budget + budget / 50 + 300);
  const auto expect_near = [](std::uint64_t said, std::uint64_t is, std::uint64_t more) {
    EXPECT_LE(std::max(said, is) - std::min(said, is), is / 20 + more) << said << " " << is;
  };
  const store::LogState here = collector.state(log.log());
  expect_near(quote.wire_bytes, came, limits::kCountedBytesMin);
  // When credit comes decides where units end: of few entries that may be much.
  expect_near(quote.entries + quote.certificate_entries, here.held.count(), 6);
  expect_near(quote.payload_bytes, here.payload_bytes, limits::kCreditBytesMin);
  const bool is_whole = here.payloads.count() == log.head();
  const auto* const ended = between.a.last<WantEnded>();
  EXPECT_TRUE(ended != nullptr &&
              ended->reason == (is_whole ? DoneReason::kComplete : DoneReason::kBudget));
  EXPECT_TRUE(is_whole || came > budget / 4 || budget < limits::kCreditBytesMin) << came;
  return came;
}

TEST_F(SessionFetch, StaysWithinAnyBudgetAndTheQuoteSaysHowFar) {
  for (const std::size_t size : {0U, 100U, 5'000U, 32'768U, 32'769U, 100'000U, 2'000'000U}) {
    const std::uint64_t count = size > 1'000'000 ? 3 : 40;
    LogBuilder log("alice");
    for (std::uint64_t i = 0; i < count; ++i) log.append(std::string(size, 'a'));
    for (const auto order : {Order::kAscending, Order::kNewestFirst}) {
      for (const std::uint64_t budget :
           {1'000U, 3'000U, 20'000U, 66'000U, 300'000U, 1'000'000U, 1'500'000U}) {
        SCOPED_TRACE(testing::Message() << size << " " << static_cast<int>(order) << " " << budget);
        expect_kept_and_quoted(log, budget, order);
      }
    }
  }
}

TEST_F(SessionFetch, TheQuoteOfABudgetCountsPayloadsThatComeWhole) {
  LogBuilder log("alice");
  for (const std::size_t size : {5'000'000U, 1'500'000U, 1U}) {
    log.append(std::string(size, 'a'));
    for (const std::size_t small : {2'000U, 40'000U, 300'000U, 20U, 31'000U, 90'000U}) {
      log.append(std::string(small, 'b')).append(std::string(small / 2, 'c'));
    }
  }
  for (const auto order : {Order::kAscending, Order::kNewestFirst}) {
    for (const std::uint64_t budget : {400'000U, 1'000'000U, 1'700'000U, 3'000'000U, 6'000'000U}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(order) << " " << budget);
      EXPECT_GT(expect_kept_and_quoted(log, budget, order), budget * 8 / 10);
    }
  }
}

TEST_F(SessionFetch, TheQuoteOfALargeBudgetTellsOfManyEntries) {
  LogBuilder log("alice");
  for (std::size_t i = 0; i < 6'000; ++i) log.append(std::string(i % 700, 'a'));
  for (const auto order : {Order::kAscending, Order::kNewestFirst}) {
    SCOPED_TRACE(static_cast<int>(order));
    expect_kept_and_quoted(log, 1'400'000, order);
  }
}

TEST(Session, ASecondSyncMovesNothing) {
  const LogBuilder log = LogBuilder("alice").append_many(500);
  TestPeer author(1);
  TestPeer reader(2);
  author.hold(log);
  TestConnection first(reader, author, 3);
  ASSERT_TRUE(first.a.session->want(want_of(log.log())));
  first.run();
  TestConnection second(reader, author, 4);
  ASSERT_TRUE(second.a.session->want(want_of(log.log())));
  second.run();
  EXPECT_EQ(second.a.session->stats().entries_received, 0U);
  EXPECT_LT(second.bytes_moved, 1'000U);
}

TEST(Session, EndsWithAByeThatTheOtherSideUnderstands) {
  TestPeer a(1);
  TestPeer b(2);
  TestConnection connection(a, b, 3);
  connection.run();
  ASSERT_EQ(connection.a.count<Established>(), 1U);
  connection.a.session->close();
  connection.run();
  ASSERT_NE(connection.b.last<Ended>(), nullptr);
  EXPECT_FALSE(connection.b.last<Ended>()->error);
  EXPECT_TRUE(connection.b.session->receive_end());
}

TEST(Session, AnUnexpectedEndIsAnError) {
  TestPeer a(1);
  TestPeer b(2);
  TestConnection connection(a, b, 3);
  connection.run();
  const auto ended = connection.b.session->receive_end();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Errc::kFrameTruncated);
}

TEST(Session, PingsASilentPeerAndGivesUpOnIt) {
  TestPeer a(1);
  TestPeer b(2);
  TestConnection connection(a, b, 3);
  connection.run();
  Instant now = *connection.a.session->next_deadline();
  EXPECT_EQ(now - Instant{}, std::chrono::milliseconds(limits::kPingIntervalMs));
  ASSERT_TRUE(connection.a.session->deadline_reached(now));
  EXPECT_FALSE(connection.a.session->pending_output().empty());
  now = *connection.a.session->next_deadline();
  const auto silent = connection.a.session->deadline_reached(now);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, Errc::kPeerSilent);
}

TEST(Session, EndsCleanlyBeforeItsKeysGrowOld) {
  TestPeer a(1);
  TestPeer b(2);
  TestConnection connection(a, b, 3);
  connection.run();
  const Instant old = Instant{} + std::chrono::milliseconds(limits::kSessionTimeoutMs);
  ASSERT_TRUE(connection.a.session->deadline_reached(old));
  ASSERT_TRUE(connection.a.session->ended());
  connection.run();
  ASSERT_NE(connection.b.last<Ended>(), nullptr);
  EXPECT_FALSE(connection.b.last<Ended>()->error);
}

TEST(Session, PayloadsOfUnwantedSizesArePassedOverInSteps) {
  const LogBuilder log = LogBuilder("alice").append_many(3000);
  TestPeer author(1);
  TestPeer reader(2);
  author.hold(log);
  TestConnection bare(reader, author, 3);
  auto request = want_of(log.log());
  request.payloads = false;
  ASSERT_TRUE(bare.a.session->want(request));
  bare.run();
  TestConnection connection(reader, author, 4);
  request.payloads = true;
  request.payload_size_min = 10;  // "entry 1000" and later
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  EXPECT_EQ(reader.state(log.log()).payloads, (RangeSet{{1000, 3000}}));
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kComplete);
}

TEST(Session, AnIdleWantTakesLittleOfThePool) {
  TestPush push(LogBuilder("alice").append_many(1));
  push.connection.run();
  EXPECT_GE(push.relay.credit.free() + 2 * limits::kCreditBytesMin, limits::kNodeCreditBytes);
}

TEST(Session, AnInterestOfMoreRangesThanAMessageHoldsIsRefusedHere) {
  TestPeer reader(1);
  TestPeer author(2);
  TestConnection connection(reader, author, 3);
  Interest interest;
  for (SeqNum n = 1; n <= limits::kRangesPerMessageMax + 1; ++n) interest.ranges.insert(2 * n);
  const auto want = connection.a.session->want(want_of(LogBuilder("alice").log(), interest));
  ASSERT_FALSE(want);
  EXPECT_EQ(want.error().code, Errc::kRangesTooMany);
}

TEST(Session, AnOfferIsTakenLaterWhereTheInterestHasMoreRangesThanAMessageHolds) {
  TestPeer relay(1);
  TestPeer author(2);
  const LogBuilder log = LogBuilder("alice").append_many(3);
  author.hold(log);
  relay.accepts = store::LogInterest{};
  for (SeqNum n = 1; n <= limits::kRangesPerMessageMax + 1; ++n) {
    relay.accepts->entries.ranges.insert(2 * n);
  }
  TestConnection connection(author, relay, 3);
  ASSERT_TRUE(connection.a.session->offer(log.log()));
  connection.run();
  ASSERT_NE(connection.a.last<Denied>(), nullptr);
  EXPECT_EQ(connection.a.last<Denied>()->reason, DenyReason::kBusy);
}

TEST(Session, ClosesWhenTheHandshakeTakesTooLong) {
  TestPeer a(1);
  TestPeer b(2);
  TestConnection connection(a, b, 3);
  const auto late = connection.b.session->deadline_reached(*connection.b.session->next_deadline());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kHandshake);
}

TEST_F(SessionFetch, AttestedRunsCostOneSignatureCheckAUnit) {
  const LogBuilder log = LogBuilder("alice").append_many(1000);
  author.hold(log);
  ASSERT_TRUE(connection.a.session->want(want_of(log.log())));
  reader.verifier.checks = 0;
  connection.run();
  EXPECT_EQ(reader.verifier.checks, connection.a.count<WorkReceived>());
}

}  // namespace
}  // namespace culm::replication
