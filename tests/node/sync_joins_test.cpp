#include <algorithm>
#include <deque>

#include "culm/core/limits.hpp"
#include "culm/feed/closure.hpp"

#include "tests/node/sync_fixture.hpp"

namespace culm::node {
namespace {

/// The reader pushes all it has to the author, who takes what it is offered, and logs begin at the
/// reader meanwhile.
class SyncJoinsTest : public SyncTest {
 protected:
  SyncJoinsTest() {
    author.accepts = store::LogInterest{everything(), true};
    reader.hold(log);
  }
  SyncRequest pushing(JoiningLogs joining = {.are_all = true}) {
    auto request = live(request_of({&author}));
    request.while_known = {log.log()};
    request.push = true;
    request.joining = std::move(joining);
    return request;
  }
  SyncReport end(SyncId id) {
    reader.node().end_sync(id, network.now());
    reader.settle();
    return report();
  }
  [[nodiscard]] bool is_there(const LogBuilder& one) {
    return run([&] { return author.holds(one.log(), {{1, one.head()}}); }, seconds(5));
  }
  void forget_and_tell(const LogKey& key) {
    forget(key);
    reader.node().log_forgotten(key, network.now());
    reader.settle();
  }

  LogBuilder begun = LogBuilder("alice", LogId{8}).append_many(3);
};

TEST_F(SyncJoinsTest, ALogThatBeginsHereIsPushedAndComesAsTheOthers) {
  const SyncId id = start(pushing());
  ASSERT_TRUE(run([&] { return told<SyncPushed>().size() == 1; }));
  reader.hold(begun);
  ASSERT_TRUE(is_there(begun));
  begun.append("here");
  reader.hold(begun, {{4, 4}});
  ASSERT_TRUE(is_there(begun));
  begun.append("there");
  author.hold(begun, {{5, 5}});
  ASSERT_TRUE(run([&] { return reader.holds(begun.log(), {{1, 5}}); }));
  network.cut(author);
  begun.append("after a new connection");
  reader.hold(begun, {{6, 6}});
  EXPECT_TRUE(is_there(begun));
  EXPECT_EQ(author.node().sessions().size(), 1U) << "it has a place beside the others";
  ASSERT_EQ(told<SyncJoined>().size(), 1U);
  EXPECT_EQ(told<SyncJoined>()[0].log, begun.log());
  EXPECT_FALSE(told<SyncJoined>()[0].error);
  network.run(seconds(5));
  SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), 2U);
  EXPECT_EQ(done.logs[1].log, begun.log());
  EXPECT_EQ(done.logs[1].outcome, LogOutcome::kComplete);
  EXPECT_TRUE(done.logs[1].is_pushed);
  done.outcome = SyncOutcome::kDone;
  EXPECT_FALSE(why_not_done(done));
}

TEST_F(SyncJoinsTest, OfAuthorsTheirLogsJoinAloneAndOfNamedLogsNone) {
  const LogBuilder other = logs_of(1)[0];
  for (const bool is_named : {false, true}) {
    JoiningLogs joining;
    if (!is_named) joining.authors = {begun.log().author};
    const SyncId id = start(pushing(joining));
    if (is_named) begun = LogBuilder("alice", LogId{9}).append_many(3);
    reader.hold(other);
    reader.hold(begun);
    network.run(minutes(1));
    const SyncReport done = end(id);
    EXPECT_EQ(done.logs.size(), is_named ? 1U : 2U);
    EXPECT_EQ(author.holds(begun.log(), {{1, 3}}), !is_named);
    EXPECT_FALSE(author.holds(other.log(), {{1, 1}}));
  }
}

TEST_F(SyncJoinsTest, OneThatIsForgottenIsLetGoUntilItIsHereAgain) {
  const SyncId id = start(pushing());
  reader.hold(begun);
  ASSERT_TRUE(is_there(begun));
  for (std::size_t times = 1; times <= 3; ++times) {
    forget_and_tell(begun.log());
    ASSERT_EQ(told<SyncForgotten>().size(), times);
    begun.append("there");
    author.hold(begun, {{begun.head(), begun.head()}});
    network.run(minutes(1));
    EXPECT_FALSE(is_known(begun.log())) << "nobody wants it";
    begun.append("here");
    reader.hold(begun);
    ASSERT_TRUE(is_there(begun)) << times;
    EXPECT_EQ(told<SyncJoined>().size(), times + 1);
  }
  network.run(seconds(5));
  forget_and_tell(log.log());
  const SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), 1U);
  EXPECT_EQ(done.logs[0].log, begun.log());
  EXPECT_TRUE(done.logs[0].is_pushed);
}

TEST_F(SyncJoinsTest, OneThatIsGoneBeforeTheSyncHearsOfItDoesNotJoin) {
  const SyncId id = start(pushing());
  reader.node().run([unit = begun.unit({{1, 3}}, true), this](store::Store& store) {
    const auto done = store::ingest(store, begun.log(), unit, reader.verifier);
    EXPECT_TRUE(done);
    return store.update(
        [&](store::WriteTransaction& writing) { return writing.forget(begun.log()); });
  });
  reader.settle();
  network.run(minutes(1));
  EXPECT_TRUE(told<SyncJoined>().empty());
  EXPECT_EQ(end(id).logs.size(), 1U);
}

TEST_F(SyncJoinsTest, OneThatIsDeclinedOrComesAsTheSyncEndsIsInTheReport) {
  const SyncId id = start(pushing());
  ASSERT_TRUE(run([&] { return told<SyncPushed>().size() == 1; }));
  author.accepts.reset();
  reader.hold(begun);
  ASSERT_TRUE(run([&] {
    const auto denied = told<SyncDenied>();
    return std::ranges::any_of(denied, &SyncDenied::is_offer);
  }));
  const LogBuilder last = logs_of(1)[0];
  reader.hold(last);
  const SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), 3U);
  EXPECT_EQ(done.logs[1].offer_denied_by.at(0).reason, replication::DenyReason::kNotWanted);
  EXPECT_EQ(done.logs[2].log, last.log());
  EXPECT_FALSE(done.logs[2].is_pushed);
  EXPECT_NE(done.logs[2].outcome, LogOutcome::kComplete);
}

TEST_F(SyncJoinsTest, OneThatPeersAreToBeAskedForHasADialOfItsOwn) {
  const SyncId id = start(pushing());
  ASSERT_TRUE(run([&] { return told<SyncPushed>().size() == 1; }));
  reader.in_doubt = {begun.log()};
  reader.hold(begun);
  ASSERT_TRUE(is_there(begun));
  EXPECT_EQ(author.node().sessions().size(), 2U);
  forget_and_tell(begun.log());
  begun.append("here");
  reader.hold(begun);
  ASSERT_TRUE(run([&] { return told<SyncJoined>().size() == 2; }));
  EXPECT_FALSE(told<SyncJoined>()[1].error);
  ASSERT_TRUE(is_there(begun));
  EXPECT_EQ(author.node().sessions().size(), 3U);
  network.run(seconds(5));
  const SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), 2U);
  EXPECT_EQ(done.logs[1].outcome, LogOutcome::kComplete);
  EXPECT_TRUE(done.logs[1].is_pushed);
}

TEST_F(SyncJoinsTest, OneThatNobodyElseHasIsNoFailureWhereNothingIsPushed) {
  author.hold(log);
  auto request = pushing();
  request.push = false;
  const SyncId id = start(std::move(request));
  reader.hold(begun);
  ASSERT_TRUE(run([&] { return told<SyncJoined>().size() == 1; }));
  network.run(minutes(1));
  SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), 2U);
  EXPECT_EQ(done.logs[1].outcome, LogOutcome::kComplete);
  done.outcome = SyncOutcome::kDone;
  EXPECT_FALSE(why_not_done(done));
}

TEST_F(SyncJoinsTest, VeryManyTakeAFewSessionsAndTheRestIsNamed) {
  constexpr std::size_t kPlaces = Sync::kGroupsMax * limits::kWantsPerSessionMax - 1;
  const SyncId id = start(pushing());
  std::deque<LogBuilder> many;
  for (std::uint64_t i = 0; i < kPlaces + 5; ++i) {
    reader.hold(many.emplace_back("many", LogId{i}).append("one"));
  }
  network.run(seconds(10));
  EXPECT_EQ(told<SyncPushed>().size(), kPlaces + 1);
  EXPECT_EQ(author.node().sessions().size(), Sync::kGroupsMax);
  SyncReport done = end(id);
  ASSERT_EQ(done.logs.size(), kPlaces + 6);
  EXPECT_TRUE(done.logs[kPlaces].is_pushed);
  for (std::size_t i = kPlaces + 1; i < done.logs.size(); ++i) {
    EXPECT_EQ(done.logs[i].outcome, LogOutcome::kFailed);
    EXPECT_EQ(done.logs[i].error, Error{Errc::kBusy});
  }
  done.outcome = SyncOutcome::kDone;
  const auto why = why_not_done(done);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->error, Error{Errc::kBusy});
}

}  // namespace
}  // namespace culm::node
