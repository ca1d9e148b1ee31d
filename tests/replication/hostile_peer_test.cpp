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

TEST(HostileStart, ALengthThatNoHelloExceedsIsWaitedFor) {
  TestPeer victim(1);
  HostilePeer hostile(victim);
  hostile.say_plaintext(Bytes{0, 0, 2, 0});
  EXPECT_FALSE(hostile.verdict());
  EXPECT_FALSE(hostile.session().ended());
}

TEST(HostileStart, FramesOfImpossibleLengthAreRefused) {
  // The last would be allowed behind a hello, and is more than a hello can be.
  for (const Bytes& prefix :
       {Bytes{0, 0, 0, 0}, Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0, 0, 2, 1}}) {
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

TEST_F(HostilePeerTest, PayloadsNobodyWantedAreRefused) {
  const auto outcome = [this](WantRequest request, const RangeSet& with_payloads) {
    TestPeer peer(2);
    HostilePeer sender(peer);
    sender.say_hello();
    const WantId id = *sender.session().want(request);
    sender.say_have(log);
    sender.say_unit(id, log, closure({{10, 12}}, 40), with_payloads);
    return sender.verdict();
  };
  WantRequest request = want_of(log.log(), {RangeSet{{10, 12}}, 0});
  EXPECT_FALSE(outcome(request, {{10, 12}}));
  EXPECT_EQ(outcome(request, {{9, 9}}), Errc::kUnsolicited);  // a certificate entry's
  WantRequest small = request;
  small.payload_size_max = 7;
  EXPECT_FALSE(outcome(small, {}));
  EXPECT_EQ(outcome(small, {{10, 10}}), Errc::kUnsolicited);
  WantRequest large = request;
  large.payload_size_min = 9;
  EXPECT_EQ(outcome(large, {{10, 10}}), Errc::kUnsolicited);
  WantRequest bare = request;
  bare.payloads = false;
  EXPECT_EQ(outcome(bare, {{10, 10}}), Errc::kUnsolicited);
  WantRequest quote = request;
  quote.quote_only = true;
  EXPECT_EQ(outcome(quote, {}), Errc::kFlow);  // nor was any credit given for it
}

TEST_F(HostilePeerTest, PayloadsOfCertificateEntriesAreRefused) {
  hostile.say_have(log);
  Payload payload;
  payload.want = want;
  payload.seqnum = 4;
  payload.last = true;
  const Bytes bytes{1};
  payload.bytes = bytes;
  hostile.say(payload);
  expect_refused(Errc::kUnsolicited);
}

TEST_F(HostilePeerTest, A16EntriesOfAnImpossibleAuthorEndTheSession) {
  LogKey nobody = log.log();
  nobody.author.bytes.fill(0);
  const WantId id = *hostile.session().want(want_of(nobody));
  Have have;
  have.log = nobody;
  have.head = 1;
  have.held = RangeSet{{1, 1}};
  hostile.say(have);
  EntryFields fields = log.fields(1);
  fields.log = nobody;
  const std::array unit{test::entry_of(fields, log.entry(1).signature())};
  hostile.say_entries(id, unit);
  expect_refused(Errc::kAuthorKey);
}

TEST_F(HostilePeerTest, A22AnotherPayloadThanWasSignedEndsTheSession) {
  LogBuilder large("bob");
  large.append(std::string(limits::kPayloadInlineBytesMax + 1, 'x'));
  const WantId id = *hostile.session().want(want_of(large.log()));
  hostile.say_have(large);
  hostile.say_unit(id, large, {{1, 1}}, {});
  EXPECT_FALSE(hostile.verdict());
  Payload payload;
  payload.want = id;
  payload.seqnum = 1;
  payload.last = true;
  const Bytes bytes(limits::kPayloadInlineBytesMax + 1, 'y');
  payload.bytes = bytes;
  hostile.say(payload);
  expect_refused(Errc::kPayloadHash);
  EXPECT_TRUE(victim.state(large.log()).payloads.empty());
}

TEST_F(HostilePeerTest, B16ALowerHeadThanBeforeMeansNothing) {
  hostile.say_have(log);
  for (int i = 0; i < 5; ++i) hostile.say_have(LogBuilder("alice").append_many(12));
  hostile.say_unit(want, log, closure({{10, 20}}, 40), {{10, 20}});
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(victim.state(log.log()).payloads, (RangeSet{{10, 20}}));
}

TEST_F(HostilePeerTest, B17AHeadWithNothingBehindItTimesOutAndReservesNothing) {
  Have have;
  have.log = log.log();
  have.head = SeqNum{1} << 53U;
  have.held = RangeSet{{1, have.head}};
  hostile.say(have);
  ASSERT_FALSE(hostile.verdict());
  // It is alive, and says what costs nothing.
  const auto timeout = std::chrono::milliseconds(limits::kWantStallTimeoutMs);
  for (int quarter = 1; quarter <= 4; ++quarter) {
    EXPECT_FALSE(hostile.verdict()) << quarter;
    hostile.say(Ping{1});
    hostile.say(have);
    hostile.tick(Instant{} + timeout / 4 * quarter);
  }
  ASSERT_TRUE(hostile.verdict());
  EXPECT_EQ(name(*hostile.verdict()), name(Errc::kPeerStalled));
}

TEST_F(HostilePeerTest, DeniesOfNothingAreCounted) {
  for (std::uint32_t i = 0; i < limits::kSpareDeniesPerSessionMax + 1; ++i) {  // 1: of the want
    hostile.say(Deny{log.log(), 0, DenyReason::kNotWanted});
  }
  EXPECT_FALSE(hostile.verdict());
  hostile.say(Deny{log.log(), want + 1, DenyReason::kNotServed});
  expect_refused(Errc::kLimit);
}

TEST_F(HostilePeerTest, AReasonToDenyThatOnlyLaterVersionsKnowIsTakenForBusy) {
  hostile.say(Deny{log.log(), want, replication::kDenyReasonMax});
  EXPECT_EQ(hostile.denied(), DenyReason::kBusy);
  EXPECT_FALSE(hostile.verdict());
}

TEST_F(HostilePeerTest, AnHonestPeerMayDenyUnitsOfAnyNumberOfWantsThatAreDone) {
  const LogBuilder bob = LogBuilder("bob").append_many(3);
  victim.hold(bob);
  const std::uint32_t rounds = 2 * limits::kSpareDeniesPerSessionMax;
  for (WantId id = 1; id <= rounds; ++id) {
    Want wanted;
    wanted.id = id;
    wanted.log = bob.log();
    wanted.interest = everything();
    wanted.payloads = false;
    wanted.held = RangeSet{{1, 3}};
    hostile.say(wanted);
    hostile.say(Deny{bob.log(), id, DenyReason::kCapped});
  }
  EXPECT_EQ(hostile.heard<Done>(), rounds);
  EXPECT_FALSE(hostile.verdict());
}

TEST_F(HostilePeerTest, WhoAsksInFullGetsNoBadlySignedEntryOnTheWordOfADeclaredOne) {
  // 13 attests 12; who declares to hold 13 may hold another, and would blame the bearer of 12.
  const LogBuilder broken = LogBuilder("bob").append_many(11).append_badly_signed().append_many(3);
  victim.hold(broken);
  hostile.say(Credit{limits::kSessionCreditBytes});
  Want wanted;
  wanted.log = broken.log();
  wanted.interest = {RangeSet{{12, 12}}, 0};
  wanted.entries = true;
  wanted.held = RangeSet{{1, 1}, {4, 4}, {13, 13}};
  for (const bool full : {false, true}) {
    ++wanted.id;
    wanted.full = full;
    hostile.say(wanted);
    EXPECT_EQ(hostile.heard<Entries>(), 1U) << full;
    EXPECT_EQ(hostile.heard<Deny>(), full ? 1U : 0U);
  }
  EXPECT_FALSE(hostile.verdict());
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

TEST_F(HostilePeerTest, WhatIsForgedUsesUpNoBudget) {
  LogBuilder other = LogBuilder("bob").append_many(4);
  WantRequest request = want_of(other.log());
  request.budget_bytes = 5'000;
  request.budget_spent = std::make_shared<std::uint64_t>(0);
  const WantId id = *hostile.session().want(request);
  hostile.say_have(other);
  const std::array good{EntryBuffer(other.entry(1))};
  hostile.say_entries(id, good);
  const std::uint64_t spent = *request.budget_spent;
  EXPECT_GT(spent, 0U);
  const std::array bad{other.forged(2)};
  hostile.say_entries(id, bad);
  EXPECT_EQ(*request.budget_spent, spent) << "it was refused";
  hostile.say(Done{id, DoneReason::kCancelled});
  ASSERT_EQ(hostile.heard<Want>(), 3U) << "in full";
  hostile.say_have(other);
  hostile.say_entries(id + 1, bad);
  EXPECT_EQ(hostile.verdict(), Errc::kEntrySignature);
  EXPECT_EQ(*request.budget_spent, 0U) << "another peer may bring as much";
}

TEST_F(HostilePeerTest, AMessageThatHasOnlyBegunCountsOnce) {
  WantRequest request = want_of(LogBuilder("bob").append_many(4).log());
  request.budget_bytes = 5'000;
  request.budget_spent = std::make_shared<std::uint64_t>(0);
  WantRequest quote = request;
  quote.quote_only = true;
  const WantId quoted = *hostile.session().want(quote);
  const WantId first = *hostile.session().want(request);
  const WantId second = *hostile.session().want(request);
  ASSERT_TRUE(hostile.session().want(request));
  Bytes begun{0, 0, 1, 0};
  begun.resize(100);
  hostile.say_plaintext(begun);
  hostile.session().cancel(quoted);
  EXPECT_EQ(*request.budget_spent, 0U) << "a quote brings nothing";
  hostile.session().cancel(first);
  const std::uint64_t spent = *request.budget_spent;
  EXPECT_EQ(spent, 100U);
  hostile.session().cancel(second);
  EXPECT_EQ(*request.budget_spent, spent);
  EXPECT_FALSE(hostile.session().receive_end());
  EXPECT_EQ(*request.budget_spent, spent);
}

TEST_F(HostilePeerTest, PayloadsThatWereToBeLeftOutArePassedOver) {
  LogBuilder other = LogBuilder("bob").append_many(4);
  WantRequest request = want_of(other.log());
  request.bare = {{2, 2}};
  const WantId id = *hostile.session().want(request);
  hostile.say_have(other);
  hostile.say_unit(id, other, {{1, 4}}, {});
  for (const SeqNum seqnum : {SeqNum{2}, SeqNum{3}}) {
    Payload payload;
    payload.want = id;
    payload.seqnum = seqnum;
    payload.last = true;
    payload.bytes = other.payload(seqnum);
    hostile.say(payload);
  }
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(victim.state(other.log()).payloads, (RangeSet{{3, 3}}));
}

TEST_F(HostilePeerTest, PayloadsThatWereToBeLeftOutAreNotTakenWithTheirEntriesEither) {
  LogBuilder other = LogBuilder("bob").append_many(4);
  WantRequest request = want_of(other.log());
  request.bare = {{2, 2}};
  const WantId id = *hostile.session().want(request);
  hostile.say_have(other);
  hostile.say_unit(id, other, {{1, 4}}, {{1, 4}});
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(victim.state(other.log()).held, (RangeSet{{1, 4}}));
  EXPECT_EQ(victim.state(other.log()).payloads, (RangeSet{{1, 1}, {3, 4}}));
}

TEST_F(HostilePeerTest, PayloadsThatThePeerWasToldToLeaveOutAreRefused) {
  for (const bool is_inline : {true, false}) {
    LogBuilder other = LogBuilder(is_inline ? "bob" : "carol").append_many(4);
    victim.hold(other, {{1, 2}});
    HostilePeer peer(victim);
    peer.say_hello();
    WantRequest request = want_of(other.log());
    request.bare = {{3, 3}};
    const WantId id = *peer.session().want(request);
    peer.say_have(other);
    peer.say_unit(id, other, {{3, 4}}, is_inline ? RangeSet{{3, 3}} : RangeSet());
    Payload payload;
    payload.want = id;
    payload.seqnum = 3;
    payload.last = true;
    payload.bytes = other.payload(3);
    if (!is_inline) peer.say(payload);
    EXPECT_EQ(peer.verdict(), Errc::kUnsolicited);
    EXPECT_EQ(victim.state(other.log()).payloads, (RangeSet{{1, 2}}));
  }
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

TEST_F(HostilePeerTest, WhatHasNoRoomIsNotLookedAt) {
  victim.credit = CreditPool(limits::kCreditBytesMin);
  hostile.say_have(log);
  hostile.hold_reports();
  const Bytes bytes(limits::kPayloadChunkBytes / 4, 7);
  Payload payload{.want = want, .seqnum = 10, .last = true, .bytes = bytes};
  hostile.say(payload);
  EXPECT_FALSE(hostile.session().wants_input());
  hostile.say(payload);
  EXPECT_EQ(hostile.works(), 1U);
  EXPECT_FALSE(hostile.verdict()) << "that is this side's affair";
  hostile.tick(Instant{} + std::chrono::milliseconds(
                               2 * std::max(limits::kWantStallTimeoutMs, limits::kIdleTimeoutMs)));
  EXPECT_FALSE(hostile.verdict()) << "neither stalled nor silent";
}

/// Claims another branch each time, and answers what it is asked about that with a forged entry.
TEST_F(HostilePeerTest, EvidenceThatAPeerCanMakeUpIsLookedAtOnce) {
  victim.hold(log, {{1, 3}});
  const EntryBuffer forged = log.forged(1);
  Have have;
  have.log = log.log();
  have.head = 3;
  have.held = RangeSet{{1, 1}};
  const Compare answer{log.log(), 1, true, culm::hash(forged.bytes()),
                       Bytes(forged.bytes().begin(), forged.bytes().end())};
  const auto claim = [&] {
    std::size_t asked = hostile.heard<Compare>();
    for (int i = 0; i < 100; ++i) {
      hostile.say(have);
      if (hostile.heard<Compare>() == asked) continue;
      asked = hostile.heard<Compare>();
      hostile.say(answer);
    }
  };
  const std::uint64_t free = victim.credit.free();
  hostile.hold_reports();
  claim();
  EXPECT_EQ(hostile.works(), 1U) << "one piece of a log is under way at a time";
  EXPECT_LT(victim.credit.free(), free) << "and it is charged";
  HostilePeer other(victim);
  other.say_hello();
  ASSERT_TRUE(other.session().want(want_of(log.log())));
  std::size_t works = 0;
  for (int i = 0; i < 100; ++i) {
    const std::size_t asked = other.heard<Compare>();
    other.say(have);
    if (other.heard<Compare>() == asked) continue;
    other.say(answer);
    EXPECT_EQ(other.works(), ++works);
  }
  EXPECT_EQ(works, 1U) << "what proved nothing is not compared again";
  EXPECT_FALSE(other.verdict());
}

TEST_F(HostilePeerTest, OfEvidenceThatComesMeanwhileTheLastIsLookedAtNext) {
  hostile.hold_reports();
  for (SeqNum at = 40; at >= 20; --at) {
    const LogBuilder other = log.fork(at);
    const std::array pair{log.entry(at), other.entry(at)};
    hostile.say(DefectFound{log.log(), make_evidence(pair)});
  }
  EXPECT_EQ(hostile.works(), 1U);
  EXPECT_FALSE(hostile.verdict());
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

TEST_F(HostilePeerTest, WantIdsMustAscendAlsoWhereTheLogIsNotServed) {
  Want unknown;
  unknown.log = LogBuilder("bob").log();
  unknown.id = 5;
  hostile.say(unknown);
  EXPECT_FALSE(hostile.verdict());
  hostile.say(unknown);
  expect_refused(Errc::kProtocolState);
}

TEST_F(HostilePeerTest, OfManyLogsThatItIsDeniedFewAreCaredFor) {
  constexpr WantId kWants = 3 * limits::kWantsPerSessionMax;
  std::size_t cared_for = 0;
  for (WantId id = 1; id <= kWants; ++id) {
    Want unknown;
    unknown.log = {LogBuilder("bob").log().author, LogId{id}};
    unknown.id = id;
    hostile.say(unknown);
    cared_for += hostile.session().cares_for(unknown.log) ? 1U : 0U;
  }
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(hostile.heard<Deny>(), kWants);
  EXPECT_EQ(cared_for, limits::kWantsPerSessionMax);
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
