// What each row of the table of errors comes to in a session. Spec: errors.md
#include <array>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/hostile_peer.hpp"

namespace culm::replication {
namespace {

using test::HostilePeer;
using test::LogBuilder;
using test::TestPeer;
using test::want_of;

std::vector<Errc> known_codes() {
  std::vector<Errc> codes;
  for (int number = 1; number < 1000; ++number) {
    const auto code = static_cast<Errc>(number);
    if (name(code) != "unknown") codes.push_back(code);
  }
  return codes;
}

/// A reader that wants a log of an honest peer, and whose works all fail with one error.
class FailingReader {
 public:
  explicit FailingReader(Errc code) : peer_(reader_) {
    peer_.say_hello();
    want_ = *peer_.session().want(want_of(log.log()));
    peer_.say_have(log);
    peer_.fail_works(code);
  }

  void receive_unit() { peer_.say_unit(want_, log, {{1, log.head()}}, {}); }

  void receive_payload() {
    Payload payload;
    payload.want = want_;
    payload.seqnum = 2;
    payload.last = true;
    const Bytes bytes{1};
    payload.bytes = bytes;
    peer_.say(payload);
  }

  void receive_evidence() {
    const LogBuilder other = log.fork(3);
    const std::array pair{log.entry(3), other.entry(3)};
    peer_.say(DefectFound{log.log(), make_evidence(pair)});
  }

  /// The error that ended the session, if one did.
  [[nodiscard]] std::optional<Errc> verdict() const { return peer_.verdict(); }

  template <class T>
  [[nodiscard]] std::size_t said() const {
    return peer_.heard<T>();
  }

 private:
  LogBuilder log = LogBuilder("alice").append_many(5);
  TestPeer reader_{1};
  HostilePeer peer_;
  WantId want_ = 0;
};

std::optional<Errc> verdict_on(Errc code) {
  return ends(code) < Scope::kSession ? std::nullopt : std::optional(code);
}

TEST(ErrorScope, AUnitThatFailsEndsWhatTheTableSays) {
  for (const Errc code : known_codes()) {
    SCOPED_TRACE(name(code));
    FailingReader reader(code);
    reader.receive_unit();
    if (full_may_help(code)) {
      EXPECT_FALSE(reader.verdict());
      EXPECT_EQ(reader.said<Cancel>(), 1U);
      EXPECT_EQ(reader.said<Want>(), 2U);
      continue;
    }
    EXPECT_EQ(reader.verdict(), verdict_on(code));
    if (verdict_on(code)) continue;
    const bool is_want_over = ends(code) == Scope::kLog;
    const bool is_own = fault(code) == Fault::kOwnStore;
    EXPECT_EQ(reader.said<Cancel>(), is_want_over && is_own ? 1U : 0U);
    EXPECT_EQ(reader.said<Deny>(), is_want_over && !is_own ? 1U : 0U);
    EXPECT_EQ(reader.said<Want>(), 1U);
  }
}

TEST(ErrorScope, EvidenceThatFailsEndsNothingOrTheSession) {
  for (const Errc code : known_codes()) {
    SCOPED_TRACE(name(code));
    FailingReader reader(code);
    reader.receive_evidence();
    EXPECT_EQ(reader.verdict(), verdict_on(code));
    EXPECT_EQ(reader.said<Cancel>() + reader.said<Deny>(), 0U);
  }
}

TEST(ErrorScope, APayloadOfAnEntryThatWasHeldBeforeBlamesNobody) {
  for (const Errc code : known_codes()) {
    SCOPED_TRACE(name(code));
    FailingReader reader(code);
    reader.receive_payload();
    const bool is_of_session = ends(code) >= Scope::kSession;
    switch (fault(code)) {
      case Fault::kNobody:
      case Fault::kAuthor:
        EXPECT_EQ(reader.verdict().has_value(), is_of_session);
        EXPECT_EQ(reader.said<Cancel>() + reader.said<Deny>(), 0U) << "passed over";
        break;
      case Fault::kPeer:
        EXPECT_FALSE(reader.verdict()) << "it may hold another branch";
        EXPECT_EQ(reader.said<Deny>(), 1U);
        break;
      default:
        EXPECT_EQ(reader.verdict(), verdict_on(code));
    }
  }
}

TEST(ErrorScope, OfTwoFailuresInFullTheSecondCounts) {
  const LogBuilder log = LogBuilder("alice").append_many(5);
  for (const Errc code : known_codes()) {
    if (!full_may_help(code)) continue;
    SCOPED_TRACE(name(code));
    TestPeer reader(1);
    HostilePeer peer(reader);
    peer.say_hello();
    const WantId want = *peer.session().want(want_of(log.log()));
    peer.fail_works(code);
    for (const WantId id : {want, want + 1}) {
      peer.say_have(log);
      peer.say_unit(id, log, {{1, 5}}, {});
    }
    EXPECT_EQ(peer.verdict(), verdict_on(code));
    EXPECT_EQ(peer.heard<Want>(), 2U);
  }
}

TEST(ErrorScope, AnOfferIsDeclinedWhereThisSideCannotAskForIt) {
  const LogBuilder log = LogBuilder("alice").append_many(5);
  TestPeer victim(1);
  victim.accepts = store::LogInterest{};
  for (SeqNum n = 1; n <= limits::kRangesPerMessageMax + 1; ++n) {
    victim.accepts->entries.ranges.insert(2 * n);
  }
  HostilePeer honest(victim);
  honest.say_hello();
  honest.say(Offer{log.log(), log.head()});
  EXPECT_FALSE(honest.verdict()) << "its interest is no fault of the peer";
  EXPECT_EQ(honest.heard<Deny>(), 1U);
  EXPECT_EQ(honest.heard<Want>(), 0U);
}

}  // namespace
}  // namespace culm::replication
