#include "tests/support/hostile_peer.hpp"

#include <array>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

namespace culm::replication {
namespace {

using test::HostilePeer;
using test::LogBuilder;
using test::TestPeer;
using test::want_of;

/// A victim that wants a log of the hostile peer.
class HostilePeerTest : public testing::Test {
 protected:
  HostilePeerTest() {
    hostile.say_hello();
    want = *hostile.session().want(want_of(log.log(), {RangeSet{{10, 20}}, 0}));
  }

  void expect_refused(Errc code) {
    ASSERT_TRUE(hostile.verdict());
    EXPECT_EQ(name(*hostile.verdict()), name(code));
    EXPECT_TRUE(hostile.session().ended());
    EXPECT_EQ(hostile.heard<Bye>(), 1U);
    EXPECT_TRUE(victim.state(log.log()).held.empty());
  }

  LogBuilder log = LogBuilder("alice").append_many(40);
  TestPeer victim{1};
  HostilePeer hostile{victim};
  WantId want = 0;
};

TEST(HostileStart, DataBeforeHelloIsRefused) {
  TestPeer victim(1);
  HostilePeer hostile(victim);
  hostile.say(Ping{1});
  EXPECT_EQ(hostile.verdict(), Errc::kProtocolState);
}

TEST(HostileStart, AnotherVersionIsRefused) {
  TestPeer victim(1);
  HostilePeer hostile(victim);
  hostile.say(Hello{kProtocolVersion + 1, "future"});
  EXPECT_EQ(hostile.verdict(), Errc::kProtocolVersion);
}

TEST(HostileStart, FramesOfImpossibleLengthAreRefused) {
  for (const Bytes& prefix : {Bytes{0, 0, 0, 0}, Bytes{0xff, 0xff, 0xff, 0xff}}) {
    TestPeer victim(1);
    HostilePeer hostile(victim);
    hostile.say_plaintext(prefix);
    EXPECT_EQ(hostile.verdict(), Errc::kFrameLength);
  }
}

TEST_F(HostilePeerTest, ASecondHelloIsRefused) {
  hostile.say_hello();
  expect_refused(Errc::kProtocolState);
}

TEST_F(HostilePeerTest, EntriesNobodyWantedAreRefused) {
  hostile.say_have(log);
  const std::array unit{EntryBuffer(log.entry(1))};
  hostile.say_entries(want + 1, unit);
  expect_refused(Errc::kUnsolicited);
}

TEST_F(HostilePeerTest, EntriesOutsideTheClosureAreRefused) {
  hostile.say_have(log);
  const std::array unit{EntryBuffer(log.entry(1)), EntryBuffer(log.entry(2)),
                        EntryBuffer(log.entry(3))};
  hostile.say_entries(want, unit);
  expect_refused(Errc::kUnsolicited);
}

TEST_F(HostilePeerTest, EntriesBeforeAHaveAreRefused) {
  const std::array unit{EntryBuffer(log.entry(1))};
  hostile.say_entries(want, unit);
  expect_refused(Errc::kUnsolicited);
}

TEST_F(HostilePeerTest, ForgedEntriesAreRefusedAfterOneMoreAskingInFull) {
  hostile.say_have(log);
  const std::array unit{EntryBuffer(log.entry(1)), log.forged(4)};
  hostile.say_entries(want, unit);
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(hostile.heard<Cancel>(), 1U);
  EXPECT_EQ(hostile.heard<Want>(), 2U);
  EXPECT_TRUE(victim.state(log.log()).held.empty());

  hostile.say_have(log);
  hostile.say_entries(want + 1, unit);
  expect_refused(Errc::kEntrySignature);
}

TEST_F(HostilePeerTest, AnUnanchoredUnitIsDeniedWithoutBlame) {
  hostile.say_have(log);
  const std::array unit{EntryBuffer(log.entry(13))};
  hostile.say_entries(want, unit);
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(hostile.heard<Deny>(), 1U);
  EXPECT_TRUE(victim.state(log.log()).held.empty());
}

/// With a host whose committer never answers, credit is never given back.
TEST_F(HostilePeerTest, MoreThanTheGrantedCreditIsRefused) {
  hostile.say_have(log);
  hostile.hold_reports();
  Payload payload;
  payload.want = want;
  payload.seqnum = 10;
  const Bytes bytes(limits::kPayloadChunkBytes, 7);
  payload.bytes = bytes;
  std::uint64_t said = 0;
  while (!hostile.session().ended() && said <= 2 * limits::kSessionCreditBytes) {
    hostile.say(payload);
    said += bytes.size();
  }
  EXPECT_LE(said, limits::kSessionCreditBytes + bytes.size());
  expect_refused(Errc::kFlow);
}

TEST_F(HostilePeerTest, EvidenceThatProvesNothingIsRefused) {
  const std::array pair{log.entry(3), log.entry(4)};
  hostile.say(DefectFound{log.log(), make_evidence(pair)});
  expect_refused(Errc::kEvidence);
}

TEST_F(HostilePeerTest, GenuineEvidenceCapsTheLog) {
  const LogBuilder other = log.fork(7);
  const std::array pair{log.entry(7), other.entry(7)};
  hostile.say(DefectFound{log.log(), make_evidence(pair)});
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(victim.state(log.log()).cap, 7U);
}

TEST_F(HostilePeerTest, CreditBeyondTwoToThe31IsRefused) {
  hostile.say(Credit{std::uint64_t{1} << 31U});
  EXPECT_FALSE(hostile.verdict());
  hostile.say(Credit{1});
  expect_refused(Errc::kFlow);
}

TEST_F(HostilePeerTest, WantIdsMustAscend) {
  victim.hold(LogBuilder("bob").append_many(3));
  Want bobs;
  bobs.log = LogBuilder("bob").log();
  bobs.interest = everything();
  bobs.live = true;
  bobs.id = 5;
  hostile.say(bobs);
  EXPECT_FALSE(hostile.verdict());
  hostile.say(bobs);
  expect_refused(Errc::kProtocolState);
}

TEST_F(HostilePeerTest, TooManyWantsAreAnsweredBusy) {
  const LogBuilder bob = LogBuilder("bob").append_many(3);
  victim.hold(bob);
  for (WantId id = 1; id <= limits::kWantsPerSessionMax + 1; ++id) {
    Want wanted;
    wanted.log = bob.log();
    wanted.interest = everything();
    wanted.live = true;
    wanted.id = id;
    hostile.say(wanted);
  }
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(hostile.heard<Deny>(), 1U);
}

TEST_F(HostilePeerTest, NothingCountableIsSentWithoutCredit) {
  const LogBuilder bob = LogBuilder("bob").append_many(3);
  victim.hold(bob);
  Want wanted;
  wanted.id = 1;
  wanted.log = bob.log();
  wanted.interest = everything();
  hostile.say(wanted);
  EXPECT_EQ(hostile.heard<Entries>(), 0U);
  EXPECT_EQ(hostile.heard<Quote>(), 1U);
  hostile.say(Credit{limits::kCreditBytesMin});
  EXPECT_EQ(hostile.heard<Entries>(), 1U);
}

TEST_F(HostilePeerTest, GarbageMessagesAreRefused) {
  hostile.say_raw(Bytes{0xc1});
  expect_refused(Errc::kMsgpackType);
}

}  // namespace
}  // namespace culm::replication
