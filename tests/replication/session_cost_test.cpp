// What a peer can make a session spend: memory, time, credit.
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/lipmaa.hpp"

#include "tests/support/hostile_peer.hpp"

namespace culm::replication {
namespace {

using test::HostilePeer;
using test::LogBuilder;
using test::TestConnection;
using test::TestPeer;
using test::want_of;

class SessionCost : public testing::Test {
 protected:
  static Want scattered(const LogKey& log, WantId id) {
    Want want;
    want.id = id;
    want.log = log;
    for (SeqNum i = 0; i < limits::kRangesPerMessageMax; ++i) {
      want.interest.ranges.insert(2 + 4 * i + id % 3);
    }
    return want;
  }

  /// Opens as many live wants like it as a session may have.
  static void open_wants(HostilePeer& peer, const std::function<Want(WantId)>& like) {
    peer.say_hello();
    for (WantId id = 1; id <= limits::kWantsPerSessionMax; ++id) {
      Want want = like(id);
      want.id = id;
      want.live = true;
      peer.say(want);
      peer.tick(Instant{});
    }
  }

  /// So many bytes of a record that goes on.
  static void begin_record(HostilePeer& peer, std::size_t bytes) {
    Bytes record{0xff, 0xff};
    record.resize(bytes);
    ASSERT_TRUE(peer.session().receive(record, Instant{}));
  }

  TestPeer victim{1};
};

TEST_F(SessionCost, WantsOfManyRangesHaveABudget) {
  LogBuilder log("alice");
  log.append_many(4 * limits::kRangesPerMessageMax + 10);
  victim.hold(log);
  HostilePeer hostile(victim);
  open_wants(hostile, [&](WantId id) { return scattered(log.log(), id); });
  EXPECT_FALSE(hostile.verdict());
  const std::size_t denied = hostile.heard<Deny>();
  EXPECT_GT(denied, 0U);
  EXPECT_LT(denied, limits::kWantsPerSessionMax - 4) << "a reader has a few open at a time";
  // Others share what the node has for wants like these, and small ones go on.
  std::vector<std::unique_ptr<HostilePeer>> others;
  while (victim.credit.has_room_for_ranges(100'000) && others.size() < 50) {
    HostilePeer& other = *others.emplace_back(std::make_unique<HostilePeer>(victim));
    open_wants(other, [&](WantId id) { return scattered(log.log(), id); });
  }
  EXPECT_LT(others.size(), 50U) << "the node has a budget, too";
  TestPeer reader(2);
  TestConnection connection(reader, victim, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(log.log(), {RangeSet{{1, 20}}, 0})));
  connection.run();
  EXPECT_EQ(reader.state(log.log()).held.count(), closure({{1, 20}}, log.head()).count());
  others.clear();
}

TEST_F(SessionCost, WhatAPeerShowsCountsInTheBudgetOfItsWants) {
  LogBuilder log("alice");
  log.append_many(4 * limits::kRangesPerMessageMax + 10);
  victim.hold(log);
  HostilePeer hostile(victim);
  open_wants(hostile, [&](WantId /*id*/) {
    Want want;
    want.log = log.log();
    want.interest = everything();
    return want;
  });
  Have shown;
  shown.log = log.log();
  shown.head = log.head();
  shown.head_hash = log.hash(log.head());
  for (const SeqNum first : {SeqNum{1}, 2 * SeqNum{limits::kRangesPerMessageMax}}) {
    shown.held = {};
    for (SeqNum i = 0; i < limits::kRangesPerMessageMax; ++i) shown.held.insert(first + 2 * i);
    hostile.say(shown);
  }
  EXPECT_FALSE(hostile.verdict());
  EXPECT_EQ(hostile.heard<Deny>(), 0U);
  EXPECT_TRUE(victim.credit.has_room_for_ranges(limits::kServedRangesNode -
                                                limits::kServedRangesPerSession));
}

TEST_F(SessionCost, PeersThatDoNotReadShareABudget) {
  LogBuilder log("alice");
  for (int i = 0; i < 1200; ++i) log.append(std::string(1000, 'a'));
  victim.hold(log);
  std::vector<std::unique_ptr<HostilePeer>> deaf;
  std::size_t waiting = 0;
  constexpr std::size_t kPeers = 100;
  for (std::size_t i = 0; i < kPeers; ++i) {
    HostilePeer& peer = *deaf.emplace_back(std::make_unique<HostilePeer>(victim));
    peer.say_hello();
    peer.stop_reading();
    peer.say(Credit{10 * limits::kSessionCreditBytes});
    Want want;
    want.id = 1;
    want.log = log.log();
    want.interest = everything();
    want.entries = want.payloads = true;
    want.payload_size_max = limits::kPayloadSizeBytesMax;
    peer.say(want);
    for (int n = 0; n < 20'000 && peer.session().wants_input(); ++n) peer.say(Ping{1});
    waiting += peer.session().pending_output().size();
  }
  EXPECT_LT(waiting, limits::kNodeOutputBytes + 2 * limits::kSessionAnswersBytesMax +
                         kPeers * 3 * limits::kSessionAnswersBytesFree);
  TestPeer reader(2);
  TestConnection connection(reader, victim, 3);
  ASSERT_TRUE(connection.a.session->want(want_of(log.log())));
  connection.run();
  EXPECT_EQ(reader.state(log.log()).payloads.count(), log.head()) << "who reads is served";
}

TEST_F(SessionCost, MessagesThatHaveBegunAreCounted) {
  std::vector<std::unique_ptr<HostilePeer>> slow;
  Bytes begun{0, 3, 0, 0};  // the length of a frame
  begun.resize(150'000);
  while (!victim.credit.is_short_of_input() && slow.size() < 1000) {
    HostilePeer& peer = *slow.emplace_back(std::make_unique<HostilePeer>(victim));
    peer.say_hello();
    EXPECT_FALSE(peer.session().behind_since());
    peer.say_plaintext(begun);
    EXPECT_EQ(peer.session().behind_since(), Instant{});
  }
  EXPECT_LE(slow.size(), limits::kNodeInputBytes / begun.size() + 1);
  slow.pop_back();
  EXPECT_FALSE(victim.credit.is_short_of_input());
  ASSERT_FALSE(slow.empty());
  slow.back()->say_plaintext(Bytes(46'608 + 4));  // its end: no message that is known
  EXPECT_TRUE(slow.back()->verdict());
}

TEST_F(SessionCost, MemoryOfAMessageThatHasBeenLookedAtGoesBackWhenItIsNeeded) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes encoded;
  encode(encoded, scattered(LogBuilder("alice").log(), 1));
  Bytes plaintext;
  append_frame(plaintext, encoded);
  plaintext.push_back(0);  // the next begins
  const std::uint64_t before = victim.credit.input();
  hostile.say_plaintext(plaintext);
  EXPECT_FALSE(hostile.verdict());
  EXPECT_GT(victim.credit.input(), before);
  EXPECT_FALSE(hostile.session().behind_since()) << "it holds next to nothing";
  hostile.session().trim_input();
  EXPECT_EQ(victim.credit.input(), before);
}

TEST_F(SessionCost, ALittleOfAMessageAndOfARecordAreNotChargedOnceTheyAreTrimmed) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes plaintext;
  while (plaintext.size() < 3500) {
    Bytes encoded;
    encode(encoded, Offer{LogBuilder("alice").log(), 1});
    append_frame(plaintext, encoded);
  }
  append_bytes(plaintext, Bytes{0, 3, 0, 0});  // and a message begins
  plaintext.resize(plaintext.size() + limits::kIdleBufferBytesMax - 100);
  hostile.say_plaintext(plaintext);
  begin_record(hostile, limits::kIdleBufferBytesMax - 100);
  hostile.session().trim_input();
  EXPECT_EQ(victim.credit.input(), 0U);
}

TEST_F(SessionCost, AMessageIsBehindSinceItBeganAndNotSinceTheOneBeforeIt) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes encoded;
  encode(encoded, scattered(LogBuilder("alice").log(), 1));
  Bytes plaintext;
  append_frame(plaintext, encoded);
  plaintext.push_back(0);  // the buffer stays as large as it is
  hostile.say_plaintext(plaintext);
  EXPECT_FALSE(hostile.session().behind_since());
  const Instant later = Instant{} + std::chrono::seconds(20);
  hostile.tick(later);
  Bytes begun{3, 0, 0};
  begun.resize(2 * limits::kIdleBufferBytesMax);
  hostile.say_plaintext(begun);
  EXPECT_EQ(hostile.session().behind_since(), later);
}

TEST_F(SessionCost, WhatWaitsForItsTurnIsChargedAndBehindUntilAllHadTheirs) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes plaintext;
  while (plaintext.size() < 60'000) {
    Bytes encoded;
    encode(encoded, Ping{1});
    append_frame(plaintext, encoded);
  }
  hostile.say_plaintext(plaintext);
  EXPECT_GT(victim.credit.input(), 40'000U);
  EXPECT_FALSE(hostile.session().wants_input());
  const Instant later = Instant{} + std::chrono::seconds(1);
  hostile.tick(later);
  EXPECT_EQ(hostile.session().behind_since(), Instant{}) << "there is still more";
  while (!hostile.session().wants_input()) hostile.tick(later);
  EXPECT_FALSE(hostile.session().behind_since());
  hostile.session().trim_input();
  EXPECT_EQ(victim.credit.input(), 0U);
}

TEST_F(SessionCost, ASessionThatHasEndedIsChargedForNothing) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes begun{0, 3, 0, 0};
  begun.resize(100'000);
  hostile.say_plaintext(begun);
  begin_record(hostile, 60'000);
  EXPECT_GT(victim.credit.input(), 150'000U);
  hostile.session().close();
  EXPECT_EQ(victim.credit.input(), 0U);
}

TEST_F(SessionCost, ManyMessagesAreLookedAtInTurns) {
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes plaintext;
  for (std::size_t n = 0; n < limits::kMessagesPerTurn + 1; ++n) {
    Bytes encoded;
    encode(encoded, Ping{n});
    append_frame(plaintext, encoded);
  }
  hostile.say_plaintext(plaintext);
  EXPECT_EQ(hostile.heard<Pong>(), limits::kMessagesPerTurn);
  EXPECT_FALSE(hostile.session().wants_input());
  EXPECT_EQ(hostile.session().next_deadline(), Instant{}) << "at once, when others had their turn";
  hostile.tick(Instant{});
  EXPECT_EQ(hostile.heard<Pong>(), limits::kMessagesPerTurn + 1);
  EXPECT_TRUE(hostile.session().wants_input());
}

TEST_F(SessionCost, OneCostlyWantIsLookedAtInATurn) {
  LogBuilder log("alice");
  log.append_many(50);
  victim.hold(log);
  HostilePeer hostile(victim);
  hostile.say_hello();
  Bytes plaintext;
  for (WantId id = 1; id <= 5; ++id) {
    Want want = scattered(log.log(), id);
    want.quote_only = true;
    Bytes encoded;
    encode(encoded, want);
    append_frame(plaintext, encoded);
  }
  hostile.say_plaintext(plaintext);
  EXPECT_EQ(hostile.heard<Quote>(), 1U);
  EXPECT_FALSE(hostile.session().wants_input());
  EXPECT_EQ(hostile.session().next_deadline(), Instant{}) << "at once, when others had their turn";
  for (std::size_t quotes = 2; quotes <= 5; ++quotes) {
    hostile.tick(Instant{});
    EXPECT_EQ(hostile.heard<Quote>(), quotes);
  }
  hostile.tick(Instant{});
  EXPECT_TRUE(hostile.session().wants_input());
}

TEST_F(SessionCost, ABudgetIsTriedOutInFewStepsAndRows) {
  LogBuilder log("alice");
  log.append_many(12'000);
  victim.hold(log);
  HostilePeer hostile(victim);
  hostile.say_hello();
  Want passing;  // all payloads are passed over before its entries come
  passing.id = 1;
  passing.log = log.log();
  passing.interest = everything();
  passing.quote_only = true;
  passing.held = {{1, log.head() - 10}};
  passing.payload_size_min = passing.payload_size_max = limits::kPayloadSizeBytesMax;
  passing.budget_bytes = 2'000;
  test::read_counts = {};
  hostile.say(passing);
  EXPECT_EQ(hostile.heard<Quote>(), 1U);
  EXPECT_LT(test::read_counts.entries, 2 * limits::kPumpRowsMax);
  Bytes plaintext;
  for (WantId id = 2; id <= 6; ++id) {
    Want tiny;  // a message for each payload
    tiny.id = id;
    tiny.log = log.log();
    tiny.interest = everything();
    tiny.quote_only = true;
    tiny.entries = false;
    tiny.held = {{1, log.head()}};
    tiny.payload_size_max = limits::kPayloadSizeBytesMax;
    tiny.budget_bytes = limits::kSessionCreditBytes / 4;
    Bytes encoded;
    encode(encoded, tiny);
    append_frame(plaintext, encoded);
  }
  test::read_counts = {};
  hostile.say_plaintext(plaintext);
  for (std::size_t quotes = 2; quotes <= 6; ++quotes) {  // one in a turn
    EXPECT_EQ(hostile.heard<Quote>(), quotes);
    EXPECT_LT(test::read_counts.transactions, limits::kPumpStepsMax + 50);
    test::read_counts = {};
    hostile.tick(Instant{});
  }
}

TEST_F(SessionCost, ASmallBudgetGrantsNoMoreThanTheLeastCredit) {
  LogBuilder log("alice");
  for (int i = 0; i < 100; ++i) log.append(std::string(10'000, 'a'));
  victim.hold(log);
  TestPeer reader(2);
  TestConnection connection(reader, victim, 3);
  auto request = want_of(log.log());
  request.budget_bytes = 20'000;
  ASSERT_TRUE(connection.a.session->want(request));
  connection.run();
  ASSERT_NE(connection.a.last<WantEnded>(), nullptr);
  EXPECT_EQ(connection.a.last<WantEnded>()->reason, DoneReason::kBudget);
  EXPECT_LT(connection.a.session->stats().bytes_received, 20'000 + limits::kCreditBytesMin);
  // Who minds no budget gets no more credit and is refused.
  HostilePeer hostile(reader);
  hostile.say_hello();
  const LogBuilder other = LogBuilder("bob").append_many(1000);
  request.log = other.log();
  const WantId want = *hostile.session().want(request);
  hostile.say_have(other);
  const std::uint64_t before = hostile.session().stats().bytes_received;
  for (SeqNum n = 1; n <= 1000 && !hostile.verdict(); n += 50) {
    hostile.say_unit(want, other, {{n, n + 49}}, {});
  }
  EXPECT_EQ(hostile.verdict(), Errc::kUnsolicited);
  EXPECT_LT(hostile.session().stats().bytes_received - before, 20'000 + limits::kCreditBytesMin);
}

TEST_F(SessionCost, WhoRepeatsOneUnitIsRefusedAfterAWhile) {
  const LogBuilder log = LogBuilder("alice").append_many(40);
  HostilePeer hostile(victim);
  hostile.say_hello();
  const WantId want = *hostile.session().want(want_of(log.log()));
  hostile.say_have(log);
  std::uint64_t said = 0;
  for (; said < 4096 && !hostile.verdict(); ++said) {
    hostile.say_unit(want, log, {{1, 40}}, {{1, 40}});
  }
  EXPECT_EQ(hostile.verdict(), Errc::kUnsolicited);
  EXPECT_EQ(hostile.session().stats().pieces_new, 1U);
  EXPECT_LT(hostile.session().stats().bytes_received, 2 * limits::kVainBytesPerWantMax);
}

TEST_F(SessionCost, WhoRepeatsOnePartIsRefusedAfterAWhile) {
  LogBuilder log("alice");
  log.append(std::string(3 * limits::kPayloadChunkBytes, 'x'));
  const Bytes part(limits::kPayloadChunkBytes, 'x');
  for (const bool is_entry_here : {true, false}) {
    TestPeer peer(7);
    HostilePeer hostile(peer);
    hostile.say_hello();
    const WantId want = *hostile.session().want(want_of(log.log()));
    hostile.say_have(log);
    if (is_entry_here) hostile.say_unit(want, log, {{1, 1}}, {});
    for (int said = 0; said < 100 && !hostile.verdict(); ++said) {
      hostile.say(Payload{.want = want, .seqnum = 1, .bytes = part});
    }
    EXPECT_EQ(hostile.verdict(), Errc::kUnsolicited);
    EXPECT_EQ(hostile.session().stats().pieces_new, is_entry_here ? 2U : 0U);
    EXPECT_LT(hostile.session().stats().bytes_received, 2 * limits::kVainBytesPerWantMax);
  }
}

TEST_F(SessionCost, PartsThatDoNotGoOnAreInVain) {
  constexpr std::uint64_t kPart = limits::kPayloadChunkBytes;
  LogBuilder log("alice");
  log.append(std::string(100 * kPart, 'x'));
  const Bytes part(kPart, 'x');
  for (const bool is_begun : {true, false}) {
    TestPeer peer(7);
    HostilePeer hostile(peer);
    hostile.say_hello();
    const WantId want = *hostile.session().want(want_of(log.log()));
    hostile.say_have(log);
    hostile.say_unit(want, log, {{1, 1}}, {});
    if (is_begun) hostile.say(Payload{.want = want, .seqnum = 1, .bytes = part});
    for (std::uint64_t i = 2; i < 100 && !hostile.verdict(); ++i) {
      hostile.say(Payload{.want = want, .seqnum = 1, .offset = i * kPart, .bytes = part});
    }
    EXPECT_EQ(hostile.verdict(), Errc::kUnsolicited);
    EXPECT_EQ(hostile.session().stats().pieces_new, is_begun ? 2U : 1U);
    EXPECT_LT(hostile.session().stats().bytes_received, 2 * limits::kVainBytesPerWantMax);
  }
}

TEST_F(SessionCost, APayloadThatBeginsAnewIsNewFromWhereItHadCome) {
  constexpr std::uint64_t kPart = limits::kPayloadChunkBytes;
  LogBuilder log("alice");
  log.append(std::string(9 * kPart, 'x'));
  const Bytes part(kPart, 'x');
  HostilePeer provider(victim);
  provider.say_hello();
  const WantId want = *provider.session().want(want_of(log.log()));
  provider.say_have(log);
  provider.say_unit(want, log, {{1, 1}}, {});
  for (const std::uint64_t i : {0U, 1U, 2U, 0U, 1U, 2U, 3U}) {
    provider.say(Payload{.want = want, .seqnum = 1, .offset = i * kPart, .bytes = part});
  }
  EXPECT_FALSE(provider.verdict());
  EXPECT_EQ(provider.session().stats().pieces_new, 5U);
}

/// Entries along the longest path there is, and a few above it.
class DeepLog {
 public:
  DeepLog() {
    SeqNum spine = 0;
    for (int k = 1; k <= 40; ++k) {
      spine = 3 * spine + 1;
      top_ += 2 * spine;
    }
    for (const SeqNum n : path_to_first(top_)) members_.insert(n);
    members_.insert(SeqRange{top_ + 1, top_ + 31});
    Hash elsewhere;
    elsewhere.bytes.fill(0xab);
    const auto hash_of = [&](SeqNum n) { return hashes_.contains(n) ? hashes_[n] : elsewhere; };
    for (const SeqRange range : members_.ranges()) {
      for (SeqNum n = range.first; n <= range.last; ++n) {
        payloads_[n] = n == 1 ? std::string(limits::kPayloadInlineBytesMax, 'p') : std::string();
        EntryFields fields;
        fields.log = log;
        fields.seqnum = n;
        if (has_lipmaalink(n)) fields.lipmaalink = hash_of(lipmaa(n));
        if (n > 1) fields.backlink = hash_of(n - 1);
        fields.payload_size = payloads_[n].size();
        fields.payload_hash = culm::hash(as_bytes(payloads_[n]));
        entries_.push_back(sign_entry(fields, key_));
        hashes_[n] = culm::hash(entries_.back().bytes());
      }
    }
  }
  [[nodiscard]] std::vector<UnitEntry> unit() const {
    std::vector<UnitEntry> out;
    for (const EntryBuffer& entry : entries_) {
      const SeqNum n = entry.view().seqnum();
      out.push_back({entry.view(), hashes_.at(n), as_bytes(payloads_.at(n))});
    }
    return out;
  }
  [[nodiscard]] const RangeSet& members() const { return members_; }

 private:
  SecretKey key_ = test::key_from("deep");

 public:
  LogKey log{key_.author(), LogId{0}};

 private:
  SeqNum top_ = 0;
  RangeSet members_;
  std::map<SeqNum, Hash> hashes_;
  std::map<SeqNum, std::string> payloads_;
  std::vector<EntryBuffer> entries_;
};

TEST_F(SessionCost, NewestFirstInFullStaysWithinTheLeastCreditNearTheLastSeqnum) {
  const DeepLog deep;
  const auto unit = deep.unit();
  ASSERT_TRUE(store::ingest(victim.store(), deep.log, unit, victim.verifier));
  for (const bool full : {false, true}) {
    HostilePeer hostile(victim);
    hostile.say_hello();
    Want want;
    want.id = 1;
    want.log = deep.log;
    want.interest = everything();
    want.order = Order::kNewestFirst;
    want.full = full;
    hostile.say(want);
    const std::uint64_t before = hostile.session().stats().bytes_sent;
    hostile.say(Credit{limits::kCreditBytesMin});
    EXPECT_GE(hostile.heard<Entries>(), 1U);
    EXPECT_LE(hostile.session().stats().bytes_sent - before, limits::kCreditBytesMin + 1024);
  }
}

}  // namespace
}  // namespace culm::replication
