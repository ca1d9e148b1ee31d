// What came of a large payload is not asked for again.
#include <algorithm>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/hostile_peer.hpp"
#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::HostilePeer;
using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::want_of;

/// A log with a payload of 2 MiB, what holds it, and who fetches it over links that break.
class SessionResumes : public testing::Test {
 protected:
  SessionResumes() {
    log.append(std::string(kSize, 'x')).append("small");
    author.hold(log);
    const auto bare = log.unit({{1, 2}});
    EXPECT_TRUE(store::ingest(reader.store(), log.log(), bare, reader.verifier));
  }

  /// Fetches from `from` until so many bytes were moved; how many bytes of payloads came.
  std::uint64_t fetch(TestPeer& from, std::uint64_t bytes_max = UINT64_MAX) {
    TestConnection connection(reader, from, ++seed);
    connection.run();  // says who it is
    EXPECT_TRUE(connection.a.session->want(want_of(log.log())));
    connection.run(bytes_max == UINT64_MAX ? bytes_max : connection.bytes_moved + bytes_max);
    why = connection.why();
    return connection.a.session->stats().payload_bytes_received;
  }

  /// A stranger brings parts of garbage and hangs up.
  void spoil(std::size_t parts) {
    HostilePeer liar(reader);
    liar.say_hello();
    const auto want = liar.session().want(want_of(log.log()));
    ASSERT_TRUE(want);
    liar.say_have(log);
    const Bytes garbage(limits::kPayloadChunkBytes, 7);
    for (std::size_t i = 0; i < parts; ++i) {
      liar.say(Payload{*want, 1, i * garbage.size(), false, garbage});
    }
    EXPECT_FALSE(liar.verdict());
  }

  /// A whole payload of the right size, from its first byte on.
  static void say_garbage(HostilePeer& liar, WantId want) {
    for (std::uint64_t at = 0; at < kSize && !liar.verdict(); at += limits::kPayloadChunkBytes) {
      const std::size_t size = std::min<std::size_t>(kSize - at, limits::kPayloadChunkBytes);
      liar.say(Payload{want, 1, at, at + size == kSize, Bytes(size, 7)});
    }
  }

  std::uint64_t bytes_here() {
    const auto transaction = reader.store().read();
    const auto stages = transaction->arriving_stages(reader.state(log.log()), {{1, 1}});
    std::uint64_t most = 0;
    for (const auto& stage : *stages) most = std::max(most, stage.size_bytes);
    return most;
  }

  bool is_here() { return reader.state(log.log()).payloads.contains(1); }

  static constexpr std::size_t kSize = 2 * 1024 * 1024 + 5;
  LogBuilder log{"alice"};
  TestPeer author{1};
  TestPeer reader{2};
  std::string why;
  std::uint64_t seed = 10;
};

TEST_F(SessionResumes, WhereALinkBrokeTheNextOneGoesOn) {
  std::uint64_t moved = 0;
  int links = 0;
  for (; !is_here() && links < 10; ++links) moved += fetch(author, 600'000);
  EXPECT_TRUE(is_here()) << why;
  EXPECT_LE(links, 5);
  EXPECT_EQ(moved, log.payload(1).size() + log.payload(2).size()) << "nothing comes twice";
  EXPECT_TRUE(reader.agrees_with(log));
  EXPECT_EQ(bytes_here(), 0U);
}

TEST_F(SessionResumes, AnotherPeerGoesOn) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  EXPECT_GT(here, 1'000'000U);
  TestPeer relay(3);
  relay.hold(log);
  EXPECT_EQ(fetch(relay), kSize - here);
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, ABudgetLeavesWhatCame) {
  for (int i = 0; i < 8 && !is_here(); ++i) {
    TestConnection connection(reader, author, ++seed);
    WantRequest request = want_of(log.log());
    request.budget_bytes = 400'000;
    ASSERT_TRUE(connection.a.session->want(request));
    connection.run();
    EXPECT_EQ(connection.a.count<WantEnded>(), 1U) << connection.why();
  }
  EXPECT_TRUE(is_here());
}

TEST_F(SessionResumes, WhatIsAskedForAnewTakesTheRestOfTheBudget) {
  constexpr std::uint64_t kBudget = 2'400'000;
  spoil(10);
  TestConnection connection(reader, author, ++seed);
  WantRequest request = want_of(log.log());
  request.budget_bytes = kBudget;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  ASSERT_EQ(connection.a.count<WantEnded>(), 1U) << connection.why();
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kBudget);
  const std::uint64_t came = connection.a.session->stats().bytes_received;
  EXPECT_LT(came, kBudget + kBudget / 50 + 1'500);
  EXPECT_GT(came, kBudget - limits::kCreditBytesMin);
  EXPECT_FALSE(is_here());
  fetch(author);
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, AQuoteSaysWhatIsToComeOfAPayloadThatIsHereInPart) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  TestConnection connection(reader, author, ++seed);
  WantRequest request = want_of(log.log());
  request.quote_only = true;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  const Quote quote = connection.a.last<Quoted>()->quote;
  EXPECT_EQ(quote.payload_bytes, kSize) << "which will be here";
  EXPECT_NEAR(static_cast<double>(quote.wire_bytes), static_cast<double>(kSize - here), 2'000);
}

TEST_F(SessionResumes, WhatALiarBeganIsTakenAnewFromOnePeerAlone) {
  spoil(10);
  EXPECT_GT(bytes_here(), 0U);
  fetch(author);
  EXPECT_TRUE(is_here()) << why;
  EXPECT_EQ(why, "nobody failed") << "nobody knows whose parts were wrong";
  EXPECT_TRUE(reader.agrees_with(log));
}

TEST_F(SessionResumes, NobodySpoilsItTwice) {
  spoil(10);
  const std::uint64_t once = kSize - bytes_here();
  fetch(author, once + 1'000'000);  // to the end, and once more, and cut
  EXPECT_FALSE(is_here());
  EXPECT_GT(bytes_here(), 400'000U);
  spoil(25);
  EXPECT_LT(fetch(author), kSize - 400'000U) << "it goes on with its own";
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, WhoBringsNothingMoreKeepsNobodyFromTheirOwnParts) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  HostilePeer idle(reader);
  idle.say_hello();
  const auto want = idle.session().want(want_of(log.log()));
  ASSERT_TRUE(want);
  idle.say_have(log);
  idle.say(Payload{*want, 1, 0, false, Bytes(limits::kPayloadChunkBytes, 7)});
  EXPECT_EQ(fetch(author), kSize - here);
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, APartOfAWrongSizeTakesNothingFromOthers) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  for (const std::size_t size : {std::size_t{1}, std::size_t{limits::kPayloadChunkBytes}}) {
    HostilePeer liar(reader);
    liar.say_hello();
    const auto want = liar.session().want(want_of(log.log()));
    ASSERT_TRUE(want);
    liar.say_have(log);
    liar.say(Payload{*want, 1, here, true, Bytes(size, 7)});
    static_cast<void>(liar.verdict());
    EXPECT_EQ(bytes_here(), here);
  }
  EXPECT_EQ(fetch(author), kSize - here);
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, WhatSeveralPeersSpoiltEachGoesOnWithAlone) {
  const auto spoil_rest = [this](std::uint64_t here) {
    HostilePeer liar(reader);
    liar.say_hello();
    const auto want = liar.session().want(want_of(log.log()));
    ASSERT_TRUE(want);
    liar.say_have(log);
    for (std::uint64_t at = here; at < kSize; at += limits::kPayloadChunkBytes) {
      const std::size_t size = std::min<std::size_t>(kSize - at, limits::kPayloadChunkBytes);
      liar.say(Payload{*want, 1, at, at + size == kSize, Bytes(size, 7)});
    }
    static_cast<void>(liar.verdict());
  };
  fetch(author, 1'500'000);
  spoil_rest(bytes_here());
  EXPECT_EQ(bytes_here(), 0U);
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  EXPECT_GT(here, 1'000'000U);
  spoil_rest(here);
  EXPECT_EQ(fetch(author), kSize - here) << "nobody else went on with these";
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, WhoBeginsAnewWithGarbageTakesNothingFromOthers) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  HostilePeer liar(reader);
  liar.say_hello();
  const auto want = liar.session().want(want_of(log.log()));
  ASSERT_TRUE(want);
  Have have;  // of another head, as on another branch
  have.log = log.log();
  have.head = 2;
  have.held = RangeSet{{1, 2}};
  liar.say(have);
  say_garbage(liar, *want);
  EXPECT_FALSE(liar.verdict()) << "its payload may be that of another branch";
  EXPECT_EQ(liar.heard<Deny>(), 1U);
  TestPeer relay(3);
  relay.hold(log);
  EXPECT_EQ(fetch(relay), kSize - here);
  EXPECT_TRUE(is_here()) << why;
}

TEST_F(SessionResumes, WhoAgreesOnTheEntryAndBringsGarbageIsToBlame) {
  for (const bool was_begun : {false, true}) {
    if (was_begun) fetch(author, 1'500'000);
    const std::uint64_t here = bytes_here();
    HostilePeer liar(reader);
    liar.say_hello();
    const auto want = liar.session().want(want_of(log.log()));
    ASSERT_TRUE(want);
    liar.say_have(log);
    say_garbage(liar, *want);
    EXPECT_EQ(liar.verdict(), Errc::kPayloadHash) << was_begun;
    EXPECT_EQ(bytes_here(), here) << was_begun;
  }
}

TEST_F(SessionResumes, AnOffsetBeyondThePayloadBeginsIt) {
  HostilePeer liar(author);
  liar.say_hello();
  Want want;
  want.id = 1;
  want.log = log.log();
  want.interest = everything();
  want.resume_seqnum = 1;
  want.resume_offset = (kSize / limits::kPayloadChunkBytes + 1) * limits::kPayloadChunkBytes;
  liar.say(want);
  liar.say(Credit{limits::kSessionCreditBytes});
  EXPECT_FALSE(liar.verdict());
  EXPECT_GT(liar.heard<Payload>(), 10U) << "as if nothing had been said";
}

TEST_F(SessionResumes, GoesOnAtItsOffsetWhereAnotherPayloadIsDeletedBesideIt) {
  constexpr std::uint64_t kCame = 20 * limits::kPayloadChunkBytes;
  HostilePeer peer(reader);
  peer.say_hello();
  WantRequest request = want_of(log.log());
  request.live = true;
  const auto want = peer.session().want(request);
  ASSERT_TRUE(want);
  peer.say_have(log);
  const Bytes part(limits::kPayloadChunkBytes, 'x');
  for (std::uint64_t at = 0; at < kCame; at += part.size()) {
    peer.say(Payload{*want, 1, at, false, part});
  }
  ASSERT_EQ(bytes_here(), kCame);
  ASSERT_TRUE(reader.store().delete_payloads(log.log(), {{2, 2}}));
  peer.session().log_changed(log.log());
  peer.tick(Instant{});
  ASSERT_EQ(peer.heard<Want>(), 2U);
  const Want& again = *peer.last_want();
  EXPECT_EQ(again.payloads_excepted, (RangeSet{{2, 2}}));
  EXPECT_EQ(std::pair(again.resume_seqnum, again.resume_offset), std::pair(SeqNum{1}, kCame));
}

TEST_F(SessionResumes, OfTwoWantsOneAloneGoesOn) {
  fetch(author, 1'500'000);
  const std::uint64_t here = bytes_here();
  TestConnection first(reader, author, ++seed);
  TestConnection second(reader, author, ++seed);
  for (TestConnection* const one : {&first, &second}) {
    ASSERT_TRUE(one->a.session->want(want_of(log.log())));
  }
  second.run(400'000);
  first.run();
  EXPECT_TRUE(is_here());
  EXPECT_EQ(first.a.session->stats().payload_bytes_received, kSize - here);
  second.run();
  EXPECT_EQ(second.why(), "nobody failed");
}

}  // namespace
}  // namespace culm::replication
